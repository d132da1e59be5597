"""Which fields should somebody look at, and what betrays them? Figures and a page about checked labels.

f fields that were judged, m classes, c bands, t acquisitions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from jaxtyping import Float, Int
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from sitscope.showing import words
from sitscope.showing.axes import band_label, date_axis, days_of
from sitscope.showing.colours import ACCENT, INK, MUTED, RULE
from sitscope.showing.plates import Plate
from sitscope.showing.report import environment, picture
from sitscope.showing.scene import length_bar, outline
from sitscope.showing.style import SMALL, WIDTH_IN, save, styled

SHOWN = 6
"""Fields whose series are drawn, the most suspicious."""
LISTED = 100
"""Rows of a table on the page; labels.csv has all."""
OTHER = "#0072b2"
"""Of the class that a field looks like, in the figure of series; its own class is grey."""


@dataclass(frozen=True)
class Look:
    """How a proposal is shown."""

    colour: str
    said: str


LOOKS = {
    "relabel": Look(ACCENT, "relabel"),
    "look": Look("#e69f00", "have a look"),
    "clean": Look("#c9d3c4", "clean"),
    "": Look("#ffffff", "not judged"),
}
"""In the order of their urgency."""


@dataclass(frozen=True)
class LabelFindings:
    """All that the figures and the page say."""

    title: str
    dates: np.ndarray
    """(t,) datetime64."""
    bands: tuple[str, ...]
    units: str
    table: gpd.GeoDataFrame
    """A row per field: field, label, proposal, proposed, why, dates, confidence, suspicion, geometry."""
    classes: tuple[str, ...]
    left_out: Mapping[str, int]
    """Classes that are not judged, with their fields."""
    separability: float
    """Share of the variance of suspicion that lies between the two groups of Otsu's threshold."""
    field: Int[np.ndarray, " f"]
    """Row of the table."""
    label: Int[np.ndarray, " f"]
    """Position in `classes`."""
    other: Int[np.ndarray, " f"]
    """The class that fits best beside the label."""
    mean: Float[np.ndarray, "f c t"]
    """Mean series, in `units`."""
    blame: Float[np.ndarray, "f t"]
    """What each date adds to the error of the label's autoencoder."""

    def suspects(self) -> NDArray[np.int64]:
        """Positions (of f) of fields to relabel or to look at for another class, the most suspicious first."""
        rows = self.table.iloc[self.field]
        meant = np.flatnonzero((rows.proposed != "").to_numpy())
        urgent = np.array([list(LOOKS).index(name) for name in rows.proposal.iloc[meant]], int)
        return meant[np.lexsort((-rows.suspicion.to_numpy()[meant], urgent))]


@styled
def label_map(table: gpd.GeoDataFrame) -> Figure:
    """The fields by proposal; those to relabel are drawn last and outlined, so that a small one is seen.

    >>> import shapely
    >>> fields = gpd.GeoDataFrame({"proposal": ["clean", "relabel"]}, geometry=[shapely.box(0, 0, 1, 1)] * 2)
    >>> [text.get_text() for text in label_map(fields).legends[0].get_texts()]
    ['relabel (1)', 'clean (1)']
    """
    west, south, east, north = table.total_bounds
    aspect = (north - south) / (east - west)
    wide = min(WIDTH_IN - 1, 7.0 / aspect)
    figure = Figure(figsize=(WIDTH_IN, min(7.0, wide * aspect) + 0.9), layout="constrained")
    axes = figure.add_subplot()
    keys: list[Artist] = []
    for name, look in reversed(LOOKS.items()):
        shapes = table.geometry[(table.proposal == name).to_numpy()]
        if paths := [path for shape in shapes if (path := outline(shape)) is not None]:
            edge, width = (INK, 0.8) if name == "relabel" else (MUTED, 0.3)
            axes.add_collection(
                PathCollection(paths, facecolor=look.colour, edgecolor=edge, linewidth=width, gid=f"{name or 'none'}")
            )
        if len(shapes):
            said = f"{look.said} ({words.count(len(shapes))})"
            keys.insert(0, Patch(facecolor=look.colour, edgecolor=MUTED, linewidth=0.5, label=said))
    margin = 0.02 * max(east - west, north - south)
    axes.set(xlim=(west - margin, east + margin), ylim=(south - margin, north + margin), aspect="equal")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if table.crs is not None and table.crs.is_projected:
        length_bar(axes)
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), handlelength=1.0)
    return figure


@styled
def suspects_figure(findings: LabelFindings) -> Figure:
    """The most suspicious fields: their series against what is usual for their class and for the one they look like.

    Bands are mean and one standard deviation over the clean fields of a class; bars below are the blame by date.
    """
    shown = findings.suspects()[:SHOWN]
    bands = findings.bands[:2]
    figure = Figure(figsize=(WIDTH_IN, 1.75 * len(shown) + 0.7), layout="constrained")
    panels = figure.subplots(len(shown), len(bands), sharex=True, squeeze=False)
    largest = float(np.abs(findings.blame[shown]).max())
    for row, i in zip(panels, shown.tolist(), strict=True):
        for band, axes in enumerate(row):
            _series(axes, findings, i, band, largest)
            axes.set_ylabel(band_label(bands[band], findings.units), fontsize=SMALL)
        row[0].set_title(_named(findings, i))
        row[-1].set_title(_why(findings, i), fontweight="normal", fontsize=SMALL)
    for axes in panels[-1]:
        date_axis(axes, findings.dates)
    keys = [
        Patch(color=MUTED, alpha=0.3, label="usual for its label"),
        Patch(color=OTHER, alpha=0.3, label="usual for the class it looks like"),
        Patch(color=INK, label="the field"),
        Patch(color=ACCENT, label="dates that speak against its label"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), handlelength=1.0)
    return figure


def _series(axes: Axes, findings: LabelFindings, i: int, band: int, largest: float) -> None:
    days = days_of(findings.dates)
    clean = (findings.table.proposal.iloc[findings.field] == "clean").to_numpy()
    for of, colour in ((findings.label[i], MUTED), (findings.other[i], OTHER)):
        mine = (findings.label == of) & clean
        some = findings.mean[mine if mine.any() else findings.label == of, band]
        middle, spread = some.mean(axis=0), some.std(axis=0)
        axes.fill_between(days, middle - spread, middle + spread, color=colour, alpha=0.25, linewidth=0)
        axes.plot(days, middle, color=colour, linewidth=0.8)
    axes.plot(days, findings.mean[i, band], color=INK, linewidth=1.4)
    below = axes.inset_axes((0, 0, 1, 0.22), sharex=axes)
    against = np.maximum(findings.blame[i], 0)
    width = 0.8 * float(np.median(np.diff(days))) if len(days) > 1 else 1.0
    below.bar(days, against, width=width, color=ACCENT, gid="blame")
    below.set(ylim=(0, largest), yticks=[], facecolor="none")
    below.spines[:].set_visible(False)
    below.tick_params(length=0, labelbottom=False)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.28 * (high - low), high)
    axes.grid(True, axis="x", color=RULE)


def _named(findings: LabelFindings, i: int) -> str:
    row = findings.table.iloc[findings.field[i]]
    return f"Field {row.field}: labelled {row.label}, looks like {findings.classes[findings.other[i]]}"


def _why(findings: LabelFindings, i: int) -> str:
    row = findings.table.iloc[findings.field[i]]
    return f"{LOOKS[row.proposal].said}, confidence {row.confidence:.2f}; by {row.dates or 'no date alone'}"


def label_plates(findings: LabelFindings) -> Iterator[Plate]:
    """The figures with their words."""
    counts = {name: int((findings.table.proposal == name).sum()) for name in LOOKS}
    alt = ", ".join(f"{LOOKS[name].said}: {number}" for name, number in counts.items())
    yield Plate("map", label_map(findings.table), "The fields by what is proposed for their labels.", f"A map. {alt}.")
    if len(findings.suspects()):
        caption = (
            "The most suspicious fields. Black: the mean series of the field. Grey: what is usual for its label, blue: "
            "for the class that it looks like, both as mean and one standard deviation of the clean fields. Red bars, "
            "on one scale for all: how much each acquisition adds to the error of the label's autoencoder, on the way "
            "from the mean curve of its class to the field."
        )
        yield Plate("suspects", suspects_figure(findings), caption, "Series of the most suspicious fields.")


def write_label_report(folder: Path, findings: LabelFindings) -> Path:
    """Write figures/ and labels.html, one file that needs no other."""
    drawn = list(label_plates(findings))
    for plate in drawn:
        save(plate.figure, folder / "figures", plate.name)
    page = (
        environment()
        .get_template("labels.html")
        .render(
            findings=findings,
            pictures={plate.name: picture(plate) for plate in drawn},
            relabel=_rows(findings, "relabel"),
            look=_rows(findings, "look"),
            counts={name: int((findings.table.proposal == name).sum()) for name in LOOKS},
            left_out=[
                words.many(number, f"field of {name}", f"fields of {name}")
                for name, number in findings.left_out.items()
            ],
            listed=LISTED,
            many=words.many,
        )
    )
    path = folder / "labels.html"
    path.write_text(page, encoding="utf-8")
    return path


def _rows(findings: LabelFindings, proposal: str) -> list[dict[str, Any]]:
    """The fields of a proposal, the most suspicious first."""
    some = findings.table[findings.table.proposal == proposal].sort_values("suspicion", ascending=False, kind="stable")
    columns = ["field", "label", "proposed", "confidence", "why", "dates"]
    return [dict(zip(columns, row, strict=True)) for row in some[columns].itertuples(index=False)]
