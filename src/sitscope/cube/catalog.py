"""Which STAC items are meant, and may what they point at be opened?

Items come from a file (an item, a collection of items, a static catalog whose links are followed), from memory, or from
a search of an API that a small file describes. Nothing they say is trusted: pictures are read from http(s), or from
files in the folder of the catalog.
"""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from sitscope.cube.names import few
from sitscope.errors import BadInput

if TYPE_CHECKING:
    import pystac

SUFFIXES = (".json", ".geojson", ".toml")
SEARCH = ("api", "collections", "ids", "bbox", "datetime", "query", "max_items")
"""What a search may say; pystac-client's words."""
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\0\x0cjP  ")
"""How GeoTIFF, BigTIFF and JPEG 2000 begin. GDAL goes by what is in a file, and a VRT could point anywhere."""
MOST_BYTES = 2**29
"""A larger file of items is none."""


def meant(images: Any) -> bool:
    """Whether these images are STAC: a file of items or of a search, a search, or items in memory."""
    if isinstance(images, str | Path):
        return Path(images).suffix.lower() in SUFFIXES and not Path(images).is_dir()
    if isinstance(images, Mapping):
        return "api" in images
    return hasattr(images, "assets") or (isinstance(images, Iterable) and hasattr(next(iter(images), None), "assets"))


def items(images: Any) -> list["pystac.Item"]:
    """The items, each once, with absolute hrefs; BadInput where there are none, or they point where they must not.

    Args:
        images: path of a JSON file (FeatureCollection, Item, Catalog or Collection) or of a search in TOML; such a
            search as a mapping, {"api": "https://...", "collections": [...], "bbox": [...], "datetime": "..."};
            or pystac items, alone in a list or as an ItemCollection.
    """
    if find_spec("pystac") is None or find_spec("odc.stac") is None or find_spec("pystac_client") is None:
        raise BadInput("images", "STAC items are read by odc-stac, which is not here: pip install sitscope[stac].")
    if isinstance(images, Mapping):
        found = [_checked(item, None, memory=False) for item in _searched(images)]
    elif not isinstance(images, str | Path):
        images = [images] if hasattr(images, "assets") else images
        found = [_checked(item.clone(), _folder(item), memory=True) for item in images]
    elif Path(images).suffix.lower() == ".toml":
        found = [_checked(item, None, memory=False) for item in _searched(_search_in(Path(images)))]
    else:
        path = Path(images).resolve()
        walked = _walked(path, path.parent, set())
        found = [_checked(_item(feature, at), path.parent, memory=False, at=at) for feature, at in walked]
    by_key = {(item.collection_id, item.id): item for item in found}
    if not by_key:
        raise BadInput("images", f"no STAC item in {_name(images)}. Check the file, or widen the search.")
    return sorted(
        by_key.values(), key=lambda item: (str(item.datetime or item.properties.get("start_datetime")), item.id)
    )


def _name(images: Any) -> str:
    return str(images) if isinstance(images, str | Path | Mapping) else "the list"


def _folder(item: "pystac.Item") -> Path | None:
    """Where the file of an item in memory lies, for what it names relative to it."""
    own = item.get_self_href()
    return Path(own).resolve().parent if own and not urlsplit(own).scheme else None


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput("images", f"{path} has {path.stat().st_size:,} bytes, and no list of items is so long.")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput("images", f"{path} cannot be read as STAC ({error}). Give a JSON file of items.") from None


def _walked(path: Path, root: Path, seen: set[Path]) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Each item as its file has it, and that file; links to items and children are followed within the folder."""
    waiting = [path]
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        said = _read(here)
        kind = said.get("type") if isinstance(said, Mapping) else None
        if kind == "FeatureCollection" and isinstance(said.get("features"), list):
            yield from ((feature, here) for feature in said["features"])
        elif kind == "Feature":
            yield said, here
        elif kind in ("Catalog", "Collection"):
            links = [link for link in said.get("links", []) if link.get("rel") in ("item", "child")]
            waiting += [_inside(str(link.get("href", "")), here.parent, root, "link") for link in links]
        else:
            remedy = "Give an item, a FeatureCollection of items, a catalog or a collection."
            raise BadInput("images", f"{here} is no STAC: its type is {kind!r}. {remedy}")


def _item(feature: Any, at: Path) -> "pystac.Item":
    import pystac

    assets = feature.get("assets") if isinstance(feature, Mapping) else None
    if not isinstance(assets, Mapping) or not assets:
        what = f"{at} holds features without assets, as a file of fields does"
        raise BadInput("images", f"{what}. Give STAC items, which name their images.")
    try:
        return pystac.Item.from_dict(dict(feature))
    except Exception as error:  # noqa: BLE001 - what is wrong with an item is told by a dozen kinds of errors
        problem = f"{type(error).__name__}: {error}"
        raise BadInput("images", f"{at} holds an item that is no valid STAC ({problem}). Correct it.") from None


def _checked(item: "pystac.Item", root: Path | None, *, memory: bool, at: Path | None = None) -> "pystac.Item":
    """The same with every href absolute and allowed."""
    base = at.parent if at else root
    own = item.get_self_href() or ""
    for asset in item.assets.values():
        if urlsplit(own).scheme in ("http", "https"):
            asset.href = urljoin(own, asset.href)
        asset.href = _allowed(asset.href, base, None if memory else root, memory)
    return item


def _allowed(href: str, base: Path | None, root: Path | None, memory: bool) -> str:
    """An href that may be opened, absolute; one that may not becomes "" and is refused where its image is asked for."""
    scheme = urlsplit(href).scheme.lower()
    if scheme in ("http", "https"):
        return href if not href.lower().startswith(("http:/vsi", "https:/vsi")) else ""
    try:
        if memory and Path(href).is_absolute() and not href.startswith("/vsi"):
            return str(Path(href))
        return "" if base is None else str(_inside(href, base, root or base, "asset"))
    except BadInput as error:
        return f"!{error.message}"


def _inside(href: str, base: Path, root: Path, what: str) -> Path:
    """The file that a href names, which lies in the folder of the catalog; BadInput where it does not."""
    plain = href.removeprefix("file://")
    if not plain or "://" in plain or plain.startswith("/vsi") or "\0" in plain:
        remedy = "Only files and http(s) are read; sign the items first, or copy the images."
        raise BadInput("images", f"a STAC {what} points at {href!r}. {remedy}")
    path = (base / plain).resolve()
    if not path.is_relative_to(root):
        remedy = "Move it into the folder, or give the items in Python, with absolute paths."
        raise BadInput("images", f"a STAC {what} points at {href!r}, outside the folder {root}. {remedy}")
    return path


def usable(href: str, item: str) -> str:
    """An asset's href just before it is opened; BadInput where it must not be, or is no image."""
    if not href or href.startswith("!"):
        raise BadInput(
            "images", href[1:] or f"an asset of the item {item} has an address that is not read: no http(s)."
        )
    if urlsplit(href).scheme.lower() in ("http", "https"):
        return href
    try:
        with Path(href).open("rb") as file:
            begins = file.read(8)
    except OSError as error:
        reason = error.strerror or error
        raise BadInput("images", f"{href}, of the item {item}, cannot be read ({reason}). Copy it again.") from None
    if not begins.startswith(MAGIC):
        raise BadInput("images", f"{href}, of the item {item}, is neither a GeoTIFF nor JPEG 2000. Leave it out.")
    return href


def _search_in(path: Path) -> Mapping[str, Any]:
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            "images", f"{path} cannot be read as a search ({error}). Write TOML: api = 'https://...'."
        ) from None
    if "api" not in said:
        raise BadInput("images", f"{path} names no api. Write: api = 'https://...', collections = ['...'].")
    return said


def _searched(search: Mapping[str, Any]) -> list["pystac.Item"]:
    """What an API finds; whatever goes wrong on the way is told in one sentence."""
    from pystac_client import Client

    unknown = [key for key in search if key not in SEARCH]
    if unknown:
        raise BadInput("images", f"a search knows no {few(unknown)}, only {few(SEARCH, 20)}. Leave it out.")
    api = str(search["api"])
    if urlsplit(api).scheme not in ("http", "https"):
        raise BadInput("images", f"the api of the search is {api!r}. Give its address, https://....")
    if not {"collections", "ids"} & set(search):
        raise BadInput("images", f"the search of {api} names no collections. Say which, as in ['sentinel-1-rtc'].")
    try:
        asked = {key: value for key, value in search.items() if key != "api"}
        return list(Client.open(api).search(**asked).items())
    except Exception as error:  # noqa: BLE001 - network, server and client have errors of their own
        problem = f"{type(error).__name__}: {error}"
        raise BadInput("images", f"the search of {api} failed ({problem}). Try again, or correct it.") from None
