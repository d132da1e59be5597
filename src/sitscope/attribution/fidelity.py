"""How far can an explanation be trusted? Remove the dates it names, and see how far the embedding moves.

Definitions follow the Latent Shift of Label-Free XAI (J. Crabbé, M. van der Schaar, ICML 2022), for removing dates:

    shift(p) = mean over series of |e(x) - e(x without its first p dates)|^2        NLS(p) = shift(p) / shift(t)

n series, k draws of a masking, c bands, t dates, p = 0 to t dates removed, d embedding dimensions.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .fast import compiled
from .masking import Masking

CHUNK = 512
"""Series embedded at once."""


def order_of(importance: Float[Tensor, "n m t"]) -> Int[Tensor, "n t"]:
    """Dates in the order of the norm of their importances over the m values, greatest first."""
    return torch.linalg.vector_norm(importance, dim=1).argsort(dim=1, descending=True, stable=True)


@torch.no_grad()
def embedded(encoder: nn.Module, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n d"]:
    """Embedding of the series, in chunks; by machine code where the encoder has some."""
    quick = compiled(encoder, x.shape[2]) if x.device.type == "cpu" else None
    fits = quick is not None and (quick.plan.bands, quick.dtype) == (x.shape[1], x.dtype)
    embed = quick.embed if quick is not None and fits else lambda part: encoder(part.clone())
    return torch.cat([embed(part) for part in torch.split(x, CHUNK)])


@torch.no_grad()
def along(
    encoder: nn.Module, x: Float[Tensor, "n c t"], order: Int[Tensor, "n t"], mask: Masking
) -> Float[Tensor, "k n p d"]:
    """Embedding while dates are removed one after another, from none (p = 0) to all (p = t)."""
    n, _, t = x.shape
    place = order.argsort(1)
    which = torch.arange(n, device=x.device)
    steps = [_masked(encoder, x, place < p, which, mask) for p in range(t + 1)]
    return torch.stack(steps, dim=2)


def shifts(moving: Float[Tensor, "k n p d"]) -> Float[Tensor, "n p"]:
    """Squared distance of the embedding from where it was, mean over draws; the first column is 0."""
    return (moving - moving[:, :, :1]).square().sum(-1).mean(0)


def nls(shift: Float[Tensor, "n p"]) -> Float[Tensor, " p"]:
    """Normalised latent shift NLS(p): means over series, divided by that of all dates removed."""
    mean = shift.mean(0)
    return mean / mean[-1]


def area(curve: Float[Tensor, "*b p"]) -> Float[Tensor, "*b"]:
    """Area under a curve over the share of dates removed, by the trapezoidal rule.

    >>> area(torch.tensor([0.0, 0.5, 1.0]))
    tensor(0.5000)
    """
    return ((curve[..., 1:] + curve[..., :-1]) / 2).mean(-1)


def nls_auc(shift: Float[Tensor, "n p"]) -> float:
    """Area under NLS: what an order of dates is worth. About 0.5 for chance, more is better."""
    return float(area(nls(shift)))


def efficiency(auc: float, chance: float, greedy: float) -> float:
    """Where an order lies between chance (0) and greedy removal (1): (AUC - chance) / (greedy - chance).

    Greedy looks one date ahead only, so that more than 1 is possible.

    >>> efficiency(0.9, 0.5, 1.0)
    0.8
    """
    return (auc - chance) / (greedy - chance)


def random_orders(n: int, t: int, count: int, seed: int = 0) -> Int[Tensor, "count n t"]:
    """Orders of dates that know nothing."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, n, t, generator=generator).argsort(2)


@torch.no_grad()
def greedy_order(encoder: nn.Module, x: Float[Tensor, "n c t"], mask: Masking) -> Int[Tensor, "n t"]:
    """At each step remove the date that raises the shift most: t^2 / 2 embeddings for each series and draw."""
    n, _, t = x.shape
    e = embedded(encoder, x)
    removed = torch.zeros(n, t, dtype=torch.bool, device=x.device)
    one = torch.eye(t, dtype=torch.bool, device=x.device)
    order = []
    for _ in range(t):
        which, date = torch.where(~removed)
        moved = _masked(encoder, x[which], removed[which] | one[date], which, mask) - e[which]
        shift = x.new_full((n, t), -torch.inf)
        shift[which, date] = moved.square().sum(-1).mean(0)
        best = shift.argmax(1)
        removed[torch.arange(n, device=x.device), best] = True
        order.append(best)
    return torch.stack(order, dim=1)


def _masked(
    encoder: nn.Module,
    x: Float[Tensor, "m c t"],
    removed: Bool[Tensor, "m t"],
    which: Int[Tensor, " m"],
    mask: Masking,
) -> Float[Tensor, "k m d"]:
    """Embedding of every draw, a chunk of series at a time, so that draws of many series are never held at once."""
    parts = []
    for rows in torch.split(torch.arange(len(x), device=x.device), CHUNK):
        drawn = mask(x[rows], removed[rows], which[rows])  # (k, rows, c, t)
        parts.append(embedded(encoder, drawn.flatten(0, 1)).reshape(*drawn.shape[:2], -1))
    return torch.cat(parts, dim=1)


# ---- what else a way of removing dates tells; each from `along`


def cumulative_shift(moving: Float[Tensor, "k n p d"], first: int | None = None) -> Float[Tensor, " n"]:
    """CPD_K = sum over the first K steps of |e(x_k) - e(x_{k+1})|_1, in embedding units, mean over draws.

    Steps back and forth add up, where the shift would let them cancel. K is all dates unless `first` says fewer. From
    an order that starts with the least important dates it is CPP.
    """
    steps = (moving[:, :, 1:] - moving[:, :, :-1]).abs().sum(-1)  # (k, n, t)
    return steps[:, :, :first].sum(-1).mean(0)


def degradation(most_first: Float[Tensor, "n p"], least_first: Float[Tensor, "n p"]) -> float:
    """DS = mean of LeRF - MoRF on 1 - NLS, from 2 % to 50 % of the dates removed in steps of 2 %; more is better.

    most_first, least_first: shifts along an order and along its reverse. NLS is linear between whole numbers of dates.
    """
    t = most_first.shape[1] - 1
    at = torch.arange(1, 26, device=most_first.device, dtype=most_first.dtype) * 0.02 * t
    low = at.floor().long().clamp(max=t - 1)
    difference = nls(most_first) - nls(least_first)  # (1 - least) - (1 - most)
    return float((difference[low] + (at - low) * (difference[low + 1] - difference[low])).mean())


def insertion_auc(least_first: Float[Tensor, "n p"]) -> float:
    """Area under 1 - NLS while dates come back to a series without any, the most important first: more is better.

    least_first: shifts along the reversed order; read backwards, they are what is left to restore.
    """
    return float(1 - area(nls(least_first).flip(0)))


def specificity(
    encoder: nn.Module, x: Float[Tensor, "n c t"], importance: Float[Tensor, "n d t"], mask: Masking
) -> float:
    """Does each dimension's explanation name that dimension's dates? Share of the shift on the diagonal, 1/d by chance.

    Dates are removed by |importance| of dimension i; the matrix (i, j) holds the area under |e_j(x) - e_j(without)|,
    divided by that of all dates removed; the result is the mean over i of diagonal / row sum.
    """
    d = importance.shape[1]
    rows = []
    for i in range(d):
        moving = along(encoder, x, order_of(importance[:, i : i + 1]), mask)
        moved = (moving - moving[:, :, :1]).abs().mean((0, 1))  # (p, d)
        rows.append(area((moved / moved[-1]).T))
    matrix = torch.stack(rows)  # (d, d)
    return float((matrix.diagonal() / matrix.sum(1)).mean())


# ---- intervals


Statistic = Callable[[Int[Tensor, " n"]], float]
"""Rows of a resample -> the figure."""


def bootstrap(statistic: Statistic, n: int, resamples: int = 200, seed: int = 0) -> tuple[float, float]:
    """95 % interval of a figure over series: the figure of `resamples` draws of n series with replacement."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [statistic(torch.randint(n, (n,), generator=generator)) for _ in range(resamples)]
    low, high = torch.tensor(drawn, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(low), float(high)
