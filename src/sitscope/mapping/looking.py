"""Where does the embedding look, for a class and between two classes?

n series, k series of another class, c bands, t dates, d embedding dimensions.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from sitscope.attribution.gradslam import grad_slam
from sitscope.attribution.path import path
from sitscope.attribution.targets import margin
from sitscope.autoencoder.fitted import Fitted
from sitscope.mapping.methods import METHODS, NODES

SERIES = 64
"""Of a class, spread over its fields: their mean importance is that of 400 within a few percent."""


def turns(field: Int[np.ndarray, " n"], seed: int = 0) -> Int[np.ndarray, " n"]:
    """The turn of each series in its field, 0 first, in an order that is drawn.

    >>> sorted(turns(np.array([7, 7, 8, 7])).tolist())
    [0, 0, 1, 2]
    """
    mixed = np.random.default_rng(seed).permutation(len(field))
    order = mixed[np.argsort(field[mixed], kind="stable")]
    _, first, size = np.unique(field[order], return_index=True, return_counts=True)
    turn = np.empty(len(field), np.int64)
    turn[order] = np.arange(len(field)) - np.repeat(first, size)
    return turn


def some_of(
    label: Shaped[np.ndarray, " n"], field: Int[np.ndarray, " n"], name: str, seed: int = 0
) -> Int[np.ndarray, " k"]:
    """Positions of at most SERIES series of a class, one of each of its fields in turn."""
    mine = np.flatnonzero(label == name)
    turn = turns(field[mine], seed)
    return mine[np.lexsort((np.random.default_rng(seed).random(len(mine)), turn))[:SERIES]]


def sizes(fitted: Fitted, x: Float[np.ndarray, "n c t"]) -> dict[str, Float[np.ndarray, "d t"]]:
    """By method, the mean size of the importance of each date for each embedding dimension, bands together."""
    return {name: np.abs(method(fitted, x).sum(axis=2)).mean(axis=0) for name, method in METHODS.items()}


def margins(
    fitted: Fitted,
    x: Float[np.ndarray, "n c t"],
    others: Float[np.ndarray, "k c t"],
    places: tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]],
) -> Mapping[str, Float[np.ndarray, " t"]]:
    """By method, what each date contributes to series lying nearer to their own place than to that of the others.

    The margin |e - others|^2 - |e - own|^2 between the places of two classes, explained for series of the one: by the
    path, which starts at the mean series of the others, so that contributions sum to what tells the two apart; and by
    Grad-SLAM. Means over the series.
    """
    own, other = (torch.as_tensor(np.asarray(place, np.float32)) for place in places)
    z, start = fitted.z_scores(x), fitted.z_scores(others.mean(axis=0, keepdims=True))[0]
    encoder, why = fitted.network.encoder, margin(own, other)
    along = path(encoder, z, start, target=why, nodes=NODES).merged
    letter = grad_slam(encoder, z, target=why, dates=fitted.dates).merged
    return {name: found[:, 0].mean(0).cpu().numpy() for name, found in (("path", along), ("letter", letter))}
