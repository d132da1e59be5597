"""Filling a cube is the same at once, lazily, and in other processes."""

import numpy as np
import pytest
import xarray as xr

from sitscope.cube.gaps import fill_cube, filled_in_time


def cube() -> xr.DataArray:
    values = np.random.default_rng(0).normal(-12, 2, (6, 2, 5, 7)).astype(np.float32)
    values[np.random.default_rng(1).random(values.shape) < 0.4] = np.nan
    times = np.array(["2017-01-03", "2017-01-09", "2017-01-21", "2017-02-02", "2017-02-08", "2017-03-04"], "M8[ns]")
    coords = {"time": times, "band": ["VV", "VH"], "y": np.arange(5.0), "x": np.arange(7.0)}
    return xr.DataArray(values, coords, ("time", "band", "y", "x"), attrs={"units": "dB"})


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_a_lazy_cube_is_filled_alike_by_every_scheduler(scheduler: str) -> None:
    whole = cube()
    expected = fill_cube(whole)
    found = fill_cube(whole.chunk({"time": 2, "y": 2, "x": 3})).compute(scheduler=scheduler)
    xr.testing.assert_identical(found, expected)
    x = whole.transpose("y", "x", "band", "time").values.reshape(-1, 2, 6)
    known = ((~np.isnan(x)).sum(axis=2) >= 2).all(axis=1)
    slow = np.where(known[:, None, None], filled_in_time(x, whole.time.values), np.nan).reshape(5, 7, 2, 6)
    np.testing.assert_array_equal(expected.transpose("y", "x", "band", "time"), slow)
    assert np.isnan(slow).any()
    assert not np.isnan(slow).all()
