"""How are numbers, dates and lists said in a sentence?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage, whole but for what would round to nothing or to all.

    >>> percent(0.754), percent(0.004), percent(0.998), percent(float("nan"))
    ('75 %', '0.4 %', '99.8 %', 'n/a')
    """
    if not np.isfinite(share):
        return "n/a"
    value = 100 * float(share)
    if 0 < value < 0.1:
        return "< 0.1 %"
    if 99.9 < value < 100:
        return "> 99.9 %"
    return f"{value:.1f} %" if 0 < value < 1 or 99 < value < 100 else f"{value:.0f} %"


def count(number: int) -> str:
    """A whole number with its thousands apart.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{int(number):,}"


def many(number: int, noun: str, plural: str = "") -> str:
    """A count with its noun.

    >>> many(1, "class", "classes"), many(1200, "field")
    ('1 class', '1,200 fields')
    """
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def day(date: np.datetime64, year: bool = True) -> str:
    """A date as a person writes it.

    >>> day(np.datetime64("2017-06-02")), day(np.datetime64("2017-06-02"), year=False)
    ('2 Jun 2017', '2 Jun')
    """
    stamp = pd.Timestamp(date)
    text = f"{stamp.day} {stamp:%b}"
    return f"{text} {stamp.year}" if year else text


def span(first: np.datetime64, last: np.datetime64, year: bool = True) -> str:
    """A stretch of days, saying month and year no more often than needed.

    >>> span(np.datetime64("2017-06-02"), np.datetime64("2017-06-14"), year=False)
    '2\u201314 Jun'
    >>> span(np.datetime64("2016-12-28"), np.datetime64("2017-01-09"))
    '28 Dec 2016 to 9 Jan 2017'
    """
    one, two = pd.Timestamp(first), pd.Timestamp(last)
    if one == two:
        return day(first, year)
    if (one.year, one.month) == (two.year, two.month):
        return f"{one.day}–{day(last, year)}"
    return f"{day(first, year and one.year != two.year)} to {day(last, year)}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names in a sentence.

    >>> listed(["Cotton"]), listed(["Cotton", "Pepper"]), listed(["a", "b", "c"])
    ('Cotton', 'Cotton and Pepper', 'a, b and c')
    """
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def some(names: Sequence[str], most: int = 12) -> str:
    """Names in a sentence that stays readable: the rest is counted.

    >>> some(["a", "b", "c", "d"], most=2)
    'a, b and 2 more'
    """
    if len(names) <= most:
        return listed(names)
    return listed([*names[:most], f"{len(names) - most} more"])


def number(value: float) -> str:
    """A measured number with three figures that count.

    >>> number(0.012345), number(12345.6), number(float("nan"))
    ('0.0123', '12,346', 'n/a')
    """
    if not np.isfinite(value):
        return "n/a"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def stretches(strength: Float[np.ndarray, " t"], share: float = 0.2) -> list[tuple[int, int]]:
    """Where a curve over the acquisitions is strongest: (first, last) positions, in order of time.

    The strongest `share` of the acquisitions are marked, a single gap inside is bridged, and at most three stretches
    are kept: those with the largest sum.

    >>> stretches(np.array([0.0, 5, 4, 0, 0, 0, 3, 0, 0, 0]), share=0.3)
    [(1, 2), (6, 6)]
    """
    if not np.any(strength > 0):
        return []
    floor = np.sort(strength)[-max(1, round(share * len(strength)))]
    return _runs((strength >= floor) & (strength > 0), strength)


def _runs(marked: Bool[np.ndarray, " t"], strength: Float[np.ndarray, " t"]) -> list[tuple[int, int]]:
    """At most three stretches of marked acquisitions, those with the largest sum, single gaps bridged, in order."""
    inside = np.flatnonzero(marked)
    if not len(inside):
        return []
    breaks = np.flatnonzero(np.diff(inside) > 2)
    runs = [(int(part[0]), int(part[-1])) for part in np.split(inside, breaks + 1)]
    strongest = sorted(runs, key=lambda run: -float(strength[run[0] : run[1] + 1].sum()))[:3]
    return sorted(strongest)


def strongest_days(strength: Float[np.ndarray, " t"], dates: Shaped[np.ndarray, " t"]) -> str:
    """The acquisitions where `strength` is largest, in words.

    >>> dates = np.arange("2017-06-02", "2017-06-12", dtype="datetime64[D]")
    >>> strongest_days(np.array([0.0, 5, 4, 0, 0, 0, 3, 0, 0, 0]), dates)
    '3\u20134 Jun'
    """
    return _said(stretches(strength), dates)


def marked_days(
    marked: Bool[np.ndarray, " t"], strength: Float[np.ndarray, " t"], dates: Shaped[np.ndarray, " t"]
) -> str:
    """Marked acquisitions in words: single gaps bridged, and of more than three stretches the strongest.

    >>> dates = np.arange("2017-06-02", "2017-06-12", dtype="datetime64[D]")
    >>> marked_days(np.arange(10) < 3, np.ones(10), dates)
    '2\u20134 Jun'
    """
    return _said(_runs(marked, strength), dates)


def _said(runs: list[tuple[int, int]], dates: Shaped[np.ndarray, " t"]) -> str:
    year = pd.Timestamp(dates[0]).year != pd.Timestamp(dates[-1]).year
    return listed([span(dates[a], dates[b], year) for a, b in runs])
