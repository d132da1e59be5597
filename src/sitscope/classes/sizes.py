"""Which size of embedding is enough?"""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Choice:
    """The size that a sweep recommends, and against what."""

    dims: int
    clusters: int
    best: tuple[int, int]
    """Dimensions and clusters of the highest mean macro recall."""
    short: float
    """By how much the recommended mean macro recall is below the best."""
    error: float
    """Standard error of that, over the seeds; NaN for a single seed."""
    recall: float
    """Mean macro recall of the recommended size."""
    seeds: int


def recommended(sweep: pd.DataFrame) -> Choice:
    """The smallest size, and of this the fewest clusters, within one standard error of the best macro recall.

    sweep: rows of dims, clusters, seed, macro_recall. What a candidate lacks against the best is taken seed by seed,
    since both were tested on the same fields; it is recommended where the mean lack is no more than its standard error
    over the seeds (the rule of one standard error: Breiman et al., Classification and Regression Trees, 1984, made for
    pairs). With a single seed nothing is known of the error, and the best is recommended.

    >>> rows = [(2, 9, 0, 0.3), (2, 9, 1, 0.32), (4, 9, 0, 0.5), (4, 9, 1, 0.52), (8, 9, 0, 0.53), (8, 9, 1, 0.51)]
    >>> found = recommended(pd.DataFrame(rows, columns=["dims", "clusters", "seed", "macro_recall"]))
    >>> found.dims, found.best, round(found.short, 3), round(found.error, 3)
    (4, (8, 9), 0.01, 0.02)
    """
    recall = sweep.pivot_table(index=["dims", "clusters"], columns="seed", values="macro_recall").sort_index()
    means = recall.mean(axis=1)
    best = means.idxmax()  # of equals the smallest
    lack = recall.loc[best] - recall
    error = lack.std(axis=1, ddof=1) / recall.shape[1] ** 0.5
    enough = lack.mean(axis=1) <= error.fillna(0) + 1e-12
    dims, clusters = enough.index[enough.to_numpy().argmax()]
    short, spread = float(lack.mean(axis=1)[dims, clusters]), float(error[dims, clusters])
    whole = (int(best[0]), int(best[1]))
    return Choice(int(dims), int(clusters), whole, short, spread, float(means[dims, clusters]), recall.shape[1])
