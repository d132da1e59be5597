"""Maps and fields that QGIS, GDAL and xarray open with the right place, colours and names."""

import json
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import geopandas as gpd
import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import xarray as xr
from rasterio.shutil import copy
from referencing import Registry, Resource
from rio_cogeo import cog_validate

from sitscope.cube import writing
from sitscope.cube.store import write_zarr
from sitscope.cube.writing import write_fields, write_map
from small_scenes import NORTH, WEST, four_fields

SCHEMAS = Path(__file__).parents[1] / "schemas"
NAMES = {1: 'Wheat & <rye> "x"', 2: "Maïs"}
COLOURS = {1: "#e69f00", 2: "#009e73"}


def grid(values: np.ndarray, **coords: object) -> xr.DataArray:
    """A map of (..., y, x) in UTM zone 30."""
    y, x = NORTH - 5 - 10.0 * np.arange(values.shape[-2]), WEST + 5 + 10.0 * np.arange(values.shape[-1])
    dims = ("dim", "y", "x")[-values.ndim :]
    return xr.DataArray(values, {"y": y, "x": x, **coords}, dims, name="map").rio.write_crs("EPSG:32630")


def classes(size: int = 40) -> xr.DataArray:
    return grid(np.random.default_rng(0).integers(0, 3, (size, size)).astype("int16"))


def test_a_map_of_classes_holds_values_place_colours_and_names(tmp_path: Path) -> None:
    path = tmp_path / "class.tif"
    write_map(classes(), path, names=NAMES, colours=COLOURS)
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(1), classes())
        assert (source.dtypes, source.nodata, source.crs.to_epsg()) == (("uint8",), 0, 32630)
        assert (source.transform.c, source.transform.f, source.transform.a) == (WEST, NORTH, 10)
        table = source.colormap(1)
        assert (table[0][3], table[1], table[2]) == (0, (230, 159, 0, 255), (0, 158, 115, 255))
        assert source.tags(1)["class_1"] == NAMES[1]


def test_gdal_reads_the_names_of_classes(tmp_path: Path) -> None:
    write_map(classes(), tmp_path / "class.tif", names=NAMES, colours=COLOURS)
    copy(tmp_path / "class.tif", tmp_path / "seen.vrt", driver="VRT")  # what GDAL sees, written down by GDAL
    seen = [each.text or "" for each in xml.parse(tmp_path / "seen.vrt").iter("Category")]
    assert seen == ["", NAMES[1], NAMES[2]]


def test_qgis_is_told_the_same_colours_and_names(tmp_path: Path) -> None:
    write_map(classes(), tmp_path / "class.tif", names=NAMES, colours=COLOURS)
    style = xml.parse(tmp_path / "class.qml").getroot()
    entries = {each.get("value"): (each.get("label"), each.get("color")) for each in style.iter("paletteEntry")}
    assert entries == {str(value): (NAMES[value], COLOURS[value]) for value in NAMES}
    renderer = style.find("./pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == "paletted"


def test_more_than_255_names_fit(tmp_path: Path) -> None:
    path = tmp_path / "dates.tif"
    names = {i: f"day {i}" for i in range(1, 301)}
    write_map(grid(np.full((4, 4), 300)), path, names=names, colours=dict.fromkeys(names, "#010203"))
    with rasterio.open(path) as source:
        assert (source.dtypes, source.read(1)[0, 0]) == (("uint16",), 300)
        assert source.colormap(1)[300] == (1, 2, 3, 255)


@pytest.mark.parametrize(
    ("bands", "kind"), [(1, "singlebandpseudocolor"), (2, "multibandcolor"), (5, "multibandcolor")]
)
@pytest.mark.parametrize("lazy", [False, True])
def test_a_map_of_numbers_keeps_them(tmp_path: Path, bands: int, kind: str, lazy: bool) -> None:
    values = np.random.default_rng(1).normal(size=(bands, 30, 20)).astype("float32")
    values[:, 3, 4] = np.nan
    array = grid(values, dim=np.arange(1, bands + 1))
    write_map(array.chunk({"y": 7}) if lazy else array, tmp_path / "embedding.tif")
    assert cog_validate(tmp_path / "embedding.tif", strict=True)[0]
    with rasterio.open(tmp_path / "embedding.tif") as source:
        np.testing.assert_array_equal(source.read(), values)
        assert np.isnan(source.nodata)
        assert source.descriptions == tuple(f"map {i}" for i in range(1, bands + 1))
    renderer = xml.parse(tmp_path / "embedding.qml").getroot().find("./pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == kind
    if kind == "multibandcolor":  # magenta and green where there are two: red and green look alike to many
        shown = [renderer.get(f"{colour}Band") for colour in ("red", "green", "blue")]
        assert shown == (["1", "2", "1"] if bands == 2 else ["1", "2", "3"])
        assert all(renderer.find(f"{colour}ContrastEnhancement") is not None for colour in ("red", "green", "blue"))
    assert not (tmp_path / "embedding.tif.aux.xml").exists()


def test_large_maps_have_overviews_and_are_written_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "WINDOW_BYTES", 4 * 512 * 512)
    large = classes(1100)
    write_map(large, tmp_path / "class.tif", names=NAMES, colours=COLOURS)
    assert cog_validate(tmp_path / "class.tif", strict=True) == (True, [], [])
    with rasterio.open(tmp_path / "class.tif") as source:
        np.testing.assert_array_equal(source.read(1), large)
        assert source.overviews(1) == [2, 4]
        overview = source.read(1, out_shape=(275, 275))
    assert set(np.unique(overview)) == {0, 1, 2}  # classes are not averaged


def test_a_map_of_gaps_alone_can_be_written(tmp_path: Path) -> None:
    write_map(grid(np.full((4, 4), np.nan, "float32")), tmp_path / "empty.tif")
    assert (tmp_path / "empty.qml").exists()


def test_nothing_is_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")  # a rename is only whole within one disk

    def failing(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("the power went out")

    good = classes()
    bad = xr.apply_ufunc(failing, good.chunk(), dask="parallelized", output_dtypes=["int16"])
    bad = bad.rio.write_crs("EPSG:32630")
    write_map(good, tmp_path / "class.tif", names=NAMES, colours=COLOURS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError, match="power"):
        write_map(bad, tmp_path / "class.tif", names=NAMES, colours=COLOURS)
    with pytest.raises(RuntimeError, match="power"):
        write_zarr(bad.to_dataset(name="class"), tmp_path / "atlas.zarr")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_zarr_comes_back_with_values_types_and_reference_system(tmp_path: Path) -> None:
    embedding = grid(np.random.default_rng(2).normal(size=(2, 6, 5)).astype("float32"), dim=[1, 2])
    facts = {"flag_values": [1, 2], "names": ["winter wheat", "x"]}
    maps = xr.Dataset({"embedding": embedding.chunk({"y": 4}), "class": classes(6)[:, :5].assign_attrs(facts)})
    for _ in range(2):  # the second takes the place of the first
        write_zarr(maps, tmp_path / "atlas.zarr")
    back = xr.open_zarr(tmp_path / "atlas.zarr")
    xr.testing.assert_equal(back.compute(), maps.compute())
    assert back["class"].dtype == np.int16
    assert back["class"].attrs["names"] == facts["names"]
    assert back["embedding"].rio.crs.to_epsg() == back.rio.crs.to_epsg() == 32630
    assert (tmp_path / "atlas.zarr" / "zarr.json").exists()  # version 3
    write_map(back["class"], tmp_path / "class.tif", names=NAMES, colours=COLOURS)


def geoparquet_errors(path: Path, **changes: Any) -> list[str]:
    """What the schema of GeoParquet 1.1 has to say against the file's metadata."""
    found = json.loads(pq.read_schema(path).metadata[b"geo"]) | changes
    schema, projjson = (json.loads((SCHEMAS / f"{n}.json").read_text()) for n in ("geoparquet-v1.1.0", "projjson-v0.7"))
    registry: Any = Registry().with_resource(projjson["$id"], Resource.from_contents(projjson))
    return [error.message for error in jsonschema.Draft7Validator(schema, registry=registry).iter_errors(found)]


def test_fields_come_back_with_the_box_around_each(tmp_path: Path) -> None:
    write_fields(four_fields(), tmp_path / "fields.parquet")
    back = gpd.read_parquet(tmp_path / "fields.parquet")
    assert back.drop(columns="bbox", errors="ignore").equals(four_fields())
    schema = pq.read_schema(tmp_path / "fields.parquet")
    assert "bbox" in schema.names
    assert b'"version": "1.1.0"' in schema.metadata[b"geo"]
    assert geoparquet_errors(tmp_path / "fields.parquet") == []
    geo = json.loads(schema.metadata[b"geo"])["columns"]["geometry"]
    assert geo["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert geo["crs"]["id"] == {"authority": "EPSG", "code": 32630}
    assert geoparquet_errors(tmp_path / "fields.parquet", columns={"geometry": geo | {"encoding": "WKT"}})
    assert geoparquet_errors(tmp_path / "fields.parquet", columns={"geometry": geo | {"crs": {"type": "nowhere"}}})
