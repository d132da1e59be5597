"""In which order do the dates matter, for the embedding as a whole?

First-order contributions answer for each date as if the others stayed. Here dates are removed in rounds, and each round
asks anew from where the last one ended. What is attributed is the squared shift itself, g(z) = |v(z) - v(x)|^2: one
scalar, so one backward pass whatever the number of dimensions. The method is sitscope's own.

n series, c bands, t dates, d embedding dimensions, m values explained (the embedding dimensions by default).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .checks import check_input, check_values
from .masking import Neighbours, filled, from_neighbours, neighbours
from .path import reference_for
from .targets import Target, dimensions

ROUNDS = 24
MEMORY = 0.8
"""Share of what earlier rounds found that still counts: one gradient of a network is a noisy answer."""


@dataclass(frozen=True)
class Ranking:
    """What `rank_dates` found."""

    order: Int[Tensor, "n t"]
    """Dates of each series, the one that matters most first."""

    @property
    def merged(self) -> Float[Tensor, "n 1 t"]:
        """The rank as an importance: 1 for the date that matters most, 1/t for the last."""
        t = self.order.shape[1]
        place = self.order.argsort(1)
        return ((t - place) / t)[:, None]


def rank_dates(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    reference: Float[Tensor, "c t"] | Float[Tensor, "n c t"] | None = None,
    *,
    pool: Float[Tensor, "p c t"] | None = None,
    target: Target = dimensions,
    days: Float[Tensor, " t"] | None = None,
    rounds: int = ROUNDS,
    batch: int = 256,
    seed: int = 0,
) -> Ranking:
    """Order the dates of each series by how far the embedding moves when they are not known.

    Each of `rounds` rounds removes t / rounds dates. It takes the gradient of g half-way from the series as it is then
    to one without any date, and removes the dates whose replacement raises g most. Rounds replace in turn by the
    reference, by neighbours, by half of another series of the pool, and by neighbours again, so that the order serves
    no single kind of replacement.

    Args:
        encoder, x, target, batch: as in `path`.
        reference: what a date is replaced by: one series or one for each; the mean of x if not given.
        pool: other series, for replacements; x itself if not given.
        days: of the acquisitions; evenly spaced if not given.
        rounds: of one gradient each; more find better orders.
        seed: of the draws from the pool.

    Raises:
        TypeError, ValueError: as `path`; rounds that are not positive; an empty pool.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(48, 3))
        >>> rank_dates(encoder, torch.randn(10, 2, 14)).order.shape
        torch.Size([10, 14])
    """
    check_input(encoder, x, batch)
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; at least one is needed.")
    pool = x if pool is None else pool
    if len(pool) == 0 and len(x):
        raise ValueError("the pool is empty. Give it series like those explained.")
    generator = torch.Generator().manual_seed(seed)
    halves = [torch.randint(max(len(pool), 1), (len(x),), generator=generator) for _ in range(rounds)]
    with torch.inference_mode(False), torch.enable_grad():
        x, end = x.detach().clone(), reference_for(x, reference).detach().clone()
        orders = []
        for rows in torch.split(torch.arange(len(x), device=x.device), batch):
            others = [pool[half.to(x.device)[rows]].to(x) for half in halves]
            orders.append(_ranked(encoder, x[rows], end[rows], others, target, days))
        return Ranking(torch.cat(orders))


def _ranked(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    end: Float[Tensor, "n c t"],
    others: list[Float[Tensor, "n c t"]],
    target: Target,
    days: Float[Tensor, " t"] | None,
) -> Int[Tensor, "n t"]:
    n, _, t = x.shape
    values = _values(encoder, x, target)
    removed = torch.zeros(n, t, dtype=torch.bool, device=x.device)
    replaced, slope = x.new_zeros(n, t), torch.zeros_like(x)
    order = []
    for i, other in enumerate(others):
        replaced, slope = MEMORY * replaced, MEMORY * slope
        near = neighbours(removed)
        alone = from_neighbours(x, near, end, days)
        if i % 2 == 0:
            ref = end if i % 4 == 0 else (end + other) / 2
            now = torch.where(removed[:, None], ref, x)
            replaced = replaced + ((ref - x) * _gradient(encoder, (now + ref) / 2, target, values)).sum(1)
        else:
            now = filled(x, removed, end, days)
            half = torch.where(removed[:, None], now, (now + alone) / 2)
            slope = slope + _gradient(encoder, half, target, values)
        moved = ((slope @ hats(removed, near, days, x.dtype)) * (alone - x)).sum(1)  # (n, t)
        many = t * (i + 1) // len(others) - t * i // len(others)
        chosen = (replaced + moved).masked_fill(removed, -torch.inf).topk(many, 1).indices
        removed = removed.scatter(1, chosen, True)
        order.append(chosen)
    return torch.cat(order, dim=1)


def hats(
    removed: Bool[Tensor, "n t"], near: Neighbours, days: Float[Tensor, " t"] | None, dtype: torch.dtype
) -> Float[Tensor, "n t t"]:
    """How far each date (rows) moves when a date that is left (columns) moves by 1 and gaps are filled linearly.

    1 on the date itself, falling to 0 at its neighbours; 0 for a removed date's column.
    """
    t = removed.shape[1]
    day = torch.arange(t, device=removed.device, dtype=dtype) if days is None else days.to(removed.device, dtype)
    row, column = day[None, :, None], day[None, None, :]
    first, last = near.before[:, None] < 0, near.after[:, None] >= t
    left, right = day[near.before.clamp(min=0)][:, None], day[near.after.clamp(max=t - 1)][:, None]
    rise = torch.where(first, 1.0, (row - left) / (column - left).where(~first, 1))
    fall = torch.where(last, 1.0, (right - row) / (right - column).where(~last, 1))
    return torch.where(row <= column, rise, fall).clamp(0, 1) * ~removed[:, None]


def _values(encoder: nn.Module, x: Float[Tensor, "n c t"], target: Target) -> Float[Tensor, "n m"]:
    e = encoder(x.clone())
    check_values(e, len(x), "encoder", "embedding", followed=False)
    return target(e, x).detach()


def _gradient(
    encoder: nn.Module, z: Float[Tensor, "n c t"], target: Target, values: Float[Tensor, "n m"]
) -> Float[Tensor, "n c t"]:
    """dg/dz of g(z) = |v(z) - values|^2."""
    leaf = z.detach().requires_grad_()
    found = target(encoder(leaf.clone()), leaf)
    check_values(found, len(z), "target", "value")
    return torch.autograd.grad((found - values).square().sum(), leaf)[0]
