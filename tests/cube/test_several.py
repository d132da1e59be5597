"""Series of several sensors are of the same pixels, whatever the grids; what lies nowhere together is refused."""

from pathlib import Path

import numpy as np
import pyproj
import pytest
import xarray as xr

import two_sensors
from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.cube.several import sample_sensors
from sitscope.errors import BadInput
from small_scenes import COLUMNS, DATES, NORTH, ROWS, WEST, decibels, four_fields
from two_sensors import OPTICAL_DATES, RADAR_DATES, write_optical, write_radar


def cube(
    dates: tuple[str, ...] = DATES, pixel: float = 10.0, *, bands: tuple[str, ...] = ("VV", "VH"), east: float = 0.0
) -> xr.DataArray:
    """Over the small scene, pixels of another size."""
    rows, columns = int(ROWS * 10 / pixel), int(COLUMNS * 10 / pixel)
    coords = {
        "time": np.array(dates, "datetime64[ns]"),
        "band": list(bands),
        "y": NORTH - pixel * (0.5 + np.arange(rows)),
        "x": WEST + east + pixel * (0.5 + np.arange(columns)),
    }
    values = decibels(0, (len(dates), len(bands), rows, columns))
    return xr.DataArray(values, coords, attrs={"units": "dB"}).rio.write_crs("EPSG:32630")


def test_a_real_stack_and_a_real_zarr_cube_meet_pixel_by_pixel(tmp_path: Path) -> None:
    ingest(write_optical(tmp_path / "s2"), tmp_path / "S2.zarr")
    radar, optical = open_cube(write_radar(tmp_path / "s1")), open_cube(tmp_path / "S2.zarr")
    found = sample_sensors({"s1": radar, "s2": optical}, two_sensors.fields())
    one, two = found["s1"], found["s2"]
    assert (one.x.shape, two.x.shape) == ((384, 2, 12), (384, 2, 9))
    assert (one.time.values.astype("datetime64[D]") == RADAR_DATES).all()
    assert (two.time.values.astype("datetime64[D]") == OPTICAL_DATES).all()
    for name in ("label", "field", "row", "col"):
        np.testing.assert_array_equal(one[name], two[name])
    pixels = optical.transpose("y", "x", "band", "time").values
    np.testing.assert_array_equal(two.x, pixels[one.row.values // 2, one.col.values // 2])
    assert (one.attrs["units"], two.attrs["units"]) == ("dB", "1")


def test_one_sensor_is_sampled_as_ever() -> None:
    whole = sample(cube(), four_fields(), max_pixels=5, seed=3)
    found = sample_sensors({"s1": cube()}, four_fields(), max_pixels=5, seed=3)["s1"]
    for name in ("x", "label", "field", "row", "col"):
        np.testing.assert_array_equal(found[name], whole[name])


@pytest.mark.parametrize("epsg", [32630, 32631, 4326])
def test_it_is_the_pixel_under_the_centre_in_any_reference_system(epsg: int) -> None:
    """The other cube holds its own coordinates."""
    base = cube()
    ahead = pyproj.Transformer.from_crs(32630, epsg, always_xy=True)
    east, north = ahead.transform(*np.meshgrid(base.x.values, base.y.values))
    step = 25 if epsg != 4326 else 3e-4
    x = np.arange(east.min() - 3 * step, east.max() + 3 * step, step)
    y = np.arange(north.max() + 3 * step, north.min() - 3 * step, -step)
    values = np.stack(np.meshgrid(x, y))[None]  # (time, band, y, x)
    coords = {"time": np.array(DATES[:1], "datetime64[ns]"), "band": ["east", "north"], "y": y, "x": x}
    other = xr.DataArray(values, coords).rio.write_crs(f"EPSG:{epsg}")
    found = sample_sensors({"s1": base, "place": other}, four_fields())
    at = found["s1"].row.values, found["s1"].col.values
    for i, there in enumerate((east, north)):
        off = np.abs(found["place"].x.values[:, i, 0] - there[at])
        assert off.max() <= step / 2 + np.spacing(np.float32(there.max()))


def test_a_pixel_with_a_gap_in_any_sensor_is_left_out_or_filled() -> None:
    one, two = cube(), cube(DATES[1:4], 20.0, bands=("B04",))
    one[2, 0, 0, 0] = np.nan
    two[0, 0, 0, 0] = np.nan  # under four pixels of the first
    found = sample_sensors({"s1": one, "s2": two}, four_fields())
    assert found["s1"].sizes["series"] == found["s2"].sizes["series"] == 64 - 4
    assert found["s1"].attrs["dropped"] == found["s2"].attrs["dropped"] == 4
    assert not np.isnan(found["s2"].x.values).any()
    filled = sample_sensors({"s1": one, "s2": two}, four_fields(), fill=True)
    assert filled["s1"].sizes["series"] == filled["s2"].sizes["series"] == 64
    assert (int(filled["s1"].filled.sum()), int(filled["s2"].filled.sum())) == (1, 4)
    np.testing.assert_array_equal(filled["s2"].x[0, 0, 0], two[1, 0, 0, 0])


def test_pixels_beside_another_sensor_are_left_out_and_counted() -> None:
    fields = four_fields(("Wheat", "Maize", "Maize", "Wheat"))
    found = sample_sensors({"s1": cube(), "s2": cube(pixel=20.0, bands=("B04",), east=40.0)}, fields)
    assert found["s2"].attrs["outside"] == 32
    assert set(found["s1"].field.values.tolist()) == {1, 3}


@pytest.mark.parametrize(
    ("cubes", "said"),
    [
        ({}, "^sensors: there is no sensor"),
        (
            {"s1": cube(), "s2": cube(pixel=20.0, east=5000.0)},
            r"^sensors: no pixel of s1 in the fields lies in s2 .* EPSG:32630; .*images of one place",
        ),
        (
            {"s1": cube(), "s2": cube(("2019-01-03", "2019-02-03"), 20.0)},
            "^sensors: the dates do not overlap: s1 from 2017-01-03.* s2 from 2019-01-03",
        ),
        (
            {"s1": cube(), "s2": cube(pixel=20.0).where(lambda each: each.time != each.time[0])},
            "^images: sensor s2: 1 dates hold nothing but nodata",
        ),
        (
            {
                "s1": cube(),
                "s2": cube().where(lambda c: c.y > NORTH - 40),
                "s3": cube().where(lambda c: c.y < NORTH - 40),
            },
            "^images: no pixel has a whole series in every sensor; left out for gaps: s1 0, s2 32, s3 32",
        ),
        (
            {"s1": cube().where(lambda c: (c.x < WEST + 50) | (c.y > NORTH - 40)), "s2": cube(pixel=20.0, east=60.0)},
            "'Maize' alone, in all 1 fields that have whole series in every sensor",
        ),
    ],
)
def test_what_lies_nowhere_together_is_refused(cubes: dict[str, xr.DataArray], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        sample_sensors(cubes, four_fields())
