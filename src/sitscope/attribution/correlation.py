"""How alike are two maps? Pearson's and Spearman's correlation along the dates, many pairs at once.

t dates; the other axes, whatever they are, are pairs.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Correlation = Callable[[Float[Tensor, "*pairs t"], Float[Tensor, "*pairs t"]], Float[Tensor, "*pairs"]]
"""Two maps -> a number in [-1, 1]: `pearson` or `spearman`."""


def pearson(a: Float[Tensor, "*pairs t"], b: Float[Tensor, "*pairs t"]) -> Float[Tensor, "*pairs"]:
    """Pearson's correlation over the last axis, in [-1, 1]; NaN where a map is constant, since it has no shape.

    >>> pearson(torch.tensor([[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]]), torch.tensor([[3.0, 1.0, 2.0], [0.0, 1.0, 2.0]]))
    tensor([-0.5000,     nan])
    """
    moving = (a.amax(-1) > a.amin(-1)) & (b.amax(-1) > b.amin(-1))
    a, b = _unit(a), _unit(b)
    return (a * b).sum(-1).clamp(-1, 1).where(moving, torch.nan)


def spearman(a: Float[Tensor, "*pairs t"], b: Float[Tensor, "*pairs t"]) -> Float[Tensor, "*pairs"]:
    """Spearman's rank correlation over the last axis, in [-1, 1], ties with their mean rank; NaN as for `pearson`.

    >>> round(spearman(torch.tensor([0.0, 1.0, 5.0, 6.0]), torch.tensor([0.0, 1.0, 2.0, 900.0])).item(), 4)
    1.0
    """
    return pearson(ranks(a), ranks(b))


def ranks(a: Float[Tensor, "*pairs t"]) -> Float[Tensor, "*pairs t"]:
    """Ranks from 1 over the last axis; equal values share the mean of theirs.

    >>> ranks(torch.tensor([0.3, -1.0, 0.3, 0.4]))
    tensor([2.5000, 1.0000, 2.5000, 4.0000])
    """
    a = a.contiguous()
    ordered = a.sort(-1).values
    below = torch.searchsorted(ordered, a)
    up_to = torch.searchsorted(ordered, a, right=True)
    return (below + up_to + 1).to(a.dtype) / 2


def _unit(a: Float[Tensor, "*pairs t"]) -> Float[Tensor, "*pairs t"]:
    """Centred and of length 1. The largest deviation is divided out first, so that no square over- or underflows."""
    a = a - a.mean(-1, keepdim=True)
    largest = a.abs().amax(-1, keepdim=True)
    a = a / largest.where(largest > 0, 1)
    length = torch.linalg.vector_norm(a, dim=-1, keepdim=True)
    return a / length.where(length > 0, 1)
