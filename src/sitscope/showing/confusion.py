"""Which class is taken for which? (Fig. 3 of the letter)"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sitscope.showing.axes import leave_bare
from sitscope.showing.colours import INK, MUTED, PAPER, RULE, SHARE
from sitscope.showing.findings import Scores
from sitscope.showing.story import row_shares, tested
from sitscope.showing.style import BODY, SMALL, WIDTH_IN, styled
from sitscope.showing.words import count

PRINTED = 32  # classes above which numbers in cells can no longer be read


@styled
def confusion_figure(scores: Scores) -> Figure:
    """The confusion matrix of the test series: row percentages, one row per true class, recall and counts beside it.

    The class with most test series comes first, as in the letter, so that what it swallows stands at the left.
    Columns of classes that are never predicted are named in grey. A last column counts the series in clusters that
    no vote gave a class, if there are any.

    >>> from sitscope.classes.scores import compare
    >>> truth, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    >>> scores = compare(truth, predicted, predicted, ("rye", "oats"))
    >>> [text.get_text() for text in confusion_figure(scores).axes[0].texts][:3]
    ['75', '25', '100']
    """
    series = tested(scores)
    order = np.argsort(-series, kind="stable")
    shares = row_shares(scores)[order][:, [*order, -1]]
    rows = [scores.classes[i] for i in order]
    columns = [*rows, "no class"]
    if not np.any(scores.unclassified):
        shares, columns = shares[:, :-1], columns[:-1]
    cell = float(np.clip(7.0 / len(columns), 0.115, 0.85))
    text = float(np.clip(cell * 72 * 0.33, 3.5, BODY))
    figure = Figure(figsize=(min(WIDTH_IN, cell * len(columns) + 3.2), cell * len(shares) + 1.7), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap=SHARE, vmin=0, vmax=1)
    leave_bare(axes)
    _rule(axes, shares)
    never = set(np.flatnonzero(np.asarray(scores.confusion).sum(axis=0)[order] == 0).tolist())
    _name(axes, rows, columns, text, never)
    if len(shares) <= PRINTED:
        _print(axes, shares, text)
    _mark_diagonal(axes, len(shares))
    _margin(axes, series[order], shares, text)
    return figure


def _name(axes: Axes, rows: list[str], columns: list[str], text: float, never: set[int]) -> None:
    """Classes along both axes, those in columns `never` in grey."""
    size = min(BODY, max(text * 1.15, 4.5))
    axes.set_yticks(range(len(rows)), rows, fontsize=size)
    axes.set_xticks(range(len(columns)), columns, fontsize=size, rotation=45 if len(columns) > 4 else 0)
    if len(columns) > 4:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set(xlabel="Predicted class", ylabel="True class")
    for j, label in enumerate(axes.get_xticklabels()):
        if j in never and j < len(rows):
            label.set(color=MUTED, style="italic")


def _rule(axes: Axes, shares: np.ndarray) -> None:
    """Faint lines between cells, so that the eye finds row and column where nothing was predicted."""
    rows, columns = shares.shape
    lines: Any = {"colors": RULE, "linewidths": 0.5, "zorder": 2, "clip_on": False}
    axes.hlines(np.arange(rows + 1) - 0.5, -0.5, columns - 0.5, **lines)
    axes.vlines(np.arange(columns + 1) - 0.5, -0.5, rows - 0.5, **lines)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))


def _print(axes: Axes, shares: np.ndarray, text: float) -> None:
    """Row percentages in their cells; what rounds to nothing stays empty."""
    for i, j in np.argwhere(np.nan_to_num(shares) >= 0.005):
        colour = PAPER if shares[i, j] > 0.45 else INK
        axes.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=text, color=colour)


def _mark_diagonal(axes: Axes, classes: int) -> None:
    for i in range(classes):
        axes.add_patch(
            Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.0, zorder=3, clip_on=False)
        )


def _margin(axes: Axes, series: np.ndarray, shares: np.ndarray, text: float) -> None:
    """Recall and number of test series, right of the rows."""
    size = min(BODY, max(text * 1.1, 4.5))
    recall = np.diag(shares)
    right = shares.shape[1] - 0.5
    for i, (found, n) in enumerate(zip(recall, series, strict=True)):
        said = f"{100 * found:.0f}" if np.isfinite(found) else "–"
        _beside(axes, said, (right, i), (34, 0), fontsize=size, va="center", weight="bold")
        _beside(axes, count(int(n)), (right, i), (80, 0), fontsize=size, va="center")
    for name, offset in (("recall\n(%)", 34), ("test\nseries", 80)):
        _beside(axes, name, (right, -0.5), (offset, 4), fontsize=SMALL, va="bottom", color=MUTED)


def _beside(axes: Axes, said: str, place: tuple[float, int | float], points: tuple[int, int], **look: Any) -> None:
    axes.annotate(said, place, points, textcoords="offset points", ha="right", annotation_clip=False, **look)
