"""Which image files are opened, and by which reader of GDAL's?

GDAL looks at what a file holds, not at its name: a .tif may be a page of XML that names a server. So the first bytes
choose the reader here, and a virtual image (.vrt) is opened only where all that it names lies beneath its own folder.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
import rasterio
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from sitscope.cube.guarded import MOST_ALONG
from sitscope.errors import BadInput
from sitscope.untrusted import content, require_memory

MAGIC = {
    "GTiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JP2OpenJPEG": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "HFA": (b"EHFA_HEADER_TAG",),
}
"""GDAL's readers, and how their files begin."""

MOST_VRT = 32 << 20
DEPTH = 4
"""Virtual images of virtual images."""

CLOSED = {"GDAL_VRT_ENABLE_PYTHON": "NO", "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".nothing", "GDAL_HTTP_MAX_RETRY": "0"}
"""No program in an image, and nothing from a network, whatever the environment says."""

WORDS = ("MDI", "SRS", "Description", "UnitType", "Category", "GeoTransform", "GCP")
"""Elements whose text is shown or measured, never opened."""
NAMES = ("filename", "dataset", "datasource", "dsname", "path", "file", "url")
"""How the elements end whose text is opened."""


@contextmanager
def picture(path: str) -> Iterator[rasterio.DatasetReader]:
    """An image, open for reading. BadInput where it is of no known kind, or leads elsewhere; GDAL's own errors else."""
    driver = driver_of(Path(path))
    if driver == "VRT":
        _require_local(Path(path), Path(path).absolute().parent, 0)
    with rasterio.Env(**CLOSED), rasterio.open(os.path.abspath(path), driver=driver) as source:
        yield source


def driver_of(path: Path) -> str:
    """The reader for a file, from how it begins; BadInput where it is none that is known."""
    if not path.is_file():  # a pipe would be waited for
        raise BadInput("images", f"{path} is no regular file. Give GeoTIFFs, or leave it out.")
    with path.open("rb") as file:
        start = file.read(1024)
    for driver, beginnings in MAGIC.items():
        if start.startswith(beginnings):
            return driver
    if path.suffix.lower() == ".vrt" and b"<VRTDataset" in start:
        return "VRT"
    if path.suffix.lower() == ".img" and path.with_suffix(".hdr").is_file():
        return "ENVI"
    remedy = "Copy it again, or leave it out."
    raise BadInput("images", f"{path} cannot be read as an image: it does not begin like one. {remedy}")


def block_of(source: rasterio.DatasetReader) -> tuple[int, int]:
    """Rows and columns of a block of the file; BadInput where no memory holds one."""
    rows, columns = source.block_shapes[0]
    pixel = sum(np.dtype(dtype).itemsize for dtype in source.dtypes)
    what = f"a single block of {source.name}, {rows} x {columns} pixels,"
    require_memory(rows * columns * pixel, "images", what, "Write it in tiles: gdal_translate -co TILED=YES.")
    return int(rows), int(columns)


def require_measured(source: rasterio.DatasetReader) -> None:
    """BadInput where place, size or scale of an image are none that a scene can have."""
    if not all(map(math.isfinite, source.transform)) or not source.transform.a or not source.transform.e:
        raise BadInput("images", f"{source.name} has no place: its transform is {tuple(source.transform)[:6]}.")
    if max(source.height, source.width) > MOST_ALONG:
        remedy = f"{MOST_ALONG:,} along an axis are the most. Cut it to parts with gdalwarp -te."
        raise BadInput("images", f"{source.name} has {source.height} x {source.width} pixels. {remedy}")
    if not np.isfinite([source.scales, source.offsets]).all():
        raise BadInput("images", f"{source.name} has a scale or an offset that is no number. Correct it: gdal_edit.")


def _require_local(path: Path, home: Path, depth: int) -> None:
    """BadInput for a virtual image that holds a program, or names what does not lie beneath its folder."""
    if depth >= DEPTH:
        raise _foreign(path, "names virtual images of virtual images without end")
    try:
        root = fromstring(content(path, MOST_VRT), forbid_dtd=True)
    except (OSError, ValueError, ParseError, DefusedXmlException) as error:
        raise _foreign(path, f"is no page of XML that can be read ({error})") from None
    for element in root.iter():
        tag = str(element.tag)
        if tag.startswith("PixelFunctionLanguage") or tag == "PixelFunctionCode":
            raise _foreign(path, "holds a program")
        _require_words(element, path)
        if element.text and element.text.strip() and tag.lower().endswith(NAMES):
            _require_beneath(element, path, home, depth)


def _require_words(element: Element, path: Path) -> None:
    """Nothing that GDAL would take for an address, wherever it stands."""
    if element.tag in WORDS:
        return
    for text in (element.text or "", *element.attrib.values()):
        if "/vsi" in text.lower() or "://" in text or "<" in text:
            raise _foreign(path, f"names {text.strip()[:80]!r}")


def _require_beneath(element: Element, path: Path, home: Path, depth: int) -> None:
    name = (element.text or "").strip()
    relative = element.attrib.get("relativeToVRT", element.attrib.get("relativetoVRT", "0")) == "1"
    place = Path(os.path.normpath((path.parent if relative else Path()).absolute() / name))
    if not place.is_relative_to(home) or not place.is_file():
        raise _foreign(path, f"names {name[:200]!r}, which is no file beneath {home}")
    if driver_of(place) == "VRT":
        _require_local(place, home, depth + 1)


def _foreign(path: Path, why: str) -> BadInput:
    remedy = "Make it an image of its own, gdal_translate in.vrt out.tif, or put it beside the files that it names."
    return BadInput("images", f"{path} {why}, which is not followed. {remedy}")
