"""How is a function of series applied to every pixel of a cube of any size?"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Float32, Int, Shaped

BATCH = 4096
"""Series that the function sees at once: more only costs memory."""

# n series, c bands, t dates, h rows, w columns
Function = Callable[[Float[np.ndarray, "n c t"]], Shaped[np.ndarray, "n ..."]]


def over_pixels(
    fn: Function,
    cube: xr.DataArray,
    *,
    outputs: int | Mapping[str, int],
    dtype: Any = np.float32,
    missing: float | int = np.nan,
) -> xr.DataArray:
    """Apply a function of series (n, c, t) -> (n, ...) to each pixel: at once on arrays, lazily on dask.

    Args:
        fn: sees float32 series without gaps, at most 4096 at once, n >= 1; called from several threads on dask.
        cube: (time, band, y, x).
        outputs: what fn gives per series: a number k for (n, k), or names and sizes of its axes, {"dim": 2, "time": 61}
            for (n, 2, 61) and {} for (n,).
        dtype: of the result.
        missing: stands in the result where a pixel has a gap (NaN), which fn never sees; a whole dtype needs one.

    Returns:
        (y, x, *outputs) with the cube's y, x and spatial_ref; one axis alone is called output. Blocks along y and x are
        the cube's.

    >>> cube = xr.DataArray(np.arange(12, dtype="float32").reshape(3, 1, 2, 2), dims=("time", "band", "y", "x"))
    >>> over_pixels(lambda x: x.mean(axis=2), cube, outputs=1)[..., 0].values.tolist()
    [[4.0, 5.0], [6.0, 7.0]]
    """
    sizes = {"output": outputs} if isinstance(outputs, int) else dict(outputs)
    assert np.dtype(dtype).kind == "f" or not np.isnan(missing), "whole numbers have no NaN: give missing"
    # a part of a function and not one of its own: workers in other processes must find it by name
    block = partial(_over_block, fn=fn, shape=tuple(sizes.values()), dtype=np.dtype(dtype), missing=missing)
    whole = cube.chunk({"time": -1, "band": -1}) if cube.chunks else cube
    along = [name for name in cube.coords if {"time", "band"} & set(cube[name].dims)]
    # an axis of the result may be called time and have another size than the cube's
    series = whole.drop_vars(along).rename(time="series_time", band="series_band")
    found = xr.apply_ufunc(
        block,
        series,
        input_core_dims=[["series_band", "series_time"]],
        output_core_dims=[list(sizes)],
        dask="parallelized",
        output_dtypes=[dtype],
        dask_gufunc_kwargs={"output_sizes": sizes},
    )
    found.name, found.attrs = None, {}  # what fn gives is no backscatter in dB
    return found


def _over_block(
    values: Shaped[np.ndarray, "h w c t"], fn: Function, shape: tuple[int, ...], dtype: np.dtype, missing: float | int
) -> Shaped[np.ndarray, "h w ..."]:
    """One block, whatever its rows and columns."""
    out = np.full((values.shape[0] * values.shape[1], *shape), missing, dtype)
    for here, x in batches(values):
        out[here] = fn(x)
    return out.reshape(*values.shape[:2], *shape)


def batches(
    values: Shaped[np.ndarray, "h w c t"],
) -> Iterator[tuple[Int[np.ndarray, " n"], Float32[np.ndarray, "n c t"]]]:
    """Flat positions and series of the pixels of a block without a gap, at most BATCH at a time, row by row."""
    h, w, c, t = values.shape
    series = values.reshape(h * w, c, t)
    whole = np.flatnonzero(~np.isnan(series).any(axis=(1, 2)))
    for start in range(0, whole.size, BATCH):
        here = whole[start : start + BATCH]
        yield here, np.ascontiguousarray(series[here], dtype="float32")
