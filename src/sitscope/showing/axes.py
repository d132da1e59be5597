"""How are dates, places and names written along an axis?"""

from collections.abc import Iterable, Sequence

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from sitscope.showing.colours import class_colours


def date_axis(axes: Axes, dates: Shaped[np.ndarray, " t"], label: bool = True) -> None:
    """Months along the x axis, which spans the dates; the label names the years.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> date_axis(axes, np.array(["2017-01-03", "2017-12-29"], "datetime64[D]"))
    >>> axes.get_xlabel()
    'Date of acquisition, 2017'
    """
    days = days_of(dates)
    pad = max(1.0, 0.012 * (days[-1] - days[0]))
    axes.set_xlim(days[0] - pad, days[-1] + pad)
    month_ticks(axes, dates)
    axes.grid(True, axis="x")
    if label:
        axes.set_xlabel(f"Date of acquisition, {years(dates)}")


def month_ticks(axes: Axes, dates: Shaped[np.ndarray, " t"]) -> None:
    """Ticks at months (days in a short series, years in a long one) for an x axis in matplotlib's days."""
    locator, formatter = _calendar(dates)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    axes.tick_params(axis="x", length=3)


def years(dates: Shaped[np.ndarray, " t"]) -> str:
    """The years that the dates lie in.

    >>> years(np.array(["2018-11-25", "2019-11-20"], "datetime64[D]"))
    '2018–2019'
    """
    first, last = pd.Timestamp(dates[0]).year, pd.Timestamp(dates[-1]).year
    return str(first) if first == last else f"{first}–{last}"


def days_of(dates: Shaped[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """Dates as matplotlib counts them: days since 1970.

    >>> days_of(np.array(["1970-01-03T12:00"], "datetime64[ns]")).tolist()
    [2.5]
    """
    return (dates - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")


def units_label(quantity: str, units: str) -> str:
    """A quantity with its unit.

    >>> units_label("VV backscatter", "dB"), units_label("NDVI", "1")
    ('VV backscatter (dB)', 'NDVI (no unit)')
    """
    return f"{quantity} ({'no unit' if units in ('1', '') else units})"


def band_label(band: str, units: str) -> str:
    """A band with what it measures: backscatter where it is in dB.

    >>> band_label("VV", "dB"), band_label("NDVI", "1")
    ('VV backscatter (dB)', 'NDVI (no unit)')
    """
    return units_label(f"{band} backscatter" if units == "dB" else band, units)


def date_edges(dates: Shaped[np.ndarray, " t"]) -> Float[np.ndarray, " t+1"]:
    """Where one acquisition's stretch of the axis ends and the next begins: half way between, in matplotlib's days.

    >>> float(np.diff(date_edges(np.array(["2017-01-03", "2017-01-09"], "datetime64[D]")))[0])
    6.0
    """
    days = days_of(dates)
    if len(days) == 1:
        return np.array([days[0] - 0.5, days[0] + 0.5])
    middle = (days[1:] + days[:-1]) / 2
    return np.concatenate([[2 * days[0] - middle[0]], middle, [2 * days[-1] - middle[-1]]])


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places near those wanted, in their order, at least `gap` apart: for labels that would overprint one another.

    >>> spread([1.0, 1.1, 5.0], gap=1.0)
    [0.55, 1.55, 5.0]
    """
    order = np.argsort(wanted, kind="stable")
    blocks: list[list[int]] = [[int(i)] for i in order]
    centre = [float(wanted[i]) for i in order]
    i = 0
    while i + 1 < len(blocks):
        if centre[i + 1] - centre[i] >= gap * (len(blocks[i]) + len(blocks[i + 1])) / 2 - 1e-12:
            i += 1
            continue
        blocks[i] += blocks.pop(i + 1)  # two that touch move as one, about the mean of what they want
        centre.pop(i + 1)
        centre[i] = float(np.mean([wanted[j] for j in blocks[i]]))
        i = max(0, i - 1)
    placed = [0.0] * len(wanted)
    for block, middle in zip(blocks, centre, strict=True):
        for rank, j in enumerate(block):
            placed[j] = round(middle + (rank - (len(block) - 1) / 2) * gap, 9)
    return placed


def class_legend(figure: Figure, classes: Sequence[str], present: Iterable[str], columns: int = 8) -> None:
    """The classes that are present, each with its colour, below the figure.

    >>> from matplotlib.figure import Figure
    >>> figure = Figure(layout="constrained")
    >>> class_legend(figure, ["rye", "oats"], ["oats"])
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['oats']
    """
    found = set(present)
    colours = {name: colour for name, colour in class_colours(classes).items() if name in found}
    if colours:
        keys = [Rectangle((0, 0), 1, 1, facecolor=colour) for colour in colours.values()]
        figure.legend(
            keys, list(colours), loc="outside lower center", ncols=columns, handlelength=1.0, columnspacing=1.2
        )


def leave_bare(axes: Axes) -> None:
    """No spines and no tick marks: for tables and heat maps, whose cells are frame enough."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(False)


def _calendar(dates: Shaped[np.ndarray, " t"]) -> tuple[mdates.DateLocator, FuncFormatter]:
    length = float(np.ptp(days_of(dates)))
    several = pd.Timestamp(dates[0]).year != pd.Timestamp(dates[-1]).year
    if length <= 70:
        days = mdates.DayLocator(interval=max(1, round(length / 8)))  # type: ignore[no-untyped-call]
        return days, FuncFormatter(lambda x, _: _tick(x, several, True))
    if length <= 3.2 * 366:
        every = next(n for n in (1, 2, 3, 6) if length / 30.4 / n <= 19)
        months = mdates.MonthLocator(bymonth=range(1, 13, every))  # type: ignore[no-untyped-call]
        return months, FuncFormatter(lambda x, _: _tick(x, several))
    january = mdates.YearLocator(max(1, round(length / 366 / 12)))  # type: ignore[no-untyped-call]
    return january, FuncFormatter(lambda x, _: f"{_stamp(x).year}")


def _tick(x: float, several_years: bool, with_day: bool = False) -> str:
    date = _stamp(x)
    name = f"{date.day} {date:%b}" if with_day else f"{date:%b}"
    return f"{name}\n{date.year}" if several_years and date.month == 1 and not with_day else name


def _stamp(day: float) -> pd.Timestamp:
    return pd.Timestamp("1970-01-01") + pd.Timedelta(days=day)
