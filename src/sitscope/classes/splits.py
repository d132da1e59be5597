"""How sure is a score that was measured on several field-wise splits?"""

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import t as student


def interval(values: Float[np.ndarray, " r"], test: float) -> tuple[float, float, float]:
    """Mean of a score over r random splits, and its 95 % interval.

        mean +- t_(r - 1, 0.975) s sqrt(1 / r + test / (1 - test))

    with the standard deviation s over the splits. The splits share most of their fields, so that 1 / r alone would be
    too narrow: the second term is the correction of Nadeau and Bengio, Machine Learning 52 (2003), for a share `test`
    of the series that is tested. NaN ends for a single split.

    >>> [round(float(v), 3) for v in interval(np.array([0.5, 0.6, 0.7]), 0.3)]
    [0.6, 0.224, 0.976]
    """
    r, mean = len(values), float(np.mean(values))
    if r < 2:
        return mean, float("nan"), float("nan")
    half = float(student.ppf(0.975, r - 1) * np.std(values, ddof=1) * np.sqrt(1 / r + test / (1 - test)))
    return mean, mean - half, mean + half


def intervals(comparison: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row for each method, in their order: method, kind, value, low, high.

    comparison: rows of method, kind, seed, test and the metric.
    """
    rows = []
    for (method, kind), mine in comparison.groupby(["method", "kind"], sort=False):
        value, low, high = interval(mine[metric].to_numpy(dtype=float), float(mine.test.mean()))
        rows.append({"method": method, "kind": kind, "value": value, "low": low, "high": high})
    return pd.DataFrame(rows)


def lead(comparison: pd.DataFrame, metric: str, over: str, method: str = "cae") -> tuple[float, float, float]:
    """By how much a method is ahead of another, split by split, with the interval of `interval`."""
    scores = comparison.pivot(index="seed", columns="method", values=metric)
    return interval((scores[method] - scores[over]).to_numpy(dtype=float), float(comparison.test.mean()))
