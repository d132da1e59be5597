"""Were all images taken from one orbit? From another, the same field looks different on every date."""

from collections import Counter

import numpy as np
import xarray as xr

from sitscope.cube.names import few
from sitscope.errors import BadInput

MINUTES_APART = 3.0
"""Passes of one orbit come within seconds of the same time of day, those of its neighbours minutes away."""


def labelled(array: xr.DataArray) -> xr.DataArray:
    """The same with a coordinate `pass_`: what tells the orbit of each date, tagged or by the time of day."""
    relative, direction = (array[name].values.astype(str) for name in ("relative_orbit", "direction"))
    labels = relative if any(relative) else clock_groups(array.time.values)
    both = len(set(direction)) > 1 or not any(labels)
    if both:
        labels = np.array([f"{one} {other}".strip() for one, other in zip(labels, direction, strict=True)], object)
    return array.assign_coords(pass_=("time", np.asarray(labels, dtype=object)))


def clock_groups(times: np.ndarray) -> np.ndarray:
    """For each time, the earliest time of day of its group, as 17:32; "" where all fall together or none is given."""
    seconds = (times.astype("datetime64[s]") - times.astype("datetime64[D]")).astype(int)
    none = np.full(times.size, "", dtype=object)
    distinct = np.unique(seconds)
    if not distinct.any():
        return none
    gaps = np.diff(np.append(distinct, distinct[0] + 86400))  # around midnight too
    starts = np.flatnonzero(gaps > 60 * MINUTES_APART) + 1
    if starts.size < 2:
        return none
    firsts = distinct[starts % distinct.size]
    own = [firsts[np.argmin((second - firsts) % 86400)] for second in seconds]
    return np.array([f"{first // 3600:02d}:{first % 3600 // 60:02d}" for first in own], dtype=object)


def select_orbit(array: xr.DataArray, orbit: str) -> xr.DataArray:
    """The dates of one orbit, named by relative orbit, direction or group; BadInput where there is none."""
    names = {"asc": "ascending", "desc": "descending"}
    wanted = names.get(orbit.lower(), orbit.lower())
    columns = [array[name].values.astype(str) for name in ("relative_orbit", "direction", "pass_")]
    chosen = np.any([np.char.lower(column.astype(str)) == wanted for column in columns], axis=0)
    if not chosen.any():
        there = [name for column in columns for name in _counts(column)]
        found = few(dict.fromkeys(there)) or "no image says its orbit"
        raise BadInput("orbit", f"no image is from orbit {orbit!r}; there are: {found}. Name one of these.")
    return array.isel(time=np.flatnonzero(chosen))


def refuse_mixed(array: xr.DataArray) -> None:
    """BadInput with the counts where the dates come from more than one orbit."""
    passes = array.pass_.values
    if len(set(passes)) > 1:
        one = next((name for name, _ in Counter(passes).most_common() if name), "")
        counts = few(_counts(passes), 6)
        raise BadInput(
            "orbit",
            f"images of different orbits are mixed: {counts}. Take one, as in orbit={one!r}, "
            "or keep each orbit in a folder of its own.",
        )


def _counts(names: np.ndarray) -> list[str]:
    counted = Counter(str(name) for name in names)
    alone = list(counted) == [""]
    return [] if alone else [f"{name or 'not said'} ({n} dates)" for name, n in sorted(counted.items())]


def orbit_names(array: xr.DataArray) -> np.ndarray | None:
    """What the tags say of each date's orbit, relative before direction; None where they are silent."""
    for name in ("relative_orbit", "direction"):
        values = array[name].values.astype(str)
        if any(values):
            return values
    return None
