"""Why are the classes of a run confused? The model, its clusters and the series brought before `classes.diagnosis`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.classes.diagnosis import Known, diagnose
from sitscope.classes.scores import Scores
from sitscope.classes.verdicts import Diagnosis
from sitscope.mapping.looking import margins, sizes, some_of, turns

PIXELS = 16
"""Most series of a field: more say little that is new of the field, and nothing of how fields differ."""
MOST = 100_000
"""Series looked at, unless there are more fields than that."""

Talk = Callable[[int, int], object]
"""Told of progress: steps done, steps in all."""


def diagnosed(
    train: Any,
    test: Any,
    fitted: Fitted,
    book: Codebook,
    scores: Scores,
    method: str = "path",
    seed: int = 0,
    progress: Talk = lambda done, total: None,
) -> Diagnosis:
    """Verdicts on the classes and confused pairs of a model.

    train, test: as `split_by_field` returns them, with labels and fields; the scores are of the test, all else is
    learned from both, since no label trained the embedding. method: whose importance decides, "path" or "letter".
    """
    known = _known([train, test], fitted, book, seed)
    names = book.classes
    some = {name: some_of(known.label, known.field, name, seed=seed) for name in names}
    d, t = fitted.settings.dims, len(fitted.dates)
    found = []
    for i, name in enumerate(names):
        found.append(sizes(fitted, known.x[some[name]]))
        progress(i + 1, len(names))
    importance = {k: np.stack([each[k] for each in found]).reshape(len(names), d, t) for k in found[0]}

    def margin(a: str, b: str) -> Any:
        places = tuple(known.embedding[known.label == name].mean(axis=0) for name in (a, b))
        return margins(fitted, known.x[some[a]], known.x[known.label == b], (places[0], places[1]))

    return diagnose(known, scores.confusion, scores.support, book, importance, margin, method)


def _known(parts: list[Any], fitted: Fitted, book: Codebook, seed: int) -> Known:
    """At most PIXELS series of each field, of the classes that the clusters know."""
    label = np.concatenate([np.asarray(part.label).astype(str) for part in parts])
    field = np.concatenate([np.asarray(part.field) for part in parts])
    kept = np.flatnonzero(np.isin(label, book.classes))
    most = max(1, min(PIXELS, MOST // len(np.unique(field[kept]))))
    kept = kept[turns(field[kept], seed) < most]
    before = len(parts[0].label)
    x = np.concatenate(
        [
            np.asarray(part.x.isel(series=kept[(kept >= start) & (kept < start + len(part.label))] - start), np.float32)
            for part, start in zip(parts, (0, before), strict=True)
        ]
    )
    embedding = fitted.embed(x)
    names = np.array([*book.classes, "no class"])
    return Known(x, label[kept], field[kept], embedding, names[book.classify(embedding)])
