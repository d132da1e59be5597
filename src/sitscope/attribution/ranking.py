"""In which order do the dates matter, for the embedding as a whole?

First-order contributions answer for each date as if the others stayed. Here dates are removed in rounds, and each round
asks anew from where the last one ended. What is attributed is the squared shift itself, g(z) = |v(z) - v(x)|^2: one
scalar, so one backward pass whatever the number of dimensions. The method is sitscope's own.

n series, c bands, t dates, d embedding dimensions, m values explained (the embedding dimensions by default).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .checks import check_input
from .masking import Neighbours, from_neighbours, neighbours
from .passes import quick_gradients_of, values_of
from .path import reference_for
from .targets import Target, dimensions

ROUNDS = 20
MEMORY = 0.8
"""Share of what earlier rounds found that still counts: one gradient of a network is a noisy answer."""
FIRST, LAST = 0.6, 0.4
"""How far towards the replacement the gradient is taken, in the first round and in the last."""
OTHER = 0.15
"""Weight of a gradient taken towards one kind of replacement for the other kind."""


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
    reference: Tensor | None = None,
    *,
    pool: Float[Tensor, "p c t"] | None = None,
    target: Target = dimensions,
    days: Float[Tensor, " t"] | None = None,
    rounds: int = ROUNDS,
    batch: int = 256,
    seed: int = 0,
) -> Ranking:
    """Order the dates of each series by how far the embedding moves when they are not known.

    Each of `rounds` rounds removes t / rounds dates. It takes the gradient of g about half-way from the series as it is
    then to one without any date, and removes the dates whose replacement raises g most. Rounds replace in turn by the
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
    values = values_of(encoder, x, target, n)
    removed = torch.zeros(n, t, dtype=torch.bool, device=x.device)
    replaced, slope = x.new_zeros(n, t), torch.zeros_like(x)
    order = []
    for i, other in enumerate(others):
        near = neighbours(removed)
        alone = from_neighbours(x, near, end, days)
        replacing = i % 2 == 0
        ref = (end + other) / 2 if i % 4 == 2 else end
        now = torch.where(removed[:, None], ref, x) if replacing else torch.where(removed[:, None], alone, x)
        then = ref if replacing else alone
        way = FIRST + (LAST - FIRST) * i / len(others)
        g = _gradient(encoder, now + way * (then - now), target, values)
        # each gradient answers its own question fully, and a little of the other
        replaced = MEMORY * replaced + (1.0 if replacing else OTHER) * (g * (ref - x)).sum(1)
        slope = MEMORY * slope + (OTHER if replacing else 1.0) * g
        moved = (along_hats(slope, near, days) * (alone - x)).sum(1)  # (n, t)
        many = t * (i + 1) // len(others) - t * i // len(others)
        chosen = (replaced + moved).masked_fill(removed, -torch.inf).topk(many, 1).indices
        removed = removed.scatter(1, chosen, True)
        order.append(chosen)
    return torch.cat(order, dim=1)


def along_hats(
    slope: Float[Tensor, "n c t"], near: Neighbours, days: Float[Tensor, " t"] | None
) -> Float[Tensor, "n c t"]:
    """Sum of slopes over all dates that move with each date, when gaps are filled linearly.

    When a date that is left moves by 1, dates between it and its neighbours move by a hat: 1 at the date, falling to
    0 at the neighbours, and staying 1 where there is none. Sums over a hat are differences of running sums.
    """
    n, c, t = slope.shape
    day = torch.arange(t, device=slope.device, dtype=slope.dtype) if days is None else days.to(slope)
    day = day - day.mean()
    plain = torch.nn.functional.pad(slope.cumsum(2), (1, 0))  # [s]: over dates before s
    weighted = torch.nn.functional.pad((slope * day).cumsum(2), (1, 0))

    def until(sums: Float[Tensor, "n c s"], date: Int[Tensor, "n t"]) -> Float[Tensor, "n c t"]:
        return sums.gather(2, date[:, None].expand(n, c, t))

    here = torch.arange(t, device=slope.device).expand(n, t)
    no_left, no_right = (near.before < 0)[:, None], (near.after >= t)[:, None]
    left, right = near.before.clamp(min=0), near.after.clamp(max=t - 1)
    to_left = (day - day[left])[:, None].where(~no_left, 1)
    to_right = (day[right] - day)[:, None].where(~no_right, 1)
    rise_plain, rise_weighted = (until(sums, here + 1) - until(sums, left) for sums in (plain, weighted))
    fall_plain, fall_weighted = (until(sums, right + 1) - until(sums, here + 1) for sums in (plain, weighted))
    rise = torch.where(no_left, rise_plain, (rise_weighted - day[left][:, None] * rise_plain) / to_left)
    fall = torch.where(no_right, fall_plain, (day[right][:, None] * fall_plain - fall_weighted) / to_right)
    return rise + fall


def _gradient(
    encoder: nn.Module, z: Float[Tensor, "n c t"], target: Target, values: Float[Tensor, "n m"]
) -> Float[Tensor, "n c t"]:
    """dg/dz of g(z) = |v(z) - values|^2."""

    def squared_shift(e: Float[Tensor, "n d"], series: Float[Tensor, "n c t"]) -> Float[Tensor, "n 1"]:
        return (target(e, series) - values).square().sum(1, keepdim=True)

    return quick_gradients_of(encoder, z, squared_shift)[0][:, 0]
