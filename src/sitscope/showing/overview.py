"""At which dates is each embedding dimension raised or lowered, for all classes at once?

m classes, t acquisitions, d embedding dimensions.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sitscope.showing.axes import date_axis, date_edges, days_of, leave_bare
from sitscope.showing.colours import IMPORTANCE, INK, MUTED
from sitscope.showing.profile import hollow_dates
from sitscope.showing.style import BODY, SMALL, WIDTH_IN, styled


@styled
def overview_figure(profiles: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Mean importance of every class (rows) at every date (columns), one panel per embedding dimension.

    Colours keep the sign: zero is grey, and each panel's largest size is at the ends of its own colour bar.
    An open circle marks a date on which more than half of a class's series are filled in time (column `filled`).
    The curve above each panel is the mean size of the importance over the classes, weighted by their series.

    >>> table = pd.DataFrame({"class": "rye", "dim": 1, "date": pd.date_range("2017-01-03", periods=3, freq="6D"),
    ...     "importance": [0.0, 1.0, -2.0], "n": 9})
    >>> overview_figure(table, ["rye"]).axes[0].get_title(loc="left")
    'Embedding dimension 1'
    """
    known = set(profiles["class"])
    shown = [name for name in classes if name in known]
    dims = sorted(int(dim) for dim in profiles["dim"].unique())
    columns = 1 if len(dims) <= 2 else 2
    rows = -(-len(dims) // columns)
    line = float(np.clip(3.4 / len(shown), 0.085, 0.2))
    heights = [0.42, max(line * len(shown), 0.75)] * rows
    figure = Figure(figsize=(WIDTH_IN, sum(heights) + 0.62 * rows + 0.2), layout="constrained")
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=heights)
    for place, dim in enumerate(dims):
        row, column = divmod(place, columns)
        curve = figure.add_subplot(grid[2 * row, column])
        axes = figure.add_subplot(grid[2 * row + 1, column])
        table = profiles[profiles["dim"] == dim].pivot(index="class", columns="date", values="importance").loc[shown]
        dates, importance = table.columns.to_numpy(), table.to_numpy(dtype=float)
        weight = profiles.drop_duplicates("class").set_index("class")["n"].loc[shown].to_numpy(dtype=float)
        _curve(curve, dates, np.average(np.abs(importance), axis=0, weights=weight), dim)
        _heat(figure, axes, dates, importance, shown, line)
        _hollow(axes, dates, hollow_dates(profiles, shown), line)
        date_axis(axes, dates, label=place >= len(dims) - columns)
        curve.set_xlim(axes.get_xlim())
    return figure


def _curve(axes: Axes, dates: np.ndarray, size: Float[np.ndarray, " t"], dim: int) -> None:
    days = days_of(dates)
    axes.fill_between(days, 0, size, color=MUTED, alpha=0.25, linewidth=0)
    axes.plot(days, size, color=INK, linewidth=1.0)
    axes.set(ylim=(0, None), yticks=[0], xticks=[])
    axes.set_ylabel("mean\nsize", fontsize=SMALL, rotation=0, ha="right", va="center", color=MUTED)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0, labelleft=False)
    axes.set_title(f"Embedding dimension {dim}")


def _hollow(axes: Axes, dates: np.ndarray, hollow: Bool[np.ndarray, "m t"], line: float) -> None:
    rows, columns = np.nonzero(hollow)
    axes.scatter(
        days_of(dates)[columns], rows, s=(line * 72 * 0.3) ** 2, facecolors="none", edgecolors=INK, linewidths=0.5,
        gid="hollow",
    )  # fmt: skip


def _heat(
    figure: Figure,
    axes: Axes,
    dates: np.ndarray,
    importance: Float[np.ndarray, "m t"],
    names: Sequence[str],
    line: float,
) -> None:
    largest = float(np.nanmax(np.abs(importance))) or 1.0
    rows = np.arange(len(names) + 1) - 0.5
    mesh = axes.pcolormesh(
        date_edges(dates), rows, importance, cmap=IMPORTANCE, vmin=-largest, vmax=largest, rasterized=True
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names, fontsize=float(np.clip(line * 72 * 0.78, 4.5, BODY)))
    leave_bare(axes)
    bar = figure.colorbar(mesh, ax=axes, fraction=0.025, pad=0.01, aspect=18)
    bar.outline.set_visible(False)
    bar.set_ticks([-largest, 0, largest], labels=[f"−{largest:.2g}", "0", f"+{largest:.2g}"])
    bar.ax.tick_params(length=0)
    bar.set_label("Importance", fontsize=BODY)
