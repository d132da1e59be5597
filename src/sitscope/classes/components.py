"""Along which axes does an embedding vary most?

n series, d dimensions, r axes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components: a mean, axes at right angles, the most variance first."""

    mean: Float[np.ndarray, " d"]
    axes: Float[np.ndarray, "r d"]
    """Of length 1; the largest entry of each is positive, since the sign of an axis is arbitrary."""
    share: Float[np.ndarray, " r"]
    """Of the variance, in [0, 1]; 0 where nothing varies."""

    def __call__(self, embedding: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n r"]:
        """Places along the axes, in the units of the embedding."""
        return (np.asarray(embedding, float) - self.mean) @ self.axes.T


def principal_components(embedding: Float[np.ndarray, "n d"], most: int = 2) -> Components:
    """The first axes, as many as `most` and no more than there are dimensions.

    Eigenvectors of the covariance (d, d), in float64: its memory does not grow with n, as that of a singular value
    decomposition with all its vectors does.

    >>> found = principal_components(np.array([[0.0, 0.0], [2.0, 0.1], [4.0, 0.0]]))
    >>> found.share.round(3).tolist(), found(np.array([[2.0, 1 / 30]])).round(6).tolist()
    ([0.999, 0.001], [[0.0, 0.0]])
    """
    e = np.asarray(embedding, float)
    mean = e.mean(axis=0) if len(e) else np.zeros(e.shape[1])
    apart = e - mean
    size, vectors = np.linalg.eigh(apart.T @ apart)
    first = np.argsort(-size, kind="stable")[: min(most, e.shape[1])]
    axes = vectors[:, first].T
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1))
    share = np.clip(size[first], 0, None) / max(float(np.trace(apart.T @ apart)), 1e-300)
    return Components(mean, axes, share)
