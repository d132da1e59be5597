"""Images on several grids come onto one: power is resampled, not decibels, and nothing that only shifts is touched."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS

from sitscope.cube import regrid
from sitscope.cube.grid import Grid
from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube
from sitscope.errors import BadInput
from small_scenes import DATES, PLACE, decibels, write_image

# rasterio silences itself while it warps, but not for the threads beside
pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
TAGS = {"units": "dB", "RELATIVE_ORBIT": "74"}
SIZE = (60, 80)


def shifted(folder: Path, right: float = 3, down: float = 2, **options: Any) -> Path:
    """Two dates on one grid, a third beside it."""
    for i, date in enumerate(DATES[:3]):
        place = PLACE * Affine.translation(right, down) if i == 2 else PLACE
        write_image(folder / f"S1_{date}_VV.tif", decibels(i, SIZE), tags=TAGS, transform=place, **options)
    return folder


def test_images_that_shift_by_whole_pixels_stay_what_they_are(tmp_path: Path) -> None:
    stack = shifted(tmp_path / "stack")
    with pytest.raises(BadInput, match=r"different grids.*sitscope ingest --like most; in Python grid="):
        open_cube(stack)
    cube = open_cube(stack, grid={"like": "most"})
    assert Grid.of(cube) == Grid(CRS.from_epsg(32630), PLACE, *SIZE)
    np.testing.assert_array_equal(cube[:2, 0], [decibels(0, SIZE), decibels(1, SIZE)])
    np.testing.assert_array_equal(cube[2, 0, 2:, 3:], decibels(2, SIZE)[:-2, :-3])
    assert np.isnan(cube[2, 0, :2]).all()
    assert np.isnan(cube[2, 0, :, :3]).all()
    assert cube.orbit.values.tolist() == ["74"] * 3
    around = open_cube(stack, grid={"resolution": 10})  # all images fit in
    assert around.shape == (3, 1, 62, 83)
    np.testing.assert_array_equal(around[2, 0, 2:, 3:], decibels(2, SIZE))


def test_backscatter_is_averaged_as_power(tmp_path: Path) -> None:
    stack = shifted(tmp_path / "stack", right=0, down=0)
    cube = open_cube(stack, grid={"resolution": 40})
    power = 10 ** (decibels(1, SIZE).astype("float64") / 10)
    wanted = 10 * np.log10(power.reshape(15, 4, 20, 4).mean(axis=(1, 3)))
    np.testing.assert_allclose(cube[1, 0], wanted, atol=1e-4)


def slow_bilinear(values: np.ndarray, grid: Grid, source: Affine, crs: str) -> np.ndarray:
    """Each new pixel's place in the image, and the four pixels around it; pixel by pixel."""
    back = Transformer.from_crs(grid.crs, crs, always_xy=True)
    out = np.full((grid.height, grid.width), np.nan)
    for row in range(grid.height):
        for column in range(grid.width):
            x, y = back.transform(*(grid.transform * (column + 0.5, row + 0.5)))
            across, along = ~source * (x, y)
            left, top = int(np.floor(across - 0.5)), int(np.floor(along - 0.5))
            if 0 <= left < values.shape[1] - 1 and 0 <= top < values.shape[0] - 1:
                a, b = across - 0.5 - left, along - 0.5 - top
                upper = values[top, left] * (1 - a) + values[top, left + 1] * a
                lower = values[top + 1, left] * (1 - a) + values[top + 1, left + 1] * a
                out[row, column] = upper * (1 - b) + lower * b
    return out


@pytest.mark.filterwarnings("ignore:Use `@` matmul")
def test_another_system_is_the_slow_twins_bilinear_of_power(tmp_path: Path) -> None:
    stack = shifted(tmp_path / "stack")
    cube = open_cube(stack, grid={"crs": "EPSG:32629", "resolution": 10}).compute()
    grid = Grid.of(cube)
    assert grid.crs == CRS.from_epsg(32629)
    power = 10 ** (decibels(0, SIZE).astype("float64") / 10)
    wanted = 10 * np.log10(slow_bilinear(power, grid, PLACE, "EPSG:32630"))
    both = np.isfinite(wanted)
    assert both.sum() > 0.7 * both.size
    np.testing.assert_allclose(cube[0, 0].values[both], wanted[both], atol=2e-3)


def test_blocks_do_not_change_what_is_warped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regrid, "TILE", 16)
    asked: dict[str, Any] = {"crs": "EPSG:32629", "resolution": 15}
    stack = shifted(tmp_path / "stack")
    whole = open_cube(stack, grid=asked).compute()
    for chunks in (7, 16, {"y": 5, "x": 40}):
        np.testing.assert_array_equal(open_cube(stack, grid=asked, chunks=chunks), whole)


def test_missing_pixels_do_not_spread(tmp_path: Path) -> None:
    values = decibels(0, SIZE)
    values[20:30, 20:30] = np.nan
    for i, date in enumerate(DATES[:2]):
        write_image(tmp_path / f"S1_{date}_VV.tif", values if i else decibels(1, SIZE), tags=TAGS,
                    transform=PLACE * Affine.translation(0.5 * i, 0))  # fmt: skip
    cube = open_cube(tmp_path, grid={"like": "most"}).compute()
    missing = np.isnan(cube.values[1, 0])
    assert 80 <= missing[15:35, 15:35].sum() <= 120
    assert not np.isnan(cube.values[0]).any()


def test_masks_take_their_nearest_pixel_and_adjacent_tiles_are_one(tmp_path: Path) -> None:
    classes = np.random.default_rng(0).integers(1, 12, SIZE).astype("uint8")
    for side in (0, 1):
        place = PLACE * Affine.translation(80 * side, 0)
        write_image(tmp_path / f"tile{side}_2017-01-03.tif", classes, descriptions=("SCL",), transform=place, nodata=0)
    tiles = open_cube(tmp_path, grid={"resolution": 10})
    np.testing.assert_array_equal(tiles[0, 0], np.hstack([classes, classes]))
    turned = open_cube(tmp_path, grid={"crs": "EPSG:32629", "resolution": 7}).compute()
    assert set(np.unique(turned.values[np.isfinite(turned.values)])) <= set(range(1, 12))


def test_a_box_and_another_image_say_the_grid(tmp_path: Path) -> None:
    stack = shifted(tmp_path / "stack")
    other = write_image(tmp_path / "other.tif", decibels(0, (9, 11)), transform=PLACE * Affine.translation(5, 5))
    cube = open_cube(stack, grid={"like": str(other)})
    np.testing.assert_array_equal(cube[0, 0], decibels(0, SIZE)[5:14, 5:16])
    west, south, east, north = rasterio.warp.transform_bounds("EPSG:32630", "EPSG:4326", 500_100, 4_099_700, 500_300,
                                                              4_099_900)  # fmt: skip
    boxed = open_cube(stack, grid={"bbox": [west, south, east, north]})
    assert (boxed.sizes["y"], boxed.sizes["x"]) in {(20, 20), (21, 20), (20, 21), (21, 21)}
    assert float(boxed.x[0]) == pytest.approx(500_105, abs=10)
    made = ingest(stack, tmp_path / "CUBE.zarr", grid={"like": str(other)})
    again = open_cube(stack, grid={"like": str(made)})
    assert again.equals(cube)


@pytest.mark.parametrize(
    ("grid", "argument", "says"),
    [
        ({"crs": "EPSG:0"}, "crs", "no coordinate reference system"),
        ({"resolution": 0}, "resolution", "no size of pixels"),
        ({"resolution": "10"}, "resolution", "no size of pixels"),
        ({"resolution": 1e-4}, "resolution", "the grid asked for has"),
        ({"crs": "EPSG:4326", "resolution": 10}, "resolution", "the grid asked for has"),
        ({"bbox": [1, 2]}, "bbox", "is no box"),
        ({"bbox": [10, 0, 5, 1]}, "bbox", "is not west, south, east, north"),
        ({"bbox": [10, 0, 15, 1]}, "bbox", "no image meets"),
        ({"like": "gone.tif"}, "like", "does not exist"),
        ({"like": "most", "resolution": 20}, "like", "has a crs and a resolution already"),
        ({"size": 4}, "grid", "a grid knows no size"),
        ({}, "grid", "a grid knows no nothing"),
    ],
)
def test_grids_that_cannot_be_are_refused(tmp_path: Path, grid: dict[str, Any], argument: str, says: str) -> None:
    if grid == {"crs": "EPSG:4326", "resolution": 10}:
        grid["resolution"] = 1e3
    stack = shifted(tmp_path / "stack")
    with pytest.raises(BadInput, match=says) as found:
        open_cube(stack, grid=grid)
    assert found.value.argument == argument


def test_memory_is_bounded_by_dates_taken_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = shifted(tmp_path / "stack")
    asked: dict[str, Any] = {"crs": "EPSG:32629", "resolution": 10}
    whole = open_cube(stack, grid=asked).compute()
    monkeypatch.setattr(regrid, "BYTES", 1)
    assert open_cube(stack, grid=asked).equals(whole)


def test_cubes_on_several_grids_come_onto_one_too(tmp_path: Path) -> None:
    stack = shifted(tmp_path / "stack")
    first = ingest(sorted(stack.glob("*.tif"))[:2], tmp_path / "A.zarr")
    second = ingest(sorted(stack.glob("*.tif"))[2:], tmp_path / "B.zarr")
    with pytest.raises(BadInput, match="--like most"):
        open_cube([first, second])
    found = open_cube([first, second], grid={"resolution": 10})
    assert found.equals(open_cube(stack, grid={"resolution": 10}))
