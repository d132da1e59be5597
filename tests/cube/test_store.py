"""Maps in Zarr lie where they should for xarray with rioxarray, for GDAL, and for readers of GeoZarr."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from packaging.version import Version
from referencing import Registry, Resource
from zarr.codecs import GzipCodec

from sitscope.cube.store import for_zarr, write_zarr
from small_scenes import NORTH, PLACE, WEST

SCHEMAS = Path(__file__).parents[1] / "schemas"


@pytest.fixture
def maps() -> xr.Dataset:
    rng = np.random.default_rng(0)
    coords = {"y": NORTH - 5 - 10.0 * np.arange(90), "x": WEST + 5 + 10.0 * np.arange(70), "dim": [1, 2]}
    class_ = rng.integers(0, 4, (90, 70)).astype("int16")
    variables = {"class": (("y", "x"), class_), "embedding": (("dim", "y", "x"), rng.normal(size=(2, 90, 70)))}
    return xr.Dataset(variables, coords).rio.write_crs("EPSG:32630")


def convention(name: str, document: dict[str, Any]) -> list[str]:
    """What the schema of a convention has to say against a group."""
    schemas = [json.loads((SCHEMAS / f"{each}.json").read_text()) for each in (name, "projjson-v0.7")]
    registry: Any = Registry().with_resources([(each["$id"], Resource.from_contents(each)) for each in schemas])
    # in draft 7, which they name, a $ref silences what stands beside it: what declares the convention, here
    validator = jsonschema.Draft201909Validator(schemas[0], registry=registry)
    return [error.message for error in validator.iter_errors(document)]


CONVENTIONS = ("zarr-conventions", "zarr-proj-v0.1", "zarr-spatial-v0.1")


@pytest.mark.parametrize("crs", ["EPSG:32630", "+proj=laea +lat_0=38 +lon_0=-3 +datum=WGS84"])
def test_the_group_follows_the_conventions_of_geozarr(tmp_path: Path, maps: xr.Dataset, crs: str) -> None:
    write_zarr(maps.drop_vars("spatial_ref").rio.write_crs(crs), tmp_path / "atlas.zarr")
    group = json.loads((tmp_path / "atlas.zarr" / "zarr.json").read_text())
    for name in CONVENTIONS:
        assert convention(name, group) == []
    told = group["attributes"]
    assert Affine(*told["spatial:transform"]) == PLACE
    assert told["spatial:bbox"] == [WEST, NORTH - 900, WEST + 700, NORTH]
    assert told.get("proj:code") == ("EPSG:32630" if crs == "EPSG:32630" else None)


@pytest.mark.parametrize("change", [{"zarr_conventions": []}, {"proj:code": 32630}, {"spatial:transform": [1, 2]}])
def test_a_group_that_does_not_follow_them_is_found(tmp_path: Path, maps: xr.Dataset, change: dict[str, Any]) -> None:
    write_zarr(maps, tmp_path / "atlas.zarr")
    group = json.loads((tmp_path / "atlas.zarr" / "zarr.json").read_text())
    group["attributes"] |= change
    assert any(convention(name, group) for name in CONVENTIONS)


@pytest.mark.filterwarnings("ignore:Use `@` matmul")  # of rioxarray's
def test_xarray_and_rioxarray_find_the_place(tmp_path: Path, maps: xr.Dataset) -> None:
    write_zarr(maps, tmp_path / "atlas.zarr")
    for options in ({}, {"decode_coords": "all"}):
        back = xr.open_zarr(tmp_path / "atlas.zarr", **options)
        for name in maps.data_vars:
            assert back[name].rio.crs.to_epsg() == 32630
            assert back[name].rio.transform(recalc=True) == PLACE
            np.testing.assert_array_equal(back[name], maps[name])
        assert back.x.attrs["standard_name"] == "projection_x_coordinate"
        assert back.attrs["Conventions"] == "CF-1.11"


def test_a_part_is_told_in_its_own_place(tmp_path: Path, maps: xr.Dataset) -> None:
    write_zarr(maps, tmp_path / "atlas.zarr")
    part = for_zarr(xr.open_zarr(tmp_path / "atlas.zarr").isel(y=slice(10, 30), x=slice(5, None)))
    assert Affine(*part.attrs["spatial:transform"]) == PLACE @ Affine.translation(5, 10)
    assert part.attrs["spatial:shape"] == [20, 65]


GDAL = Version(rasterio.__gdal_version__)


def as_drafted(path: Path) -> None:
    """Rename a codec to what GDAL before 3.11 knows from a draft of Zarr v3: nothing of the place changes."""
    for document in path.rglob("zarr.json"):
        document.write_text(document.read_text().replace('"name": "bytes"', '"name": "endian"'))


@pytest.mark.parametrize(("name", "band"), [("class", 1), ("embedding", 2)])
def test_gdal_finds_the_place(tmp_path: Path, maps: xr.Dataset, name: str, band: int) -> None:
    path = tmp_path / "atlas.zarr"
    if Version("3.11") > GDAL:
        ready = for_zarr(maps)
        for each in ready.variables:
            ready[each].encoding["compressors"] = GzipCodec()  # nor does it know zstd there
        ready.to_zarr(path, zarr_format=3, consolidated=False)
        as_drafted(path)
    else:
        write_zarr(maps, path)
    with rasterio.open(f'ZARR:"{path}":/{name}') as source:
        assert (source.crs.to_epsg(), source.transform) == (32630, PLACE)
        np.testing.assert_array_equal(source.read(band), maps[name].values.reshape(-1, 90, 70)[band - 1])
