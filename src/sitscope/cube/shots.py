"""Which image of which STAC item holds which band of which date?"""

import datetime as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from sitscope.cube import catalog, names
from sitscope.cube.grid import Grid
from sitscope.cube.layers import grid_of
from sitscope.errors import BadInput

if TYPE_CHECKING:
    import pystac

APART = np.timedelta64(10, "m")
"""Slices of one pass follow each other within seconds; the next pass of the same orbit is days away."""
NO_BAND = {"thumbnail", "overview", "metadata", "visual"}
KINDS = ("image/tiff", "image/geo+tiff", "image/jp2", "image/x.geotiff")
LINEAR = {"sentinel-1-rtc", "opera_l2_rtc-s1_v1"}
"""Collections of gamma0 in linear power whose items do not say so."""


@dataclass(frozen=True)
class Shot:
    """One band of one item."""

    band: str
    """its name in the cube"""
    href: str
    """the image, allowed"""
    index: int
    """which of the image's layers, from 1"""
    time: np.datetime64
    """when its pass began, the same for all slices"""
    item: str
    """id of its item"""
    orbit: tuple[str, str]
    """relative orbit and direction; "" where not said"""
    units: str
    """as the item has it; "" where it is silent"""
    nodata: float | None
    """the number that stands for missing, where the item says it"""
    scale: tuple[float, float]
    """the stored number times the first plus the second is the value"""
    grid: Grid
    """where its pixels lie"""


def shots(items: Sequence["pystac.Item"], bands: Sequence[str] | None) -> list[Shot]:
    """Every band of every item, or the bands wanted, with the time of its pass; BadInput where an item says too little.

    Items of one orbit that begin within ten minutes of each other are slices of one pass.
    """
    return [shot for item, time in _passes(items) for shot in _shots(item, time, bands)]


def _passes(items: Sequence["pystac.Item"]) -> list[tuple["pystac.Item", np.datetime64]]:
    """Each item with the time at which its pass began."""
    by_orbit: dict[tuple[str, str, str], list[tuple[np.datetime64, pystac.Item]]] = {}
    for item in items:
        orbit = names.orbit_of(item.properties)
        # without an orbit said, satellites are told apart
        satellite = "" if orbit[0] else str(item.properties.get("platform", ""))
        by_orbit.setdefault((*orbit, satellite), []).append((_time(item), item))
    found = []
    for members in by_orbit.values():
        members.sort(key=lambda each: (each[0], each[1].id))
        began = before = members[0][0]
        for time, item in members:
            began = time if time - before > APART else began
            before = time
            found.append((item, began))
    return found


def _time(item: "pystac.Item") -> np.datetime64:
    when = item.datetime or item.common_metadata.start_datetime
    if when is None:
        raise BadInput("images", f"the item {item.id} has neither datetime nor start_datetime. Leave it out.")
    if when.tzinfo is not None:
        when = when.astimezone(clock.UTC).replace(tzinfo=None)
    return np.datetime64(when.replace(microsecond=0), "s")


def _shots(item: "pystac.Item", time: np.datetime64, wanted: Sequence[str] | None) -> list[Shot]:
    """The bands of one item, or those wanted."""
    asked = None if wanted is None else {names.radar_band(name) or name: name for name in wanted}
    found: dict[str, Shot] = {}
    for key, asset in item.assets.items():
        for index, said in enumerate(_bands(key, asset), 1):
            own = _band_names(key, said)
            band = own[0] if asked is None else next((name for name in own if name in asked), None)
            if band is None:
                continue
            if band in found:
                raise BadInput("bands", f"two assets of the item {item.id} hold {band}. Name bands by their assets.")
            found[band] = _shot(item, time, key, index, band, said)
    return list(found.values())


def _bands(key: str, asset: "pystac.Asset") -> list[dict[str, Any]]:
    """What is said of each band of an asset, whatever the extension and its version; none where it is no image."""
    extra, roles = asset.extra_fields, set(asset.roles or ())
    kind = (asset.media_type or "").partition(";")[0].strip().lower()
    named = asset.href.partition("?")[0].lower().endswith((".tif", ".tiff", ".jp2"))
    if roles & NO_BAND or not (kind in KINDS or (not kind and named)) or key in ("rendered_preview", "preview"):
        return []
    lists = [extra[name] for name in ("eo:bands", "raster:bands", "bands") if isinstance(extra.get(name), list)]
    common = {name: value for name, value in extra.items() if not isinstance(value, list)}
    count = max([1, *map(len, lists)])
    return [common | {"count": count} | _merged(lists, i) for i in range(count)]


def _merged(lists: Sequence[Sequence[Any]], i: int) -> dict[str, Any]:
    each = [said[i] for said in lists if i < len(said) and isinstance(said[i], Mapping)]
    return {str(name).removeprefix("raster:"): value for said in each for name, value in said.items()}


def _band_names(key: str, said: Mapping[str, Any]) -> list[str]:
    """What a band may be called, the usual name first: its asset's, or its own where an asset has several."""
    own = [str(said[name]) for name in ("name", "common_name", "eo:common_name") if said.get(name)]
    several = said["count"] > 1 or names.NAMELESS.fullmatch(key) or key in ("data", "asset", "image")
    order = [*own, key] if several and own else [key, *own]
    plain = [names.radar_band(name) or name for name in order]
    return list(dict.fromkeys(plain[:-1] if said["count"] > 1 and own else plain))


def _shot(item: "pystac.Item", time: np.datetime64, key: str, index: int, band: str, said: Mapping[str, Any]) -> Shot:
    href = catalog.usable(item.assets[key].href, item.id)
    units = str(said.get("unit") or said.get("units") or "")
    if not units and names.radar_band(band) and str(item.collection_id).lower() in LINEAR:
        units = "linear"
    nodata = said.get("nodata")
    try:
        number = None if nodata is None else float(nodata)
        scale = float(said.get("scale") or 1.0), float(said.get("offset") or 0.0)
    except (TypeError, ValueError):
        what = f"nodata {nodata!r}, scale {said.get('scale')!r}, offset {said.get('offset')!r}"
        raise BadInput("images", f"the item {item.id} has no numbers for {band}: {what}. Correct it.") from None
    orbit = names.orbit_of(item.properties)
    return Shot(band, href, index, time, item.id, orbit, units, number, scale, _grid(item, key, href))


def _grid(item: "pystac.Item", key: str, href: str) -> Grid:
    """From the projection extension; where it says too little, from the image itself."""
    said = item.properties | item.assets[key].extra_fields
    code = said.get("proj:code") or said.get("proj:epsg") or said.get("proj:wkt2")
    numbers, shape = said.get("proj:transform"), said.get("proj:shape")
    try:
        if code and numbers and shape:
            crs = CRS.from_epsg(code) if isinstance(code, int) else CRS.from_user_input(code)
            place = Affine(*[float(number) for number in numbers[:6]])
            if not place.b and not place.d:
                return Grid(crs, place, int(shape[0]), int(shape[1]))
    except (CRSError, TypeError, ValueError) as error:
        raise BadInput("images", f"the item {item.id} says no place that can be read ({error}). Correct it.") from None
    return grid_of(href)
