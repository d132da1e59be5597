"""Which classes share a cluster, and which class did each cluster get?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from sitscope.showing.axes import class_legend, leave_bare
from sitscope.showing.colours import INK, MUTED, PAPER, class_colours
from sitscope.showing.style import SMALL, WIDTH_IN, styled
from sitscope.showing.words import count

NAMED = 0.075  # share of a bar that has room for a name


@styled
def cluster_figure(votes: pd.DataFrame, assigned: Sequence[str]) -> Figure:
    """One bar per cluster: the shares of the classes among its training series, the largest first.

    votes: (k, m) counts, index = cluster from 1, columns = classes in the order of their colours.
    assigned: (k,) the class of each cluster, "" where no series voted. Bars are sorted by that class, purest first;
    a grey rule sets off the clusters of one class from the next. A cluster without votes is an empty bar.

    >>> votes = pd.DataFrame([[8, 2]], index=[1], columns=["rye", "oats"])
    >>> [text.get_text() for text in cluster_figure(votes, ["rye"]).axes[0].texts]
    ['rye 80 %', 'oats 20 %', '1', '10', 'training\\nseries']
    """
    total = votes.sum(axis=1).to_numpy(dtype=float)
    shares = np.divide(votes.to_numpy(dtype=float), total[:, None], out=np.zeros(votes.shape), where=total[:, None] > 0)
    order = _order(votes, shares, assigned)
    line = float(np.clip(5.5 / len(order), 0.17, 0.3))
    figure = Figure(figsize=(WIDTH_IN, line * len(order) + 1.5), layout="constrained")
    axes = figure.add_subplot()
    names = [str(name) for name in votes.columns]
    colours = class_colours(names)
    for row, k in enumerate(order):
        _bar(axes, row, shares[k], names, colours, line)
        _beside(axes, str(votes.index[k]), (0, row), -5)
        _beside(axes, count(int(total[k])), (1, row), 46)
        if row and assigned[k] != assigned[order[row - 1]]:
            axes.axhline(row - 0.5, xmin=-0.02, color=MUTED, linewidth=0.5, clip_on=False)
    axes.set_yticks(range(len(order)), [assigned[k] or "no vote" for k in order])
    axes.set_xticks(np.arange(0, 1.01, 0.2), [f"{tick} %" for tick in range(0, 101, 20)])
    axes.set(xlim=(0, 1), ylim=(len(order) - 0.5, -0.5), xlabel="Share of the cluster's training series")
    axes.set_ylabel("Class and cluster")
    _beside(axes, "training\nseries", (1, -0.5), 46, va="bottom", color=MUTED)
    leave_bare(axes)
    axes.tick_params(axis="y", pad=24)
    class_legend(figure, names, [name for name in names if votes[name].sum() > 0])
    return figure


def _order(votes: pd.DataFrame, shares: np.ndarray, assigned: Sequence[str]) -> list[int]:
    rank = {str(name): place for place, name in enumerate(votes.columns)}
    return sorted(range(len(votes)), key=lambda k: (rank.get(assigned[k], len(rank)), -shares[k].max(), k))


def _bar(axes: Axes, row: int, shares: np.ndarray, names: list[str], colours: dict[str, str], line: float) -> None:
    left = 0.0
    for j in np.argsort(-shares, kind="stable"):
        if shares[j] <= 0:
            return
        colour = colours[names[j]]
        axes.barh(row, shares[j], left=left, height=0.82, color=colour, edgecolor=PAPER, linewidth=0.5)
        said = f"{names[j]} {100 * shares[j]:.0f} %"
        if shares[j] > max(NAMED, 0.0105 * len(said)) and line > 0.12:
            axes.text(left + 0.006, row, said, va="center_baseline", fontsize=SMALL - 0.5, color=_ink(colour))
        left += shares[j]


def _beside(axes: Axes, said: str, place: tuple[int, int | float], points: int, **look: Any) -> None:
    look = {"va": "center_baseline", "fontsize": SMALL, **look}
    axes.annotate(said, place, (points, 0), textcoords="offset points", ha="right", annotation_clip=False, **look)


def _ink(background: str) -> str:
    """Dark or white, whichever is easier to read on the background."""
    red, green, blue = to_rgb(background)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else PAPER
