"""Do all images lie on one grid, and where is it?"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyproj
import rioxarray  # noqa: F401 - arrays gain .rio
import xarray as xr
from affine import Affine
from rasterio.crs import CRS

from sitscope.cube.names import few
from sitscope.errors import BadInput

T = TypeVar("T")


@dataclass(frozen=True)
class Grid:
    """Where the pixels of an image lie."""

    crs: CRS
    """coordinate reference system"""
    transform: Affine
    """pixel (column, row) to the system's units, from a corner of the image"""
    height: int
    """rows"""
    width: int
    """columns"""

    @classmethod
    def of(cls, cube: xr.DataArray) -> "Grid":
        """The grid of anything with rioxarray's coordinates y and x, whatever subset of it was taken."""
        # From the coordinates: a transform that a file left in spatial_ref is no longer that of a subset.
        y, x = cube.y.values.astype("float64"), cube.x.values.astype("float64")
        right = _spacing(x) or abs(_spacing(y)) or 1.0  # of a single pixel only the centre is known, and needed
        down = _spacing(y) or -right
        transform = Affine(right, 0.0, x[0] - right / 2, 0.0, down, y[0] - down / 2)
        return cls(cube.rio.crs, transform, cube.sizes["y"], cube.sizes["x"])

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        t = self.transform  # never rotated: refused when it is read
        (west, east), (south, north) = sorted((t.c, t.c + t.a * self.width)), sorted((t.f, t.f + t.e * self.height))
        return west, south, east, north

    def same(self, other: "Grid") -> bool:
        """Equal but for rounding: no corner off by more than a hundredth of a pixel."""
        if self.crs != other.crs or (self.height, self.width) != (other.height, other.width):
            return False
        pixel = np.abs([self.transform.a, self.transform.e, self.transform.a, self.transform.e])
        return bool((np.abs(np.subtract(self.bounds, other.bounds)) < 0.01 * pixel).all())

    def coords(self) -> dict[str, np.ndarray]:
        """The centres of the pixels along y and x."""
        t = self.transform
        return {"y": t.f + t.e * (np.arange(self.height) + 0.5), "x": t.c + t.a * (np.arange(self.width) + 0.5)}

    def __str__(self) -> str:
        west, _, _, north = self.bounds
        size = f"{self.height} x {self.width} pixels of {abs(self.transform.a):g} x {abs(self.transform.e):g}"
        return f"{size}, upper left corner {west:.10g}, {north:.10g}, {name(self.crs)}"


def _spacing(values: np.ndarray) -> float:
    return float(values[-1] - values[0]) / max(1, values.size - 1)


def name(crs: CRS | pyproj.CRS) -> str:
    """EPSG:32631 rather than a page of WKT."""
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.to_dict() or crs.to_wkt())[:80]


def one_grid(images: Iterable[tuple[str, Grid]]) -> Grid:
    """The grid that all images share; BadInput with both grids and the first offender where they do not."""
    grids = by_grid(images)
    if len(grids) > 1:
        (most, usual), (other, odd) = grids[0], grids[1]
        what = "coordinate reference systems" if most.crs != other.crs else "grids"
        raise BadInput(
            "images",
            f"the images lie on different {what}: {usual[0]} on {most}, but {few(odd, 2)} on {other}. "
            "Bring all to one (sitscope ingest --like most; in Python grid={'like': 'most'}), or leave the others out.",
        )
    return grids[0][0]


def by_grid(images: Iterable[tuple[T, Grid]]) -> list[tuple[Grid, list[T]]]:
    """The images on each grid, that of most images first."""
    grids: list[tuple[Grid, list[T]]] = []
    for image, grid in images:
        members = next((members for known, members in grids if known.same(grid)), None)
        grids.append((grid, [image])) if members is None else members.append(image)
    return sorted(grids, key=lambda each: -len(each[1]))
