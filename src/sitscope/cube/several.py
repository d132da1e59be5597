"""Which series of several sensors belong to the same pixel, and to which crop?

n series, c bands and t dates of a sensor.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pyproj
import xarray as xr
from jaxtyping import Bool, Int

from sitscope.cube.fields import Fields
from sitscope.cube.grid import Grid, name
from sitscope.cube.names import iso
from sitscope.cube.sampling import refuse_one_class, sample, without_gaps
from sitscope.errors import BadInput


def sample_sensors(
    cubes: Mapping[str, xr.DataArray], fields: Fields, *, label: str = "crop", fill: bool = False, **options: Any
) -> dict[str, xr.Dataset]:
    """Take the series of every sensor for the pixels of the first one whose centres lie in fields.

    Of the other cubes, which may have another reference system, grid, resolution and dates, it is the pixel under the
    centre of the first one's: nothing is interpolated. So the finest cube comes first; of a cube that is finer than the
    first, one pixel in many is taken.

    Args:
        cubes: by name, as `open_cube` gives them.
        fields, label, fill, options: as in `sample`. Gaps are filled within each sensor; without `fill` a pixel with a
            gap in any sensor is left out of all.

    Returns:
        By name, what `sample` returns, row i of each for one pixel: x (series, band, time) in the units of its cube,
        label, field, row and col (in the first cube), missing (time) and with fill filled (series, time). Attributes
        besides those of `sample`: dropped of all sensors together, and outside, pixels that lie beside this cube.

    Raises:
        BadInput: as `sample`, and where the cubes lie nowhere together in space or in time, or no pixel has a whole
            series in each.

    >>> import geopandas, shapely
    >>> def flat(dates: list[str], pixel: float, bands: list[str]) -> xr.DataArray:
    ...     at = np.arange(pixel / 2, 40, pixel)
    ...     coords = {"time": np.array(dates, "datetime64[ns]"), "band": bands, "y": at[::-1], "x": at}
    ...     shape = tuple(len(values) for values in coords.values())
    ...     return xr.DataArray(np.zeros(shape, "float32"), coords).rio.write_crs("EPSG:32630")
    >>> shapes = [shapely.box(0, 0, 20, 40), shapely.box(20, 0, 40, 40)]
    >>> fields = geopandas.GeoDataFrame({"crop": ["Wheat", "Maize"]}, geometry=shapes, crs="EPSG:32630")
    >>> s1, s2 = flat(["2017-01-03", "2017-01-09", "2017-01-15"], 10, ["VV"]), flat(["2017-01-08"], 20, ["B4", "B8"])
    >>> {name: found.x.shape for name, found in sample_sensors({"s1": s1, "s2": s2}, fields).items()}
    {'s1': (16, 1, 3), 's2': (16, 2, 1)}
    """
    if not cubes:
        raise BadInput("sensors", "there is no sensor. Give a cube of one or more, each with its name.")
    _refuse_other_times(cubes)
    (first, cube), *others = cubes.items()
    base = _named(first, lambda: sample(cube, fields, label=label, fill=fill, **options))
    base = base.assign_coords(series=np.arange(base.sizes["series"]))
    found, whole = {first: base.assign_attrs(outside=0)}, np.ones(base.sizes["series"], bool)
    for other, another in others:
        there, inside = _under(base, cube, another, first, other)
        kept = _named(other, partial(without_gaps, there, fill))
        found[other] = kept.assign_attrs(outside=int((~inside).sum()))
        mine = np.zeros(len(whole), bool)
        mine[kept.series.values] = True
        whole &= mine
    if not whole.any():
        gaps = ", ".join(f"{one} {each.attrs['dropped']}" for one, each in found.items())
        remedy = "Give images with fewer gaps, or fill them linearly in time: fill=True."
        raise BadInput("images", f"no pixel has a whole series in every sensor; left out for gaps: {gaps}. {remedy}")
    left = base.isel(series=np.flatnonzero(whole & (base.label.values != "")))
    first_of = np.unique(left.field.values, return_index=True)[1]
    refuse_one_class(left.label.values[first_of].tolist(), label, "have whole series in every sensor")
    dropped = base.attrs["dropped"] + int((~whole).sum())
    rows = np.flatnonzero(whole)
    return {one: each.sel(series=rows).assign_attrs(dropped=dropped) for one, each in found.items()}


def _named(sensor: str, taken: Callable[[], xr.Dataset]) -> xr.Dataset:
    """What is wrong with the images of one sensor, with its name."""
    try:
        return taken()
    except BadInput as error:
        if error.argument != "images":
            raise
        raise BadInput("images", f"sensor {sensor}: {error.message}") from None


def _refuse_other_times(cubes: Mapping[str, xr.DataArray]) -> None:
    """Series of other years are no series of one season."""
    for (one, a), (other, b) in combinations(cubes.items(), 2):
        if a.time.values[0] > b.time.values[-1] or b.time.values[0] > a.time.values[-1]:
            spans = " and ".join(
                f"{who} from {iso(cube.time.values[0])} to {iso(cube.time.values[-1])}"
                for who, cube in ((one, a), (other, b))
            )
            raise BadInput("sensors", f"the dates do not overlap: {spans}. Give images of one season.")


def _under(
    base: xr.Dataset, cube: xr.DataArray, other: xr.DataArray, first: str, second: str
) -> tuple[xr.Dataset, Bool[np.ndarray, " n"]]:
    """The series of another cube under the centres of the pixels taken, and which of these lie in it."""
    mine, grid = Grid.of(cube), Grid.of(other)
    x, y = cube.x.values[base.col.values], cube.y.values[base.row.values]
    x, y = pyproj.Transformer.from_crs(mine.crs, grid.crs, always_xy=True).transform(x, y)
    rows, columns = _pixel(np.asarray(x), np.asarray(y), grid)
    inside = (rows >= 0) & (rows < grid.height) & (columns >= 0) & (columns < grid.width)
    if not inside.any():
        where = ", ".join(f"{value:.8g}" for value in grid.bounds)
        place = f"{np.nanmin(x):.8g} to {np.nanmax(x):.8g}, {np.nanmin(y):.8g} to {np.nanmax(y):.8g}"
        raise BadInput(
            "sensors",
            f"no pixel of {first} in the fields lies in {second} (west, south, east, north {where} in "
            f"{name(grid.crs)}; the pixels lie at {place}). Give images of one place.",
        )
    at = {"y": xr.DataArray(rows[inside], dims="series"), "x": xr.DataArray(columns[inside], dims="series")}
    values = other.isel(at).transpose("series", "band", "time").drop_vars(["y", "x", "spatial_ref"], errors="ignore")
    kept = base[["label", "field", "row", "col"]].isel(series=np.flatnonzero(inside)).drop_attrs()
    found = xr.Dataset({"x": values.astype("float32").compute(), **{key: kept[key] for key in kept}})
    return found.assign_attrs(units=other.attrs.get("units", "")), inside


def _pixel(x: np.ndarray, y: np.ndarray, grid: Grid) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Row and column in which these places lie; -1 for what has no place there."""
    t = grid.transform  # never rotated: refused when it is read
    at = np.stack([(y - t.f) / t.e, (x - t.c) / t.a])
    rows, columns = np.floor(np.where(np.isfinite(at), at, -1)).astype(np.int64)
    return rows, columns
