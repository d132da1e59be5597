"""Is every band there on every date?"""

from functools import reduce

import numpy as np
import xarray as xr

from sitscope.cube.names import few, iso
from sitscope.errors import BadInput


def require_every(bands: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """The same, of which every band is there on every date; else BadInput."""
    every = np.unique(np.concatenate([array.time.values for array in bands.values()]))
    for band, array in bands.items():
        missing = np.setdiff1d(every, array.time.values)
        if missing.size:
            others = [other for other in bands if other != band]
            raise BadInput(
                "images",
                f"band {band} is missing on {missing.size} of {every.size} dates: {few(map(iso, missing))}. "
                f"Add these images, take their other bands away too, or leave the band out: bands={others}.",
            )
    return bands


def shared(bands: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """All bands on the dates that they share, each once; the first alone where they share none."""
    dates = reduce(np.intersect1d, [array.time.values for array in bands.values()])
    if not dates.size:
        return dict(list(bands.items())[:1])
    return {band: array.isel(time=_firsts(array.time.values, dates)) for band, array in bands.items()}


def _firsts(times: np.ndarray, dates: np.ndarray) -> np.ndarray:
    """Where each of the dates is first."""
    once, positions = np.unique(times, return_index=True)
    return np.sort(positions[np.isin(once, dates)])
