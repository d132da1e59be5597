"""Which acquisition of another year stands for each date of a model?"""

import numpy as np
import xarray as xr
from jaxtyping import Float, Shaped
from scipy.optimize import linear_sum_assignment

from sitscope.cube.names import few
from sitscope.errors import BadInput

DAY = np.timedelta64(1, "D")
YEAR = 365.2425
"""days, in which the seasons come round"""
FAR = 1e7
"""days, more than all others together"""


def matched(
    cube: xr.DataArray, dates: Shaped[np.ndarray, " t"], tolerance_days: float | int
) -> tuple[xr.DataArray, list[str]]:
    """The cube on the dates of a model, from acquisitions of another year at the same time of the year.

    All dates are moved by one and the same number of whole years, so that a season that crosses New Year stays one
    and in order. Then each date takes an acquisition of its own, no further off than the tolerance, such that the sum
    of the shifts is the least. A repeat of 6 days has a partner within 3 days of any date, one of 12 days within 6;
    a model of 61 dates cannot be used on a year with 31.

    Args:
        cube: (time, ...), of one orbit.
        dates: (t,) datetime64, of the model.
        tolerance_days: the largest shift.

    Returns:
        The cube with `dates` as time and the real ones as the coordinate acquired (time), lazy as it was; and
        sentences that say the years, the largest and the mean shift.

    Raises:
        BadInput: dates without a partner, all named, with the tolerance that would do.

    >>> times = np.array(["2018-01-05", "2018-01-17"], "datetime64[ns]")
    >>> cube = xr.DataArray([1.0, 2.0], {"time": times}, ("time",))
    >>> found, notes = matched(cube, np.array(["2017-01-03", "2017-01-15"], "datetime64[ns]"), 3)
    >>> str(found.time.values[0])[:10], notes[0][-58:]
    ('2017-01-03', 'the dates are 2.0 days apart on average, 2.0 days at most.')
    """
    if not tolerance_days >= 0:
        raise BadInput("tolerance_days", f"{tolerance_days} days are no tolerance. Give 0 or more.")
    wanted, there = dates.astype("datetime64[ns]"), cube.time.values.astype("datetime64[ns]")
    if wanted.size > there.size:
        why = f"the model has {wanted.size} dates, and these images only {there.size}"
        raise BadInput("images", f"{why}. Add images, or train a model on fewer dates.")
    years = _years(wanted, there)
    apart = np.abs(_days(there)[None] - _days(_moved(wanted, years))[:, None])
    # as many within the tolerance as can be, then the least sum; in order, which makes no shift larger
    _, chosen = linear_sum_assignment(np.where(apart <= tolerance_days, apart, apart + FAR))
    chosen = np.sort(chosen)
    shift = apart[np.arange(wanted.size), chosen]
    if shift.max() > tolerance_days:
        _refuse(wanted, apart, tolerance_days)
    order = cube.isel(time=chosen)
    acquired = order.time.values
    order = order.assign_coords(time=wanted).assign_coords(acquired=("time", acquired))
    span = f"{_span(acquired)} stand for the model's of {_span(wanted)}"
    left = there.size - wanted.size
    notes = [
        f"Acquisitions of {span}, matched by day of the year: the dates are {shift.mean():.1f} days apart on average, "
        f"{shift.max():.1f} days at most."
    ]
    if left:
        notes.append(f"{left} of {there.size} acquisitions match no date of the model and are not used.")
    return order, notes


def _years(wanted: np.ndarray, there: np.ndarray) -> int:
    """Whole years between the two seasons: those that leave the least between the nearest dates."""
    guess = round((np.median(_days(there)) - np.median(_days(wanted))) / YEAR)
    near = {
        years: np.abs(_days(there)[None] - _days(_moved(wanted, years))[:, None]).min(axis=1).mean()
        for years in (guess - 1, guess, guess + 1)
    }
    return min(near, key=lambda years: (near[years], abs(years - guess)))


def _moved(dates: np.ndarray, years: int) -> np.ndarray:
    """The same day and time of day in another year; the 29th of February becomes the 1st of March."""
    months = dates.astype("datetime64[M]")
    return (months + 12 * years).astype("datetime64[ns]") + (dates - months.astype("datetime64[ns]"))


def _days(times: np.ndarray) -> Float[np.ndarray, " t"]:
    return (times - np.datetime64("2000-01-01", "ns")) / DAY


def _span(times: np.ndarray) -> str:
    first, last = (str(time)[:10] for time in (times.min(), times.max()))
    return f"{first} to {last}"


def _refuse(wanted: np.ndarray, apart: Float[np.ndarray, "t a"], tolerance: float | int) -> None:
    """Name the dates without a partner, and the tolerance with which each would have one of its own."""
    cost = np.where(apart <= tolerance, 0.0, 1.0)
    rows, columns = linear_sum_assignment(cost)
    alone = wanted[rows[cost[rows, columns] > 0]]
    low, high = int(np.floor(tolerance)), int(np.ceil(apart.max()))
    while high - low > 1:
        middle = (low + high) // 2
        cost = np.where(apart <= middle, 0.0, 1.0)
        low, high = (low, middle) if cost[linear_sum_assignment(cost)].sum() == 0 else (middle, high)
    raise BadInput(
        "images",
        f"{alone.size} of {wanted.size} dates of the model have no image within {tolerance:g} days of the day of the "
        f"year: {few((str(date)[:10] for date in alone), 12)}. A tolerance of {high} days would do, or add images of "
        "these days.",
    )
