"""Where do two classes differ, and does the embedding look there?

t acquisitions, c bands.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sitscope.classes.verdicts import Pair
from sitscope.showing.axes import band_label, date_axis, date_edges, days_of, spread
from sitscope.showing.colours import INK, MUTED, PAPER
from sitscope.showing.style import SMALL, WIDTH_IN, styled

ONE, TWO = "#0072b2", "#d55e00"
"""Of the two classes."""
MISSED, SHARED, USED = "#f2b134", "#8d99a6", "#2f9e6e"
"""Of dates that part the two without being looked at, that are looked at without parting them, and that do both."""
SHADE = 0.22


@styled
def pair_figure(
    pair: Pair, profiles: pd.DataFrame, dates: np.ndarray, bands: tuple[str, ...], units: str, method: str
) -> Figure:
    """Two mean curves, their difference with its interval, and the importance of each date, one above the other.

    profiles: the tidy table of a run, with the two classes. The band is the one that parts the two most. Stretches of
    colour run through all panels: dates that are missed, shared, or used.
    """
    c = most_telling(pair)
    figure = Figure(figsize=(WIDTH_IN, 5.6), layout="constrained")
    curves, difference, importance = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [2.2, 1.7, 1.3]})
    looks = np.array(pair.importance[method])
    kinds = {
        MISSED: np.array(pair.missed),
        SHARED: np.array(pair.shared),
        USED: np.array(pair.parts) & ~np.array(pair.missed),
    }
    for axes in (curves, difference, importance):
        _shade(axes, dates, kinds)
    _curves(curves, pair, profiles, dates, bands[c], looks)
    curves.set_ylabel(band_label(bands[c], units))
    _difference(difference, pair, dates, c)
    difference.set_ylabel(f"Difference ({units})" if units == "dB" else "Difference")
    _importance(importance, looks, dates, kinds)
    date_axis(importance, dates)
    for axes in (curves, difference):
        axes.grid(True, axis="x")
        axes.tick_params(axis="x", length=0)
    figure.legend(
        handles=[
            Patch(facecolor=MISSED, label="missed: they differ, the embedding hardly looks"),
            Patch(facecolor=SHARED, label="shared: it looks, they do not part"),
            Patch(facecolor=USED, label="used: it looks, and they differ"),
        ],
        loc="outside upper left",
        ncols=3,
        handlelength=1.0,
        frameon=False,
    )
    return figure


def most_telling(pair: Pair) -> int:
    """The band that parts the two most, over the dates that part them, or over all where none does."""
    size = np.abs(np.array(pair.effect if pair.effect is not None else pair.difference))
    parts = np.array(pair.parts)
    return int((size[:, parts] if parts.any() else size).mean(axis=1).argmax())


def _shade(axes: Axes, dates: np.ndarray, kinds: dict[str, Bool[np.ndarray, " t"]]) -> None:
    edges = date_edges(dates)
    for colour, marked in kinds.items():
        for i in np.flatnonzero(marked):
            axes.axvspan(edges[i], edges[i + 1], color=colour, alpha=SHADE, linewidth=0, zorder=0)


def _curves(
    axes: Axes, pair: Pair, profiles: pd.DataFrame, dates: np.ndarray, band: str, looks: Float[np.ndarray, " t"]
) -> None:
    """Means over the test series with a standard deviation; the more an acquisition matters, the larger its marker."""
    days = days_of(dates)
    size = 6 + 60 * (looks / max(looks.max(), 1e-12)) ** 1.5
    ends = []
    for name, colour, marker in ((pair.truth, ONE, "o"), (pair.predicted, TWO, "s")):
        table = profiles[profiles["class"] == name].drop_duplicates("date").sort_values("date")
        mean, sd = (table[column].to_numpy(dtype=float) for column in (band, f"{band}_std"))
        axes.fill_between(days, mean - sd, mean + sd, color=colour, alpha=0.10, linewidth=0, zorder=1)
        axes.plot(days, mean, color=colour, linewidth=1.6, zorder=2)
        axes.scatter(days, mean, s=size, color=colour, marker=marker, edgecolors=PAPER, linewidths=0.5, zorder=3)
        ends.append((name, colour, float(mean[-1])))
    low, high = axes.get_ylim()
    places = spread([end[2] for end in ends], gap=0.09 * (high - low))
    for (name, colour, _), place in zip(ends, places, strict=True):
        axes.annotate(
            name, (1, place), (5, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
            color=colour, weight="bold", annotation_clip=False,
        )  # fmt: skip
    axes.set_title(f"{pair.truth}, taken for {pair.predicted}")


def _difference(axes: Axes, pair: Pair, dates: np.ndarray, c: int) -> None:
    days, parts = days_of(dates), np.array(pair.parts)
    difference = np.array(pair.difference[c])
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
    if pair.low is not None and pair.high is not None:
        axes.fill_between(days, pair.low[c], pair.high[c], color=INK, alpha=0.15, linewidth=0, zorder=1)
    axes.plot(days, difference, color=INK, linewidth=1.2, zorder=2)
    axes.scatter(days[parts], difference[parts], s=16, color=INK, zorder=3)
    axes.scatter(days[~parts], difference[~parts], s=16, color=PAPER, edgecolors=INK, linewidths=0.8, zorder=3)
    axes.set_title(
        f"{pair.truth} minus {pair.predicted}; filled: parts the two, all bands together", fontsize=SMALL, color=MUTED
    )


def _importance(
    axes: Axes, looks: Float[np.ndarray, " t"], dates: np.ndarray, kinds: dict[str, Bool[np.ndarray, " t"]]
) -> None:
    days, edges = days_of(dates), date_edges(dates)
    colours = [next((colour for colour, marked in kinds.items() if marked[i]), "#cfd4da") for i in range(len(days))]
    axes.bar(days, 100 * looks, width=0.8 * np.diff(edges), color=colours, zorder=2)
    axes.axhline(100 / len(looks), color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=3)
    axes.annotate(
        "even share", (1, 100 / len(looks)), (5, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        fontsize=SMALL, va="center", color=MUTED, annotation_clip=False,
    )  # fmt: skip
    axes.set_ylabel("Importance (%)")
    axes.set_title("Where the embedding looks, for the two", fontsize=SMALL, color=MUTED)
