"""Which fields bear a wrong label, what should they bear, where in the field and by which dates is it seen?

n series, f fields that are judged, m classes, c bands, t dates, q = c t values of a series.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped

from sitscope.autoencoder.per_class import SideBySide, Small, attributed, train
from sitscope.autoencoder.training import scaling
from sitscope.classes.mislabels import (
    Otsu,
    Suspicion,
    by_value,
    clean_ones,
    deviance,
    in_folds,
    parted,
    proposals,
    suspicion,
    variances,
    whereabouts,
)
from sitscope.errors import BadInput

TRIM = (0.4, 0.0)
"""Share of its fields that each autoencoder leaves aside, in each round: the first must find the majority of its class
by itself, the second trains on what the first found clean."""

Progress = Callable[[int, int], object]
"""Called with trainings done, and all of them."""


@dataclass(frozen=True)
class How:
    """How labels are checked."""

    least: int = 6
    """Classes with fewer fields are left out: nobody can say what is usual for them."""
    folds: int = 5
    """A field is judged by autoencoders trained on the other folds."""
    repeats: int = 2
    """Each round is done so often, with other folds and other first weights; deviances are means."""
    seed: int = 0
    network: Small = field(default_factory=Small)


@dataclass(frozen=True, eq=False)
class Checked:
    """What was found of each field that could be judged."""

    field: Int[np.ndarray, " f"]
    """Its number, as in the series."""
    classes: tuple[str, ...]
    """(m,) those that are judged, sorted."""
    left_out: dict[str, int]
    """Classes with too few fields to be judged, and how many they have."""
    label: Int[np.ndarray, " f"]
    """Position in `classes`."""
    found: Suspicion
    parted: Otsu
    """Where the suspicion of all fields parts in two; see `mislabels.parted`."""
    proposal: Shaped[np.ndarray, " f"]
    """"clean", "look" or "relabel", namely to `found.other`."""
    confidence: Float[np.ndarray, " f"]
    """Of the proposal, in [0, 1]; see `mislabels.Otsu.confidence`."""
    mean: Float32[np.ndarray, "f c t"]
    """Mean series of each field, in the units of the series."""
    evidence: Float[np.ndarray, "f t"]
    """What each date's own error adds to the deviance under the own class less that under `other`."""
    blame: Float[np.ndarray, "f t"]
    """What each date adds to the error under the own class, beyond that of the class's mean curve, along the path: the
    dates that betray a field."""
    inside: Float[np.ndarray, " f"]
    """Share of the series away from the edge that look more like `other`."""
    edge: Float[np.ndarray, " f"]
    """The same of those at the edge; NaN where there are none, or nobody knows."""
    where: Shaped[np.ndarray, " f"]
    """Where those series lie: "whole field", "part of the field", "edge" or ""."""

    def named(self, of: Int[np.ndarray, " f"]) -> list[str]:
        """Positions in `classes` as names."""
        return [self.classes[i] for i in of]


@dataclass(frozen=True, eq=False)
class Fit:
    """One training of all classes and folds."""

    network: SideBySide
    """Autoencoder m * fold + class."""
    fold: Int[np.ndarray, " f"]
    residual: Float32[np.ndarray, "f m q"]
    """What each class's autoencoder, trained without the field, misses of its mean series."""


def check(
    x: Float[np.ndarray, "n c t"],
    field: Int[np.ndarray, " n"],
    label: Shaped[np.ndarray, " n"],
    *,
    at_edge: Bool[np.ndarray, " n"] | None = None,
    how: How | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Judge the label of every field by autoencoders, one of each class, that have not seen the field.

    x: series in any units, without gaps; field (n,) and label (n,) of each, as `sample` gives them: -1 is no field, ""
    no label; at_edge (n,): whether a series lies at the edge of its field. Two rounds: autoencoders of what most fields
    of a class look like, then of the fields that the first round found clean. Raises BadInput for missing values and
    where fewer than two classes have enough fields.

    >>> rng = np.random.default_rng(0)
    >>> season = np.where(np.arange(160) < 80, 1, -1)[:, None, None] * np.sin(np.arange(12) / 2)
    >>> crop = np.repeat(["rye"] * 9 + ["oat"] * 11, 8)  # the tenth field is rye, whatever its label says
    >>> how = How(repeats=1, network=Small(8, 2, 100))
    >>> found = check(season + rng.normal(0, 0.3, season.shape), np.arange(160) // 8, crop, how=how)
    >>> found.proposal[8:11].tolist(), found.named(found.found.other)[9], str(found.where[9])
    (['clean', 'relabel', 'clean'], 'rye', 'whole field')
    """
    how = how or How()
    classes, left_out = _classes(field, label, how)
    judged = (field >= 0) & np.isin(label, classes)
    ids, field = np.unique(field[judged], return_inverse=True)
    x, at_edge = np.asarray(x[judged], np.float32), None if at_edge is None else at_edge[judged]
    if gaps := int(np.isnan(x).any(axis=(1, 2)).sum()):
        raise BadInput("series", f"{gaps} of {len(x)} series have missing values. Fill them in time (--fill).")
    names = np.empty(len(ids), dtype=object)
    names[field] = label[judged]
    own = np.searchsorted(classes, names.astype(str))
    mean_db, std = scaling(x, tuple(f"{i + 1}" for i in range(x.shape[1])))
    z = ((x - mean_db[:, None]) / std[:, None]).reshape(len(x), -1)
    clean, done = np.ones(len(ids), bool), 0
    share = np.bincount(own) / len(own)
    for trim in TRIM:
        fits = []
        for _ in range(how.repeats):
            fits.append(_fit(z, field, own, clean, trim, how, seed=1000 * how.seed + done))
            done += 1
            if progress:
                progress(done, how.repeats * len(TRIM))
        usual = [variances(fit.residual, own, clean) for fit in fits]
        found = suspicion(
            np.mean([deviance(f.residual, v, share) for f, v in zip(fits, usual, strict=True)], 0), own, clean
        )
        used, clean = clean, clean_ones(found, own)
    evidence = np.mean([by_value(f.residual, v, own, found.other) for f, v in zip(fits, usual, strict=True)], axis=0)
    more_like = _series_side(z, field, own, found.other, fits[0], used)
    inside, edge, where = whereabouts(more_like, field, at_edge)
    split = parted(found)
    proposal, confidence = proposals(found, split, where)
    return Checked(
        field=ids,
        classes=classes,
        left_out=left_out,
        label=own,
        found=found,
        parted=split,
        proposal=proposal,
        confidence=confidence,
        mean=_means(x, field),
        evidence=_by_date(evidence, x),
        blame=_by_date(_blame(z, field, own, fits[0], usual[0], used), x),
        inside=inside,
        edge=edge,
        where=where,
    )


def _classes(
    field: Int[np.ndarray, " n"], label: Shaped[np.ndarray, " n"], how: How
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes with enough fields, and the others with the number that they have."""
    inside = (field >= 0) & (label != "")
    fields = {str(name): len(np.unique(field[inside & (label == name)])) for name in np.unique(label[inside])}
    classes = tuple(name for name, number in fields.items() if number >= how.least)
    if len(classes) < 2:
        there = ", ".join(f"{name} {number}" for name, number in fields.items()) or "no labelled field"
        raise BadInput(
            "fields",
            f"fewer than two classes have {how.least} fields: {there}. What is usual for a class is learned from its "
            "fields: give more of them, join rare classes under one name, or lower --least.",
        )
    return classes, {name: number for name, number in fields.items() if number < how.least}


def _fit(
    z: Float32[np.ndarray, "n q"],
    field: Int[np.ndarray, " n"],
    own: Int[np.ndarray, " f"],
    clean: Bool[np.ndarray, " f"],
    trim: float,
    how: How,
    seed: int,
) -> Fit:
    m, folds = int(own.max()) + 1, min(how.folds, int(np.bincount(own).min()))
    fold = in_folds(own, folds, seed)
    groups = [np.flatnonzero((fold != k) & (own == j) & clean) for k in range(folds) for j in range(m)]
    network = train(z, field, groups, how.network, trim=trim, seed=seed)
    mean = _means(z, field)
    residual = np.empty((len(own), m, z.shape[1]), np.float32)
    for i in range(len(groups)):
        k, j = divmod(i, m)
        residual[fold == k, j] = network.residual(i, mean[fold == k])
    return Fit(network, fold, residual)


def _means(values: Float[np.ndarray, "n ..."], field: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "f ..."]:
    order = np.argsort(field, kind="stable")
    first = np.searchsorted(field[order], np.arange(field.max() + 1))
    count = np.bincount(field).reshape(-1, *[1] * (values.ndim - 1))
    return (np.add.reduceat(values[order], first, axis=0, dtype=np.float64) / count).astype(np.float32)


def _series_side(
    z: Float32[np.ndarray, "n q"],
    field: Int[np.ndarray, " n"],
    own: Int[np.ndarray, " f"],
    other: Int[np.ndarray, " f"],
    fit: Fit,
    clean: Bool[np.ndarray, " f"],
) -> Bool[np.ndarray, " n"]:
    """Whether each series looks more like the other class than like its own: a smaller deviance, series by series."""
    m = int(own.max()) + 1
    value = np.empty((2, len(z)))
    for j in range(m):
        residual, rows = np.empty_like(z), (own[field] == j) | (other[field] == j)
        for k in range(int(fit.fold.max()) + 1):
            some = np.flatnonzero(rows & (fit.fold[field] == k))
            residual[some] = fit.network.residual(m * k + j, z[some])
        mine = (own[field] == j) & clean[field]
        variance = variances(residual[mine, None], np.zeros(mine.sum(), int), np.ones(mine.sum(), bool))[0]
        deviances = (residual[rows] ** 2 / variance).mean(axis=1) + np.log(variance).mean()
        at = np.where(own[field[rows]] == j, 0, 1)
        value[at, np.flatnonzero(rows)] = deviances
    return value[0] > value[1]


def _blame(
    z: Float32[np.ndarray, "n q"],
    field: Int[np.ndarray, " n"],
    own: Int[np.ndarray, " f"],
    fit: Fit,
    usual: Float[np.ndarray, "m q"],
    clean: Bool[np.ndarray, " f"],
) -> Float[np.ndarray, "f q"]:
    m, mean = int(own.max()) + 1, _means(z, field)
    found = np.zeros((len(own), z.shape[1]))
    for j in range(m):
        curve = mean[(own == j) & clean].mean(axis=0)
        for k in range(int(fit.fold.max()) + 1):
            some = np.flatnonzero((own == j) & (fit.fold == k))
            if len(some):
                found[some] = attributed(fit.network, m * k + j, mean[some], curve, usual[j])
    return found


def _by_date(values: Float[np.ndarray, "f q"], like: Float[np.ndarray, "n c t"]) -> Float[np.ndarray, "f t"]:
    return values.reshape(len(values), *like.shape[1:]).sum(axis=1)
