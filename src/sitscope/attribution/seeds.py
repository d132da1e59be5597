"""Would the same dates matter if the encoder were trained again?

Two runs that differ in their seed give embeddings that are turned, mirrored and stretched against each other, so that
dimension i of one is no dimension of the other. Their embeddings of the same series are aligned first; the importances
follow, since they are linear in the embedding.

n series, d embedding dimensions, m profiles, such as of classes, t dates. Run a is the one compared with, b the other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from .checks import check_importance
from .correlation import Correlation, spearman


@dataclass(frozen=True)
class Alignment:
    """How the embedding of run b becomes that of run a: (e_b - mean_b) @ mix + mean_a."""

    mix: Float[Tensor, "d d"]
    """Row j: what dimension j of b gives to each dimension of a."""
    mean_a: Float[Tensor, " d"]
    mean_b: Float[Tensor, " d"]
    explained: float
    """1 - squared error / variance of e_a: 1 if the runs differ by the alignment only, 0 if b tells nothing of a."""

    def embedding(self, e_b: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The embedding of run b as run a would have given it."""
        return (e_b - self.mean_b) @ self.mix + self.mean_a

    def importance(self, of_b: Float[Tensor, "m d t"]) -> Float[Tensor, "m d t"]:
        """The importances of run b for the dimensions of run a: mixed as the embedding is.

        True for contributions to the embedding, in its units and with their sign, such as those of a path; not for
        maps that were scaled each by itself, nor for magnitudes.
        """
        return torch.einsum("mjt,ji->mit", of_b, self.mix)


Align = Callable[[Float[Tensor, "n d"], Float[Tensor, "n d"]], Alignment]
"""Embeddings of the same series by runs a and b -> how b becomes a: `procrustes` or `matching`."""


def procrustes(e_a: Float[Tensor, "n d"], e_b: Float[Tensor, "n d"]) -> Alignment:
    """Turn, mirror and stretch the embedding of run b as a whole onto that of run a.

        min over rotations R and scales s of || A - s B R ||,    A, B centred;    B^T A = U S V^T,  R = U V^T,
        s = trace(S) / ||B||^2

    Orthogonal Procrustes with scaling: Schonemann 1966, DOI 10.1007/BF02289451.

    Raises:
        ValueError: the embeddings are not (n, d) alike with n > 1, not finite, or one of them is constant.

    Example:
        >>> e = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 2.0]])
        >>> found = procrustes(e, 3 * e.flip(1) + 1)
        >>> round(found.explained, 6), torch.allclose(found.embedding(3 * e.flip(1) + 1), e, atol=1e-6)
        (1.0, True)
    """
    a, b = _centred(e_a, e_b)
    u, s, vh = torch.linalg.svd(b.T @ a)
    return _aligned(e_a, e_b, (s.sum() / b.square().sum()) * (u @ vh))


def matching(e_a: Float[Tensor, "n d"], e_b: Float[Tensor, "n d"]) -> Alignment:
    """Find for each dimension of run a its own dimension of run b, with its sign and scale.

    Dimensions are paired one to one so that the sum of their |correlation| is greatest (Hungarian method), then each
    is scaled by least squares. For embeddings whose dimensions have a meaning by themselves; what is turned between
    two dimensions `procrustes` finds and this does not.

    Raises: as `procrustes`, and ValueError if any single dimension is constant.

    Example:
        >>> e = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 2.0]])
        >>> matching(e, torch.stack([-e[:, 1], 2 * e[:, 0]], dim=1)).mix
        tensor([[ 0.0000, -1.0000],
                [ 0.5000,  0.0000]])
    """
    a, b = _centred(e_a, e_b)
    for run, e in (("a", e_a), ("b", e_b)):
        if (still := e.amax(0) == e.amin(0)).any():
            raise ValueError(
                f"dimensions {still.nonzero().flatten().tolist()} of run {run} are constant: no correlation."
            )
    together = b.T @ a  # (d of b, d of a)
    correlation = together / torch.linalg.vector_norm(b, dim=0)[:, None] / torch.linalg.vector_norm(a, dim=0)
    rows, columns = linear_sum_assignment(correlation.abs().cpu().numpy(), maximize=True)
    chosen = torch.zeros_like(together)
    chosen[rows, columns] = 1
    return _aligned(e_a, e_b, chosen * together / b.square().sum(0)[:, None])


@dataclass(frozen=True)
class Agreement:
    """How far two runs name the same dates."""

    correlation: Float[Tensor, "m d"]
    """Spearman's, of each profile and dimension of run a, in [-1, 1]; NaN where a profile is constant."""
    importance: Float[Tensor, "m d t"]
    """The profiles of run b for the dimensions of run a."""
    alignment: Alignment
    """How run b became run a. Where `explained` is low, the runs have learned different things."""


def agreement(
    profiles_a: Float[Tensor, "m d t"],
    profiles_b: Float[Tensor, "m d t"],
    e_a: Float[Tensor, "n d"],
    e_b: Float[Tensor, "n d"],
    align: Align = procrustes,
    correlation: Correlation = spearman,
) -> Agreement:
    """Rank-correlate the importance profiles of two runs, once the embeddings have been aligned.

    Args:
        profiles_a, profiles_b: importance of each dimension and date, of the same m classes or series: signed
            contributions in units of the embedding (see `Alignment.importance`).
        e_a, e_b: embeddings of the same n series by both runs, by which they are aligned.
        align: `procrustes` or `matching`.
        correlation: `correlation.spearman` or `pearson`.

    Raises:
        TypeError, ValueError: the profiles are not (m, d, t) alike and finite; or what `align` raises.

    Example:
        >>> e, profiles = torch.randn(50, 2), torch.randn(3, 2, 61)
        >>> found = agreement(profiles, profiles.flip(1) * -2, e, e.flip(1) * -2)
        >>> found.correlation.min() > 0.99
        tensor(True)
    """
    for profiles, e in ((profiles_a, e_a), (profiles_b, e_b)):
        check_importance(profiles)
        if profiles.shape != profiles_a.shape or e.shape[-1] != profiles.shape[1]:
            raise ValueError(
                f"profiles are {tuple(profiles_a.shape)} and {tuple(profiles_b.shape)}, embeddings {tuple(e_a.shape)} "
                f"and {tuple(e_b.shape)}: the profiles must be (m, d, t) alike, with the d of the embeddings (n, d)."
            )
    alignment = align(e_a, e_b)
    importance = alignment.importance(profiles_b)
    return Agreement(correlation(profiles_a, importance), importance, alignment)


def _centred(e_a: Float[Tensor, "n d"], e_b: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    if e_a.shape != e_b.shape or e_a.ndim != 2 or len(e_a) < 2:
        raise ValueError(
            f"the embeddings are {tuple(e_a.shape)} and {tuple(e_b.shape)}: not (n, d) of the same n > 1 series."
        )
    for run, e in (("a", e_a), ("b", e_b)):
        if not e.isfinite().all() or (e.amax(0) == e.amin(0)).all():
            raise ValueError(f"the embedding of run {run} is constant or not finite: nothing to align.")
    return e_a - e_a.mean(0), e_b - e_b.mean(0)


def _aligned(e_a: Float[Tensor, "n d"], e_b: Float[Tensor, "n d"], mix: Float[Tensor, "d d"]) -> Alignment:
    a, b = _centred(e_a, e_b)
    explained = 1 - float((a - b @ mix).square().sum() / a.square().sum())
    return Alignment(mix, e_a.mean(0), e_b.mean(0), explained)
