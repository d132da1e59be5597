"""What has to be known of a run to show it?

n series, m classes, k clusters, t acquisitions, d embedding dimensions. Clusters, dimensions and acquisitions are
counted from 1 wherever a person sees them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from sitscope.classes.verdicts import Diagnosis


@runtime_checkable
class Scores(Protocol):
    """How the classes of the test series were found: `sitscope.classes.scores.Scores`, or anything alike."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def confusion(self) -> np.ndarray: ...  # (m, m) counts, [truth, prediction]
    @property
    def unclassified(self) -> np.ndarray: ...  # (m,) counts of series in clusters without a vote
    @property
    def overall_accuracy(self) -> float: ...
    @property
    def kappa(self) -> float: ...
    @property
    def macro_recall(self) -> float: ...
    @property
    def recall(self) -> np.ndarray: ...  # (m,)
    @property
    def precision(self) -> np.ndarray: ...  # (m,)
    @property
    def f1(self) -> np.ndarray: ...  # (m,)
    @property
    def classes_never_predicted(self) -> list[str]: ...
    @property
    def n_test(self) -> int: ...


@dataclass(frozen=True)
class Findings:
    """All that the figures and the report say about one run."""

    title: str
    """What was looked at, in a few words: the headline of the report."""
    settings: Mapping[str, Any]
    """run.json: settings, seed, versions; nested mappings are shown as rows `outer.inner`."""
    dates: np.ndarray
    """(t,) datetime64, the acquisitions; none where somebody else computed the embedding, and its dates are unknown."""
    bands: tuple[str, ...]
    """(c,) names of the bands, as in the columns of `profiles`."""
    units: str
    """Of the bands: "dB", or "1" for values without a unit."""
    scores: Scores
    """Of the test series."""
    profiles: pd.DataFrame
    """One row per (class, dim, date): importance by `method` with its spread, n, n_fields, each band's mean, spread."""
    votes: pd.DataFrame
    """(k, m) training series per cluster (index, from 1) and class (columns)."""
    assigned: tuple[str, ...]
    """(k,) the class each cluster stands for; "" = no vote."""
    samples: pd.DataFrame
    """Some series: label, predicted ("" = none), cluster (from 1), field, split, e1 .. ed."""
    centres: np.ndarray
    """(k, d) centres of the clusters in the embedding."""
    losses: Mapping[str, Sequence[float]]
    """Mean squared error of the scaled series per epoch: "train" and "validation"."""
    best_epoch: int
    """The epoch, from 1, whose weights were kept."""
    missing: np.ndarray
    """(t,) share of the values that were missing in each acquisition, in [0, 1]."""
    maps: xr.Dataset | None = None
    """embedding, cluster, class, peak_date, peak_importance, backscatter on the cube's grid; None: no map was made."""
    fields: gpd.GeoDataFrame | None = None
    """The fields: field, label, split ("train", "test" or "unused"), geometry."""
    notes: Sequence[str] = field(default=())
    """What a reader should know before believing a figure, a sentence each."""
    chosen: Sequence[Sequence[str]] = ()
    """Groups of classes that somebody wants to see together, beside those that the scores choose."""
    method: str = "path"
    """How importance was found: "path" or "letter"."""
    letter: pd.DataFrame | None = None
    """The profiles with the letter's importance, where `method` is another."""
    fidelity: Mapping[str, Any] | None = None
    """How far importance can be trusted: what `sitscope.trust.quick` measured."""
    evaluation: pd.DataFrame | None = None
    """Figures of every method: method, metric, baseline, value, low, high; None until somebody asks."""
    comparison: pd.DataFrame | None = None
    """Scores of other methods on the same splits: what `sitscope.baselines.compare` found."""
    sweep: pd.DataFrame | None = None
    """Scores and more of embeddings of other sizes: what `sitscope.sweeping.sweep` found."""
    sweep_dates: pd.DataFrame | None = None
    """The dates that its smallest embeddings missed, and which sizes look at them."""
    origin: Mapping[str, str] | None = None
    """Of an embedding that somebody else computed: `name`, and `coding`, what its stored numbers stand for."""
    apart: Sequence[Any] | None = None
    """`sitscope.showing.apart.Apart`, where images were given beside such an embedding: how far these hold apart the
    classes that it confuses."""
    by_clusters: Sequence[Mapping[str, float | int]] = ()
    """The scores with other numbers of clusters: clusters, overall_accuracy, macro_recall."""
    diagnosis: Diagnosis | None = None
    """Why the classes are confused; None for a run of an older sitscope."""

    @property
    def dims(self) -> int:
        """Number d of embedding dimensions."""
        return int(self.centres.shape[1])

    @property
    def clusters(self) -> int:
        """Number k of clusters."""
        return int(self.centres.shape[0])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the m classes, in the order that gives them their colours."""
        return tuple(self.scores.classes)
