"""Which dates of a class does the embedding look at? (Fig. 4 of the letter)

m classes in a panel, t acquisitions, d embedding dimensions, one panel each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from sitscope.errors import BadInput
from sitscope.showing.axes import band_label, date_axis, days_of, spread
from sitscope.showing.colours import IMPORTANCE, INK, MUTED, PAPER, importance_colours
from sitscope.showing.display import BY_CLASS, Display
from sitscope.showing.style import BODY, SMALL, WIDTH_IN, styled
from sitscope.showing.words import count, listed

MARKERS = "osD^vPX*"
HOLLOW = 0.5  # share of series without a value of their own above which an acquisition's marker is hollow


@dataclass(frozen=True)
class Curves:
    """The classes of one panel."""

    dates: np.ndarray
    """(t,) datetime64."""
    level: np.ndarray
    """(m, t) mean of the band."""
    spread: np.ndarray
    """(m, t) its standard deviation."""
    importance: np.ndarray
    """(m, t) of the panel's embedding dimension."""


@styled
def profile_figure(
    profiles: pd.DataFrame,
    classes: Sequence[str],
    band: str,
    units: str = "dB",
    display: Display = BY_CLASS,
    missing: Float[np.ndarray, " t"] | None = None,
) -> Figure:
    """Mean series of the classes, coloured by the importance of each date; one panel per embedding dimension.

    profiles: the tidy table of a run (class, dim, date, importance, n, and `band`, `band`_std in `units`).
    display: how importance becomes a colour; the letter's, `BY_CLASS`, if not said.
    missing: (t,) share of values missing in each acquisition, for profiles that do not say it of each class as their
    column `filled` does; where more than half are, the marker is hollow.
    Markers grow with importance, so that the picture can be read without its colours.
    Raises BadInput for a class or band that the table lacks.

    >>> table = pd.DataFrame({"class": "rye", "dim": 1, "date": pd.date_range("2017-01-03", periods=3, freq="6D"),
    ...     "importance": [0.0, 1.0, 2.0], "n": 9, "VV": [-9.0, -8.0, -9.5], "VV_std": 1.0})
    >>> profile_figure(table, ["rye"], "VV").axes[0].get_ylabel()
    'VV backscatter (dB)'
    """
    _check(profiles, classes, band)
    dims = sorted(int(dim) for dim in profiles["dim"].unique())
    height = 2.55 if len(dims) <= 2 else 2.1 if len(dims) <= 4 else 1.75
    layout = ConstrainedLayoutEngine(h_pad=0.06, hspace=0.03)
    figure = Figure(figsize=(WIDTH_IN, height * len(dims) + 0.45), layout=layout)
    panels = figure.subplots(len(dims), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    series = profiles.drop_duplicates("class").set_index("class")["n"]
    for axes, dim in zip(panels, dims, strict=True):
        curves = _curves(profiles, classes, band, dim)
        hollow = hollow_dates(profiles, classes, missing)
        _draw(axes, curves, display, hollow)
        axes.set_title(f"Embedding dimension {dim}")
        axes.set_ylabel(band_label(band, units))
        date_axis(axes, curves.dates, label=dim == dims[-1])
        _label_ends(axes, curves, [f"{name} ({count(int(series[name]))})" for name in classes], height)
        _colour_bar(figure, axes, display.ends(curves.importance))
    return figure


def hollow_dates(
    profiles: pd.DataFrame, classes: Sequence[str], missing: Float[np.ndarray, " t"] | None = None
) -> NDArray[np.bool_]:
    """(m, t): where more than half of a class's series have no value of their own, but one filled in time."""
    t = profiles["date"].nunique()
    if "filled" not in profiles:
        share = np.zeros(t) if missing is None else missing
        return np.broadcast_to(share > HOLLOW, (len(classes), t))
    one = profiles.drop_duplicates(["class", "date"]).pivot(index="class", columns="date", values="filled")
    return np.asarray(one.loc[list(classes)].to_numpy(dtype=float) > HOLLOW)


def _check(profiles: pd.DataFrame, classes: Sequence[str], band: str) -> None:
    known = list(profiles["class"].unique())
    if absent := [name for name in classes if name not in known]:
        raise BadInput(
            "classes", f"no profile of {listed(absent)}; there are profiles of {listed(known)}. Name some of these."
        )
    if f"{band}_std" not in profiles or band not in profiles:
        bands = [name[:-4] for name in profiles if name.endswith("_std") and name != "importance_std"]
        raise BadInput("band", f"the profiles have no band {band!r}, only {listed(bands)}. Name one of these.")


def _curves(profiles: pd.DataFrame, classes: Sequence[str], band: str, dim: int) -> Curves:
    table = profiles[(profiles["dim"] == dim) & profiles["class"].isin(classes)]
    wide = table.pivot(index="class", columns="date", values=[band, f"{band}_std", "importance"]).loc[list(classes)]
    dates = wide["importance"].columns.to_numpy()
    parts = [wide[name].to_numpy(dtype=float) for name in (band, f"{band}_std", "importance")]
    return Curves(dates, *parts)


def _draw(axes: Axes, curves: Curves, display: Display, hollow: NDArray[np.bool_]) -> None:
    days = days_of(curves.dates)
    scaled = display.scale(curves.importance)
    size = display.size(scaled)
    for i in range(len(scaled)):
        mean, sd = curves.level[i], curves.spread[i]
        axes.fill_between(days, mean - sd, mean + sd, color=MUTED, alpha=0.11, linewidth=0, zorder=1)
        points = np.column_stack([days, mean])
        pieces = np.stack([points[:-1], points[1:]], axis=1)
        width = 1.3 + 1.5 * (size[i, 1:] + size[i, :-1]) / 2
        _segments(axes, pieces, INK, width + 0.8, 2 + 0.1 * i)
        between = importance_colours((scaled[i, 1:] + scaled[i, :-1]) / 2)
        _segments(axes, pieces, between, width, 2.05 + 0.1 * i)
        colours = importance_colours(scaled[i])
        fill = np.where(hollow[i, :, None], to_rgba(PAPER), colours)
        edge = np.where(hollow[i, :, None], colours, to_rgba(INK))
        axes.scatter(
            days, mean, s=12 + 46 * size[i] ** 1.5, c=fill, marker=MARKERS[i % len(MARKERS)],
            edgecolors=[to_hex(tuple(rgba)) for rgba in edge], linewidths=np.where(hollow[i], 1.4, 0.6).tolist(),
            zorder=3 + 0.1 * i, gid=f"importance-{i}",
        )  # fmt: skip


def _segments(axes: Axes, pieces: NDArray[np.float64], colours: Any, width: NDArray[np.float64], zorder: float) -> None:
    lines = LineCollection(list(pieces), colors=colours, linewidths=width.tolist(), zorder=zorder, capstyle="round")
    axes.add_collection(lines)


def _label_ends(axes: Axes, curves: Curves, names: Sequence[str], height: float) -> None:
    """Marker and name of each class right of its last date, kept from overprinting one another."""
    low, high = np.nanmin(curves.level - curves.spread), np.nanmax(curves.level + curves.spread)
    ends = [float(v) for v in curves.level[:, -1]]
    places = spread(ends, gap=0.15 / height * (high - low) * 1.45)
    for i, (name, place) in enumerate(zip(names, places, strict=True)):
        axes.annotate(
            name, (1, place), (16, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            fontsize=SMALL, va="center", annotation_clip=False,
        )  # fmt: skip
        axes.plot(
            1.012, place, marker=MARKERS[i % len(MARKERS)], markersize=5, color=PAPER, markeredgecolor=INK,
            transform=axes.get_yaxis_transform(), clip_on=False,
        )  # fmt: skip


def _colour_bar(figure: Figure, axes: Axes, ends: tuple[str, str, str]) -> None:
    mappable = ScalarMappable(Normalize(0, 1), IMPORTANCE)
    bar = figure.colorbar(mappable, ax=axes, fraction=0.03, pad=0.01, aspect=14, shrink=0.86)
    bar.outline.set_visible(False)
    bar.set_ticks([0, 0.5, 1], labels=list(ends))
    bar.ax.tick_params(length=0)
    bar.set_label("Importance", fontsize=BODY)
