"""Months and periods: mean power of radar, median of the rest, and how many images stand behind each value."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as some

from sitscope.cube.ingest import ingest
from sitscope.cube.periods import composed, periods
from sitscope.cube.reading import open_cube
from sitscope.errors import BadInput
from small_scenes import decibels, write_image, write_stack

SEASON = ("2017-01-03", "2017-01-15", "2017-01-27", "2017-03-02", "2017-03-14")


def cube_of(values: np.ndarray, times: np.ndarray, bands: tuple[str, ...] = ("VV", "B4")) -> xr.DataArray:
    coords = {"time": times, "band": list(bands)}
    return xr.DataArray(values.astype("float32"), coords, ("time", "band", "y", "x"), "backscatter", {"units": "dB,1"})


@given(days=some.lists(some.integers(0, 200), min_size=1, max_size=12, unique=True), step=some.integers(1, 60),
       seed=some.integers(0, 99), month=some.booleans())  # fmt: skip
def test_composites_are_those_of_the_slow_twin(days: list[int], step: int, seed: int, month: bool) -> None:
    times = np.array(sorted(np.datetime64("2017-02-11T06:30", "ns") + np.timedelta64(day, "D") for day in days))
    values = np.random.default_rng(seed).normal(-12, 3, (times.size, 2, 2, 3)).astype("float32")
    values[np.random.default_rng(seed + 1).random(values.shape) < 0.3] = np.nan
    spans = periods(times, "month" if month else f"{step}D")
    cube = cube_of(values, times)
    found, counts = composed(cube, spans)
    assert found.dtype == np.float32
    assert counts.dtype == np.uint16
    for period in range(len(spans.edges) - 1):
        here = (times >= spans.edges[period]) & (times < spans.edges[period + 1])
        for band in range(2):
            for place in np.ndindex(2, 3):
                series = values[here, band][(slice(None), *place)]
                series = series[~np.isnan(series)].astype("float64")
                got = float(found[period, band][place])
                assert int(counts[period, band][place]) == series.size
                if not series.size:
                    assert np.isnan(got)
                else:
                    wanted = 10 * np.log10(np.mean(10 ** (series / 10))) if band == 0 else np.median(series)
                    assert got == pytest.approx(wanted, abs=1e-4)
    assert spans.edges[0] <= times[0]
    assert times[-1] < spans.edges[-1]
    lazy, some_counts = composed(cube.chunk({"time": -1, "y": 1, "x": 2}), spans)
    assert lazy.equals(found)
    assert some_counts.equals(counts)


def test_periods_of_days_are_the_same_for_all_archives_of_a_year() -> None:
    late = np.array(["2017-05-03", "2017-08-09"], "datetime64[ns]")
    early = np.array(["2017-01-07", "2017-08-30"], "datetime64[ns]")
    assert set(periods(late, "12D").middles) <= set(periods(early, "12D").middles)
    assert str(periods(early, "10D").edges[0]) == "2017-01-01T00:00:00"
    assert str(periods(late, "10D", start="2017-05-01").edges[0]) == "2017-05-01T00:00:00"
    for wrong in ("10", "0D", "fortnight", "-3D", "10H"):
        with pytest.raises(BadInput, match=r"is no period\. Say month, or days"):
            periods(late, wrong)


def test_months_are_ingested_with_their_bounds_and_counts(tmp_path: Path) -> None:
    held = write_stack(tmp_path / "stack", dates=SEASON)
    made = ingest(tmp_path / "stack", tmp_path / "CUBE.zarr", every="month")
    cube = open_cube(made)
    assert [str(time)[:10] for time in cube.time.values] == ["2017-01-16", "2017-02-15", "2017-03-16"]
    assert cube.band.values.tolist() == ["VV", "VH"]  # counts are no bands
    assert cube.orbit.values.tolist() == ["74"] * 3
    power = np.mean([10 ** (held[date, "VV"].astype("float64") / 10) for date in SEASON[:3]], axis=0)
    np.testing.assert_allclose(cube[0, 0], 10 * np.log10(power), atol=1e-5)
    assert np.isnan(cube[1]).all()
    stored = xr.open_zarr(made)
    assert stored.VV_count.values[:, 0, 0].tolist() == [3, 0, 2]
    assert stored.VV.attrs["cell_methods"] == "time: mean"
    assert stored.VV.attrs["ancillary_variables"] == "VV_count"
    assert [str(edge)[:10] for edge in stored.time_bnds.values.ravel()] == [
        "2017-01-01", "2017-02-01", "2017-02-01", "2017-03-01", "2017-03-01", "2017-04-01"]  # fmt: skip
    assert stored.time.attrs["bounds"] == "time_bnds"


def test_clouds_are_left_out_by_the_median(tmp_path: Path) -> None:
    for i, date in enumerate(SEASON[:3]):
        values = np.full((8, 10), 0.1 * (i + 1), "float32")
        write_image(
            tmp_path / "stack" / f"{date}.tif", values if i else np.full_like(values, np.nan), descriptions=("B4",)
        )
    cube = open_cube(ingest(tmp_path / "stack", tmp_path / "CUBE.zarr", every="31D"))
    assert cube.sizes["time"] == 1
    np.testing.assert_allclose(cube, 0.25)


def test_composites_of_a_part_are_those_of_the_whole(tmp_path: Path) -> None:
    write_stack(tmp_path / "stack", dates=SEASON)
    some_dates = open_cube(ingest(tmp_path / "stack", tmp_path / "A.zarr", every="10D", start="2017-01-11"))
    assert str(some_dates.time.values[0])[:10] == "2017-01-16"
    np.testing.assert_allclose(some_dates[0], open_cube(tmp_path / "stack").sel(time="2017-01-15")[0], atol=1e-5)
    assert decibels(0).shape == some_dates.shape[2:]
