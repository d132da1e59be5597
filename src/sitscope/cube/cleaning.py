"""What is taken out of a cube, or put together, before anything is learned from it?

In this order: clouds by a mask, dark borders, slices of one pass, speckle. All lazy, and no value depends on chunks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict

import dask.array as da
import numpy as np
import xarray as xr

from sitscope.cube import borders, doubles, masks, speckle
from sitscope.errors import BadInput


class Options(TypedDict, total=False):
    """Plain words and numbers, so that another process opens the same cube."""

    mask: str | None
    """the mask among the bands, or a file or glob of masks on the grid and dates of the images"""
    mask_values: Sequence[int | str] | None
    """what in it means no measurement; for SCL and for masks of 0 and 1 it is known: see `masks.chosen_values`"""
    border_noise: float | None
    """dB below which dark patches are borders of a radar image, on no date by default; below water, such as -35"""
    border_pixels: int
    """pixels around borders and patches of nodata that go with them"""
    doubles: str | None
    """"mosaic" puts slices of one pass together, the first valid pixel on top"""
    speckle: str | None
    """"temporal" (Quegan and Yu 2001) or "boxcar", in linear power"""
    window: int
    """odd number of pixels along the side of the filter's window"""


@dataclass(frozen=True)
class Cleaning:
    """`Options`, checked."""

    mask: str | None = None
    mask_values: tuple[str | int, ...] | None = None
    border_noise: float | int | None = None
    border_pixels: int = 0
    doubles: str | None = None
    speckle: str | None = None
    window: int = 7


NOTHING = Cleaning()


def cleaning(options: Mapping[str, Any]) -> Cleaning:
    """The options as given; BadInput for one that cannot be meant.

    >>> cleaning({"speckle": "temporal", "mask": None}).window
    7
    """
    unknown = sorted(set(options) - set(Options.__annotations__))
    if unknown:
        raise TypeError(f"open_cube has no option {unknown[0]!r}")
    given = {key: value for key, value in options.items() if value is not None}
    if "mask_values" in given:
        given["mask_values"] = tuple(given["mask_values"])
    how = Cleaning(**given)
    if how.mask_values is not None and how.mask is None:
        raise BadInput("mask_values", f"{how.mask_values} are values of no mask. Name it too: mask='CLM'.")
    if how.doubles not in (None, "mosaic"):
        raise BadInput("doubles", f"{how.doubles!r} is no way to put slices together. Give 'mosaic', or leave it out.")
    if how.speckle not in (None, *speckle.FILTERS):
        raise BadInput("speckle", f"{how.speckle!r} is no filter. Give one of {', '.join(speckle.FILTERS)}.")
    if how.window < 3 or how.window % 2 == 0:
        raise BadInput("window", f"a window of {how.window} has no middle pixel and others. Give 3, 5, 7 or more.")
    if how.border_pixels < 0:
        raise BadInput("border_pixels", f"{how.border_pixels} pixels are too few. Give 0 or more.")
    return how


def refuse_without_radar(how: Cleaning, known: Mapping[str, str]) -> None:
    """BadInput for what is of radar images only, where no band is backscatter."""
    if "1" in known.values() and set(known.values()) == {"1"}:
        for option in ("speckle", "border_noise"):
            if getattr(how, option) is not None:
                remedy = f"Leave {option} out, or name the bands VV, VH, HH or HV."
                raise BadInput(option, f"{option} is of radar bands, and these are {', '.join(known)}. {remedy}")


def cleaned(
    cube: xr.DataArray, known: Mapping[str, str], how: Cleaning, mask: xr.DataArray | None, first: xr.DataArray
) -> xr.DataArray:
    """The cube (time, band, y, x), dB in radar bands, after all that was asked; as lazy, in the same blocks.

    first: a band as it was opened, which knows the pass of each date.
    """
    radar = np.array([known[band] != "1" for band in cube.band.values.tolist()])
    if mask is not None and how.mask is not None:
        values = masks.chosen_values(mask, how.mask, how.mask_values)
        plain = mask.drop_vars([name for name in mask.coords if name not in ("time", "y", "x")])
        away = masks.invalid(plain.chunk(dict(zip(("time", "y", "x"), _sizes(cube), strict=True))), values)
        cube = cube.copy(data=da.where(away.data[:, None], np.float32(np.nan), cube.data))
    if how.border_noise is not None or how.border_pixels:
        work = partial(_borders, radar=radar, below=how.border_noise, pixels=how.border_pixels)
        cube = cube.copy(data=_with_margin(work, cube.data, borders.REACH + how.border_pixels))
    if how.doubles == "mosaic":
        of = doubles.passes(first)
        _, starts = np.unique(of, return_index=True)
        if starts.size < of.size:
            lengths = ((starts.size,), *cube.data.chunks[1:])
            data = cube.data.map_blocks(doubles.mosaicked, of, chunks=lengths, dtype="float32", meta=_META)
            cube = cube.isel(time=starts).copy(data=data)
    if how.speckle is not None:
        work = partial(_speckle, radar=radar, how=how.speckle, window=how.window)
        cube = cube.copy(data=_with_margin(work, cube.data, how.window // 2))
    return cube


_META = np.empty((0, 0, 0, 0), "float32")


def _sizes(cube: xr.DataArray) -> tuple[Any, Any, Any]:
    time, _, y, x = cube.data.chunks
    return time, y, x


def _borders(values: np.ndarray, radar: np.ndarray, below: float | int | None, pixels: int) -> np.ndarray:
    out = values.copy()
    out[:, radar] = borders.without_borders(values[:, radar], below, pixels)
    if not radar.any():
        return borders.without_borders(values, None, pixels)
    # a date without its radar is no date: the other bands go too
    out[np.broadcast_to(np.isnan(out[:, radar]).all(axis=1)[:, None], out.shape)] = np.nan
    return out


def _speckle(values: np.ndarray, radar: np.ndarray, how: str, window: int) -> np.ndarray:
    out = values.copy()
    for band in np.flatnonzero(radar):
        out[:, band] = speckle.despeckled(values[:, band], how, window)
    return out


def _with_margin(work: Callable[[np.ndarray], np.ndarray], data: da.Array, reach: int) -> da.Array:
    """The work on every block with so many pixels around it as bear upon it; blocks come back as they were."""
    chunks = data.chunks
    small = {axis: -1 for axis in (2, 3) if len(chunks[axis]) > 1 and min(chunks[axis]) < reach}
    whole = data.rechunk(small) if small else data  # type: ignore[no-untyped-call]
    depth = {axis: reach if len(whole.chunks[axis]) > 1 else 0 for axis in (2, 3)}
    done = da.map_overlap(work, whole, depth=depth, boundary="none", dtype="float32", meta=_META)  # type: ignore[no-untyped-call]
    return done.rechunk(chunks)
