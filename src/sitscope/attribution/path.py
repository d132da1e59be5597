"""How much did each date of each band contribute to the difference between this series and a reference?

Attribution along the straight path from a reference series b to the series x (integrated gradients: M. Sundararajan,
A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, Eq. 1):

    a_ct = (x_ct - b_ct) * integral over s from 0 to 1 of dv/dx_ct (b + s (x - b)) ds

with Gauss-Legendre nodes, as many as each series needs. It is complete: over bands and dates the contributions sum to
v(x) - v(b), and what they miss, the residual, is returned with them.

n series, c bands, t dates, d embedding dimensions, m values explained (the embedding dimensions by default).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .checks import check_input
from .passes import quick_gradients_of, values_of
from .targets import Target, dimensions

FEWEST, MOST = 4, 64
"""Nodes that every series gets, and the most that any gets, where they are chosen by the residual."""


@dataclass(frozen=True)
class Path:
    """What `path` found, on the device and in the dtype of the series."""

    importance: Float[Tensor, "n m c t"]
    """Contribution of each band and date to values - reference_values, in units of the values."""
    values: Float[Tensor, "n m"]
    """What is explained: the embedding, or what the target makes of it."""
    reference_values: Float[Tensor, "n m"]
    """The same at the reference series."""
    residual: Float[Tensor, "n m"]
    """Sum of the contributions minus (values - reference_values): what the nodes missed, in units of the values."""
    nodes: Int[Tensor, " n"]
    """Nodes used for each series."""

    @property
    def merged(self) -> Float[Tensor, "n m t"]:
        """Contribution of each date, all bands together."""
        return self.importance.sum(2)

    @property
    def bands(self) -> Float[Tensor, "n m c"]:
        """Contribution of each band, or sensor, all dates together."""
        return self.importance.sum(3)

    @property
    def relative_residual(self) -> Float[Tensor, "n m"]:
        """|residual| / |values - reference_values|; 0 where nothing is missed, infinite where only the residual is."""
        missed, whole = self.residual.abs(), (self.values - self.reference_values).abs()
        return torch.where(missed == 0, torch.zeros_like(missed), missed / whole)


def path(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    reference: Tensor | None = None,
    *,
    target: Target = dimensions,
    nodes: int | None = None,
    tolerance: float = 0.01,
    batch: int = 256,
) -> Path:
    """Contribution of each band and date to the way from a reference series to each series.

    Args:
        encoder: any module that maps series (n, c, t) to embeddings (n, d), in eval mode.
        x: series, as the encoder takes them.
        reference: one series (c, t) for all, or one for each (n, c, t): "why Cotton and not Pepper" has Pepper's mean
            curve here, a chosen series its neighbour. The mean of x if not given.
        target: what is explained: see `targets`.
        nodes: of the quadrature, for every series. Chosen for each series by itself if not given: from 4 to 64, until
            the residual is at most `tolerance` of the change that is explained.
        tolerance: of the residual: |sum of contributions - change| / |change|, over the m values together.
        batch: series at a time. The result does not depend on it.

    Raises:
        TypeError, ValueError: as `grad_slam` for encoder, series and target; a reference of another shape, or with
            missing values; nodes or tolerance that are not positive.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(48, 3))
        >>> found = path(encoder, torch.randn(10, 2, 14))
        >>> found.importance.shape, found.merged.shape, found.bands.shape
        (torch.Size([10, 3, 2, 14]), torch.Size([10, 3, 14]), torch.Size([10, 3, 2]))
        >>> change = found.values - found.reference_values
        >>> bool((found.importance.sum((2, 3)) - change).norm() <= 0.01 * change.norm())
        True
    """
    check_input(encoder, x, batch)
    if nodes is not None and nodes < 1:
        raise ValueError(f"nodes is {nodes}; at least one is needed.")
    if not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance}; it must be positive. 0.01 asks for 1 %.")
    start = reference_for(x, reference)
    with torch.inference_mode(False), torch.enable_grad():
        x, start = x.detach().clone(), start.detach().clone()  # of inference mode no more
        values, start_values = (values_of(encoder, z, target, batch) for z in (x, start))
        m = values.shape[1]
        importance = x.new_zeros(len(x), m, *x.shape[1:])
        used = torch.zeros(len(x), dtype=torch.long, device=x.device)
        wanted = torch.full_like(used, FEWEST if nodes is None else nodes)
        while (wanted > used).any():
            for k in torch.unique(wanted[wanted > used]).tolist():
                rows = torch.nonzero((wanted == k) & (wanted > used))[:, 0]
                for some in torch.split(rows, batch):
                    importance[some] = integrated(encoder, x[some], start[some], target, int(k))
                used[rows] = k
            residual = importance.sum((2, 3)) - (values - start_values)
            if nodes is None:
                wanted = _next(used, residual, values - start_values, tolerance)
        return Path(importance, values, start_values, importance.sum((2, 3)) - (values - start_values), used)


def integrated(
    encoder: nn.Module, x: Float[Tensor, "n c t"], start: Float[Tensor, "n c t"], target: Target, nodes: int
) -> Float[Tensor, "n m c t"]:
    """(x - b) times the mean gradient along the path, by Gauss-Legendre quadrature with so many nodes."""
    total: Tensor | float = 0.0
    for at, weight in zip(*gauss_legendre(nodes), strict=True):
        total = total + weight * quick_gradients_of(encoder, start + at * (x - start), target)[0]
    assert isinstance(total, Tensor)
    return total * (x - start)[:, None]


def gauss_legendre(nodes: int) -> tuple[list[float], list[float]]:
    """Nodes in (0, 1) and their weights, which sum to 1.

    >>> gauss_legendre(1)
    ([0.5], [1.0])
    """
    at, weight = np.polynomial.legendre.leggauss(nodes)
    return ((at + 1) / 2).tolist(), (weight / 2).tolist()


def reference_for(x: Float[Tensor, "n c t"], reference: Tensor | None) -> Float[Tensor, "n c t"]:
    """The reference series of each series: the mean of x, or what was given, once for all or one for each."""
    if reference is None:
        return x.mean(0, keepdim=True).expand_as(x)
    if reference.shape not in (x.shape, x.shape[1:]):
        raise ValueError(
            f"the reference has shape {tuple(reference.shape)}; for series {tuple(x.shape)} it is one series "
            f"{tuple(x.shape[1:])}, or one for each. Pick rows of group means with means[group]."
        )
    if not torch.isfinite(reference).all():
        raise ValueError(f"the reference has {int((~torch.isfinite(reference)).sum())} values missing. Fill them.")
    return reference.to(x).expand_as(x)


def _next(
    used: Int[Tensor, " n"], residual: Float[Tensor, "n m"], change: Float[Tensor, "n m"], tolerance: float
) -> Int[Tensor, " n"]:
    """Nodes for the next attempt: the power of two that should do, as the residual falls with the square of the nodes.

    Each series decides for itself, so that its company in a batch does not matter.
    """
    missed = torch.linalg.vector_norm(residual, dim=1) / tolerance
    whole = torch.linalg.vector_norm(change, dim=1)
    factor = torch.where(missed > whole, (missed / whole.clamp(min=torch.finfo(whole.dtype).tiny)).sqrt(), 0.0)
    power = torch.ceil(torch.log2(factor.clamp(1, MOST).nan_to_num(1.0)))
    more = (used * 2 ** power.clamp(min=1).long()).clamp(max=MOST)
    return torch.where(factor > 0, more, used)
