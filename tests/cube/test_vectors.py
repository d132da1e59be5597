"""A file of fields holds its polygons itself: no server, no program, no file elsewhere, no end without end."""

import os
import sqlite3
import struct
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from sitscope.cube.fields import field_of_pixels, read_fields, shrunk
from sitscope.cube.grid import Grid
from sitscope.cube.reading import open_cube
from sitscope.cube.vectors import CLOSED, read_vector
from sitscope.errors import BadInput
from small_scenes import four_fields, write_stack

KML = '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark><name>{}</name><Point><coordinates>0,0</coordinates></Point></Placemark></Document></kml>'


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    write_stack(tmp_path / "stack", bands=("VV",))
    return Grid.of(open_cube(tmp_path / "stack"))


@pytest.mark.parametrize("name", ["f.gpkg", "f.shp", "f.geojson", "f.fgb", "f.gml", "f.parquet", "f.zip", "f.gdb"])
def test_the_usual_files_are_read(tmp_path: Path, name: str) -> None:
    fields, path = four_fields(), tmp_path / name
    if name == "f.parquet":
        fields.to_parquet(path)
    elif name == "f.zip":
        fields.to_file(tmp_path / "f.shz", driver="ESRI Shapefile")
        (tmp_path / "f.shz").rename(path)
    else:
        fields = fields.astype({"owner": "int32"})
        fields.to_file(path, driver="OpenFileGDB" if name == "f.gdb" else None)
    found = read_vector(path).to_crs(fields.crs).sort_values("owner", ignore_index=True)  # FlatGeobuf sorts by place
    assert found.crop.tolist() == fields.crop.tolist()
    np.testing.assert_allclose(found.bounds, fields.bounds, atol=1e-3)


def test_kml_is_read(tmp_path: Path) -> None:
    (tmp_path / "f.kml").write_text(KML.format("Wheat"))
    assert read_vector(tmp_path / "f.kml").Name.tolist() == ["Wheat"]


PAGES = {
    "a file elsewhere": "<OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>{}</SrcDataSource></OGRVRTLayer>"
    "</OGRVRTDataSource>",
    "a server": "<OGRWFSDataSource><URL>http://127.0.0.1:9/{}</URL></OGRWFSDataSource>",
    "a program": '{{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read {}"}}',
    "no features": '{{"type": "FeatureColl", "x": "{}"}}',
}


@pytest.mark.parametrize("what", PAGES)
@pytest.mark.parametrize("name", ["f.gpkg", "f.geojson", "f.kml", "f.shp"])
def test_a_file_that_names_another_is_not_followed(tmp_path: Path, what: str, name: str) -> None:
    four_fields().to_file(tmp_path / "secret.gpkg")
    (tmp_path / name).write_text(PAGES[what].format(tmp_path / "secret.gpkg"))
    with pytest.raises(BadInput, match=r"fields: .*(is not read|holds no features).*Give a vector file"):
        read_vector(tmp_path / name)


def test_gdal_alone_would_follow_it(tmp_path: Path) -> None:
    four_fields().to_file(tmp_path / "secret.gpkg")
    (tmp_path / "f.gpkg").write_text(
        PAGES["a file elsewhere"].format(tmp_path / "secret.gpkg").replace("'x'", "'secret'")
    )
    assert len(gpd.read_file(tmp_path / "f.gpkg")) == 4


def test_a_virtual_table_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "f.gpkg"
    four_fields().to_file(path)
    with sqlite3.connect(path) as connection:
        connection.execute("pragma writable_schema = on")
        sql = "CREATE VIRTUAL TABLE x USING VirtualShape('/etc/secret', 'UTF-8', 4326)"
        connection.execute("insert into sqlite_master values ('table', 'x', 'x', 0, ?)", (sql,))
    connection.close()
    with pytest.raises(BadInput, match="virtual table"):
        read_vector(path)


def test_entities_do_not_grow_and_name_no_files(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    (tmp_path / "f.kml").write_text(f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]>' + KML.format("&a9;"))
    with pytest.raises(BadInput, match="holds XML that is not read"):
        read_vector(tmp_path / "f.kml")
    (tmp_path / "f.gml").write_text(
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><FeatureCollection>&a;</FeatureCollection>'
    )
    with pytest.raises(BadInput, match="holds XML that is not read"):
        read_vector(tmp_path / "f.gml")


def test_a_zip_holds_a_shapefile_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("../../evil.py", "x")
        packed.writestr("f.shp", "x")
    with pytest.raises(BadInput, match=r"evil\.py.*only a zipped Shapefile is read. Unpack it"):
        read_vector(path)


def test_a_small_zip_of_two_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "f.zip"
    four_fields().to_file(tmp_path / "f.shz", driver="ESRI Shapefile")
    raw = bytearray((tmp_path / "f.shz").read_bytes())
    at = raw.rindex(b"PK\x01\x02")  # a directory entry says how large its file is once unpacked
    raw[at + 24 : at + 28] = struct.pack("<I", 2 << 30)
    path.write_bytes(raw)
    with pytest.raises(BadInput, match="bytes unpacked, and 1,073,741,824 are the most"):
        read_vector(path)


def test_a_small_table_of_millions_of_rows_is_not_made(tmp_path: Path) -> None:
    rows = pa.array(np.zeros(20_000_000, np.int8))
    pq.write_table(pa.table({"crop": rows}), tmp_path / "f.parquet")
    assert (tmp_path / "f.parquet").stat().st_size < 100_000
    with pytest.raises(BadInput, match="has 20,000,000 rows, and 10,000,000 are the most"):
        read_vector(tmp_path / "f.parquet")


@pytest.mark.parametrize("given", ["/vsicurl/http://127.0.0.1:9/f.gpkg", "http://127.0.0.1:9/f.gpkg", "/vsizip/f.zip"])
def test_only_files_are_fields(given: str) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        read_vector(given)


def test_neither_pipes_nor_folders_are_fields(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.gpkg")
    with pytest.raises(BadInput, match="is no regular file"):
        read_vector(tmp_path / "f.gpkg")
    with pytest.raises(BadInput, match="is a folder"):
        read_vector(tmp_path)


def test_what_gdal_was_told_before_holds_afterwards(tmp_path: Path) -> None:
    four_fields().to_file(tmp_path / "f.gpkg")
    pyogrio.set_gdal_config_options({"GML_SKIP_RESOLVE_ELEMS": "NONE"})
    try:
        read_vector(tmp_path / "f.gpkg")
        assert [pyogrio.get_gdal_config_option(key) for key in CLOSED] == [None, None, "NONE"]
    finally:
        pyogrio.set_gdal_config_options({"GML_SKIP_RESOLVE_ELEMS": None})


def test_shapes_that_are_nowhere_hold_no_pixel(grid: Grid) -> None:
    fields = four_fields()
    corners = [(500_000, 4_100_000), (500_040, np.inf), (500_040, 4_099_960)]
    fields.loc[[1, 2], "geometry"] = [shapely.Polygon(corners), shapely.Polygon()]
    fields.loc[3, "geometry"] = None
    shapes, labels = read_fields(fields, "crop", grid)
    assert len(labels) == 4
    for drawn in (shapes, shrunk(shapes, 1.0)):
        assert set(np.unique(field_of_pixels(drawn, grid))) == {-1, 0}


def test_labels_are_text_that_every_file_can_hold(grid: Grid) -> None:
    odd = ["Wheat\x1b[31m\n", np.array([1, 2]), "x" * 5000, float("nan")]
    fields = four_fields().assign(crop=pd.Series(odd, dtype=object))
    _, labels = read_fields(fields, "crop", grid)
    assert labels == ["Wheat [31m", "[1 2]", "x" * 200, ""]


def test_a_column_twice_is_no_column(grid: Grid) -> None:
    fields = four_fields()
    fields.columns = ["crop", "crop", "geometry"]
    with pytest.raises(BadInput, match="label: the fields have 2 columns 'crop'"):
        read_fields(fields, "crop", grid)


def test_a_reference_system_that_leads_nowhere_is_told(grid: Grid) -> None:
    moon = "+proj=longlat +a=1737400 +b=1737400 +no_defs"
    with pytest.raises(BadInput, match="fields: "):
        read_fields(four_fields().set_crs(moon, allow_override=True), "crop", grid)


def test_letters_that_are_none_are_told(tmp_path: Path) -> None:
    """Found by fuzzing."""
    four_fields(["Wheat", "Maize", "Barley", "Onions"]).to_parquet(tmp_path / "f.parquet", compression=None)
    raw = (tmp_path / "f.parquet").read_bytes()
    (tmp_path / "f.parquet").write_bytes(raw.replace(b"Barley", b"Bar\xa5ey"))
    with pytest.raises(BadInput, match=r"cannot be read as fields .*UTF"):
        read_vector(tmp_path / "f.parquet")
