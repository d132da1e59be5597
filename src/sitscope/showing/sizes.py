"""What changes with the size of the embedding?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from sitscope.classes.sizes import recommended
from sitscope.showing.colours import ACCENT, CLASSES, INK, MUTED, PAPER
from sitscope.showing.cure import covered_by
from sitscope.showing.style import SMALL, WIDTH_IN, styled

COLOURS = (CLASSES[0], CLASSES[3], CLASSES[2], CLASSES[5], CLASSES[4])
MARKERS = "osD^v"


@styled
def sweep_figure(sweep: pd.DataFrame) -> Figure:
    """Scores by size and number of clusters (left), the missed dates looked at (middle), likeness of maps (right).

    sweep: a row for each size, number of clusters and seed; see `sitscope.covering.compared`. Points are single seeds,
    lines go through their means; the ring is the recommended size.

    >>> from itertools import product
    >>> keys = list(product((2, 4), (9, 36), (0, 1)))
    >>> table = pd.DataFrame(keys, columns=["dims", "clusters", "seed"])
    >>> shares = {"overall_accuracy": 0.8, "macro_recall": 0.3, "covered": 0.5, "by_margin": 0.4, "alike": 0.2}
    >>> len(sweep_figure(table.assign(missed=7, agreement=0.8, **shares)).axes)
    3
    """
    sizes = sorted(sweep.dims.unique().tolist())
    figure = Figure(figsize=(WIDTH_IN, 3.5), layout="constrained")
    scores, dates, maps = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    _scores(scores, sweep, sizes)
    _covered(dates, sweep, sizes)
    once = sweep.drop_duplicates(["dims", "seed"])
    _line(maps, once, "alike", sizes, CLASSES[5], "s", "dimensions of one embedding")
    _line(maps, once, "agreement", sizes, CLASSES[2], "D", "embeddings of two seeds")
    maps.set_title("Do they look at the same dates?")
    maps.set_ylabel("Spearman correlation of importance (no unit)", fontsize=SMALL)
    maps.set_ylim(min(0.0, maps.get_ylim()[0]), 1.02)
    maps.legend(loc="best")
    for axes in (scores, dates, maps):
        axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        axes.set_xlim(-0.4, len(sizes) - 0.6)
        axes.set_xlabel("Dimensions of the embedding")
        axes.grid(True, axis="y")
    return figure


def _scores(axes: Axes, sweep: pd.DataFrame, sizes: list[int]) -> None:
    """Macro recall as full lines, overall accuracy as thin ones; a colour for each number of clusters."""
    found = recommended(sweep)
    for i, (clusters, mine) in enumerate(sweep.groupby("clusters")):
        colour, marker = COLOURS[i % 5], MARKERS[i % 5]
        _line(axes, mine, "overall_accuracy", sizes, colour, marker, "", thin=True)
        _line(axes, mine, "macro_recall", sizes, colour, marker, f"{clusters} clusters")
    place = (sizes.index(found.dims), found.recall)
    axes.plot(*place, "o", markersize=15, markerfacecolor="none", markeredgecolor=ACCENT, markeredgewidth=1.6, zorder=5)
    axes.annotate("recommended", place, (0, 11), textcoords="offset points", ha="center", va="bottom", fontsize=SMALL,
                  color=ACCENT, path_effects=[withStroke(linewidth=2.5, foreground=PAPER)])  # fmt: skip
    low, high = sweep[["macro_recall", "overall_accuracy"]].min().min(), sweep.overall_accuracy.max()
    axes.set_ylim(max(0, low - 0.12), min(1, high + 0.05))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.set_title("Macro recall (bold), overall accuracy (thin)")
    axes.legend(loc="center right")


def _covered(axes: Axes, sweep: pd.DataFrame, sizes: list[int]) -> None:
    shares = [covered_by(sweep, size) for size in sizes]
    colours = [MUTED, *[CLASSES[0]] * (len(sizes) - 1)]
    axes.bar(range(len(sizes)), np.nan_to_num(shares), 0.62, color=colours)
    for i, share in enumerate(shares):
        text = f"{100 * share:.0f} %" if share == share else "n/a"
        axes.annotate(text, (i, np.nan_to_num(share)), (0, 2), textcoords="offset points", ha="center", fontsize=SMALL)
    margin = [covered_by(sweep, size, "by_margin") for size in sizes]
    axes.plot(range(len(sizes)), margin, "D", markersize=6, color=PAPER, markeredgecolor=INK)
    axes.set_ylim(0, 1.25)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.set_title(f"Dates missed by {sizes[0]}, looked at")
    said = f"grey: another training of {sizes[0]}\ndiamonds: by the margin of the classes alone"
    axes.annotate(said, (0.02, 0.985), xycoords="axes fraction", va="top", fontsize=SMALL, color=MUTED)


def _line(
    axes: Axes,
    table: pd.DataFrame,
    column: str,
    sizes: list[int],
    colour: str,
    marker: str,
    name: str,
    thin: bool = False,
) -> None:
    """Each seed as a small point, the means joined."""
    known = table[table[column].notna()]
    means = known.groupby("dims")[column].mean()
    places = [sizes.index(int(size)) for size in known.dims]
    axes.plot(places, known[column], linestyle="none", marker=marker, markersize=2.5, color=colour, alpha=0.6)
    look = {"linewidth": 0.8 if thin else 1.8, "markersize": 3.5 if thin else 6}
    where = [sizes.index(int(size)) for size in means.index]
    axes.plot(where, means, color=colour, marker=marker, markeredgecolor=PAPER, label=name or None, **look)  # type: ignore[arg-type]
