"""One STAC item tells a catalogue where, when, of what and by which model; its schemas are tests/schemas."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from affine import Affine
from pystac.validation import JsonSchemaSTACValidator, validate_dict
from rasterio.crs import CRS

from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import parameters
from sitscope.classes.codebook import Codebook
from sitscope.cube.grid import Grid
from sitscope.cube.item import EXTENSIONS, _bbox, _footprint, write_item
from sitscope.errors import BadInput
from sitscope.showing.colours import class_colours

SCHEMAS = Path(__file__).parents[1] / "schemas"


class Offline(JsonSchemaSTACValidator):
    """pystac's own validator, which reads what lies in SCHEMAS and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        for path in SCHEMAS.glob("*.json"):
            schema = json.loads(path.read_text())
            self.schema_cache[schema.get("$id", path.name).rstrip("#")] = schema

    def _get_schema(self, schema_uri: str) -> dict[str, Any]:
        assert schema_uri in self.schema_cache, f"{schema_uri} is not among the schemas here"
        return super()._get_schema(schema_uri)


def validated(item: dict[str, Any]) -> list[str]:
    """Addresses of the schemas that pystac checked."""
    return validate_dict(item, validator=Offline())


@pytest.fixture
def item(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "item.json").read_text())


def test_the_item_is_valid_with_all_its_extensions(item: dict[str, Any]) -> None:
    checked = validated(item)
    assert len(checked) == 1 + len(EXTENSIONS)
    for name in ("projection/v2", "classification/v2", "mlm/v1", "embeddings/v0"):
        assert any(name in each for each in checked), name


def _forget(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(item: dict[str, Any]) -> None:
        for key in path[:-1]:
            item = item[key]
        del item[path[-1]]

    return change


def _set(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    def change(item: dict[str, Any]) -> None:
        for key in path[:-1]:
            item = item[key]
        item[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _forget("geometry"),
        _set("2017", "properties", "start_datetime"),
        _set("EPSG:1", "properties", "proj:epsg"),
        _set([1, 2, 3], "properties", "proj:shape"),
        _set([{"value": 1, "name": "Sugar Beet"}], "assets", "class", "classification:classes"),
        _forget("properties", "mlm:input"),
        _set(["reading minds"], "properties", "mlm:tasks"),
        _forget("assets", "model", "mlm:artifact_type"),
        _forget("assets", "model", "raster:bands"),
        _forget("assets", "embeddings"),
        _set("pixel", "properties", "emb:type"),
        _set("XYZ", "assets", "model", "file:checksum"),
        _set("1.1.0", "stac_version"),
    ],
)
def test_a_wrong_item_is_found(item: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
    wrong = copy.deepcopy(item)
    change(wrong)
    with pytest.raises((pystac.STACValidationError, pystac.STACTypeError)):
        validated(wrong)


def test_pystac_reads_place_time_and_model(item: dict[str, Any], folder: Path, fitted: Fitted) -> None:
    read = pystac.Item.from_file(folder / "item.json")
    with rasterio.open(folder / "maps" / "class.tif") as source:
        grid = source.shape, source.transform, source.bounds
    proj = read.ext.proj
    assert (proj.code, tuple(proj.shape or ())) == ("EPSG:32629", grid[0])
    assert Affine(*(proj.transform or ())) == grid[1]
    assert proj.bbox == list(grid[2])
    assert read.datetime is None
    assert read.common_metadata.start_datetime is not None
    assert f"{read.common_metadata.start_datetime:%F}" == str(fitted.dates[0])[:10]
    assert f"{read.common_metadata.end_datetime:%F}" == str(fitted.dates[-1])[:10]
    assert item["properties"]["mlm:total_parameters"] == parameters(fitted.network)
    scaling = item["properties"]["mlm:input"][0]["value_scaling"]
    assert [each["mean"] for each in scaling] == fitted.mean.tolist()
    assert item["properties"]["mlm:input"][0]["input"]["shape"] == [-1, 2, 61]
    for asset in read.get_assets().values():
        assert Path(asset.get_absolute_href() or "").exists()


def test_classes_have_the_names_and_colours_of_the_map(item: dict[str, Any], book: Codebook) -> None:
    classes = item["assets"]["class"]["classification:classes"]
    assert [each["title"] for each in classes[1:]] == list(book.classes)
    assert [each["name"] for each in classes] == ["nodata", "Mais", "Sugar-Beet", "Winter-wheat"]
    colours = ["#" + each["color_hint"].lower() for each in classes[1:]]
    assert colours == list(class_colours(book.classes).values())
    assert len(item["assets"]["peak_date_2"]["classification:classes"]) == 62
    assert item["assets"]["confidence"]["roles"] == ["data", "uncertainty"]


def test_the_same_files_give_the_same_bytes_under_any_name(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "OTHER.partial")
    (other / "item.json").unlink()
    assert write_item(other).read_bytes() == (folder / "item.json").read_bytes()


def test_a_map_names_the_model_of_its_run(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "mapped" / "scene")
    shutil.move(other / "model", tmp_path / "model")
    with pytest.raises(BadInput, match="Name the folder of a finished run or map"):
        write_item(other)
    assets = json.loads(write_item(other, tmp_path / "model").read_text())["assets"]
    assert assets["model"]["href"] == "../../model/weights.safetensors"


@pytest.mark.parametrize(("zone", "crosses"), [(30, False), (60, True), (1, True)])
def test_the_footprint_holds_the_scene_on_either_side_of_the_180th_meridian(zone: int, crosses: bool) -> None:
    edge = {30: 500_000.0, 60: 720_000.0, 1: 150_000.0}[zone]
    grid = Grid(CRS.from_epsg(32600 + zone), Affine(10, 0, edge, 0, -10, 4_100_000), 10_980, 10_980)
    footprint = _footprint(grid)
    west, south, east, north = _bbox(footprint)
    assert footprint.is_valid
    assert (footprint.geom_type == "MultiPolygon", west > east) == (crosses, crosses)
    assert 1.1 < (east - west) % 360 < 1.4
    assert 0.95 < north - south < 1.05
    parts = getattr(footprint, "geoms", [footprint])
    assert all(part.exterior.is_ccw for part in parts)
    assert 0.9 < sum(part.area for part in parts) / ((east - west) % 360 * (north - south)) <= 1


def test_a_system_without_a_code_is_told_as_wkt(folder: Path, tmp_path: Path, maps: xr.Dataset) -> None:
    from sitscope.cube.store import write_zarr

    other = shutil.copytree(folder, tmp_path / "RUN")
    laea = CRS.from_proj4("+proj=laea +lat_0=38 +lon_0=-3 +datum=WGS84 +units=m")
    write_zarr(maps.drop_vars("spatial_ref").rio.write_crs(laea), other / "atlas.zarr")
    item = json.loads(write_item(other).read_text())
    assert validated(item)
    assert item["properties"]["proj:code"] is None
    assert item["properties"]["proj:wkt2"].startswith("PROJCRS[")
    assert np.isfinite(item["bbox"]).all()
