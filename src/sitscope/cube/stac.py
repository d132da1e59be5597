"""How do STAC items become bands on one grid, with their orbits, units and dates?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.warp import transform_geom
from shapely.geometry import box, mapping
from xarray.backends import BackendArray
from xarray.core import indexing

from sitscope.cube import catalog
from sitscope.cube.grid import Grid
from sitscope.cube.lazily import asked
from sitscope.cube.names import few
from sitscope.cube.shots import Shot, shots
from sitscope.errors import BadInput

if TYPE_CHECKING:
    import pystac

SAID = ("projection", "raster")
BLOCK = 512
"""Rows and columns of a block of most cloud-optimised GeoTIFFs."""

Bands = dict[str, xr.DataArray]


def open_items(images: Any, bands: Sequence[str] | None, *, several: bool = True) -> list[Bands]:
    """Lazy (time, y, x) arrays by band, a mapping for each family of aligned grids, that of most images first.

    The slices of a pass lie side by side on one date; where they overlap, the first in order of time and id is seen.
    """
    found = shots(catalog.items(images), bands)
    if not found:
        asked = "" if bands is None else f" that holds {few(bands)}"
        raise BadInput("bands", f"no item has an image{asked}. Bands are named by their asset, or by eo:bands.")
    families: list[list[Shot]] = []
    for shot in found:
        family = next((each for each in families if _aligned(each[0].grid, shot.grid)), None)
        families.append([shot]) if family is None else family.append(shot)
    families.sort(key=lambda each: -len(each))
    if len(families) > 1 and not several:
        most, other = families[0][0], families[1][0]
        raise BadInput(
            "images",
            f"the items lie on {len(families)} different grids: {most.band} of {most.item} on {most.grid}, but "
            f"{other.band} of {other.item} on {other.grid}. Bring all to one (sitscope ingest --like most; in Python "
            "grid={'like': 'most'}), or leave the others out, as with bands.",
        )
    return [_opened(family) for family in families]


def stamps(images: Any) -> list[tuple[str, ...]]:
    """What tells these items from others, for a conversion that goes on: id, date of change and address of each."""
    found = catalog.items(images)
    changed = [str(item.properties.get("updated", "")) for item in found]
    return [(item.id, when, *_files(item)) for item, when in zip(found, changed, strict=True)]


def _files(item: "pystac.Item") -> list[str]:
    """The addresses of an item, without signatures, which change by the hour; size and time of change of files."""
    hrefs = sorted(asset.href.partition("?")[0] for asset in item.assets.values())
    stats = [Path(href).stat() if Path(href).is_file() else None for href in hrefs]
    return [
        f"{href} {stat.st_size} {stat.st_mtime_ns}" if stat else href for href, stat in zip(hrefs, stats, strict=True)
    ]


def _aligned(one: Grid, other: Grid) -> bool:
    """Whether the pixels of both are pixels of one grid."""
    a, b = one.transform, other.transform
    if one.crs != other.crs or not np.allclose((a.a, a.e), (b.a, b.e), rtol=1e-6):
        return False
    steps = np.array([(b.c - a.c) / a.a, (b.f - a.f) / a.e])
    return bool((np.abs(steps - np.round(steps)) < 0.02).all())


def _opened(family: Sequence[Shot]) -> Bands:
    """The family's bands on the grid around all of its images."""
    grid = _around([shot.grid for shot in family])
    bands = dict.fromkeys(shot.band for shot in family)
    return {band: _stacked([shot for shot in family if shot.band == band], grid) for band in bands}


def _around(grids: Sequence[Grid]) -> Grid:
    t, (right, down) = grids[0].transform, (grids[0].transform.a, grids[0].transform.e)
    corners = [(round((g.transform.c - t.c) / right), round((g.transform.f - t.f) / down)) for g in grids]
    left, top = min(c for c, _ in corners), min(r for _, r in corners)
    width = max(c + g.width for (c, _), g in zip(corners, grids, strict=True)) - left
    height = max(r + g.height for (_, r), g in zip(corners, grids, strict=True)) - top
    place = Affine(right, 0.0, t.c + left * right, 0.0, down, t.f + top * down)
    return Grid(grids[0].crs, place, height, width)


def _stacked(members: Sequence[Shot], grid: Grid) -> xr.DataArray:
    keys = sorted({(shot.time, shot.orbit) for shot in members})
    dates = tuple(tuple(shot for shot in members if (shot.time, shot.orbit) == key) for key in keys)
    coords: dict[str, object] = {
        "time": np.array([time for time, _ in keys], "datetime64[ns]"),
        "relative_orbit": ("time", np.array([orbit[0] for _, orbit in keys], dtype=object)),
        "direction": ("time", np.array([orbit[1] for _, orbit in keys], dtype=object)),
    }
    lazy = indexing.LazilyIndexedArray(Slices(dates, grid))
    variable = xr.Variable(("time", "y", "x"), lazy, {"units": sorted({shot.units for shot in members})})
    array = xr.DataArray(variable, coords | grid.coords(), name=members[0].band).rio.write_crs(grid.crs, inplace=True)
    array.encoding["preferred_chunks"] = {"y": min(BLOCK, grid.height), "x": min(BLOCK, grid.width)}
    return array


class Slices(BackendArray):
    """A band of a family in order of time, (t, y, x) float32, read by odc-stac where and when it is asked for."""

    def __init__(self, dates: tuple[tuple[Shot, ...], ...], grid: Grid) -> None:
        self.dates = dates
        self.grid = grid
        self.shape = (len(dates), grid.height, grid.width)
        self.dtype = np.dtype("float32")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return asked(key, self.shape, self._read)

    def _read(self, times: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        out = np.full((times.size, rows.size, columns.size), np.nan, "float32")
        whole = GeoBox(self.shape[1:], self.grid.transform, str(self.grid.crs))
        window = whole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        within = np.ix_(rows - rows.min(), columns - columns.min())
        for position, time in enumerate(times):
            out[position] = _mosaic(self.dates[time], window)[within]
        return out

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return ("sitscope.Slices", self.dates, self.grid)


def _mosaic(slices: Sequence[Shot], window: GeoBox) -> np.ndarray:
    """One date of one band under a window: the slices side by side, each with the nodata and scale of its own item."""
    out = np.full(window.shape, np.nan, "float32")
    west, south, east, north = window.boundingbox.bbox
    for shot in slices:
        bounds = shot.grid.bounds
        if bounds[0] < east and bounds[2] > west and bounds[1] < north and bounds[3] > south:
            out = np.where(np.isnan(out), _values(shot, window), out)
    return out


def _values(shot: Shot, window: GeoBox) -> np.ndarray:
    import odc.stac

    name = "image" if shot.index == 1 else f"image.{shot.index}"
    try:
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_HTTP_MAX_RETRY=3):
            found = odc.stac.load([_as_item(shot)], bands=[name], geobox=window, dtype="float32", nodata=float("nan"))
    except (RasterioError, OSError) as error:
        image = shot.href.partition("?")[0]
        message = f"{image}, of the item {shot.item}, cannot be read ({error}). Try again, or leave it out."
        raise BadInput("images", message) from None
    values = next(iter(found.data_vars.values())).values[0]
    if shot.nodata is not None:  # odc-stac goes by the file's own alone
        values = np.where(values == np.float32(shot.nodata), np.float32(np.nan), values)
    gain, offset = shot.scale
    return values if (gain, offset) == (1.0, 0.0) else values * np.float32(gain) + np.float32(offset)


def _as_item(shot: Shot) -> "pystac.Item":
    """The least that odc-stac needs, so that it sees nothing that was not checked."""
    import pystac

    grid = shot.grid
    code = grid.crs.to_epsg()
    place = {"proj:epsg": code} if code else {"proj:epsg": None, "proj:wkt2": grid.crs.to_wkt()}
    place |= {"proj:shape": [grid.height, grid.width], "proj:transform": list(grid.transform)[:6]}
    footprint = transform_geom(grid.crs, "EPSG:4326", mapping(box(*grid.bounds)))
    when = shot.time.astype("datetime64[us]").item()
    item = pystac.Item(shot.item, footprint, None, when, {**place})
    item.stac_extensions = [f"https://stac-extensions.github.io/{name}/v1.1.0/schema.json" for name in SAID]
    layers: list[dict[str, object]] = [{} for _ in range(shot.index)]
    item.add_asset("image", pystac.Asset(shot.href, None, None, "image/tiff", ["data"], {"raster:bands": layers}))
    return item
