"""Cubes as archives have them, small."""

import numpy as np
import xarray as xr

ROWS, COLUMNS = 23, 17


def radar(values: np.ndarray, times: list[str] | None = None, units: str = "linear") -> xr.Dataset:
    """VV of (t, y, x) as an object that `open_cube` takes."""
    t, h, w = values.shape
    days = np.datetime64("2020-01-01T05:30:00", "ns") + 6 * np.arange(t) * np.timedelta64(1, "D")
    stamps = days if times is None else np.array(times, "datetime64[ns]")
    coords = {"time": stamps, "y": 4e6 - 10 * np.arange(h), "x": 5e5 + 10 * np.arange(w)}
    array = xr.DataArray(values.astype("float32"), coords, ("time", "y", "x"), attrs={"units": units})
    return xr.Dataset({"VV": array}).rio.write_crs("EPSG:32630")


def speckled(seed: int = 0, t: int = 12, looks: float = 4.0, gaps: float = 0.05) -> np.ndarray:
    """Linear power of two even halves under multiplicative noise of so many looks, some pixels missing."""
    rng = np.random.default_rng(seed)
    scene = np.where(np.arange(COLUMNS) < COLUMNS // 2, 0.1, 0.02)
    power = scene * rng.gamma(looks, 1 / looks, (t, ROWS, COLUMNS))
    power[rng.random(power.shape) < gaps] = np.nan
    return power
