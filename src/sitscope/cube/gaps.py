"""What stands where a value is missing in time?"""

from functools import partial

import numpy as np
import xarray as xr
from jaxtyping import Float


def fill_cube(cube: xr.DataArray) -> xr.DataArray:
    """The cube with gaps filled in time as `sample(fill=True)` fills them; lazy where the cube is.

    cube: (time, band, y, x). Pixels with fewer than two values in a band have nothing to go by and stay missing.

    >>> times = np.array(["2017-01-03", "2017-01-09", "2017-01-15"], "datetime64[ns]")
    >>> values = np.array([1, np.nan, 3], "float32")[:, None, None, None]
    >>> cube = xr.DataArray(values, {"time": times}, ("time", "band", "y", "x"))
    >>> fill_cube(cube)[:, 0, 0, 0].values.tolist()
    [1.0, 2.0, 3.0]
    """
    axes = [["band", "time"]]
    # a part of a function and not one of its own: workers in other processes must find it by name
    block = partial(_filled_block, times=cube.time.values)
    whole = cube.chunk({"time": -1, "band": -1}) if cube.chunks else cube
    filled = xr.apply_ufunc(
        block, whole, input_core_dims=axes, output_core_dims=axes, dask="parallelized", output_dtypes=[np.float32]
    )
    return filled.transpose(*cube.dims).assign_attrs(cube.attrs)


def _filled_block(values: Float[np.ndarray, "h w c t"], times: np.ndarray) -> Float[np.ndarray, "h w c t"]:
    """One block, whatever its rows and columns."""
    x = values.reshape(-1, *values.shape[2:])
    enough = ((~np.isnan(x)).sum(axis=2) >= 2).all(axis=1)
    return np.where(enough[:, None, None], filled_in_time(x, times), np.float32(np.nan)).reshape(values.shape)


def filled_in_time(x: Float[np.ndarray, "n c t"], times: np.ndarray) -> Float[np.ndarray, "n c t"]:
    """Gaps (NaN) filled linearly between their neighbours in time; ends with the nearest value."""
    days = (times - times[0]) / np.timedelta64(1, "D")
    here = np.where(np.isnan(x), -1, np.arange(x.shape[2]))
    before = np.maximum.accumulate(here, axis=2)
    after = np.minimum.accumulate(np.where(here < 0, x.shape[2], here)[..., ::-1], axis=2)[..., ::-1]
    # an end without a neighbour on one side takes the other's; a series without any value stays NaN
    first = np.where(before < 0, after, before).clip(max=x.shape[2] - 1)
    last = np.where(after == x.shape[2], before, after).clip(min=0)
    span = days[last] - days[first]
    weight = np.where(span > 0, (days - days[first]) / np.where(span > 0, span, 1.0), 0.0)
    low, high = np.take_along_axis(x, first, 2), np.take_along_axis(x, last, 2)
    return np.where(here < 0, low + weight * (high - low), x).astype("float32")
