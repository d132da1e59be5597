"""Embeddings that others computed come out of any raster the same: codings, layouts, grids, nodata."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 - arrays gain .rio
import xarray as xr
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from sitscope.cube.coding import Coding, decided, decoded
from sitscope.cube.embeddings import open_embedding
from sitscope.cube.grid import Grid
from sitscope.cube.store import write_zarr
from small_scenes import COLUMNS, NORTH, ROWS, WEST, write_image

DIMS = 5


def stored(seed: int = 0) -> np.ndarray:
    """(d, y, x) of int8, a corner masked."""
    values = np.random.default_rng(seed).integers(-127, 128, (DIMS, ROWS, COLUMNS)).astype(np.int8)
    values[:, :2, :3] = -128
    return values


def truth(values: np.ndarray) -> np.ndarray:
    """A slow twin of the page: number by number."""
    out = np.empty(values.shape, np.float32)
    for i, v in np.ndenumerate(values):
        out[i] = np.nan if v == -128 else (v / 127.5) ** 2 * (1 if v > 0 else -1 if v < 0 else 0)
    return out


def raster(values: np.ndarray, **more: object) -> xr.DataArray:
    coords = {"y": NORTH - 5 - 10.0 * np.arange(ROWS), "x": WEST + 5 + 10.0 * np.arange(COLUMNS)}
    return xr.DataArray(values, coords, ("dim", "y", "x"), "embedding", more).rio.write_crs("EPSG:32630")


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=20))
def test_the_signed_square_is_that_of_the_page_and_keeps_order(numbers: list[int]) -> None:
    v = np.array([sorted(numbers)], np.int8)
    found = decoded(v, decided(v.dtype, 1, None, dequantise="alphaearth"))
    np.testing.assert_allclose(found, truth(v), rtol=1e-6)
    known = found[np.isfinite(found)]
    assert (np.diff(known) >= 0).all()
    assert (np.abs(known) < 1).all()


def test_int8_with_its_scale_in_the_file_is_read_as_it_says(tmp_path: Path) -> None:
    path = write_image(tmp_path / "E.tif", stored(), nodata=-128)
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = [0.5] * DIMS, [float(i) for i in range(DIMS)]
    found = open_embedding(path)
    want = stored().astype(np.float32) * 0.5 + np.arange(DIMS, dtype=np.float32)[:, None, None]
    want[stored() == -128] = np.nan
    np.testing.assert_array_equal(found, want)
    assert found.dims == ("band", "y", "x")
    assert found.chunks is not None
    assert "0.5 v + (0 to 4, by dimension)" in found.attrs["coding"]
    again = open_embedding(path, scale=2.0, offset=-1.0)
    np.testing.assert_array_equal(again, np.where(stored() == -128, np.nan, stored() * np.float32(2) - 1))


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_alphaearth_with_rows_from_the_south_is_turned(interleave: str, tmp_path: Path) -> None:
    """As the copy on Source Cooperative has them."""
    south = Affine(10, 0, WEST, 0, 10, NORTH - 10 * ROWS)
    names = [f"A{i:02d}" for i in range(DIMS)]
    path = write_image(
        tmp_path / "E.tif",
        stored()[:, ::-1],
        transform=south,
        nodata=-128,
        descriptions=names,
        interleave=interleave,
    )
    found = open_embedding(path, dequantise="alphaearth")
    np.testing.assert_allclose(found, truth(stored()), rtol=1e-6)
    assert found.band.values.tolist() == names
    assert Grid.of(found).transform == Affine(10, 0, WEST, 0, -10, NORTH)


def test_layers_in_several_files_follow_the_order_of_their_names(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(11, ROWS, COLUMNS)).astype(np.float32)
    for i, layer in enumerate(values):
        write_image(tmp_path / f"e{i + 1}.tif", layer)
    found = open_embedding(tmp_path)
    np.testing.assert_array_equal(found, values)
    assert found.band.values.tolist() == [f"e{i}" for i in range(1, 12)]


@pytest.mark.parametrize("kind", ["zarr", "nc", "object", "last"])
def test_zarr_netcdf_and_objects_hold_the_same(kind: str, tmp_path: Path) -> None:
    array = raster(stored(), _FillValue=np.int8(-128))
    given = tmp_path / f"E.{kind}"
    if kind == "zarr":
        array.attrs.clear()
        array.encoding["_FillValue"] = np.int8(-128)
        array.to_dataset().to_zarr(given, zarr_format=3, consolidated=False)
    elif kind == "nc":
        array.attrs.clear()
        array.to_dataset().to_netcdf(given, engine="h5netcdf", encoding={"embedding": {"_FillValue": np.int8(-128)}})
    elif kind == "last":
        array = array.transpose("y", "x", "dim").isel(y=slice(None, None, -1))
    found = open_embedding(given if kind in ("zarr", "nc") else array, dequantise="alphaearth")
    np.testing.assert_allclose(found, truth(stored()), rtol=1e-6)
    linear = open_embedding(given if kind in ("zarr", "nc") else array, scale=0.25)
    np.testing.assert_array_equal(linear, np.where(stored() == -128, np.nan, stored() * np.float32(0.25)))


def test_packed_zarr_says_itself_what_its_numbers_stand_for(tmp_path: Path) -> None:
    values = raster(np.where(stored() == -128, np.nan, stored() * 0.25 + 1).astype(np.float32))
    packing = {"dtype": "int8", "scale_factor": 0.25, "add_offset": 1.0, "_FillValue": np.int8(-128)}
    values.encoding.update(packing)
    values.to_dataset().to_zarr(tmp_path / "E.zarr", consolidated=False)
    np.testing.assert_array_equal(open_embedding(tmp_path / "E.zarr"), values)


def test_one_year_of_several_and_one_variable_of_several(tmp_path: Path) -> None:
    years = np.array(["2019-01-01", "2020-01-01"], "datetime64[ns]")
    both = xr.concat([raster(stored(i).astype(np.float32)) for i in (0, 1)], xr.Variable("time", years))
    write_zarr(both.to_dataset(name="embeddings").assign(other=both + 1), tmp_path / "E.zarr")
    found = open_embedding(tmp_path / "E.zarr", date="2020")
    np.testing.assert_array_equal(found, stored(1))
    other = open_embedding(tmp_path / "E.zarr", date="2019", variable="other")
    np.testing.assert_array_equal(other, stored(0).astype(np.float32) + 1)
    apart = both.isel(time=0, drop=True).to_dataset(dim="dim").rename({i: f"A{i:02d}" for i in range(DIMS)})
    np.testing.assert_array_equal(open_embedding(apart), stored(0))


def test_what_is_not_finite_is_missing_and_blocks_change_nothing(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 300, 90)).astype(np.float32)
    values[0, 0, 0], values[1, 100, 50], values[2, 299, 89] = np.inf, np.nan, -9999
    path = write_image(tmp_path / "E.tif", values, nodata=-9999)
    found = open_embedding(path)
    want = np.where(np.isfinite(values) & (values != -9999), values, np.nan)
    np.testing.assert_array_equal(found, want)
    np.testing.assert_array_equal(found.isel(y=slice(60, 130), x=slice(10, 71)), want[:, 60:130, 10:71])
    assert max(found.chunks[1]) < 300


@pytest.mark.parametrize("dims", [1, 768])
def test_any_number_of_dimensions(dims: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-127, 128, (dims, ROWS, COLUMNS)).astype(np.int8)
    path = write_image(tmp_path / "E.tif", values, nodata=None)
    found = open_embedding(path, scale=1.0)
    np.testing.assert_array_equal(found, values)
    assert found.attrs["coding"] == Coding().said()


def test_blocks_are_those_of_the_file_where_they_fit(tmp_path: Path) -> None:
    """A block of a file is unpacked whole: 1,024 x 1,024 in pieces of 256 x 256 would be unpacked sixteen times."""
    values = np.zeros((2, 600, 1300), np.float32)
    profile = {"tiled": True, "blockxsize": 512, "blockysize": 512}
    assert open_embedding(write_image(tmp_path / "tiles.tif", values, **profile)).chunks == (
        (2,),
        (512, 88),
        (512, 512, 276),
    )
    assert open_embedding(write_image(tmp_path / "strips.tif", values)).chunks == ((2,), (256, 256, 88), (1300,))
    deep = xr.DataArray(np.zeros((1000, 64, 1100), np.int8), dims=("band", "y", "x")).chunk()
    deep = deep.assign_coords(y=-10.0 * np.arange(64), x=10.0 * np.arange(1100)).rio.write_crs("EPSG:32630")
    assert max(open_embedding(deep, scale=1.0).chunks[2]) == 64
    raster(stored()).chunk(y=4).to_dataset().to_zarr(tmp_path / "E.zarr", consolidated=False)
    with xr.open_zarr(tmp_path / "E.zarr", consolidated=False) as there:
        assert there.embedding.encoding["preferred_chunks"]["y"] == 4
    assert open_embedding(tmp_path / "E.zarr", scale=1.0).chunks == ((DIMS,), (ROWS,), (COLUMNS,))
