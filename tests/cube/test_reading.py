"""Any usual layout of images becomes the same cube."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as some
from rasterio.crs import CRS

from sitscope.cube import layers
from sitscope.cube.grid import Grid
from sitscope.cube.reading import open_cube
from small_scenes import COLUMNS, DATES, ROWS, decibels, write_image, write_stack

TIMES = np.array([f"{date}T06:30:00" for date in DATES], "datetime64[ns]")


def test_a_folder_of_images_becomes_the_canonical_cube(tmp_path: Path) -> None:
    held = write_stack(tmp_path)
    (tmp_path / "fields.gpkg").touch()
    cube = open_cube(tmp_path)
    assert cube.dims == ("time", "band", "y", "x")
    assert (cube.dtype, cube.name, cube.attrs) == (np.float32, "backscatter", {"units": "dB"})
    assert cube.time.dtype == "datetime64[ns]"
    np.testing.assert_array_equal(cube.time, TIMES)
    assert cube.band.values.tolist() == ["VV", "VH"]
    assert cube.rio.crs == CRS.from_epsg(32630)
    assert cube.orbit.values.tolist() == ["74"] * 5
    assert (float(cube.x[0]), float(cube.y[0])) == (500_005.0, 4_099_995.0)  # centres
    assert np.isnan(cube.rio.nodata)
    assert np.isnan(cube[0, 0].rio.nodata)
    for (date, band), values in held.items():
        np.testing.assert_array_equal(cube.sel(band=band, time=date).squeeze("time"), values)


def test_opening_reads_no_image_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for date in DATES:
        write_image(tmp_path / f"S1_{date}_VV.tif", decibels(0, (500, 500)), tags={"units": "dB"}, blockysize=10)
    read: list[float] = []
    real = layers._values

    def counted(path: str, wanted: list[layers.Layer], window: layers.Window) -> object:
        read.append(len(wanted) * window.width * window.height)
        return real(path, wanted, window)

    monkeypatch.setattr(layers, "_values", counted)
    cube = open_cube(tmp_path, chunks=100)
    assert sum(read) < 0.05 * cube.size
    assert cube.chunks is not None
    read.clear()
    cube[:, :, :100, :100].compute()
    assert sum(read) == 5 * 100 * 100  # one block, each date once


def test_blocks_are_whole_in_time_and_alike(tmp_path: Path) -> None:
    write_stack(tmp_path)
    assert open_cube(tmp_path, chunks=5).chunks == ((5,), (2,), (5, 3), (5, 5))
    assert open_cube(tmp_path, chunks={"y": 4}).chunks == ((5,), (2,), (4, 4), (10,))
    assert open_cube(tmp_path).chunks == ((5,), (2,), (8,), (10,))


@pytest.mark.parametrize("given_as", ["folder", "text", "glob", "list", "file"])
def test_images_are_named_by_folder_glob_list_or_file(tmp_path: Path, given_as: str) -> None:
    write_stack(tmp_path)
    images = {
        "folder": tmp_path,
        "text": str(tmp_path),
        "glob": str(tmp_path / "*_V?.tif"),
        "list": sorted(tmp_path.glob("*.tif")),
        "file": tmp_path / "S1_20170103T063000_VH.tif",
    }[given_as]
    cube = open_cube(images)
    assert cube.sizes["time"] == (1 if given_as == "file" else 5)
    assert cube.band.values.tolist() == (["VH"] if given_as == "file" else ["VV", "VH"])


def test_start_and_end_are_included(tmp_path: Path) -> None:
    write_stack(tmp_path)
    np.testing.assert_array_equal(open_cube(tmp_path, start=DATES[1], end=DATES[3]).time, TIMES[1:4])
    np.testing.assert_array_equal(open_cube(tmp_path, start="2017-01-09T06:30:00").time, TIMES[1:])
    np.testing.assert_array_equal(open_cube(tmp_path, end="2017-01-09T06:29:59").time, TIMES[:1])
    np.testing.assert_array_equal(open_cube(tmp_path, start="2016", end="2017-01").time, TIMES)


def test_bands_are_taken_in_the_order_asked_for(tmp_path: Path) -> None:
    held = write_stack(tmp_path)
    cube = open_cube(tmp_path, bands=["VH", "vv"])
    assert cube.band.values.tolist() == ["VH", "VV"]
    np.testing.assert_array_equal(cube[0, 1], held[DATES[0], "VV"])


def test_linear_power_becomes_db_and_zero_becomes_missing(tmp_path: Path) -> None:
    write_stack(tmp_path / "db")
    write_stack(tmp_path / "linear", linear=True)
    np.testing.assert_allclose(open_cube(tmp_path / "linear"), open_cube(tmp_path / "db"), atol=1e-4)
    power = np.array([[0.1, 0.0], [-0.01, np.nan]] * 40, "float32")
    power[2:] = 0.1
    write_image(tmp_path / "zero" / "S1_2017-01-03_VV.tif", power)
    cube = open_cube(tmp_path / "zero", units="linear")
    np.testing.assert_allclose(cube[0, 0, :2], [[-10, np.nan], [np.nan, np.nan]], atol=1e-6)


def test_nodata_scale_and_offset_of_a_file_are_obeyed(tmp_path: Path) -> None:
    import rasterio

    stored = np.full((ROWS, COLUMNS), -1234, "int16")
    stored[0, 0] = -9999
    path = write_image(tmp_path / "S1_2017-01-03_VV.tif", stored, nodata=-9999, tags={"units": "dB"})
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = (0.01,), (1.0,)
    values = open_cube(path)[0, 0].values
    assert np.isnan(values[0, 0])
    np.testing.assert_allclose(values[1:], -11.34, rtol=1e-6)


def test_layouts_of_sits_and_of_several_bands_per_file_give_the_same_cube(tmp_path: Path) -> None:
    held = write_stack(tmp_path / "plain", clock="000000")
    for (date, band), values in held.items():
        write_image(tmp_path / "sits" / f"SENTINEL-1_RTC_22LKK_{band}_{date}.tif", values, tags={"units": "dB"})
    for date in DATES:
        both = np.stack([held[date, "VV"], held[date, "VH"]])
        tags = {"units": "dB"}
        write_image(tmp_path / "named" / f"S1_{date}.tif", both, tags=tags, descriptions=["sigma0_vv", "sigma0_vh"])
        write_image(tmp_path / "unnamed" / f"S1_{date}.tif", both, tags=tags)
    for band in ("VV", "VH"):
        every = np.stack([held[date, band] for date in DATES])
        write_image(tmp_path / "by_band" / f"{band}.tif", every, tags={"units": "dB"}, descriptions=DATES)
    plain = open_cube(tmp_path / "plain").drop_vars("orbit")
    for layout in ("sits", "named", "by_band"):
        xr.testing.assert_identical(open_cube(tmp_path / layout).compute(), plain.compute())
    xr.testing.assert_identical(open_cube(tmp_path / "unnamed", bands=["vv", "VH"]).compute(), plain.compute())


def test_bands_that_are_no_radar_are_left_as_they_are(tmp_path: Path) -> None:
    write_stack(tmp_path, bands=("NDVI",), tags={})
    cube = open_cube(tmp_path)
    assert (cube.attrs["units"], cube.name) == ("1", "values")


def test_orbits_can_be_selected_where_they_are_mixed(tmp_path: Path) -> None:
    write_stack(tmp_path, dates=DATES[:3], tags={"units": "dB", "ORBIT_PASS": "ASCENDING"})
    write_stack(tmp_path, dates=DATES[3:], tags={"units": "dB", "ORBIT_PASS": "DESCENDING"}, clock="175000")
    assert open_cube(tmp_path, orbit="asc").sizes["time"] == 3
    cube = open_cube(tmp_path, orbit="Descending")
    assert cube.orbit.values.tolist() == ["descending"] * 2


def test_seconds_between_passes_of_one_orbit_are_no_second_orbit(tmp_path: Path) -> None:
    write_stack(tmp_path, dates=DATES[:3], tags={"units": "dB"}, clock="235945")
    write_stack(tmp_path, dates=DATES[3:], tags={"units": "dB"}, clock="000012")
    assert "orbit" not in open_cube(tmp_path).coords


def test_real_images_open_with_all_they_say(antwerp: Path) -> None:
    cube = open_cube(antwerp, start="2018-11-24")
    assert dict(cube.sizes) == {"time": 61, "band": 2, "y": 32, "x": 32}
    assert set(cube.orbit.values) == {"A"}
    assert not np.isnan(cube.values).any()
    assert -25 < float(cube.sel(band="VH").mean()) < float(cube.sel(band="VV").mean()) < -5


def test_real_images_without_orbit_tags_are_told_apart_by_the_time_of_day(antwerp: Path, antwerp_orbit_b: Path) -> None:
    from sitscope.cube.orbits import clock_groups

    times = [open_cube(folder, bands=["VV"]).time.values for folder in (antwerp, antwerp_orbit_b)]
    assert set(clock_groups(times[0])) == {""}
    groups = clock_groups(np.concatenate(times))
    assert set(groups[:80]) == {"17:32"}
    assert set(groups[80:]) == {"17:40"}


def test_a_stack_of_dates_in_one_file_is_opened(antwerp: Path) -> None:
    cube = open_cube(antwerp.parent / "slovenia_ndvi_2015_2017" / "NDVI.tif")
    assert dict(cube.sizes) == {"time": 68, "band": 1, "y": 101, "x": 100}
    assert cube.band.values.tolist() == ["NDVI"]
    assert str(cube.time.values[0])[:19] == "2015-07-11T10:00:08"


def _index(n: int) -> some.SearchStrategy[object]:
    whole = some.integers(-n, n - 1)
    cut = some.slices(n).filter(lambda part: len(range(*part.indices(n))) > 0)  # xarray trips over empty backward ones
    several = some.lists(some.integers(0, n - 1), min_size=1, max_size=4).map(np.array)
    return some.one_of(whole, cut, several)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> xr.DataArray:
    folder = tmp_path_factory.mktemp("stack")
    write_stack(folder, bands=("VV",))
    return layers.open_tiffs(sorted(map(str, folder.glob("*.tif"))), None)["VV"]


@given(at=some.tuples(_index(5), _index(ROWS), _index(COLUMNS)))
def test_any_part_of_a_stack_is_that_part_of_the_whole(stack: xr.DataArray, at: tuple[object, ...]) -> None:
    whole = np.stack([decibels(i) for i in range(5)])
    expected = xr.DataArray(whole, dims=("time", "y", "x")).isel(dict(zip(("time", "y", "x"), at, strict=True)))
    part = stack.isel(dict(zip(("time", "y", "x"), at, strict=True)))
    np.testing.assert_array_equal(part.values, expected.values)


@given(some.integers(0, 6), some.integers(0, 8), some.integers(2, 4), some.integers(1, 4))
def test_the_grid_of_a_part_is_that_part_of_the_grid(row: int, column: int, rows: int, columns: int) -> None:
    coords = {"y": 4_100_000 - 5.0 - 10 * np.arange(10), "x": 500_005.0 + 10 * np.arange(12)}
    whole = xr.DataArray(np.zeros((10, 12)), coords, ("y", "x")).rio.write_crs("EPSG:32630")
    part = Grid.of(whole[row : row + rows, column : column + columns])
    west, south, east, north = part.bounds
    assert (west, north) == (500_000 + 10 * column, 4_100_000 - 10 * row)
    assert (east - west, north - south) == (10 * columns, 10 * rows)
