"""What does a series look like when some of its dates are not known? Replacements, for scoring explanations.

No replacement is the right one, and the ranking of explanations changes with it, so several are used side by side:
`mean_curve`, `gap_filling`, `donors`, `noise` (all four: `standard`). Each is made for a set of series and gives, for
any of them and any dates removed, one or more draws of the series without these dates.

n series, m of them with dates removed, k draws, c bands, t dates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

DRAWS = 16
"""Of donors and noise: one draw would measure the luck of the draw."""

Masking = Callable[[Float[Tensor, "m c t"], Bool[Tensor, "m t"], Int[Tensor, " m"]], Float[Tensor, "k m c t"]]
"""(series, dates removed, position of each series in the set that the masking was made for) -> draws without them."""

Curve = Float[Tensor, "c t"] | Float[Tensor, "m c t"]
"""One series for all, or one for each."""


def mean_curve(curve: Float[Tensor, "c t"]) -> Masking:
    """A removed date takes the value of the curve, such as the mean of all series, on that date."""
    return lambda x, removed, which: torch.where(removed[:, None], curve.to(x), x)[None]


def gap_filling(curve: Float[Tensor, "c t"], days: Float[Tensor, " t"] | None = None) -> Masking:
    """A removed date is filled linearly from its neighbours, as a cloud's is; the curve where no date is left.

    days: of the acquisitions; evenly spaced if not given. Before the first and after the last date that is left, its
    value is held.
    """

    def fill(x: Float[Tensor, "m c t"], removed: Bool[Tensor, "m t"], which: Int[Tensor, " m"]) -> Tensor:
        return filled(x, removed, curve, days)[None]

    return fill


def donors(pool: Float[Tensor, "p c t"], n: int, *, draws: int = DRAWS, seed: int = 0) -> Masking:
    """Removed dates take the values of another series, drawn from the pool for each of n series and each draw."""
    generator = torch.Generator().manual_seed(seed)
    lent = pool[torch.randint(len(pool), (draws, n), generator=generator).to(pool.device)]  # (k, n, c, t)
    return lambda x, removed, which: torch.where(removed[:, None], lent[:, which], x)


def noise(pool: Float[Tensor, "p c t"], n: int, *, draws: int = DRAWS, seed: int = 0) -> Masking:
    """Removed dates take normal noise with the mean and standard deviation of the pool in that band on that date."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(draws, n, *pool.shape[1:], generator=generator).to(pool)
    values = pool.mean(0) + pool.std(0) * drawn
    return lambda x, removed, which: torch.where(removed[:, None], values[:, which], x)


def standard(
    pool: Float[Tensor, "p c t"], n: int, *, days: Float[Tensor, " t"] | None = None, draws: int = DRAWS, seed: int = 0
) -> dict[str, Masking]:
    """The four maskings by name, for n series of which the pool is typical.

    >>> pool = torch.randn(50, 2, 12, generator=torch.Generator().manual_seed(0))
    >>> removed = torch.zeros(3, 12, dtype=torch.bool).index_fill(1, torch.tensor([4, 5]), True)
    >>> {name: mask(pool[:3], removed, torch.arange(3)).shape[0] for name, mask in standard(pool, 3).items()}
    {'mean curve': 1, 'gap filling': 1, 'donor': 16, 'noise': 16}
    """
    mean = pool.mean(0)
    return {
        "mean curve": mean_curve(mean),
        "gap filling": gap_filling(mean, days),
        "donor": donors(pool, n, draws=draws, seed=seed),
        "noise": noise(pool, n, draws=draws, seed=seed + 1),
    }


@dataclass(frozen=True)
class Neighbours:
    """The dates that are left, nearest to each date on either side and other than itself."""

    before: Int[Tensor, "m t"]
    """-1 for none."""
    after: Int[Tensor, "m t"]
    """t for none."""


def neighbours(removed: Bool[Tensor, "m t"]) -> Neighbours:
    """Of every date, removed or not."""
    m, t = removed.shape
    at = torch.arange(t, device=removed.device).expand(m, t)
    before = torch.where(removed, -1, at).cummax(1).values
    after = torch.where(removed, t, at).flip(1).cummin(1).values.flip(1)
    before = torch.cat([before.new_full((m, 1), -1), before[:, :-1]], dim=1)
    after = torch.cat([after[:, 1:], after.new_full((m, 1), t)], dim=1)
    return Neighbours(before, after)


def from_neighbours(
    x: Float[Tensor, "m c t"], near: Neighbours, curve: Curve, days: Float[Tensor, " t"] | None = None
) -> Float[Tensor, "m c t"]:
    """Each date as its neighbours would fill it: linear between them, held beyond the last, the curve without any."""
    c, t = x.shape[1:]
    left = torch.where(near.before < 0, near.after, near.before).clamp(0, t - 1)
    right = torch.where(near.after >= t, near.before, near.after).clamp(0, t - 1)
    day = torch.arange(t, device=x.device, dtype=x.dtype) if days is None else days.to(x)
    share = (day - day[left]) / (day[right] - day[left]).where(right != left, torch.ones_like(day[left]))
    low, high = (x.gather(2, side[:, None].expand(-1, c, -1)) for side in (left, right))
    alone = (near.before < 0) & (near.after >= t)
    return torch.where(alone[:, None], curve.to(x), low + (high - low) * share.where(right != left, 0)[:, None])


def filled(
    x: Float[Tensor, "m c t"],
    removed: Bool[Tensor, "m t"],
    curve: Curve,
    days: Float[Tensor, " t"] | None = None,
) -> Float[Tensor, "m c t"]:
    """x with the removed dates filled from those that are left."""
    return torch.where(removed[:, None], from_neighbours(x, neighbours(removed), curve, days), x)
