"""Where do classes and clusters lie in the embedding?

n series shown, d embedding dimensions, k clusters.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from sitscope.classes.components import principal_components
from sitscope.showing.axes import class_legend
from sitscope.showing.colours import INK, PAPER, class_colours, cluster_colours
from sitscope.showing.style import BODY, SMALL, WIDTH_IN, styled

NAMED = 8  # classes named directly, the most frequent first
LEAST = 0.02  # share of the points that a class needs to be named directly
SHOWN = 20_000  # more points than this only hide one another


@styled
def embedding_figure(samples: pd.DataFrame, centres: Float[np.ndarray, "k d"], classes: Sequence[str]) -> Figure:
    """The embedding of the labelled series, coloured by class (left) and by cluster (right), centres numbered.

    samples: label, cluster (from 1), e1 .. ed. One dimension is drawn against the class and the cluster; of more than
    two dimensions the plane of the two principal components is shown, with their share of the variance.

    >>> samples = pd.DataFrame({"label": ["a", "b"], "cluster": [1, 1], "e1": [0.0, 1.0], "e2": [1.0, 0.0]})
    >>> embedding_figure(samples, np.zeros((1, 2)), ["a", "b"]).axes[0].get_xlabel()
    'Embedding dimension 1 (no unit)'
    """
    table = samples[samples["label"].isin(list(classes))]
    table = table.sample(min(len(table), SHOWN), random_state=0)  # shuffled: no class is always drawn on top
    dims = centres.shape[1]
    points = table[[f"e{i + 1}" for i in range(dims)]].to_numpy(dtype=float)
    by_class = _colours(table["label"], class_colours(list(classes)))
    numbers = {str(k + 1): colour for k, colour in enumerate(cluster_colours(len(centres)))}
    by_cluster = _colours(table["cluster"].astype(str), numbers)
    figure = Figure(
        figsize=(WIDTH_IN, 5.5 if dims > 1 else 0.2 * max(len(classes), len(centres)) + 1.4), layout="constrained"
    )
    left, right = figure.subplots(1, 2, sharex=True, sharey=dims > 1)
    if dims == 1:
        _rows(left, points[:, 0], table["label"], list(classes), by_class)
        _rows(right, points[:, 0], table["cluster"].astype(str), list(numbers), by_cluster)
        right.plot(centres[:, 0], np.arange(len(centres)), "|", color=INK, markersize=9, markeredgewidth=1.4)
    else:
        flat, flat_centres, names = _plane(points, centres)
        for axes, colours in ((left, by_class), (right, by_cluster)):
            _cloud(axes, flat, colours, names)
        _name_classes(left, flat, table["label"])
        _number_centres(right, flat_centres)
    if dims > 1:
        class_legend(figure, classes, table["label"].unique())
    left.set_title("By class")
    right.set_title("By cluster, with the clusters' centres")
    return figure


def _colours(values: pd.Series, palette: dict[str, str]) -> list[str]:
    return [palette[value] for value in values]


def _plane(
    points: Float[np.ndarray, "n d"], centres: Float[np.ndarray, "k d"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "k 2"], tuple[str, str]]:
    """Both in the plane shown, and the names of its axes."""
    if points.shape[1] == 2:
        return points, centres, ("Embedding dimension 1 (no unit)", "Embedding dimension 2 (no unit)")
    found = principal_components(points)
    one, two = (
        f"Principal component {i + 1} of the embedding ({100 * found.share[i]:.0f} % of variance)" for i in (0, 1)
    )
    return found(points), found(centres), (one, two)


def _cloud(axes: Axes, points: Float[np.ndarray, "n 2"], colours: list[str], names: tuple[str, str]) -> None:
    size = float(np.clip(12000 / max(len(points), 1), 1.5, 14))
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colours, alpha=0.65, linewidths=0, rasterized=True)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.label_outer()
    axes.grid(True)


def _rows(axes: Axes, values: Float[np.ndarray, " n"], group: pd.Series, names: list[str], colours: list[str]) -> None:
    """One dimension: a row per class or cluster, points scattered a little so that they do not hide one another."""
    row = {name: place for place, name in enumerate(names)}
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(values))
    places = np.array([row[name] for name in group], dtype=float) + jitter
    axes.scatter(values, places, s=3, c=colours, alpha=0.65, linewidths=0, rasterized=True)
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="Embedding dimension 1 (no unit)")
    axes.grid(True, axis="x")


def _name_classes(axes: Axes, points: Float[np.ndarray, "n 2"], labels: pd.Series) -> None:
    """The most frequent classes where their points are densest, moved apart where they would overprint."""
    shares = labels.value_counts(normalize=True)
    names = list(shares.index[shares >= LEAST][:NAMED])
    middles = np.array([_densest(points[(labels == name).to_numpy()]) for name in names]).reshape(-1, 2)
    for name, place in zip(names, _apart(middles, np.ptp(points, axis=0)), strict=True):
        halo = [withStroke(linewidth=2.6, foreground=PAPER)]
        axes.text(place[0], place[1], name, ha="center", va="center", fontsize=BODY, weight="bold", path_effects=halo)


def _densest(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " 2"]:
    """The mean of the points in and around the fullest of 12 by 12 cells: a class in two clouds is named in one."""
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    cell = np.floor((points - low) / np.where(extent > 0, extent, 1) * 11.999).astype(int)  # (n, 2)
    cells, counts = np.unique(cell, axis=0, return_counts=True)
    near = np.abs(cell - cells[counts.argmax()]).max(axis=1) <= 1
    return points[near].mean(axis=0)


def _apart(places: Float[np.ndarray, "m 2"], extent: Float[np.ndarray, " 2"]) -> Float[np.ndarray, "m 2"]:
    """Moved up or down until no two labels share a line of text."""
    wide, high = 0.24 * extent[0], 0.048 * extent[1]
    free = places.copy()
    for _ in range(60):
        for i in range(len(free)):
            for j in range(i):
                gap = free[i, 1] - free[j, 1]
                if abs(free[i, 0] - free[j, 0]) < wide and abs(gap) < high:
                    push = (high - abs(gap)) / 2 * (1 if gap >= 0 else -1)
                    free[i, 1] += push
                    free[j, 1] -= push
    return free


def _number_centres(axes: Axes, centres: Float[np.ndarray, "k 2"]) -> None:
    size = SMALL if len(centres) <= 24 else 5.5
    axes.scatter(
        centres[:, 0], centres[:, 1], s=size**2 * 2.3, c=PAPER, edgecolors=INK, linewidths=0.7, zorder=4, gid="centres"
    )
    for number, place in enumerate(centres, start=1):
        axes.text(place[0], place[1], str(number), ha="center", va="center_baseline", fontsize=size - 0.5, zorder=5)
