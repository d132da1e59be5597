"""Which fields bear a wrong label, and which class would be right? From what the autoencoders of the classes miss.

After FARMSAR (T. Di Martino, R. Guinvarc'h, L. Thirion-Lefevre, E. Colin 2023): an autoencoder of each class learns
what most fields of the class look like, so a field that it cannot reconstruct is suspicious; Otsu's threshold parts the
suspicious from the rest.

f fields, m classes, q values of a series (bands times dates), n series. A label is a position in the classes.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

INDEPENDENT = 20
"""Independent values that a season of a field is taken to hold, as neighbouring dates repeat each other: it says how
much the share of a class weighs against the error, 2 ln(share) / INDEPENDENT."""
BORROWED = 10
"""Fields' worth of the other classes' variances that a class borrows, so that few fields do not make a sure judge."""
CHI2_MEDIAN = 0.4549
"""Median of a squared standard normal: what turns a median of squares, which outliers hardly move, into a variance."""
LEFT = 0.5
"""Least share of a class's fields that goes on training its autoencoder, whatever the suspicion."""
FEWEST = 4
"""And the least number of them."""

LITTLE = float(np.log1p(0.7))
"""Suspicion that is none, whatever the others have."""
SURE = 0.15
"""Least confidence of a proposal to relabel."""
MOST, PART = 0.5, 0.25
"""Shares of the series of a field that are most of it, and a part of it."""


def in_folds(label: Int[np.ndarray, " f"], folds: int, seed: int) -> Int[np.ndarray, " f"]:
    """The fold of each field, each class spread evenly: no field is judged by an autoencoder that has seen it.

    >>> sorted(in_folds(np.array([0, 0, 0, 0]), 2, seed=0).tolist())
    [0, 0, 1, 1]
    """
    rng = np.random.default_rng(seed)
    fold = np.empty(len(label), np.int64)
    for each in np.unique(label):
        members = rng.permutation(np.flatnonzero(label == each))
        fold[members] = np.arange(len(members)) % folds
    return fold


def variances(
    residual: Float[np.ndarray, "f m q"], label: Int[np.ndarray, " f"], clean: Bool[np.ndarray, " f"]
) -> Float[np.ndarray, "m q"]:
    """What the autoencoder of each class usually misses of its own clean fields, squared, value by value.

    From medians, as up to half of the labels may be wrong, and shrunk towards the median of all classes.
    """
    m = residual.shape[1]
    mine = [clean & (label == j) for j in range(m)]
    own = np.stack([np.median(residual[mine[j], j] ** 2, axis=0) for j in range(m)]) / CHI2_MEDIAN
    weight = np.array([some.sum() / (some.sum() + BORROWED) for some in mine])[:, None]
    return weight * own + (1 - weight) * np.median(own, axis=0)


def deviance(
    residual: Float[np.ndarray, "f m q"], variance: Float[np.ndarray, "m q"], share: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "f m"]:
    """How badly each class's autoencoder reconstructs each field: mean of r^2 / v + ln v, less 2 ln(p) / 20.

    Minus twice a Gaussian log-likelihood for each value, so that an autoencoder which misses much of everything is not
    the best judge of anything; `share` (m,) p is each class's share of the fields: a rare crop must fit better.
    """
    error = np.stack(
        [(residual[:, j] ** 2 / v).mean(axis=1) + np.log(v).mean() for j, v in enumerate(variance)], axis=1
    )
    return error - 2 * np.log(share) / INDEPENDENT


def by_value(
    residual: Float[np.ndarray, "f m q"],
    variance: Float[np.ndarray, "m q"],
    one: Int[np.ndarray, " f"],
    other: Int[np.ndarray, " f"],
) -> Float[np.ndarray, "f q"]:
    """What each value adds to a field's deviance under one class less that under another; the shares are left out."""
    every, q = np.arange(len(one)), residual.shape[2]
    first, second = (residual[every, j] ** 2 / variance[j] + np.log(variance[j]) for j in (one, other))
    return (first - second) / q


@dataclass(frozen=True, eq=False)
class Suspicion:
    """How suspicious the label of each field is, in deviance per value."""

    best: Int[np.ndarray, " f"]
    """The class whose autoencoder reconstructs the field best."""
    other: Int[np.ndarray, " f"]
    """The best beside the field's own."""
    margin: Float[np.ndarray, " f"]
    """Deviance under its own class less that under `other`: above 0, another class fits better."""
    lead: Float[np.ndarray, " f"]
    """Deviance under the second-best class less that under the best: 0 where two fit alike."""
    excess: Float[np.ndarray, " f"]
    """Deviance under its own class less the median of that class's clean fields: above 0, an unusual member."""
    misfit: Float[np.ndarray, " f"]
    """The same under the best class: above 0, it would be an unusual member there too."""

    @property
    def score(self) -> Float[np.ndarray, " f"]:
        """The suspicion: the smaller of lead and excess - 2 misfit where another class fits best, else minus the lead.

        All must hold: one class fits better than all others, the own one included; the own class's autoencoder misses
        more than it does of its other fields, for two classes that overlap would exchange fields all along; and the
        field would be no stranger in the best class, for it may belong to none that is judged.
        """
        strange = self.excess - 2 * np.maximum(self.misfit, 0)
        return np.where(self.margin > 0, np.minimum(self.lead, strange), -self.lead)


def suspicion(
    deviances: Float[np.ndarray, "f m"], label: Int[np.ndarray, " f"], clean: Bool[np.ndarray, " f"]
) -> Suspicion:
    """Compare the deviances of each field under its own class and all others.

    >>> found = suspicion(np.array([[1.0, 3.0], [4.0, 1.0], [3.0, 1.4]]), np.array([0, 0, 1]), np.array([1, 0, 1]) > 0)
    >>> found.best.tolist(), found.margin.tolist(), found.score.tolist()
    ([0, 1, 1], [-2.0, 3.0, -1.6], [-2.0, 3.0, -1.6])
    """
    every, best = np.arange(len(label)), deviances.argmin(axis=1)
    ranked = np.sort(deviances, axis=1)
    own = deviances[every, label]
    others = deviances.copy()
    others[every, label] = np.inf
    usual = np.array([np.median(deviances[clean & (label == j), j]) for j in range(deviances.shape[1])])
    return Suspicion(
        best=best,
        other=others.argmin(axis=1),
        margin=own - others.min(axis=1),
        lead=ranked[:, 1] - ranked[:, 0],
        excess=own - usual[label],
        misfit=ranked[:, 0] - usual[best],
    )


def clean_ones(found: Suspicion, label: Int[np.ndarray, " f"]) -> Bool[np.ndarray, " f"]:
    """Fields that train the next round: those that no other class fits better; the best half of each class at least."""
    clean = ~(found.margin > 0)
    for j in np.unique(label):
        mine = np.flatnonzero(label == j)
        least = max(FEWEST, int(np.ceil(LEFT * len(mine))))
        if clean[mine].sum() < least:
            clean[mine[np.argsort(found.margin[mine], kind="stable")[:least]]] = True
    return clean


@dataclass(frozen=True)
class Otsu:
    """Where a distribution of numbers parts in two (N. Otsu 1979)."""

    threshold: float
    low: float
    """Mean below."""
    high: float
    """Mean above."""
    separability: float
    """Share of the variance that lies between the two groups, Otsu's eta: 1 two points, 0.64 a single Gaussian."""

    def confidence(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """How sure the side of each value is: 0 at the threshold, `separability` at the mean of its group and beyond.

        >>> Otsu(threshold=1.0, low=0.0, high=3.0, separability=0.9).confidence(np.array([1.0, 2.0, 5.0])).tolist()
        [0.0, 0.45, 0.9]
        """
        whole = np.where(values > self.threshold, self.high - self.threshold, self.threshold - self.low)
        return self.separability * np.clip(np.abs(values - self.threshold) / whole, 0, 1)


def otsu(values: Float[np.ndarray, " n"]) -> Otsu:
    """The threshold with the largest variance between those below and those above; exact, without a histogram.

    Raises ValueError for fewer than two different values.

    >>> otsu(np.array([0.0, 0.2, 4.0, 4.2])).threshold
    2.1
    """
    v = np.sort(np.asarray(values, np.float64))
    if len(v) < 2 or v[0] == v[-1]:
        raise ValueError(f"{len(v)} values from {v.min():.4g} to {v.max():.4g} have no two groups.")
    below = np.arange(1, len(v))
    total = np.cumsum(v)
    low, high = total[:-1] / below, (total[-1] - total[:-1]) / (len(v) - below)
    share = below / len(v)
    between = np.where(np.diff(v) > 0, share * (1 - share) * (high - low) ** 2, -1.0)
    i = int(between.argmax())
    return Otsu(float((v[i] + v[i + 1]) / 2), float(low[i]), float(high[i]), float(between[i] / v.var()))


def parted(found: Suspicion) -> Otsu:
    """Otsu's threshold of the suspicion of all fields, ln(1 + score), 0 where the own class fits best.

    The logarithm is because wrong labels differ widely in how wrong they look, and the threshold is of means. Otsu
    finds two groups in anything, so the threshold is LITTLE at least.
    """
    score = evident(found)
    if not (score > LITTLE).any():
        return Otsu(threshold=LITTLE, low=0.0, high=2 * LITTLE, separability=1.0)
    split = otsu(score)
    if split.threshold >= LITTLE:
        return split
    return replace(split, threshold=LITTLE, low=score[score <= LITTLE].mean(), high=score[score > LITTLE].mean())


def evident(found: Suspicion) -> Float[np.ndarray, " f"]:
    """The suspicion as it is parted: ln(1 + score), 0 where nothing speaks for another class."""
    return np.log1p(np.maximum(found.score, 0))


def proposals(
    found: Suspicion, split: Otsu, where: Shaped[np.ndarray, " f"]
) -> tuple[Shaped[np.ndarray, " f"], Float[np.ndarray, " f"]]:
    """What to do with each field, and how sure that is.

    relabel: the suspicion is beyond Otsu's threshold with a confidence of SURE at least. look: another class fits
    better, but not by so much; or a part or the edge of the field looks like another class; or the own class's
    autoencoder misses as much as it does of fields beyond the threshold, though no other is better. clean: the rest.
    """
    score = evident(found)
    confidence = split.confidence(score)
    relabel = (score > split.threshold) & (confidence >= SURE)
    strange = np.log1p(np.maximum(found.excess, 0)) > split.threshold
    look = (found.margin > 0) | np.isin(where, ("part of the field", "edge")) | strange
    return np.select([relabel, look], ["relabel", "look"], "clean"), confidence


def whereabouts(
    suspicious: Bool[np.ndarray, " n"], field: Int[np.ndarray, " n"], at_edge: Bool[np.ndarray, " n"] | None
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"], Shaped[np.ndarray, " f"]]:
    """Where in each field the suspicious series lie: shares inside and at the edge, and in words.

    "whole field": half of the inside or more; "part of the field": a quarter or more; "edge": half of the edge, and
    less than a quarter of the inside. A field that is all edge is judged by all its series.

    >>> looks = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0]) > 0
    >>> whereabouts(looks, np.repeat([0, 1], 5), np.array([1, 0, 0, 0, 1] * 2) > 0)[2].tolist()
    ['whole field', 'edge']
    """
    f = int(field.max()) + 1
    edge = np.zeros(len(field), bool) if at_edge is None else at_edge.copy()
    edge[(np.bincount(field, ~edge, f) == 0)[field]] = False
    with np.errstate(invalid="ignore"):
        inside, around = (
            np.bincount(field, suspicious & some, f) / np.bincount(field, some, f) for some in (~edge, edge)
        )
    words = ["whole field", "part of the field", "edge"]
    return inside, around, np.select([inside >= MOST, inside >= PART, around >= MOST], words, "")
