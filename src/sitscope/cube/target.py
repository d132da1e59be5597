"""Which grid shall all images come onto?"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform_bounds

from sitscope.cube.datasets import open_files
from sitscope.cube.grid import Grid, name
from sitscope.cube.layers import grid_of
from sitscope.cube.names import few
from sitscope.errors import BadInput

WORDS = ("crs", "resolution", "bbox", "like")
MOST = "most"
MOST_PIXELS = 2**17
"""Rows or columns of a grid: a mistake in the units of the resolution asks for more."""


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
