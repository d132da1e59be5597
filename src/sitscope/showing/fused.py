"""What did several sensors tell together? Figures and report of a run on them.

d embedding dimensions, t dates of a sensor.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sitscope.showing import words
from sitscope.showing.confusion import confusion_figure
from sitscope.showing.contributions import contributions_figure, margins_figure
from sitscope.showing.findings import Scores
from sitscope.showing.losses import loss_figure
from sitscope.showing.plates import Plate
from sitscope.showing.report import DOI, environment, flat, picture
from sitscope.showing.story import flows

PAIRS = 4
"""Most pairs of classes whose margins are drawn."""


@dataclass(frozen=True)
class FusedFindings:
    """All that figures and report say about a run on several sensors."""

    title: str
    sensors: Sequence[Mapping[str, Any]]
    """Of each: name, bands, units, dates (count), first, last, pixel, missing."""
    join: str
    balance: bool
    scores: Scores
    clusters: int
    contributions: pd.DataFrame
    """contributions.parquet."""
    letter: pd.DataFrame
    """letter.parquet."""
    shares: pd.DataFrame
    """sensors.csv."""
    margins: pd.DataFrame
    """margins.parquet."""
    residual: float
    """Median of what contributions miss, relative to the way of the embedding."""
    losses: Mapping[str, Sequence[float]]
    best_epoch: int
    notes: Sequence[str]
    settings: Mapping[str, Any]
    """run.json."""

    @property
    def dims(self) -> int:
        """Of the embedding."""
        return int(self.contributions["dim"].max())


def fused_plates(findings: FusedFindings) -> list[Plate]:
    """Every figure with its words."""
    names = words.listed([str(sensor["name"]) for sensor in findings.sensors])
    made = [
        Plate(
            "confusion",
            confusion_figure(findings.scores),
            "Test series by true class (rows) and predicted class (columns), in percent of the row. Right: recall, and "
            "the number of test series.",
            f"Confusion matrix. {'. '.join(str(flow) for flow in flows(findings.scores)[:3])}.",
        ),
        Plate(
            "contributions",
            contributions_figure(findings.contributions, findings.letter, findings.shares),
            "Share of every band (rows) and date (columns) of each sensor in all that moves an embedding dimension "
            "from the mean curve: mean size of the contributions along the path, whatever their sign. Beside the "
            "sensors: their shares, with 95 % intervals over fields; right: the bands'. Grey: the sum over bands, on a "
            "scale of its own. Line: the letter's Grad-SLAM of the sensor's branch, on another scale; it can be "
            "compared between dates, not between sensors. Ticks mark acquisitions.",
            f"Heat maps over time of the bands of {names}. {' '.join(_by_dimension(findings))}",
        ),
    ]
    shown = _pairs(findings.margins)
    if len(shown):
        made.append(
            Plate(
                "margins",
                margins_figure(shown),
                "What parts the clusters of two classes that are confused. Red: the band on the date holds the first "
                "class further from the second's cluster; blue: nearer. Percentages at bands and sensors add up to all "
                "that parts the two, so that they may be negative, or more than 100 %.",
                f"Heat maps over time of the bands of {names}: what parts {_listed(shown)}.",
            )
        )
    if findings.losses["train"]:
        made.append(
            Plate(
                "losses",
                loss_figure(findings.losses, findings.best_epoch),
                "Mean squared error of z-scores in each epoch of the training, all sensors together.",
                f"Curves of the error of training and validation; the best epoch is {findings.best_epoch}.",
            )
        )
    return made


def write_fused_report(path: Path, findings: FusedFindings, drawn: Iterable[Plate]) -> Path:
    """One HTML file that needs nothing else."""
    page = (
        environment()
        .get_template("fused.html")
        .render(
            findings=findings,
            pictures={plate.name: picture(plate) for plate in drawn},
            many=words.many,
            span=words.span,
            doi=DOI,
            said=_by_dimension(findings),
            flows=flows(findings.scores, least=0.25)[:8],
            pairs=_names(findings.margins),
            shares=_share_rows(findings.shares),
            settings=list(flat(findings.settings)),
        )
    )
    path.write_text(page, encoding="utf-8")
    return path


def _pairs(margins: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first pairs."""
    first = set(_names(margins)[:PAIRS])
    return margins[[pair in first for pair in zip(margins["class"], margins["other"], strict=True)]]


def _names(margins: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(margins["class"], margins["other"], strict=True)))


def _listed(margins: pd.DataFrame) -> str:
    return words.listed([f"{one} from {other}" for one, other in _names(margins)])


def _by_dimension(findings: FusedFindings) -> list[str]:
    """A sentence for each dimension: the sensors' shares, and the band and dates of each that move it most."""
    sentences = []
    table = findings.contributions
    weighed = table.assign(size=table["size"] * table["n"])
    for dim, cells in weighed.groupby("dim", sort=True):
        shares = findings.shares[findings.shares["dim"] == dim].set_index("sensor")["share"]
        parts = []
        for sensor in shares.sort_values(ascending=False, kind="stable").index:
            mine = cells[cells["sensor"] == sensor]
            band = mine.groupby("band", sort=False)["size"].sum().idxmax()
            by_date = mine.groupby("date")["size"].sum()
            when = words.strongest_days(by_date.to_numpy(dtype=float), by_date.index.to_numpy())
            said = f"{sensor} moves it to {words.percent(float(shares[sensor]))}"
            parts.append(f"{said}, most by {band}, and on {when}" if when else said)
        sentences.append(f"Embedding dimension {dim}: {'; '.join(parts)}.")
    return sentences


def _share_rows(shares: pd.DataFrame) -> list[list[str]]:
    """The table of shares."""
    rows = [["dimension", "sensor", "share", "95 % interval", "net share", "95 % interval"]]
    for row in shares.to_dict("records"):
        cells = [str(row["dim"]), str(row["sensor"])]
        for name in ("share", "net_share"):
            low, high = (words.percent(row[f"{name}_{end}"]) for end in ("low", "high"))
            cells += [words.percent(row[name]), f"{low} to {high}"]
        rows.append(cells)
    return rows
