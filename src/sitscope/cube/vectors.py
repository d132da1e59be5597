"""Which files of fields are opened? Those that hold their polygons themselves.

GDAL looks at what a file holds, not at its name: a fields.gpkg may be a page of XML that names a server or a file of
somebody else's, a fields.geojson a program for GDAL to run. So what a file is must be seen from how it begins.
"""

import re
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import ParseError

import geopandas as gpd
import pyarrow.parquet as pq
import pyogrio
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sitscope.errors import BadInput
from sitscope.untrusted import require_memory

REMEDY = "Give a vector file: GeoPackage, Shapefile, GeoJSON, GeoParquet; ogr2ogr fields.gpkg IN writes one."
JSON_TYPES = re.compile(rb'"type"\s*:\s*"(FeatureCollection|Feature|Topology)"')
ZIPPED = {".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".xml", ".qmd", ".qpj", ".txt", ""}
"""What lies in the zip of a Shapefile; "" are folders and notes."""
MOST_UNPACKED = 1 << 30
MOST_ROWS = 10_000_000
MOST_PARTS = 1_000_000
"""Of the description of a parquet file."""

CLOSED = {
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".nothing",
    "OGR_SQLITE_ALLOW_EXTERNAL_ACCESS": "NO",
    "GML_SKIP_RESOLVE_ELEMS": "ALL",
}
"""Nothing from a network or from another file, whatever the environment says."""


def read_vector(path: str | Path, argument: str = "fields") -> gpd.GeoDataFrame:
    """What a file of fields holds, or BadInput, about this argument."""
    path = Path(path)
    if not path.exists():
        raise BadInput(argument, f"{path} does not exist. {REMEDY}")
    try:
        kind = _kind(path)
        if kind == "GeoParquet":
            _refuse_endless(path)
            pq.read_table(path).validate(full=True)  # letters that are none, before somebody looks at them
            return gpd.read_parquet(path)
        options = {"DOWNLOAD_SCHEMA": "NO"} if kind == "GML" else {}
        with _closed():
            return gpd.read_file(path.absolute(), engine="pyogrio", **options)
    except BadInput as error:
        raise BadInput(argument, f"{path} {error.message} {REMEDY}") from None
    except Exception as error:  # noqa: BLE001 - each library has its own errors for a file that it cannot read
        reason = str(error).partition(";")[0] or type(error).__name__
        raise BadInput(argument, f"{path} cannot be read as fields ({reason}). {REMEDY}") from None


def _refused(why: str) -> BadInput:
    return BadInput("fields", why)


def _kind(path: Path) -> str:
    """What the file is by how it begins, and that it leads nowhere else."""
    if path.is_dir():
        if path.suffix.lower() != ".gdb" or not all(each.is_file() for each in path.iterdir()):
            raise _refused("is a folder.")
        return "File Geodatabase"
    if not path.is_file():  # a pipe would be waited for
        raise _refused("is no regular file.")
    with path.open("rb") as file:
        start = file.read(4096)
    for kind, (begins, check) in KINDS.items():
        if begins(start):
            check(path)
            return kind if kind != "XML" else _root(path)
    raise _refused("cannot be read as fields: it does not begin like a file of them.")


def _anything(path: Path) -> None:
    """These hold what they hold."""


def _require_json(path: Path) -> None:
    text = path.read_bytes()
    if b"gdal_streamed_alg" in text or not JSON_TYPES.search(text):
        raise _refused("holds no features of GeoJSON.")


def _require_tables(path: Path) -> None:
    """A table of SQLite may be another file in disguise."""
    with sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True) as connection:
        made = connection.execute("select sql from sqlite_master where type = 'table' and sql is not null").fetchall()
    connection.close()
    for (sql,) in made:
        if re.match(r"\s*create\s+virtual\s+table", str(sql), re.IGNORECASE) and "rtree" not in str(sql).lower():
            raise _refused("holds a virtual table, which is not followed.")


def _require_shapefile(path: Path) -> None:
    """Nothing but a Shapefile, and not of a thousand times the size of its zip."""
    with zipfile.ZipFile(path) as packed:
        members = packed.infolist()
    odd = [each.filename for each in members if Path(each.filename).suffix.lower() not in ZIPPED]
    if odd or not any(each.filename.lower().endswith(".shp") for each in members):
        raise _refused(f"holds {odd[0][:80] if odd else 'no .shp'!r}, and only a zipped Shapefile is read. Unpack it.")
    unpacked = sum(each.file_size for each in members)
    if unpacked > MOST_UNPACKED:
        raise _refused(f"would be {unpacked:,} bytes unpacked, and {MOST_UNPACKED:,} are the most. Unpack it.")
    require_memory(4 * unpacked, "fields", "what it holds", "")


def _root(path: Path) -> str:
    """KML or GML by the first element; no document type, whose entities may grow without end or name files."""
    try:
        with path.open("rb") as file:
            _, element = next(iter(iterparse(file, events=("start",), forbid_dtd=True)))
    except (ParseError, DefusedXmlException, StopIteration, LookupError, ValueError) as error:
        raise _refused(f"holds XML that is not read ({error or 'empty'}).") from None
    name = str(element.tag).rpartition("}")[2]
    kinds = {"kml": "KML", "FeatureCollection": "GML"}
    if name not in kinds:
        raise _refused(f"holds XML of the kind {name[:80]!r}, which is not read.")
    return kinds[name]


def _refuse_endless(path: Path) -> None:
    """Parquet repeats a value as often as its description says, in no room at all."""
    limits = {"thrift_string_size_limit": 64 << 20, "thrift_container_size_limit": MOST_PARTS}
    with pq.ParquetFile(path, **limits) as file:
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
    if rows > MOST_ROWS:
        raise _refused(f"has {rows:,} rows, and {MOST_ROWS:,} are the most.")
    require_memory(8 * rows * columns, "fields", f"a table of {rows:,} rows and {columns:,} columns", "")


@contextmanager
def _closed() -> Iterator[None]:
    before = {key: pyogrio.get_gdal_config_option(key) for key in CLOSED}
    pyogrio.set_gdal_config_options(CLOSED)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)


KINDS: dict[str, tuple[Callable[[bytes], bool], Callable[[Path], None]]] = {
    "GeoParquet": (lambda start: start.startswith(b"PAR1"), _anything),
    "GeoPackage": (lambda start: start.startswith(b"SQLite format 3\0"), _require_tables),
    "Shapefile": (lambda start: start.startswith(b"\0\0\x27\x0a"), _anything),
    "FlatGeobuf": (lambda start: start.startswith(b"fgb\x03"), _anything),
    "zipped Shapefile": (lambda start: start.startswith(b"PK\x03\x04"), _require_shapefile),
    "GeoJSON": (lambda start: start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["), _require_json),
    "XML": (lambda start: start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<", _anything),
}
"""How each kind begins, and what is asked of it."""
