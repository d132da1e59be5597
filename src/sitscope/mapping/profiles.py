"""What is typical of a class: its series, and the dates that made its embedding?"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped
from scipy.stats import t as student

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.mapping.methods import METHODS, Method

EXPLAINED = 400
"""Most series of a class that are explained for its profile: enough for a mean, where a hundred thousand take hours."""

Group = Callable[[Shaped[np.ndarray, " n"], Shaped[np.ndarray, " n"]], Shaped[np.ndarray, " n"]]
"""From the names of truth and prediction of each series to the name it is averaged under."""


def truth(label: Shaped[np.ndarray, " n"], predicted: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Average by the class that a series is."""
    return label


def prediction(label: Shaped[np.ndarray, " n"], predicted: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Average by the class that a series was given."""
    return predicted


def confusion(label: Shaped[np.ndarray, " n"], predicted: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Average by both, named "Pepper as Cotton"."""
    return np.char.add(np.char.add(label.astype(str), " as "), predicted.astype(str))


def profiles(
    series: Any,
    fitted: Fitted,
    book: Codebook,
    *,
    by: Group = truth,
    methods: Mapping[str, Method] = METHODS,
    most: int = EXPLAINED,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean, standard deviation and 95 % interval of series and importance per (method, class, dimension, date).

    series: labelled, x (n, c, t). One row per method, class, embedding dimension (dim, from 1) and date: `importance`
    with `_std, _low, _high`, of which `importance_VV` and so on are the bands' parts where the method tells them; each
    band likewise in the units of the cube, `n` series and `n_fields` fields. Importance is of `n_explained` series of
    each class, at most `most`, drawn at random. `filled` is the share of the series whose value on the date was missing
    and is filled in time, 0 where series has no filled (series, time). Fields, not pixels, are the
    independent draws: the interval of a mean is Student's over the means of the fields, and over pixels only where a
    class has a single field.
    """
    label = np.asarray(series.label).astype(str)
    x, field = np.asarray(series.x, np.float32), np.asarray(series.field)
    names = np.array([*book.classes, "no class"])
    filled = np.asarray(series.filled) if "filled" in series else np.zeros((len(x), x.shape[2]), bool)
    group = by(label, names[book.classify(fitted.embed(x))])
    rng = np.random.default_rng(seed)
    tables = []
    for name in sorted(set(group[label != ""].tolist())):
        mine = rng.permutation(np.flatnonzero((group == name) & (label != "")))
        for method, importance in methods.items():
            table = _profile(name, x[mine], importance(fitted, x[mine[:most]]), field[mine], fitted)
            share = np.tile(filled[mine].mean(axis=0), len(table) // x.shape[2])
            tables.append(table.assign(filled=share, method=method))
    return pd.concat(tables, ignore_index=True)


def _profile(
    name: str,
    x: Float[np.ndarray, "n c t"],
    importance: Float[np.ndarray, "some d b t"],
    field: Int[np.ndarray, " n"],
    fitted: Fitted,
) -> pd.DataFrame:
    """The rows of one class and method, dimension by dimension; the first series are those explained."""
    d, b, t = importance.shape[1:]
    some = len(importance)
    fields, group = np.unique(field, return_inverse=True)
    if len(fields) == 1:
        group = np.arange(len(field))
    columns = {
        "class": np.full(d * t, name),
        "dim": np.repeat(np.arange(1, d + 1), t),
        "date": np.tile(fitted.dates, d),
        **_spread("importance", importance.sum(axis=2).reshape(some, -1), group[:some]),
        "n": np.full(d * t, len(x)),
        "n_explained": np.full(d * t, some),
        "n_fields": np.full(d * t, len(fields)),
    }
    for i, band in enumerate(fitted.bands):
        if b > 1:
            columns[f"importance_{band}"] = importance[:, :, i].mean(axis=0, dtype=np.float64).ravel()
        columns |= {k: np.tile(v, d) for k, v in _spread(band, x[:, i], group).items()}
    return pd.DataFrame(columns)


def _spread(
    name: str, values: Float[np.ndarray, "n m"], group: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, " m"]]:
    """Mean and standard deviation over series, 95 % interval from the means of the groups."""
    _, group = np.unique(group, return_inverse=True)
    count = np.bincount(group)
    mean = values.mean(axis=0, dtype=np.float64)
    half = np.zeros_like(mean)
    if len(count) > 1:
        sums = np.zeros((len(count), values.shape[1]))
        np.add.at(sums, group, values)
        spread = (sums / count[:, None]).std(axis=0, ddof=1)
        half = student.ppf(0.975, len(count) - 1) * spread / np.sqrt(len(count))
    return {
        name: mean,
        f"{name}_std": values.std(axis=0, dtype=np.float64),
        f"{name}_low": mean - half,
        f"{name}_high": mean + half,
    }
