"""Where do the images part two classes that an embedding confuses?

c bands, t acquisitions. Nothing is said of what the embedding looks at: it may be somebody else's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sitscope.classes.diagnosis import EMBEDDED
from sitscope.classes.parting import LEAST_JM, Parting
from sitscope.showing.axes import date_axis, days_of, units_label
from sitscope.showing.colours import ACCENT, CLASSES, INK, MUTED
from sitscope.showing.story import Flow
from sitscope.showing.style import SMALL, WIDTH_IN, styled
from sitscope.showing.words import day, listed, many, marked_days, number, percent

DRAWN = 4
"""Pairs, and"""
BANDS = 2
"""bands that a figure shows; all are tested."""


@dataclass(frozen=True, eq=False)
class Apart:
    """Two classes, and how far the images hold them apart."""

    flow: Flow
    """Test series of one class that become the other."""
    parting: Parting
    """Of the class that they are from the class that they become."""
    embedded: Parting
    """The same of the embedding, in the place of a single date with its first principal components for bands."""
    dates: Shaped[np.ndarray, " t"]
    bands: tuple[str, ...]
    units: str

    @property
    def best(self) -> tuple[int, int]:
        """Band and date of the largest effect among the dates that part the two, else of all."""
        size = np.abs(np.nan_to_num(self.parting.effect))
        if self.parting.parts.any():
            size = np.where(self.parting.parts, size, -1)
        band, date = np.unravel_index(int(size.argmax()), size.shape)
        return int(band), int(date)

    def said(self) -> str:
        """In a few sentences: where the images part the two, and whether the embedding or only the vote loses it."""
        return f"{self._seen()} {self._kept()}"

    def _seen(self) -> str:
        found, pair = self.parting, f"{self.flow.truth} becomes {self.flow.predicted} ({percent(self.flow.share)})"
        if found.parts.any():
            n, when = int(found.parts.sum()), marked_days(found.parts, found.jm, self.dates)
            return (
                f"{pair}. In the images the two differ on {n} of {many(len(self.dates), 'acquisition')}, most on "
                f"{when}. {self._largest()}"
            )
        a, b = found.fields
        if found.excluded:
            return (
                f"{pair}. In the images no acquisition parts the two, and {many(a, 'field')} of {found.a} and {b} of "
                f"{found.b} suffice to say so of each acquisition alone: an embedding of them is hardly to blame."
            )
        return (
            f"{pair}. In the images no acquisition parts the two for certain, but {many(a, 'field')} of {found.a} and "
            f"{b} of {found.b} are too few to exclude that one does."
        )

    def _kept(self) -> str:
        """Whether the embedding parts the two, as far as its first components tell."""
        jm, low, high = (float(each[0]) for each in (self.embedded.jm, self.embedded.jm_low, self.embedded.jm_high))
        c = len(self.embedded.difference)
        where = f"In the embedding ({'its only dimension' if c == 1 else f'{c} principal components'})"
        said = f"{where} the two have a Jeffries-Matusita distance of {jm:.2f} of 2 ({low:.2f} to {high:.2f})"
        if jm >= EMBEDDED and low >= LEAST_JM:
            return f"{said}: it parts them, and the vote of their clusters loses it. More clusters may find them."
        return f"{said}: it hardly parts them there." if high < EMBEDDED else f"{said}."

    def _largest(self) -> str:
        band, date = self.best
        unit = " dB" if self.units == "dB" else ""
        size, low, high = (
            float(each[band, date]) for each in (self.parting.difference, self.parting.low, self.parting.high)
        )
        more = "higher" if size > 0 else "lower"
        ends = sorted((abs(low), abs(high))) if low * high > 0 else [0.0, max(abs(low), abs(high))]
        return (
            f"Furthest in {self.bands[band]} on {day(self.dates[date])}: {self.parting.a} lies "
            f"{_said(abs(size))}{unit} {more} (95 % interval {_said(ends[0])} to {_said(ends[1])})."
        )


def _said(value: float) -> str:
    return f"{value:.1f}" if 0.95 <= value < 1000 else number(value)


@styled
def apart_figure(pairs: Sequence[Apart]) -> Figure:
    """The difference of the means of two classes over the acquisitions with its 95 % interval, a row for each pair.

    Full markers: acquisitions that part the two. The bands with the largest effects are drawn.

    >>> from sitscope.classes.parting import parting
    >>> x = np.zeros((8, 1, 3)); x[:4, :, 1] = 9 + np.arange(4.0)[:, None]
    >>> found = parting(x, np.repeat(["rye", "oat"], 4), np.arange(8), "rye", "oat")
    >>> dates = np.array(["2017-01-03", "2017-01-09", "2017-01-15"], "datetime64[D]")
    >>> pair = Apart(Flow("rye", "oat", 0.5, 2), found, found, dates, ("VV",), "dB")
    >>> apart_figure([pair]).axes[0].get_title(loc="left")
    'rye less oat: 50 % becomes oat'
    """
    shown = list(pairs)[:DRAWN]
    bands = _bands(shown)
    figure = Figure(figsize=(WIDTH_IN, 1.75 * len(shown) + 0.7), layout="constrained")
    grid = figure.subplots(len(shown), len(bands), sharex=True, sharey="col", squeeze=False)
    for row, pair in zip(grid, shown, strict=True):
        for axes, band in zip(row, bands, strict=True):
            _difference(axes, pair, band)
            date_axis(axes, pair.dates, label=pair is shown[-1])
            axes.set_ylabel(units_label(f"Difference in {pair.bands[band]}", pair.units))
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.tick_params(labelbottom=pair is shown[-1])
        flow = pair.flow
        row[0].set_title(f"{flow.truth} less {flow.predicted}: {percent(flow.share)} becomes {flow.predicted}")
    _key(grid[0][-1])
    return figure


def _bands(pairs: Sequence[Apart]) -> list[int]:
    """Those with the largest effects, in their order."""
    size = np.max([np.abs(np.nan_to_num(pair.parting.effect)).max(axis=1) for pair in pairs], axis=0)
    return sorted(np.argsort(-size, kind="stable")[:BANDS].tolist())


def _difference(axes: Axes, pair: Apart, band: int) -> None:
    found, days = pair.parting, days_of(pair.dates)
    axes.axhline(0, color=INK, linewidth=0.7)
    low, high = (_finite(each[band]) for each in (found.low, found.high))
    axes.fill_between(days, low, high, color=CLASSES[0], alpha=0.18, linewidth=0)
    axes.plot(days, found.difference[band], color=CLASSES[0], linewidth=1.2)
    parts = found.parts
    axes.plot(days[~parts], found.difference[band][~parts], "o", color=CLASSES[0], markersize=2.6, markerfacecolor="w")
    axes.plot(days[parts], found.difference[band][parts], "o", color=ACCENT, markersize=4.2, gid="parts")
    axes.grid(True, axis="y")


def _finite(values: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """Nothing is drawn where nothing is known."""
    return np.where(np.isfinite(values), values, np.nan)


def _key(axes: Axes) -> None:
    """What markers mean, said in the free place above the first row."""
    axes.annotate(
        "● parts the two", (1, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", ha="right",
        fontsize=SMALL, color=ACCENT, annotation_clip=False,
    )  # fmt: skip
    axes.annotate(
        "○ does not", (1, 1), (-84, 6), xycoords="axes fraction", textcoords="offset points", ha="right",
        fontsize=SMALL, color=MUTED, annotation_clip=False,
    )  # fmt: skip


def caption(pairs: Sequence[Apart]) -> str:
    """How to read the figure."""
    shown = list(pairs)[:DRAWN]
    bands = [shown[0].bands[band] for band in _bands(shown)]
    more = f" Of {many(len(pairs), 'pair')} the first {len(shown)} are drawn." if len(pairs) > len(shown) else ""
    return (
        f"Mean {listed(bands)} of one class less that of the class it becomes, over all fields, with the 95 % "
        "interval of a bootstrap over fields. Full red markers: acquisitions that part the two, all bands taken "
        f"together, with at most 5 % of them false and a distance that is of use.{more}"
    )
