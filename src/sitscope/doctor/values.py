"""What do the images hold, as far as a look at some pixels tells?"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from sitscope.autoencoder.training import scaling
from sitscope.cube import borders
from sitscope.cube.names import few, iso
from sitscope.cube.sampling import refuse_one_class, without_gaps
from sitscope.doctor.fields import Drawn
from sitscope.doctor.images import Opened
from sitscope.doctor.notebook import Notebook
from sitscope.errors import BadInput

BUDGET = 256 * 2**20
"""Bytes of values that are looked at, at most."""
SIDE = 96
"""Pixels along y and x of a window that is looked at in large images."""
LOST = 0.2
"""Share of nodata from which on a date is told."""
USUAL_DB = (-35.0, 5.0)
"""Where the median of backscatter in dB lies, of land and of water."""
DARK_DB = -35.0
"""Darker than water: what is so over patches is the border of an image."""
DARK_SHARE = 0.001
ZERO_SHARE = 0.01

Progress = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Looked:
    """What was seen."""

    times: np.ndarray
    orbits: list[str]
    missing: Float[np.ndarray, " t"]
    """share of pixels without a value in some band, of those with any value; of the fields where there are any"""
    pixels: int
    """pixels looked at"""
    whole: bool
    """whether these are all"""


def look(opened: Opened, drawn: Drawn | None, fill: bool, note: Notebook, progress: Progress) -> Looked | None:
    """Windows through all dates: all of a small cube, of a large one BUDGET at most, where fields are."""
    good = _readable(opened, note, progress)
    if good is None:
        return None
    places, whole = _places(opened, drawn)
    seen, dark, owners = [], [], []
    cube: xr.DataArray | None = None
    for done, place in enumerate(places):
        part = note.tried(partial(_values, good, place))
        progress("looking at pixels", done + 1, len(places))
        if part is None:
            return None
        cube = part
        values = part.values.transpose(2, 3, 1, 0)  # (y, x, c, t)
        dark.append(_dark(part, good))
        seen.append(values.reshape(-1, *values.shape[2:]))
        if drawn is not None:
            owners.append(drawn.owner[place["y"], place["x"]].ravel())
    assert cube is not None, "there is a window at least"
    x = np.concatenate(seen)
    _warn_of_values(x, cube, good, np.stack(dark), note)
    times = cube.time.values
    if drawn is not None:
        inside, labels = _inside(drawn, np.concatenate(owners))
        if inside.any():
            x = x[inside]
            _examine_series(x, labels, cube, fill, whole, note)
    gaps = np.isnan(x)
    there = ~gaps.all(axis=(1, 2))
    missing = gaps.any(axis=1)[there] if there.any() else gaps.any(axis=1)
    share = missing.mean(axis=0)
    _warn_of_nodata(share, times, fill, note)
    orbit = [str(name) for name in cube.orbit.values] if "orbit" in cube.coords else [""] * times.size
    return Looked(times, orbit, share, sum(len(each) for each in seen), whole)


def _inside(drawn: Drawn, owner: Int[np.ndarray, " n"]) -> tuple[Bool[np.ndarray, " n"], list[str]]:
    """Which of these pixels would be sampled, and the labels of these where labels are known."""
    named = drawn.kept if drawn.labels is None else drawn.kept & np.array([bool(label) for label in drawn.labels])
    inside = np.append(named, False)[owner]  # -1 takes the last
    return inside, [] if drawn.labels is None else [drawn.labels[i] for i in owner[inside]]


def _readable(opened: Opened, note: Notebook, progress: Progress) -> Opened | None:
    """The same without dates whose files end too early: the last pixel of each is read."""
    last = {"y": slice(-1, None), "x": slice(-1, None)}
    every = [partial(_pixels, array, last) for array in opened.bands.values()]
    try:
        for read in every:  # in one go, which is all that most images need
            read()
        return opened
    except BadInput:
        dates = opened.first.sizes["time"]
    good = []
    for i in range(dates):
        reads = [partial(_pixels, array, last | {"time": i}) for array in opened.bands.values()]
        came = [note.tried(read) is not None for read in reads]
        if all(came):
            good.append(i)
        progress("reading a pixel of each date", i + 1, dates)
    if not good:
        return None
    mask = None if opened.mask is None else opened.mask.isel(time=good)
    bands = {band: array.isel(time=good) for band, array in opened.bands.items()}
    return Opened(bands, opened.known, opened.how, mask, opened.grid)


def _pixels(array: xr.DataArray, place: dict[str, Any]) -> np.ndarray:
    return np.asarray(array.isel(place).values)


def _values(opened: Opened, place: dict[str, slice]) -> xr.DataArray:
    return opened.part(place).compute()


def _places(opened: Opened, drawn: Drawn | None) -> tuple[list[dict[str, slice]], bool]:
    """Windows, and whether together they are the whole."""
    rows, columns = opened.grid.height, opened.grid.width
    pixel = 4 * len(opened.bands) * opened.first.sizes["time"]
    if rows * columns * pixel <= BUDGET:
        return [{"y": slice(0, rows), "x": slice(0, columns)}], True
    n = max(1, min(16, BUDGET // (pixel * SIDE**2)))
    if drawn is not None and drawn.pixels.size:
        centres = drawn.pixels[np.linspace(0, drawn.pixels.size - 1, n).astype(int)]
        spots = np.stack(np.divmod(centres, columns), axis=1)
    else:
        even = np.linspace(0.1, 0.9, n)
        spots = np.stack([even * rows, np.roll(even, n // 3) * columns], axis=1).astype(int)
    spots = np.unique(spots // SIDE, axis=0) * SIDE  # none twice
    return [{"y": slice(y, min(y + SIDE, rows)), "x": slice(x, min(x + SIDE, columns))} for y, x in spots], False


def _examine_series(
    x: np.ndarray, labels: list[str], cube: xr.DataArray, fill: bool, whole: bool, note: Notebook
) -> None:
    """What `sample` would say of gaps in these series, of which each has a label where labels are known."""
    coords = {"time": cube.time.values, "band": cube.band.values}
    series = xr.Dataset({"x": (("series", "band", "time"), x)}, coords).assign(at=("series", np.arange(len(x))))

    def step() -> None:
        left = without_gaps(series, fill)
        if labels:
            names = [labels[i] for i in left["at"].values]
            refuse_one_class(sorted(names), "label", "have a series without gaps")
        scaling(left.x.values, tuple(map(str, cube.band.values)))
        lost = left.attrs["dropped"] / len(x)
        if lost > LOST:
            remedy = "Fill gaps linearly in time (fill=True), or leave the worst dates out."
            note.warn("fill", f"{lost:.0%} of the series looked at have gaps and would be dropped. {remedy}")

    if whole:
        note.tried(step)
        return
    try:
        step()
    except BadInput as error:
        note.warn(error.argument, f"of the {len(x):,} series looked at: {error.message}")


def _warn_of_nodata(share: np.ndarray, times: np.ndarray, fill: bool, note: Notebook) -> None:
    bad = np.flatnonzero((share >= LOST) & (share < 1))
    if bad.size:
        dates = few((f"{iso(times[i])} ({share[i]:.0%})" for i in bad[np.argsort(-share[bad], kind="stable")]), 5)
        remedy = "" if fill else " Leave these out, or fill gaps linearly in time: fill=True."
        note.warn("images", f"{bad.size} of {times.size} dates lack a fifth of the pixels or more: {dates}.{remedy}")


def _dark(part: xr.DataArray, opened: Opened) -> Float[np.ndarray, " t"]:
    """Share of each date's values that lie in dark patches; 0 where that is looked after, or no band is radar."""
    radar = np.array([opened.known[str(band)] != "1" for band in part.band.values])
    if opened.how.border_noise is not None or not radar.any():
        return np.zeros(part.sizes["time"])
    values = part.values[:, radar]
    away = np.isnan(borders.without_borders(values, DARK_DB, 0)) & ~np.isnan(values)
    return away.mean(axis=(1, 2, 3))


def _warn_of_values(x: np.ndarray, cube: xr.DataArray, opened: Opened, dark: np.ndarray, note: Notebook) -> None:
    """Values that no backscatter has, and dark borders."""
    dates = dark.mean(axis=0)
    worst = np.flatnonzero(dates > DARK_SHARE)
    if worst.size:
        named = few((f"{iso(cube.time.values[i])} ({dates[i]:.1%})" for i in worst), 4)
        what = f"dark patches below {DARK_DB:g} dB, as at the borders of radar images, lie on {worst.size} dates"
        note.warn("border_noise", f"{what}: {named}. Take them out with border_noise={DARK_DB:g}.")
    for i, band in enumerate(map(str, cube.band.values)):
        values = x[:, i][~np.isnan(x[:, i])]
        if opened.known[band] == "1" or not values.size:
            continue
        middle, zeros = float(np.median(values)), float((values == 0).mean())
        if not USUAL_DB[0] <= middle <= USUAL_DB[1]:
            usual = f"backscatter lies between {USUAL_DB[0]:g} and {USUAL_DB[1]:g} dB"
            note.warn("units", f"the median of {band} is {middle:.3g} dB, but {usual}. Check calibration and units.")
        if zeros > ZERO_SHARE:
            remedy = "Declare it: gdal_edit -a_nodata 0."
            note.warn("images", f"{zeros:.1%} of the values of {band} are exactly 0, as nodata not declared. {remedy}")


def facts_of_values(looked: Looked) -> dict[str, Any]:
    """The share of nodata of each date, as plain rows."""
    rows = zip(looked.times, looked.orbits, looked.missing, strict=True)
    return {"dates": [{"date": iso(t), "orbit": orbit, "missing": round(float(m), 4)} for t, orbit, m in rows]}
