"""How do images on several grids come onto one, without a mean of decibels?

Backscatter is resampled in linear power: bilinear, or the mean of the pixels beneath where the new pixels are far
larger. Masks and classes take their nearest pixel. Pixels that only shift by whole pixels stay what they are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.overlap import compute_reproject_roi
from odc.geo.roi import roi_is_empty
from odc.geo.warp import rio_reproject
from xarray.backends import BackendArray
from xarray.core import indexing

from sitscope.cube.grid import Grid
from sitscope.cube.lazily import asked
from sitscope.cube.names import radar_band, units_in
from sitscope.cube.target import target
from sitscope.errors import BadInput

CATEGORIES = re.compile(
    r"(?:^|[^a-z])(?:scl|qa\w*|fmask|mask|class\w*|cloud\w*|label\w*|crop|dataset)(?:$|[^a-z])", re.I
)
"""Bands of numbers that name something, of which there is no mean."""
COARSE = 1.5
"""From this ratio of pixels on the mean of those beneath is taken: bilinear would look at four of them only."""
TILE = 256
"""Rows and columns of the new grid that are warped as one."""
BYTES = 64 * 2**20
"""Of a window of the images, read and warped at once."""

Bands = Mapping[str, xr.DataArray]


def onto_one(pieces: Sequence[Bands], asked: Mapping[str, Any], units: str | None) -> dict[str, xr.DataArray]:
    """One lazy (time, y, x) array per band on the grid asked for.

    Args:
        pieces: the bands of each grid, that of most images first; images of one time are mosaicked, the first on top.
        asked: any of crs ("EPSG:32630"), resolution (in the units of the crs), bbox (west, south, east, north in
            degrees) and like (an image or cube whose grid to take, or "most": that of most images). What is not said
            is as in most images, and all of them fit in.
        units: of backscatter, where the images do not say.

    Raises BadInput for a grid that cannot be, or that no image meets.
    """
    grids = [Grid.of(next(iter(piece.values()))) for piece in pieces]
    grid = target(grids, asked)
    bands = dict.fromkeys(band for piece in pieces for band in piece)
    return {band: _warped(band, [piece[band] for piece in pieces if band in piece], grid, units) for band in bands}


@dataclass(frozen=True)
class Part:
    """The images of one band on one grid, and how they come onto another."""

    source: xr.DataArray
    """(time, y, x), lazy, as stored"""
    place: GeoBox
    """where its pixels lie"""
    positions: tuple[int, ...]
    """of its dates among those of all parts"""
    decibel: bool
    """whether power has to be made of it first"""
    resampling: str
    """nearest, bilinear or average"""


def _warped(band: str, arrays: Sequence[xr.DataArray], grid: Grid, units: str | None) -> xr.DataArray:
    """The band's images on all grids as one array on this one; the very array where that is its grid."""
    if len(arrays) == 1 and Grid.of(arrays[0]).same(grid):
        return arrays[0]
    times = np.unique(np.concatenate([array.time.values for array in arrays]))
    there = GeoBox((grid.height, grid.width), grid.transform, str(grid.crs))
    parts = tuple(_part(band, array, there, times, units) for array in arrays)
    coords: dict[str, object] = {"time": times}
    for label in ("relative_orbit", "direction"):
        values = np.full(times.size, "", dtype=object)
        for array, part in reversed(list(zip(arrays, parts, strict=True))):
            _refuse_two_orbits(band, label, times, values, array[label].values, part.positions)
            values[list(part.positions)] = array[label].values
        coords[label] = ("time", values)
    said = sorted({str(unit) for array in arrays for unit in array.attrs.get("units", [])})
    lazy = indexing.LazilyIndexedArray(Warped(parts, there, times.size))
    found = xr.DataArray(xr.Variable(("time", "y", "x"), lazy, {"units": said}), coords | grid.coords(), name=band)
    found = found.rio.write_crs(grid.crs, inplace=True)
    stored = [array.encoding.get("preferred_chunks", {}) for array in arrays]
    # strips of the images are as wide as they are: then windows have to be, or each strip is unpacked for many
    strips = any(each.get("x", 0) >= array.sizes["x"] for each, array in zip(stored, arrays, strict=True))
    found.encoding["preferred_chunks"] = {
        "y": min(TILE, grid.height),
        "x": grid.width if strips else min(TILE, grid.width),
    }
    return found


def _refuse_two_orbits(
    band: str, label: str, times: np.ndarray, known: np.ndarray, new: np.ndarray, at: Sequence[int]
) -> None:
    for position, value in zip(at, new, strict=True):
        if known[position] and value and known[position] != value:
            both = f"{known[position]} and {value}"
            message = (
                f"images of {band} have the time {times[position]} and as {label} {both}. Take one: orbit='{value}'."
            )
            raise BadInput("orbit", message)


def _part(band: str, array: xr.DataArray, there: GeoBox, times: np.ndarray, units: str | None) -> Part:
    grid = Grid.of(array)
    here = GeoBox((grid.height, grid.width), grid.transform, str(grid.crs))
    fit = compute_reproject_roi(here, there)
    said = {units_in(str(unit)) for unit in array.attrs.get("units", [])}
    decibel = radar_band(band) is not None and (units_in(units) if units else next(iter(said), None)) == "dB"
    shifted = fit.paste_ok and fit.read_shrink == 1
    usual = "average" if fit.scale > COARSE else "bilinear"
    resampling = "nearest" if shifted or CATEGORIES.search(band) else usual
    positions = tuple(int(position) for position in np.searchsorted(times, array.time.values))
    return Part(array, here, positions, decibel and resampling != "nearest", resampling)


class Warped(BackendArray):
    """Images of a band on several grids in order of time, (t, y, x) float32 on one, warped where they are asked for."""

    def __init__(self, parts: tuple[Part, ...], place: GeoBox, dates: int) -> None:
        self.parts = parts
        self.place = place
        self.shape = (dates, *place.shape)
        self.dtype = np.dtype("float32")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return asked(key, self.shape, self._read)

    def _read(self, times: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        out = np.full((times.size, rows.size, columns.size), np.nan, "float32")
        tiles = [(y, x) for y in _tiles(rows, self.shape[1]) for x in _tiles(columns, self.shape[2])]
        corner = tiles[0][0].start, tiles[0][1].start
        within = np.ix_(rows - corner[0], columns - corner[1])
        for part in self.parts:
            dates = [(i, part.positions.index(int(time))) for i, time in enumerate(times) if time in part.positions]
            for i, values in _onto(part, self.place, tiles, dates):
                out[i] = np.where(np.isnan(out[i]), values[within], out[i])
        return out


def _tiles(numbers: np.ndarray, size: int) -> list[slice]:
    """The tiles under these rows or columns. GDAL bends a tile along straight lines, so tiles must not depend on what
    is asked, or blocks of another size would have other values."""
    first, last = int(numbers.min()) // TILE, int(numbers.max()) // TILE
    return [slice(i * TILE, min((i + 1) * TILE, size)) for i in range(first, last + 1)]


def _onto(
    part: Part, place: GeoBox, tiles: Sequence[tuple[slice, slice]], dates: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, np.ndarray]]:
    """The dates of a part under tiles of the new grid, some at a time: pairs of their first number and values."""
    fits = [compute_reproject_roi(part.place, place[tile], padding=3).roi_src for tile in tiles]
    met = [(tile, roi) for tile, roi in zip(tiles, fits, strict=True) if not roi_is_empty(roi)]
    if not met or not dates:
        return
    north, west = (min(roi[axis].start for _, roi in met) for axis in (0, 1))
    south, east = (max(roi[axis].stop for _, roi in met) for axis in (0, 1))
    (top, left), (bottom, right) = ((tile[0], tile[1]) for tile in (tiles[0], tiles[-1]))
    at_once = max(1, BYTES // (4 * (south - north) * (east - west)))
    for start in range(0, len(dates), at_once):
        some = dates[start : start + at_once]
        with dask.config.set(scheduler="synchronous"):  # we are in a task already, if the images are dask's
            there = part.source.isel(y=slice(north, south), x=slice(west, east))
            stored = there.isel(time=[date for _, date in some]).values
        for (i, _), raw in zip(some, stored, strict=True):
            new = np.full((bottom.stop - top.start, right.stop - left.start), np.nan, "float32")
            for (y, x), roi in met:
                under = raw[roi[0].start - north : roi[0].stop - north, roi[1].start - west : roi[1].stop - west]
                at = slice(y.start - top.start, y.stop - top.start), slice(x.start - left.start, x.stop - left.start)
                new[at] = _warp(part, under, part.place[roi], place[y, x])
            yield i, new


def _warp(part: Part, raw: np.ndarray, place: GeoBox, window: GeoBox) -> np.ndarray:
    """One image, power while it is resampled."""
    values = raw.astype("float32")
    nodata = part.source.attrs.get("nodata")
    if nodata is not None:
        values[raw == nodata] = np.nan
    if part.decibel:
        values = 10 ** (values / 10)
    new = np.full(window.shape, np.nan, "float32")
    rio_reproject(values, new, place, window, part.resampling, src_nodata=np.nan, dst_nodata=np.nan)
    if part.decibel:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(new > 0, 10 * np.log10(new), np.float32(np.nan))
    return new
