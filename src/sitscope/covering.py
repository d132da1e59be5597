"""Which of the dates that a small embedding misses does a larger one look at?

n series, m classes, t dates, d dimensions. Trainings are known by (dimensions, seed).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int, Shaped

from sitscope.attribution.complexity import diversity
from sitscope.attribution.seeds import agreement
from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import fit_codebook
from sitscope.classes.parting import Parting, missed, parting
from sitscope.classes.scores import Scores, score_embedding
from sitscope.cube.splitting import split_by_field
from sitscope.job import VOTES
from sitscope.mapping.methods import path
from sitscope.settings import RunSettings

PER_CLASS = 40
"""Series of each class on which importance is measured."""
CONFUSED = 0.25
"""Share of a class's test series that become one other class, from which on the two count as confused."""

Pair = tuple[str, str]
"""Truth and prediction."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What is known of one training."""

    scores: Mapping[int, Scores]
    """On the test fields of its seed, by the number of clusters."""
    embedding: Float[np.ndarray, "n d"]
    """Of the series on which importance is measured, the same for all trainings."""
    importance: Float[np.ndarray, "n d t"]
    """Contribution of each date to each dimension, in units of the embedding."""


def learn(fitted: Fitted, series: xr.Dataset, clusters: Sequence[int], settings: RunSettings, seed: int) -> Learned:
    """Cluster, vote, score and explain what a training gave, on the split of its seed."""
    train, test = split_by_field(series, test=settings.test, seed=seed)
    e_train, e_test = fitted.embed(train.x.values), fitted.embed(test.x.values)
    vote, label = VOTES[settings.vote], train.label.values
    books = {k: fit_codebook(e_train, label, clusters=k, assign=vote, seed=seed) for k in clusters}
    scores = {k: score_embedding(e_test, test.label.values, book) for k, book in books.items()}
    x = series.x.values[shown(series, settings.seed)]
    return Learned(scores, fitted.embed(x), path(fitted, x).sum(axis=2))


def shown(series: xr.Dataset, seed: int) -> Int[np.ndarray, " n"]:
    """The series on which importance is measured: of each class as many, whatever their split."""
    mixed = np.random.default_rng(seed).permutation(len(series.x))
    turn = pd.Series(mixed).groupby(series.label.values[mixed]).cumcount().to_numpy()
    return np.sort(mixed[turn < PER_CLASS])


def compared(
    learned: Mapping[tuple[int, int], Learned], series: xr.Dataset, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of a sweep.

    The first has a row for each size, number of clusters and seed: dims, clusters, seed; overall_accuracy,
    macro_recall, never_predicted (classes) on the test fields; missed, the dates that part a confused pair and that the
    smallest embedding of this seed does not look at, and covered, the share of them that this embedding does look at,
    for the smallest itself the share that its trainings with other seeds look at, which takes no growth at all;
    by_margin, the same where the margin alone counts, which more dimensions do not make easier; alike,
    the mean Spearman correlation of the sizes of importance of two dimensions along the dates; agreement, the mean
    Spearman correlation of the class profiles of importance with those of the other seeds, aligned.

    The second has a row for each missed date of a pair, seed and size: truth, predicted, date, dims, seed, covered, and
    by_margin, whether the margin between the two classes looks at it.

    An embedding looks at a date where at least one of its dimensions, or the margin between the two classes, gives it
    its share 1/t of the importance of all dates: the size of the contributions, mean over series of both classes.
    """
    label = series.label.values[shown(series, seed)].astype(str)
    dates = pd.DataFrame(
        [row for one in sorted({s for _, s in learned}) for row in _lost(one, learned, series, label)],
        columns=["truth", "predicted", "date", "dims", "seed", "covered", "by_margin"],
    )
    rows = []
    for (dims, one), found in learned.items():
        mine = dates[(dates.dims == dims) & (dates.seed == one)]
        others = [learned[other] for other in learned if other[0] == dims and other[1] != one]
        agree = [_agreement(found, other, label) for other in others]
        facts = {
            "missed": len(mine),
            "covered": float(mine.covered.mean()) if len(mine) else np.nan,
            "by_margin": float(mine.by_margin.mean()) if len(mine) else np.nan,
            "alike": _alike(found),
            "agreement": float(np.mean(agree)) if agree else np.nan,
        }
        for k, scores in found.scores.items():
            told = {"overall_accuracy": scores.overall_accuracy, "macro_recall": scores.macro_recall}
            never = len(scores.classes_never_predicted)
            rows.append({"dims": dims, "clusters": k, "seed": one, **told, "never_predicted": never, **facts})
    return pd.DataFrame(rows).sort_values(["dims", "clusters", "seed"], ignore_index=True), dates


def confused(scores: Scores) -> list[Pair]:
    """Truth and prediction of what is lost to one other class."""
    share = scores.row_percent / 100
    np.fill_diagonal(share, 0)
    return [(scores.classes[i], scores.classes[j]) for i, j in zip(*np.nonzero(share >= CONFUSED), strict=True)]


def looks_at(
    apart: Parting, found: Learned, label: Shaped[np.ndarray, " n"]
) -> tuple[Bool[np.ndarray, " t"], Bool[np.ndarray, " t"]]:
    """Of the dates that part two classes, those that a dimension or their margin looks at, and those the margin does.

    The margin is that between the means e_a, e_b of the two classes: |e - e_b|^2 - |e - e_a|^2 is linear in e, so that
    the contributions to it are those to the dimensions, weighed by 2 (e_a - e_b).
    """
    one, two = label == apart.a, label == apart.b
    between = found.embedding[one].mean(axis=0) - found.embedding[two].mean(axis=0)  # (d,)
    margin = np.einsum("d,ndt->nt", 2 * between, found.importance)
    each = [*found.importance.transpose(1, 0, 2), margin]  # d + 1 of (n, t)
    sizes = [(np.abs(part[one]).mean(axis=0) + np.abs(part[two]).mean(axis=0)) / 2 for part in each]
    seen = np.array([apart.parts & ~missed(apart, size) for size in sizes])
    return np.asarray(seen.any(axis=0)), np.asarray(seen[-1])


def _lost(
    seed: int, learned: Mapping[tuple[int, int], Learned], series: xr.Dataset, label: Shaped[np.ndarray, " n"]
) -> Iterator[dict[str, Any]]:
    """Rows of the dates that the smallest embedding of a seed misses."""
    sizes = sorted({dims for dims, _ in learned})
    small = learned[sizes[0], seed]
    for pair in confused(small.scores[min(small.scores)]):
        mine = np.flatnonzero(np.isin(series.label.values, pair))
        x, names, field = (series[name].values[mine] for name in ("x", "label", "field"))
        apart = parting(x, names, field, *pair)
        lost = np.flatnonzero(apart.parts & ~looks_at(apart, small, label)[0])
        for dims in sizes:
            judges = [
                looks_at(apart, found, label)
                for (other, s), found in learned.items()
                if other == dims and (s == seed) == (dims != sizes[0])
            ]
            covered, by_margin = np.mean(judges, axis=0) if judges else np.full((2, len(apart.parts)), np.nan)
            for date in lost:
                yield {
                    "truth": pair[0],
                    "predicted": pair[1],
                    "date": series.time.values[date],
                    "dims": dims,
                    "seed": seed,
                    "covered": covered[date],
                    "by_margin": by_margin[date],
                }


def _alike(found: Learned) -> float:
    """Whether the dimensions look at the same dates: 1 if all do; NaN for a single dimension."""
    if found.importance.shape[1] < 2:
        return float("nan")
    return float(diversity(torch.as_tensor(found.importance).abs()).nanmean())


def _agreement(a: Learned, b: Learned, label: Shaped[np.ndarray, " n"]) -> float:
    """Whether another training names the same dates."""

    def profiles(of: Learned) -> torch.Tensor:
        return torch.as_tensor(np.stack([of.importance[label == name].mean(axis=0) for name in np.unique(label)]))

    found = agreement(profiles(a), profiles(b), torch.as_tensor(a.embedding), torch.as_tensor(b.embedding))
    return float(found.correlation.nanmean())
