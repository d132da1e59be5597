"""Do the images make a cube, and what is in it?"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sitscope.cube import cleaning, orbits
from sitscope.cube.grid import Grid
from sitscope.cube.names import few, iso
from sitscope.cube.reading import as_cube, open_bands
from sitscope.cube.together import shared
from sitscope.doctor.notebook import Notebook

GAP = 2.5
"""Times the usual step between dates, from which on a gap is told."""


@dataclass(frozen=True)
class Opened:
    """Images as they would be read, after all mistakes in the way were written down."""

    bands: dict[str, xr.DataArray]
    """(time, y, x), lazy, as stored"""
    known: dict[str, str]
    """units of each"""
    how: cleaning.Cleaning
    mask: xr.DataArray | None
    grid: Grid

    @property
    def first(self) -> xr.DataArray:
        """Any of the bands: all have the same dates and place."""
        return next(iter(self.bands.values()))

    def part(self, place: dict[str, Any]) -> xr.DataArray:
        """A piece of the cube (time, band, y, x), lazy; only the pixels of the piece are read for it."""
        cut = {band: array.isel(place) for band, array in self.bands.items()}
        mask = None if self.mask is None else self.mask.isel(place)
        return as_cube(cut, self.known, None, self.how, mask)


def examine_images(images: Any, options: dict[str, Any], note: Notebook) -> Opened | None:
    """Images by the options of `open_cube`; None where so much is wrong that there is no cube."""
    clean = {key: value for key, value in options.items() if key in cleaning.Options.__annotations__}
    how = note.tried(lambda: cleaning.cleaning(clean)) or cleaning.NOTHING
    units, bands, start, end, orbit = (options.get(name) for name in ("units", "bands", "start", "end", "orbit"))
    found = note.tried(lambda: open_bands(images, units, bands, start, end, orbit, how=how))
    if found is None:
        return None
    taken, known, mask = found
    if how.doubles is None:  # two of a date were refused above; the first of them goes on
        taken = shared(taken)
        mask = None if mask is None else shared({"mask": mask})["mask"]
    grid = note.tried(lambda: Grid.of(next(iter(taken.values()))))
    if grid is None:
        return None
    opened = Opened(taken, known, how, mask, grid)
    _warn_of_calendar(opened.first.time.values, note)
    return opened


def _warn_of_calendar(times: np.ndarray, note: Notebook) -> None:
    """Convolutions count dates, not days: a gap is a step like any other to them."""
    steps = np.diff(times) / np.timedelta64(1, "D")
    if steps.size < 3:
        return
    usual = float(np.median(steps))
    wide = np.flatnonzero(steps > GAP * usual)
    if wide.size:
        gaps = few((f"{iso(times[i])[:10]} to {iso(times[i + 1])[:10]} ({steps[i]:.0f} days)" for i in wide), 4)
        note.warn(
            "images",
            f"the calendar has {wide.size} gaps beside a usual step of {usual:.3g} days: {gaps}. The network counts "
            "dates and not days: add images there, or compose all to even periods.",
        )


def facts_of_images(opened: Opened) -> dict[str, str]:
    """What a person looks for first: dates, orbits, bands, units, grid."""
    times, grid = opened.first.time.values, opened.grid
    west, south, east, north = grid.bounds
    passes = orbits.orbit_names(opened.first)
    said = "not said" if passes is None else ", ".join(f"{k} ({n} dates)" for k, n in Counter(passes.tolist()).items())
    steps = np.diff(times) / np.timedelta64(1, "D")
    every = f", usually every {np.median(steps):.3g} days" if steps.size else ""
    units = ", ".join(f"{band} {unit if unit != '1' else 'as it is'}" for band, unit in opened.known.items())
    return {
        "dates": f"{times.size}, {iso(times[0])} to {iso(times[-1])}{every}",
        "orbits": said,
        "bands and units": units,
        "grid": str(grid),
        "extent": f"west {west:.10g}, south {south:.10g}, east {east:.10g}, north {north:.10g}",
    }
