"""Were two images taken in one pass? A pass is cut into slices, and each slice is an image of a part."""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from sitscope.cube import names
from sitscope.errors import BadInput

MINUTES = 3
"""Slices of a pass follow one another within seconds, neighbouring orbits after minutes."""


def passes(array: xr.DataArray) -> Int[np.ndarray, " t"]:
    """For each date the number of its pass, from 0: dates of one orbit with less than MINUTES since the one before."""
    times = array.time.values
    orbit = array.pass_.values if "pass_" in array.coords else np.full(times.size, "")
    near = np.diff(times) < np.timedelta64(MINUTES, "m")
    same = (near & (orbit[1:] == orbit[:-1])) | (np.diff(times) == np.timedelta64(0))
    return np.concatenate([[0], np.cumsum(~same)]).astype("int64")


def refuse_doubles(array: xr.DataArray, band: str) -> None:
    """BadInput where two dates are of one pass, with the option that puts them together."""
    of = passes(array)
    same = np.flatnonzero(np.diff(of) == 0)
    if not same.size:
        return
    at = int(same[0])
    first, second = array.time.values[at : at + 2]
    called = array.named.values if "named" in array.coords else [f"position {i}" for i in range(of.size)]
    when = "have the date " + names.iso(first)
    when = when if first == second else f"are of one pass, {names.iso(first)} and {names.iso(second)}"
    more = f" (and {same.size - 1} more like them)" if same.size > 1 else ""
    raise BadInput(
        "images",
        f"two images of band {band} {when}: {called[at]} and {called[at + 1]}{more}. Keep one of them, or mosaic the "
        "two: doubles='mosaic'.",
    )


def mosaicked(values: Float[np.ndarray, "t c h w"], of: Int[np.ndarray, " t"]) -> Float[np.ndarray, "p c h w"]:
    """One image per pass: of each pixel the first one in which all bands are there, else the first.

    Where slices overlap, both were made from the same echoes, so a mean would not be a look more.

    >>> slices = np.array([[1, np.nan], [5, 2]], "float32").reshape(2, 1, 1, 2)
    >>> mosaicked(slices, np.array([0, 0])).ravel().tolist()
    [1.0, 2.0]
    """
    out = np.empty((of[-1] + 1, *values.shape[1:]), values.dtype)
    begun = np.full(of[-1] + 1, False)
    for image, number in zip(values, of, strict=True):
        if begun[number]:
            gap = np.isnan(out[number]).any(axis=0) & ~np.isnan(image).any(axis=0)
            out[number] = np.where(gap, image, out[number])
        else:
            out[number], begun[number] = image, True
    return out
