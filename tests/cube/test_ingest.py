"""A Zarr cube made of images is the same cube, made in one pass, whole or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as some
from rasterio._env import get_gdal_config

from sitscope.cube import ingest as ingesting
from sitscope.cube import layers
from sitscope.cube.grid import Grid
from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube
from sitscope.errors import BadInput
from small_scenes import DATES, decibels, write_image, write_stack

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
STRIPS = {"blockysize": 8}


def write_large(folder: Path, rows: int = 300, columns: int = 280, **profile: Any) -> Path:
    """Three dates in two bands, larger than a chunk, with missing values."""
    for i, date in enumerate(DATES[:3]):
        for j, band in enumerate(("VV", "VH")):
            values = decibels(10 * i + j, (rows, columns))
            values[: 5 + i, :7] = np.nan
            tags = {"units": "dB", "RELATIVE_ORBIT": "74"}
            write_image(folder / f"S1_{date}_{band}.tif", values, tags=tags, **profile)
    return folder


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What is read of which file from here on."""
    read: list[tuple[str, Any]] = []
    real = layers._values

    def counted(path: str, wanted: list[layers.Layer], window: layers.Window) -> Any:
        read.append((path, window))
        return real(path, wanted, window)

    monkeypatch.setattr(layers, "_values", counted)
    return read


@pytest.mark.parametrize("profile", [TILED, STRIPS], ids=["tiled", "strips"])
def test_the_cube_is_that_of_the_images(profile: dict[str, Any], tmp_path: Path) -> None:
    stack = write_large(tmp_path / "stack", **profile)
    steps: list[tuple[int, int]] = []
    made = ingest(stack, tmp_path / "CUBE.zarr", progress=lambda done, total: steps.append((done, total)))
    cube, images = open_cube(made), open_cube(stack)
    xr.testing.assert_identical(cube.load(), images.load())
    assert int(np.isnan(cube).sum()) == 2 * 7 * (5 + 6 + 7)
    assert Grid.of(cube) == Grid.of(images)
    assert np.isnan(cube.rio.nodata)
    assert cube.orbit.values.tolist() == ["74"] * 3
    assert steps[-1][0] == steps[-1][1] == len(steps)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["CUBE.zarr", "stack"]


def test_other_programs_read_it(tmp_path: Path) -> None:
    ingest(write_large(tmp_path / "stack"), tmp_path / "CUBE.zarr")
    found = xr.open_zarr(tmp_path / "CUBE.zarr")  # consolidated: no warning
    assert sorted(found.data_vars) == ["VH", "VV"]
    assert found.VV.dims == ("time", "y", "x")
    assert found.VV.attrs["units"] == "dB"
    assert found.VV.encoding["chunks"] == (3, 128, 128)
    assert found.rio.crs.to_epsg() == 32630
    assert str(found.time.values[0])[:10] == DATES[0]


def test_units_and_choices_are_those_asked_for(tmp_path: Path) -> None:
    write_stack(tmp_path / "stack", linear=True, tags={"RELATIVE_ORBIT": "74"})
    asked: dict[str, Any] = {"units": "linear", "bands": ["VH"], "start": DATES[1], "end": DATES[3]}
    made = ingest(tmp_path / "stack", tmp_path / "CUBE.zarr", **asked)
    xr.testing.assert_identical(open_cube(made).load(), open_cube(tmp_path / "stack", **asked).load())
    assert open_cube(made).attrs["units"] == "dB"


def test_bands_that_are_no_radar_keep_their_values(tmp_path: Path) -> None:
    for i, date in enumerate(DATES):
        layered = np.stack([decibels(i), decibels(i + 50)])
        write_image(tmp_path / "stack" / f"{date}.tif", layered, descriptions=("B4", "VV"), tags={"units": "dB"})
    made = ingest(tmp_path / "stack", tmp_path / "CUBE.zarr")
    xr.testing.assert_identical(open_cube(made).load(), open_cube(tmp_path / "stack").load())
    assert open_cube(made).attrs["units"] == "dB,1"


@pytest.mark.parametrize("profile", [TILED, STRIPS], ids=["tiled", "strips"])
def test_no_block_of_a_file_is_read_twice(
    profile: dict[str, Any], tmp_path: Path, windows: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "BLOCK_BYTES", 128 * 300 * 4 * 6)  # so that there are several windows
    stack = write_large(tmp_path / "stack", rows=520, **profile)
    open_cube(stack)
    before = len(windows)
    ingest(stack, tmp_path / "CUBE.zarr")
    peeked = 2 * before - before  # opening looks at a few pixels again
    read = windows[before + peeked :]
    with rasterio.open(stack / f"S1_{DATES[0]}_VV.tif") as source:
        tall, wide = source.block_shapes[0]
    blocks = [
        (path, row, column)
        for path, w in read
        for row in range(w.row_off // tall, -(-(w.row_off + w.height) // tall))
        for column in range(w.col_off // wide, -(-(w.col_off + w.width) // wide))
    ]
    assert len(read) > 6
    assert len(blocks) == len(set(blocks)) == 6 * -(-520 // tall) * -(-280 // wide)


@given(
    rows=some.integers(1, 12_000),
    columns=some.integers(1, 12_000),
    dates=some.integers(2, 400),
    tall=some.sampled_from([1, 3, 16, 256, 1024, 12_000]),
    wide=some.sampled_from([1, 256, 1000, 12_000]),
)
def test_windows_are_bounded_and_hold_whole_chunks(rows: int, columns: int, dates: int, tall: int, wide: int) -> None:
    zeros = np.broadcast_to(np.float32(0), (dates, rows, columns))
    array = xr.DataArray(zeros, dims=("time", "y", "x"))
    array.encoding["preferred_chunks"] = {"y": tall, "x": wide}
    layout = ingesting._layout({"VV": array, "VH": array})
    for window, chunk, size in zip(layout.window, layout.chunk, (rows, columns), strict=True):
        assert window == size or window % chunk == 0
        assert 1 <= chunk <= window <= size
    least = 8 * dates * min(ingesting.SIDE, rows) * min(ingesting.SIDE, columns)
    held = 8 * dates * layout.window[0] * layout.window[1]
    assert held <= max(4 * ingesting.BLOCK_BYTES, least, 8 * dates * columns)


def test_an_interrupted_conversion_goes_on_where_it_stopped(
    tmp_path: Path, windows: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "BLOCK_BYTES", 128 * 128 * 4 * 6)
    stack, out = write_large(tmp_path / "stack"), tmp_path / "CUBE.zarr"

    def stop(done: int, total: int) -> None:
        assert total == 3
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(stack, out, progress=stop)
    assert not out.exists()
    windows.clear()
    steps: list[int] = []
    ingest(stack, out, progress=lambda done, total: steps.append(done))
    assert steps == [3]
    assert {w.row_off for _, w in windows if w.height > 32} == {256}  # the last row of blocks, and no other
    xr.testing.assert_identical(open_cube(out).load(), open_cube(stack).load())


def test_other_images_start_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingesting, "BLOCK_BYTES", 128 * 128 * 4 * 6)
    stack, out = write_large(tmp_path / "stack"), tmp_path / "CUBE.zarr"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(stack, out, progress=stop)
    changed = decibels(77, (300, 280))
    write_image(stack / f"S1_{DATES[0]}_VV.tif", changed, tags={"units": "dB", "RELATIVE_ORBIT": "74"})
    steps: list[int] = []
    ingest(stack, out, progress=lambda done, total: steps.append(done))
    assert steps == [1, 2, 3]
    np.testing.assert_array_equal(open_cube(out).sel(band="VV")[0], changed)


def test_an_image_cut_short_leaves_no_cube(tmp_path: Path) -> None:
    stack, out = write_large(tmp_path / "stack", **TILED), tmp_path / "CUBE.zarr"
    broken = stack / f"S1_{DATES[2]}_VH.tif"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=rf"{broken.name} cannot be read as an image .* Copy it again"):
        ingest(stack, out)
    assert not out.exists()
    broken.write_bytes(whole)
    xr.testing.assert_identical(open_cube(ingest(stack, out)).load(), open_cube(stack).load())


def test_a_place_that_is_not_free_is_left_alone(tmp_path: Path) -> None:
    write_stack(tmp_path / "stack")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thing").touch()
    (tmp_path / "half.zarr.partial").mkdir()
    (tmp_path / "half.zarr.partial" / "thing").touch()
    for name, says in (
        ("file", "is a file"),
        ("folder", "holds other things"),
        ("half.zarr", "where the cube is made"),
    ):
        with pytest.raises(BadInput, match=says):
            ingest(tmp_path / "stack", tmp_path / name)
    with pytest.raises(BadInput, match=r"lies in the folder of the images.*Name a place beside it"):
        ingest(tmp_path / "stack", tmp_path / "stack" / "CUBE.zarr")
    made = ingest(tmp_path / "stack", tmp_path / "CUBE.zarr")
    with pytest.raises(BadInput, match=r"is there already.*--overwrite"):
        ingest(tmp_path / "stack", made)
    write_stack(tmp_path / "stack", bands=("VH",), dates=DATES[::-1])
    ingest(tmp_path / "stack", made, bands=["VH"], overwrite=True)
    assert open_cube(made).band.values.tolist() == ["VH"]


def test_the_cache_of_gdal_holds_a_window_while_images_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    real = layers._values

    def watched(path: str, wanted: list[layers.Layer], window: layers.Window) -> Any:
        held.append(get_gdal_config("GDAL_CACHEMAX"))
        return real(path, wanted, window)

    monkeypatch.setattr(layers, "_values", watched)
    stack, before = write_large(tmp_path / "stack", **TILED), get_gdal_config("GDAL_CACHEMAX")
    wanted = ingesting._layout(ingesting.open_bands(stack, None, None, None, None, None)[0]).cache_bytes
    assert wanted not in held  # opening looks at a few pixels
    ingest(stack, tmp_path / "CUBE.zarr")
    assert held[-1] == wanted >= 4 * 6 * 300 * 280
    assert get_gdal_config("GDAL_CACHEMAX") == before


@pytest.mark.parametrize("kind", ["zarr", "netcdf", "memory"])
def test_other_images_than_geotiffs_are_converted_too(kind: str, tmp_path: Path) -> None:
    write_stack(tmp_path / "stack")
    images: Any = ingest(tmp_path / "stack", tmp_path / "first.zarr")
    if kind == "netcdf":
        images = tmp_path / "cube.nc"
        plain = xr.open_zarr(tmp_path / "first.zarr").drop_encoding()
        plain.drop_attrs(deep=False).to_netcdf(images)  # it has no place for the list of GeoZarr's conventions
    elif kind == "memory":
        images = xr.open_zarr(tmp_path / "first.zarr").load()
    made = ingest(images, tmp_path / "second.zarr", bands=["VV"], start=DATES[1])
    xr.testing.assert_identical(open_cube(made).load(), open_cube(images, bands=["VV"], start=DATES[1]).load())
    assert made == tmp_path / "second.zarr"
