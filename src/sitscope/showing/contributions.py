"""Which sensor, band and date made each embedding dimension, and what parts two classes?

c bands and t dates of a sensor, each sensor on its own dates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from sitscope.showing.axes import date_edges, days_of, leave_bare, month_ticks, years
from sitscope.showing.colours import IMPORTANCE, INK, MUTED, RULE, SHARE
from sitscope.showing.style import BODY, SMALL, WIDTH_IN, styled
from sitscope.showing.words import percent

CURVE_IN, BAND_IN, GAP_IN = 0.28, 0.17, 0.30


@dataclass(frozen=True)
class Strip:
    """One sensor in a panel."""

    title: str
    bands: Sequence[str]
    dates: np.ndarray
    """(t,) datetime64."""
    values: Float[np.ndarray, "c t"]
    """What the colours are."""
    said: Sequence[str]
    """(c,) what stands right of each band."""
    line: Float[np.ndarray, " t"] | None = None
    """A second opinion over the dates, drawn as a line above; its scale is its own."""

    @property
    def inches(self) -> float:
        """How high it is drawn."""
        return CURVE_IN + max(BAND_IN * len(self.bands), 0.28) + GAP_IN


@styled
def contributions_figure(table: pd.DataFrame, letter: pd.DataFrame, shares: pd.DataFrame) -> Figure:
    """Share of each sensor, band and date in all that moves each embedding dimension; one panel per dimension.

    table: class, dim, sensor, band, date, size, n; letter: class, dim, sensor, date, importance, n; shares: dim,
    sensor, share, share_low, share_high. Classes count by their series. Grey areas are the sums over bands, lines the
    letter's Grad-SLAM, each sensor's on its own scale.

    >>> dates = pd.date_range("2017-01-03", periods=3, freq="6D")
    >>> cells = pd.DataFrame({"class": "rye", "dim": 1, "sensor": "s1", "band": "VV", "date": dates, "n": 9})
    >>> shares = pd.DataFrame({"dim": [1], "sensor": ["s1"], "share": [1.0], "share_low": [1.0], "share_high": [1.0]})
    >>> figure = contributions_figure(cells.assign(size=[0.0, 1, 3]), cells.assign(importance=1.0), shares)
    >>> figure.axes[0].get_title(loc="left")
    'Embedding dimension 1 · s1 100 %'
    """
    panels = []
    for dim, cells in table.groupby("dim", sort=True):
        whole = float((cells["size"] * cells["n"]).sum()) or 1.0
        lines, mine = letter[letter["dim"] == dim], shares[shares["dim"] == dim].set_index("sensor")
        strips = []
        for sensor in cells["sensor"].unique():
            wide = _wide(cells[cells["sensor"] == sensor].assign(value=lambda each: each["size"] * each["n"]), whole)
            said = mine.loc[sensor]
            title = f"{sensor} {percent(said['share'])}"
            if said["share_low"] < said["share_high"]:
                title += f" ({percent(said['share_low'])} to {percent(said['share_high'])})"
            own = lines[lines["sensor"] == sensor]
            line = own.assign(w=own["importance"] * own["n"]).groupby("date")["w"].sum().to_numpy(dtype=float)
            by_band = [percent(share) for share in wide.to_numpy().sum(axis=1)]
            strips.append(Strip(title, list(wide.index), wide.columns.to_numpy(), wide.to_numpy(), by_band, line))
        panels.append((f"Embedding dimension {dim}", strips))
    return _drawn(panels, SHARE, "Share", 1 if len(panels) <= 2 else 2)


@styled
def margins_figure(margins: pd.DataFrame) -> Figure:
    """What parts pairs of classes: share of each sensor, band and date in the way between them; one panel per pair.

    margins: class, other, sensor, band, date, contribution. Red widens the margin between the two clusters, blue
    narrows it; what stands at bands and sensors adds up to 100 % in each panel, or to -100 % where the two classes lie
    the other way round than their clusters.

    >>> cells = pd.DataFrame({"class": "rye", "other": "oats", "sensor": "s1", "band": "VV",
    ...     "date": pd.date_range("2017-01-03", periods=2, freq="6D")})
    >>> margins_figure(cells.assign(contribution=[3.0, -1.0])).axes[0].get_title(loc="left")
    'rye from oats · s1 100 %'
    """
    panels = []
    for (one, other), cells in margins.groupby(["class", "other"], sort=False):
        whole = abs(float(cells["contribution"].sum())) or 1.0
        strips = []
        for sensor in cells["sensor"].unique():
            wide = _wide(cells[cells["sensor"] == sensor].rename(columns={"contribution": "value"}), whole)
            values = wide.to_numpy(dtype=float)
            by_band = [_signed(share) for share in values.sum(axis=1)]
            title = f"{sensor} {_signed(values.sum())}"
            strips.append(Strip(title, list(wide.index), wide.columns.to_numpy(), values, by_band))
        panels.append((f"{one} from {other}", strips))
    return _drawn(panels, IMPORTANCE, "Share", 1)  # names of classes may be long


def _wide(cells: pd.DataFrame, whole: float) -> pd.DataFrame:
    """Bands by dates, in the order of the table."""
    order = list(cells["band"].unique())
    return cells.pivot_table(index="band", columns="date", values="value", aggfunc="sum").loc[order] / whole


def _signed(share: float) -> str:
    return f"{100 * share:.0f} %".replace("-", "−")


def _drawn(panels: Sequence[tuple[str, Sequence[Strip]]], colours: Colormap, what: str, columns: int) -> Figure:
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [max(sum(strip.inches for strip in strips) for _, strips in row) + 0.25 for row in rows]
    figure = Figure(figsize=(WIDTH_IN, sum(heights) + 0.3), layout="constrained")
    grid = figure.add_gridspec(len(rows), columns, height_ratios=heights)
    for i, row in enumerate(rows):
        for j, (title, strips) in enumerate(row):
            _panel(figure, grid[i, j], title, strips, colours, what, last=i * columns + j >= len(panels) - columns)
    return figure


def _panel(
    figure: Figure,
    place: SubplotSpec,
    title: str,
    strips: Sequence[Strip],
    colours: Colormap,
    what: str,
    last: bool,
) -> None:
    """The strips of a panel under one another, on one axis of time and one scale of colours."""
    heights = [part for strip in strips for part in (CURVE_IN, strip.inches - CURVE_IN - GAP_IN)]
    grid = place.subgridspec(len(heights), 1, height_ratios=heights)
    edges = [date_edges(strip.dates) for strip in strips]
    span = min(each[0] for each in edges), max(each[-1] for each in edges)
    largest = max(float(np.abs(strip.values).max()) for strip in strips) or 1.0
    low = -largest if any((strip.values < 0).any() for strip in strips) or colours is IMPORTANCE else 0.0
    heats = []
    narrow = place.get_gridspec().ncols > 1
    for i, strip in enumerate(strips):
        curve = figure.add_subplot(grid[2 * i])
        heat = figure.add_subplot(grid[2 * i + 1])
        curve.set_title(f"{title} · {strip.title}" if i == 0 else strip.title, weight="bold" if i == 0 else "normal")
        _curve(curve, strip, span)
        mesh = heat.pcolormesh(
            edges[i], np.arange(len(strip.bands) + 1) - 0.5, strip.values, cmap=colours, vmin=low, vmax=largest,
            rasterized=True,
        )  # fmt: skip
        _bands(heat, strip, span, narrow, dated=i == len(strips) - 1)
        heats += [curve, heat]
    if last:
        heats[-1].set_xlabel(f"Date of acquisition, {years(np.sort(np.concatenate([s.dates for s in strips])))}")
    bar = figure.colorbar(mesh, ax=heats, fraction=0.03, pad=0.1 if narrow else 0.045, aspect=25)
    bar.outline.set_visible(False)
    ticks = [low, 0, largest] if low < 0 else [0, largest]
    bar.set_ticks(ticks, labels=[f"{100 * tick:.2g} %".replace("-", "−") for tick in ticks])
    bar.ax.tick_params(length=0)
    bar.set_label(f"{what} of a band on a date", fontsize=BODY)


def _curve(axes: Axes, strip: Strip, span: tuple[float, float]) -> None:
    """The sum over bands, as an area, and the second opinion as a line."""
    total = strip.values.sum(axis=0)
    axes.stairs(total, date_edges(strip.dates), fill=True, color=MUTED, alpha=0.35)
    axes.axhline(0, color=RULE, linewidth=0.6)
    largest = float(np.abs(total).max()) or 1.0
    axes.set(xlim=span, ylim=(min(0.0, 1.1 * float(total.min())), 1.1 * largest))
    if strip.line is not None and strip.line.max() > 0:
        axes.plot(days_of(strip.dates), strip.line / strip.line.max() * largest, color=INK, linewidth=0.9, gid="letter")
    leave_bare(axes)
    axes.set(xticks=[], yticks=[])


def _bands(axes: Axes, strip: Strip, span: tuple[float, float], narrow: bool, dated: bool) -> None:
    axes.set_yticks(range(len(strip.bands)), list(strip.bands), fontsize=SMALL)
    axes.set(xlim=span, ylim=(len(strip.bands) - 0.5, -0.5))
    leave_bare(axes)
    for row, text in enumerate(strip.said):
        axes.annotate(
            text, (1, row), (34, 0), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=SMALL,
            ha="right", va="center", annotation_clip=False,
        )  # fmt: skip
    axes.plot(days_of(strip.dates), np.full(len(strip.dates), len(strip.bands) - 0.5), "|", color=MUTED, markersize=4,
              clip_on=False)  # fmt: skip
    ticked = np.array([span[0], span[1] + (span[1] - span[0] if narrow else 0)])  # as if twice as long: half the ticks
    month_ticks(axes, ticked.astype("datetime64[D]"))
    axes.tick_params(axis="x", length=0, labelbottom=dated)
