"""Why are two classes confused, and which dates would part them?

The way of a difference is followed from the input to the embedding to the vote, and the verdict says where it is lost.
n series, m classes, c bands, t dates, d embedding dimensions, k clusters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from sitscope.classes.codebook import Codebook
from sitscope.classes.parting import Parting, missed, parting
from sitscope.classes.verdicts import ClassVerdict, Diagnosis, Kind, Numbers, Pair

CONFUSED = 0.1
"""Share of a class's test series from which on its confusion with another is explained: less is spread thin."""
EMBEDDED = 1.0
"""Jeffries-Matusita distance from which on an embedding parts two classes: 2.4 standard deviations, one series in eight
on the wrong side if neither class were larger. Below it separability is commonly called very poor. One date of many
need only help (LEAST_JM), the embedding has to do."""
SEPARATED = 0.75
"""Recall of a class that is well separated: half-way between the letter's three, 0.90 to 0.94, and its next, 0.50."""
SCATTERED = 3.0
"""Effective number of classes predicted for a class that is scattered: the letter's Fallow and Quinoa have 7, its
Pepper and Sweet Potato, which have one place and share it, 1.8 (Fig. 3)."""
RELATED = 1.25
"""Times its even share that the importance of a class's transitions must be, for the two to be related."""
TRANSITIONS = 0.25
"""Share of the dates that are a class's transitions: sowing, closing, harvest and a few acquisitions about each."""
WINDOW = 2
"""Acquisitions before and after a date whose means are compared to see whether a class changes there."""

Margin = Callable[[str, str], Mapping[str, Float[np.ndarray, " t"]]]
"""By method, what each date contributes to a's series lying nearer to a's place in the embedding than to b's."""


@dataclass(frozen=True, eq=False)
class Known:
    """The series that the verdicts are about, training and test together: no embedding has seen a label."""

    x: Float[np.ndarray, "n c t"]
    label: Shaped[np.ndarray, " n"]
    field: Int[np.ndarray, " n"]
    embedding: Float[np.ndarray, "n d"]
    predicted: Shaped[np.ndarray, " n"]
    """Names, "no class" or whatever for series in clusters without a class."""


def diagnose(
    known: Known,
    confusion: Int[np.ndarray, "m m"],
    tested: Int[np.ndarray, " m"],
    book: Codebook,
    importance: Mapping[str, Float[np.ndarray, "m d t"]],
    margin: Margin,
    method: str = "path",
) -> Diagnosis:
    """A verdict for every class, and for every pair of which at least CONFUSED of the test series of one are lost.

    confusion: test series by (truth, prediction), tested: all of each class, in the order of book.classes. importance:
    by method, size of each date's importance for each class and embedding dimension. The largest loss of a class that
    is not separated is explained however small it is; a class without test series has no verdict.
    """
    names = book.classes
    shares = confusion / np.maximum(tested, 1)[:, None]
    off = np.where(np.eye(len(names), dtype=bool), 0, shares)
    looks = {name: {k: _even(v[i]) for k, v in importance.items()} for i, name in enumerate(names) if tested[i]}
    pairs: list[Pair] = []
    for i, j in np.argwhere((off >= CONFUSED) | ((off > 0) & (off == off.max(axis=1, keepdims=True)))):
        if off[i, j] < CONFUSED and shares[i, i] >= SEPARATED:
            continue
        pairs.append(_pair(known, book, int(i), int(j), confusion, off, looks, margin, method))
    pairs.sort(key=lambda pair: -pair.share * pair.series)
    changes = _changes(known, [name for name in names if name in looks])
    classes = [
        _class(known, name, shares[i], int(tested[i]), names, looks[name], changes[name], pairs, method)
        for i, name in enumerate(names)
        if name in looks
    ]
    return Diagnosis(method, tuple(classes), tuple(pairs))


def _pair(
    known: Known,
    book: Codebook,
    i: int,
    j: int,
    confusion: Int[np.ndarray, "m m"],
    share: Float[np.ndarray, "m m"],
    looks: Mapping[str, Mapping[str, Float[np.ndarray, "d t"]]],
    margin: Margin,
    method: str,
) -> Pair:
    a, b = book.classes[i], book.classes[j]
    found = parting(known.x, known.label, known.field, a, b)
    kept = parting(known.embedding[:, :, None], known.label, known.field, a, b)
    both = {k: _even(sum(looks[name][k].sum(axis=0) for name in (a, b) if name in looks)) for k in looks[a]}
    size = both[method]
    held = book.votes[(book.assigned == j) & (book.votes[:, i] > 0)]
    ends = {"low": found.low, "high": found.high, "effect": found.effect}
    return Pair(
        truth=a,
        predicted=b,
        share=float(share[i, j]),
        series=int(confusion[i, j]),
        kind=kind_of(found, float(kept.jm[0])),
        fields=found.fields,
        difference=_rows(found.difference),
        **{k: _rows(v) if np.isfinite(v).all() else None for k, v in ends.items()},
        jm=_row(found.jm),
        jm_low=_row(found.jm_low),
        jm_high=_row(found.jm_high),
        parts=_flags(found.parts),
        importance={k: _row(v) for k, v in both.items()},
        margin={k: _row(_even(np.abs(v))) for k, v in margin(a, b).items()},
        missed=_flags(missed(found, size)),
        shared=_flags(~found.parts & (size * len(size) >= 1)),
        embedded=float(kept.jm[0]),
        embedded_low=float(kept.jm_low[0]),
        embedded_high=float(kept.jm_high[0]),
        votes=(int(held[:, i].sum()), int(held[:, j].sum())),
    )


def kind_of(found: Parting, embedded: float) -> Kind:
    """Where the difference of two confused classes is lost: found in the input, embedded left of it in the embedding.

    >>> few = parting(np.zeros((4, 1, 2)), np.repeat(["a", "b"], 2), np.arange(4) // 2, "a", "b")
    >>> kind_of(few, 0.0)
    'undecided'
    """
    if not found.parts.any():
        return "inseparable" if found.excluded else "undecided"
    return "outvoted" if embedded >= EMBEDDED else "shared"


def _class(
    known: Known,
    name: str,
    shares: Float[np.ndarray, " m"],
    series: int,
    names: tuple[str, ...],
    looks: Mapping[str, Float[np.ndarray, "d t"]],
    change: Float[np.ndarray, " t"],
    pairs: list[Pair],
    method: str,
) -> ClassVerdict:
    mine = known.label == name
    rest = parting(known.x, np.where(mine, "this", "rest"), known.field, "this", "rest")
    size = looks[method].sum(axis=0)
    transitions = change >= np.sort(change)[-max(1, round(TRANSITIONS * len(change)))]
    related = float(size[transitions].sum() / max(transitions.mean(), 1e-9)) if size.sum() else 0.0
    spread = effective(known.predicted[mine], known.field[mine])
    recall = float(shares[names.index(name)])
    lost = max((pair for pair in pairs if pair.truth == name), key=lambda pair: pair.share, default=None)
    if recall >= SEPARATED:
        kind: Kind = "separated"
    elif spread >= SCATTERED and related < RELATED:
        kind = "not modelled"
    else:
        kind = lost.kind if lost else "undecided"
    return ClassVerdict(
        name=name,
        kind=kind,
        recall=recall,
        series=series,
        fields=rest.fields[0],
        spread=spread,
        into=lost.predicted if lost else "",
        transitions=_flags(transitions),
        related=related,
        importance={k: _rows(v) for k, v in looks.items()},
        parts=_flags(rest.parts),
        difference=_rows(rest.difference),
    )


def effective(predicted: Shaped[np.ndarray, " n"], field: Int[np.ndarray, " n"]) -> float:
    """Effective number of classes predicted, exp of the entropy of their shares, every field counted alike.

    >>> round(effective(np.array(["rye", "rye", "oat", "oat"]), np.array([1, 1, 2, 2])), 3)
    2.0
    """
    _, which = np.unique(predicted, return_inverse=True)
    _, where, size = np.unique(field, return_inverse=True, return_counts=True)
    share = np.bincount(which, weights=1 / size[where]) / len(size)
    return float(np.exp(-np.sum(share * np.log(share))))


def _changes(known: Known, names: list[str]) -> dict[str, Float[np.ndarray, " t"]]:
    """How much each class changes about each date, in standard deviations of the bands, all of them together.

    What all classes do together, as after a rain, is no transition of any of them.
    """
    curves = np.stack([_curve(known, name) for name in names])
    own = (curves - curves.mean(axis=0)) / np.maximum(known.x.std(axis=(0, 2), dtype=np.float64), 1e-12)[:, None]
    t = own.shape[2]
    change = np.zeros((len(names), t))
    for date in range(t):
        before = own[:, :, max(0, date - WINDOW) : max(1, date)].mean(axis=2)
        after = own[:, :, min(date + 1, t - 1) : date + WINDOW + 1].mean(axis=2)
        change[:, date] = np.sqrt(np.sum((after - before) ** 2, axis=1))
    return dict(zip(names, change, strict=True))


def _curve(known: Known, name: str) -> Float[np.ndarray, "c t"]:
    """Mean over the fields of a class."""
    mine = known.label == name
    _, where, size = np.unique(known.field[mine], return_inverse=True, return_counts=True)
    return np.average(known.x[mine], axis=0, weights=1 / size[where])


def _even(size: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Shares that sum to 1; all alike where there is nothing to share."""
    size = np.abs(np.asarray(size, np.float64))
    return size / size.sum() if size.sum() > 0 else np.full_like(size, 1 / size.size)


def _row(values: Float[np.ndarray, " t"]) -> Numbers:
    return tuple(float(f"{value:.6g}") for value in values)  # what is shown, and no more, is kept


def _rows(values: Float[np.ndarray, "c t"]) -> tuple[Numbers, ...]:
    return tuple(_row(row) for row in values)


def _flags(values: Bool[np.ndarray, " t"]) -> tuple[bool, ...]:
    return tuple(values.tolist())
