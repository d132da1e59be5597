"""How do images on several grids come onto one, without a mean of decibels?

Backscatter is resampled in linear power: bilinear, or the mean of the pixels beneath where the new pixels are far
larger. Masks and classes take their nearest pixel. Pixels that only shift by whole pixels stay what they are.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.overlap import compute_reproject_roi
from odc.geo.roi import roi_is_empty
from odc.geo.warp import rio_reproject
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform_bounds
from xarray.backends import BackendArray
from xarray.core import indexing

from sitscope.cube.datasets import open_files
from sitscope.cube.grid import Grid, name
from sitscope.cube.layers import grid_of
from sitscope.cube.names import few, radar_band, units_in
from sitscope.errors import BadInput

WORDS = ("crs", "resolution", "bbox", "like")
MOST = "most"
CATEGORIES = re.compile(
    r"(?:^|[^a-z])(?:scl|qa\w*|fmask|mask|class\w*|cloud\w*|label\w*|crop|dataset)(?:$|[^a-z])", re.I
)
"""Bands of numbers that name something, of which there is no mean."""
COARSE = 1.5
"""From this ratio of pixels on the mean of those beneath is taken: bilinear would look at four of them only."""
BYTES = 64 * 2**20
"""Of a window of the images, read and warped at once."""
MOST_PIXELS = 2**17
"""Rows or columns of a grid: a mistake in the units of the resolution asks for more."""

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


def target(grids: Sequence[Grid], asked: Mapping[str, Any]) -> Grid:
    """The grid that is asked for, around all grids there are; the first of them says what is not asked.

    >>> crs = CRS.from_epsg(32630)
    >>> near, far = (Grid(crs, Affine(10, 0, west, 0, -10, 4e6), 8, 10) for west in (5e5, 500_200))
    >>> print(target([near, far], {"resolution": 20}))
    4 x 15 pixels of 20 x 20, upper left corner 500000, 4000000, EPSG:32630
    """
    unknown = [word for word in asked if word not in WORDS]
    if unknown or not asked:
        raise BadInput("grid", f"a grid knows no {few(unknown) or 'nothing'}, only {few(WORDS)}. Say one of these.")
    like = asked.get("like")
    if like is not None and (asked.get("crs") is not None or asked.get("resolution") is not None):
        raise BadInput("like", f"{like} has a crs and a resolution already. Leave like out, or the other two.")
    if like is not None:
        grid = grids[0] if like == MOST else _grid_at(str(like))
        bounds = grid.bounds
    else:
        grid = _spaced(grids[0], asked)
        edges = np.array([_bounds(each, grid.crs) for each in grids])
        bounds = (*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0))
    if asked.get("bbox") is not None:
        bounds = _within(bounds, asked["bbox"], grid.crs)
    return _covering(grid, bounds)


def _spaced(most: Grid, asked: Mapping[str, Any]) -> Grid:
    """Crs, size and phase of pixels; how many there are is not meant."""
    crs, size = most.crs, asked.get("resolution")
    if asked.get("crs") is not None:
        try:
            crs = CRS.from_user_input(asked["crs"])
        except CRSError as error:
            message = f"{asked['crs']!r} is no coordinate reference system ({error}). Name one, as in EPSG:32630."
            raise BadInput("crs", message) from None
    if size is None and crs == most.crs:
        return Grid(crs, most.transform, 1, 1)
    if size is None:
        there = GeoBox((most.height, most.width), most.transform, str(most.crs)).to_crs(str(crs)).resolution
        return Grid(crs, Affine(abs(there.x), 0, 0, 0, -abs(there.y), 0), 1, 1)
    if not isinstance(size, int | float) or not math.isfinite(size) or size <= 0:
        raise BadInput("resolution", f"{size!r} is no size of pixels. Give a number above 0 in units of {name(crs)}.")
    t = most.transform
    if crs == most.crs and math.isclose(size, abs(t.a)) and math.isclose(size, abs(t.e)):
        return Grid(crs, t, 1, 1)
    return Grid(crs, Affine(float(size), 0, 0, 0, -float(size), 0), 1, 1)


def _grid_at(path: str) -> Grid:
    if not Path(path).exists():
        raise BadInput("like", f"{path} does not exist. Name an image or a Zarr cube, or say most.")
    if Path(path).is_dir() or Path(path).suffix.lower() in (".nc", ".nc4", ".cdf", ".h5", ".hdf5"):
        return Grid.of(next(iter(open_files([path], None).values())))
    return grid_of(path)


def _bounds(grid: Grid, crs: CRS) -> tuple[float, float, float, float]:
    try:
        found = transform_bounds(grid.crs, crs, *grid.bounds)
    except (CRSError, RasterioError) as error:
        found = (math.nan, math.nan, math.nan, math.nan)
        reason = f" ({error})"
    else:
        reason = ""
    if not np.isfinite(found).all():
        remedy = "Choose a crs that covers them."
        raise BadInput("crs", f"images on {grid} have no place in {name(crs)}{reason}. {remedy}")
    return found


def _within(bounds: Sequence[float], bbox: Any, crs: CRS) -> tuple[float, float, float, float]:
    numbers = list(bbox) if isinstance(bbox, Sequence) and not isinstance(bbox, str) else []
    if len(numbers) != 4 or not all(isinstance(number, int | float) for number in numbers):
        raise BadInput("bbox", f"{bbox!r} is no box. Give west, south, east, north in degrees, as in [-6, 37, -5, 38].")
    west, south, east, north = numbers
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise BadInput("bbox", f"{bbox!r} is not west, south, east, north in degrees. Order and range are not these.")
    asked = transform_bounds("EPSG:4326", crs, *numbers)
    found = (*np.maximum(bounds[:2], asked[:2]), *np.minimum(bounds[2:], asked[2:]))
    if not (np.isfinite(found).all() and found[0] < found[2] and found[1] < found[3]):
        there = ", ".join(f"{value:.6g}" for value in transform_bounds(crs, "EPSG:4326", *bounds))
        raise BadInput("bbox", f"no image meets {list(numbers)}; they cover {there}. Choose a box within.")
    return found


def _covering(grid: Grid, bounds: Sequence[float]) -> Grid:
    """Whole pixels of the grid, those that touch the bounds by more than a hundredth."""
    t, (west, south, east, north) = grid.transform, bounds
    columns = sorted(((west - t.c) / t.a, (east - t.c) / t.a))
    rows = sorted(((south - t.f) / t.e, (north - t.f) / t.e))
    left, top = (math.floor(low + 0.01) for low in (columns[0], rows[0]))
    width, height = math.ceil(columns[1] - 0.01) - left, math.ceil(rows[1] - 0.01) - top
    if max(width, height) > MOST_PIXELS or min(width, height) < 1:
        size = f"{height} x {width} pixels of {abs(t.a):g} in {name(grid.crs)}"
        raise BadInput("resolution", f"the grid asked for has {size}. Give the resolution in units of the crs.")
    return Grid(grid.crs, Affine(t.a, 0, t.c + left * t.a, 0, t.e, t.f + top * t.e), height, width)


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
        "y": min(256, grid.height),
        "x": grid.width if strips else min(256, grid.width),
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
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[int | slice | np.ndarray, ...]) -> np.ndarray:
        times, rows, columns = (np.arange(n)[k] for k, n in zip(key, self.shape, strict=True))
        lacking = tuple(0 if np.ndim(axis) == 0 else slice(None) for axis in (times, rows, columns))
        times, rows, columns = np.atleast_1d(times), np.atleast_1d(rows), np.atleast_1d(columns)
        out = np.full((times.size, rows.size, columns.size), np.nan, "float32")
        if out.size:
            window = self.place[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            within = np.ix_(rows - rows.min(), columns - columns.min())
            for part in self.parts:
                asked = [i for i, time in enumerate(times) if int(time) in part.positions]
                for i, values in _onto(part, window, [(i, part.positions.index(int(times[i]))) for i in asked]):
                    out[i] = np.where(np.isnan(out[i]), values[within], out[i])
        return np.asarray(out[lacking])


def _onto(part: Part, window: GeoBox, dates: Sequence[tuple[int, int]]) -> Any:
    """The dates of a part under a window of the new grid, some at a time: pairs of their first number and values."""
    fit = compute_reproject_roi(part.place, window, padding=3)
    if roi_is_empty(fit.roi_src) or not dates:
        return
    y, x = fit.roi_src
    place = part.place[y, x]
    at_once = max(1, BYTES // (4 * place.shape[0] * place.shape[1]))
    for start in range(0, len(dates), at_once):
        some = dates[start : start + at_once]
        with dask.config.set(scheduler="synchronous"):  # we are in a task already, if the images are dask's
            stored = part.source.isel(time=[date for _, date in some], y=y, x=x).values
        for (i, _), raw in zip(some, stored, strict=True):
            yield i, _warp(part, raw, place, window)


def _warp(part: Part, raw: np.ndarray, place: GeoBox, window: GeoBox) -> np.ndarray:
    """One image, power while it is resampled."""
    values = raw.astype("float32")
    nodata = part.source.attrs.get("nodata")
    if nodata is not None:
        values[raw == nodata] = np.nan
    if part.decibel:
        values = 10 ** (values / 10)
    new = np.full(window.shape, np.nan, "float32")
    # a tolerance of 0: else where a pixel comes from depends on the window around it
    nodata_is_nan: dict[str, Any] = {"src_nodata": np.nan, "dst_nodata": np.nan, "tolerance": 0}
    rio_reproject(values, new, place, window, part.resampling, **nodata_is_nan)
    if part.decibel:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(new > 0, 10 * np.log10(new), np.float32(np.nan))
    return new
