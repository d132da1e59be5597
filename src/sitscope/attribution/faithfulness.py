"""Do the importances add up to what the encoder does when dates are taken away?

n series, c bands, t dates, m values explained, r subsets of dates. A date is taken away by giving it the values of a
baseline series, such as the mean curve. Importances are contributions: in units of the values, summed over bands.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .checks import check_importance
from .correlation import pearson

Values = Callable[[Float[Tensor, "n c t"]], Float[Tensor, "n m"]]
"""Series -> the values explained, such as an encoder, or a target of what it gives."""

Subsets = Bool[Tensor, "r t"] | Bool[Tensor, "r n t"]
"""Dates to take away together: the same for all series, or for each its own."""


def random_subsets(runs: int, dates: int, size: int, seed: int = 0) -> Bool[Tensor, "r t"]:
    """`runs` subsets of `size` dates, drawn without replacement, the same for all series.

    Raises:
        ValueError: no run, or not 0 < size < dates: taking away everything says nothing of single dates.

    Example:
        >>> random_subsets(3, 10, 4).sum(1)
        tensor([4, 4, 4])
    """
    if runs < 1 or not 0 < size < dates:
        raise ValueError(
            f"{runs} subsets of {size} of {dates} dates: at least one, of 1 to {dates - 1} dates, is needed."
        )
    order = torch.rand(runs, dates, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return order.argsort(1).argsort(1) < size


def effects(
    values: Values, x: Float[Tensor, "n c t"], baseline: Float[Tensor, "*any c t"], subsets: Subsets
) -> Float[Tensor, "n m r"]:
    """v(x) - v(x with the dates of each subset taken from the baseline), in units of the values.

    Args:
        values: gives (n, m) for series (n, c, t). Called once for each subset, and once more.
        baseline: (c, t) for all series, or (n, c, t).
        subsets: (r, t) or (r, n, t).

    Raises:
        ValueError: baseline or subsets do not fit the series, or a subset has no date or all of them.

    Example:
        >>> ones = torch.ones(2, 1, 5)
        >>> effects(lambda x: x.sum((1, 2))[:, None], ones, torch.zeros(1, 5), random_subsets(3, 5, 2))
        tensor([[[2., 2., 2.]],
        <BLANKLINE>
                [[2., 2., 2.]]])
    """
    n, c, t = x.shape
    if baseline.shape not in ((c, t), (n, c, t)):
        raise ValueError(f"baseline is {tuple(baseline.shape)}; the series need {(c, t)} or {(n, c, t)}.")
    if subsets.shape[1:] not in ((t,), (n, t)) or len(subsets) == 0:
        raise ValueError(f"subsets are {tuple(subsets.shape)}; the series need (r, {t}) or (r, {n}, {t}), r > 0.")
    taken = subsets.sum(-1)
    if (taken == 0).any() or (taken == t).any():
        raise ValueError(f"a subset takes {int(taken.min())} or {int(taken.max())} of {t} dates; take some, not all.")
    subsets, baseline = subsets.to(x.device), baseline.to(x)
    with torch.no_grad():
        full = values(x)
        # (t,) or (n, t) -> over all bands
        masked = [values(torch.where(subset[..., None, :], baseline, x)) for subset in subsets]
        return full[..., None] - torch.stack(masked, dim=-1)


def faithfulness_correlation(
    values: Values,
    importance: Float[Tensor, "n m t"],
    x: Float[Tensor, "n c t"],
    baseline: Float[Tensor, "*any c t"],
    subsets: Subsets,
) -> Float[Tensor, "n m"]:
    """Does the importance of a subset of dates tell the effect of taking it away? Pearson's correlation, in [-1, 1].

        corr over S of ( sum_(t in S) a_t ,  v(x) - v(x with S from the baseline) ),      |S| < t

    Faithfulness correlation of Bhatt et al. 2020 (IJCAI), DOI 10.24963/ijcai.2020/417, as Quantus has it; importance
    with its sign. NaN where either does not vary.

    Args: as `effects`, and importance (n, m, t) of the values. `random_subsets` draws subsets.

    Raises:
        TypeError, ValueError: as `effects`, and importance is not (n, m, t), not finite, or of other series.

    Example:
        >>> linear = lambda x: (x * torch.arange(6.0)).sum((1, 2))[:, None]
        >>> x, zero = torch.randn(4, 1, 6), torch.zeros(1, 6)
        >>> found = faithfulness_correlation(linear, x * torch.arange(6.0), x, zero, random_subsets(50, 6, 3))
        >>> found.shape, (found > 0.999).all()
        (torch.Size([4, 1]), tensor(True))
    """
    sums, deltas = _sums_and_effects(values, importance, x, baseline, subsets)
    return pearson(sums, deltas)


@dataclass(frozen=True)
class Infidelity:
    """How far the importances are from the effects, once their scale is the best for each map."""

    error: Float[Tensor, "n m"]
    """Infidelity: mean squared difference, in units of the values squared."""
    scale: Float[Tensor, "n m"]
    """What the importances were multiplied by; 1 for a map whose scale is right. 0 for a map of zeros."""
    unexplained: Float[Tensor, "n m"]
    """error / mean squared effect, in [0, 1]: 0 for a map that tells every effect, 1 for one that tells none. NaN
    where no subset has an effect."""


def infidelity(
    values: Values,
    importance: Float[Tensor, "n m t"],
    x: Float[Tensor, "n c t"],
    baseline: Float[Tensor, "*any c t"],
    subsets: Subsets,
) -> Infidelity:
    """How badly do importances, summed over a subset of dates, tell the effect of taking it away?

        INFD = E_S ( b sum_(t in S) a_t - (v(x) - v(x with S from the baseline)) )^2
        b    = E_S (sum a  delta) / E_S (sum a)^2      the optimal scale, delta: the effect

    Yeh et al. 2019, arXiv 1901.09392, for maps that are contributions: the perturbation I is (x - baseline) on S, and
    its product with the sensitivity is the sum of contributions on S.

    Args, Raises: as `faithfulness_correlation`.

    Example:
        >>> linear = lambda x: (x * torch.arange(6.0)).sum((1, 2))[:, None]
        >>> x, zero = torch.randn(4, 1, 6), torch.zeros(1, 6)
        >>> found = infidelity(linear, 4 * x * torch.arange(6.0), x, zero, random_subsets(50, 6, 3))
        >>> round(found.scale.mean().item(), 4), (found.unexplained < 1e-6).all()
        (0.25, tensor(True))
    """
    sums, deltas = _sums_and_effects(values, importance, x, baseline, subsets)
    square = sums.square().mean(-1)
    scale = torch.where(square > 0, (sums * deltas).mean(-1) / square, 0)
    error = (scale[..., None] * sums - deltas).square().mean(-1)
    return Infidelity(error, scale, error / deltas.square().mean(-1))


def completeness(
    importance: Float[Tensor, "n m *where"], at_x: Float[Tensor, "n m"], at_baseline: Float[Tensor, "n m"]
) -> Float[Tensor, "n m"]:
    """What part of the difference to the baseline do the contributions miss? The residual, 0 if they are complete.

        | sum a - (v(x) - v(b)) | / | v(x) - v(b) |

    Infinite where there is no difference but contributions that do not cancel; 0 where both are 0.

    Args:
        importance: contributions (n, m, t) over dates, or (n, m, c, t) over bands and dates.
        at_x, at_baseline: the values of the series and of the baseline.

    Raises:
        ValueError: the values are not those of these maps.

    Example:
        >>> completeness(torch.tensor([[[1.0, 2.0, -0.5]]]), torch.tensor([[4.0]]), torch.tensor([[1.5]]))
        tensor([[0.]])
    """
    if not importance.shape[:2] == at_x.shape == at_baseline.shape:
        raise ValueError(
            f"importance is {tuple(importance.shape)}, the values are {tuple(at_x.shape)} and "
            f"{tuple(at_baseline.shape)}: not (n, m, ...), (n, m) and (n, m) of the same series and values."
        )
    difference = at_x - at_baseline
    missing = (importance.flatten(2).sum(2) - difference).abs()
    return (missing / difference.abs()).where(missing != 0, 0)


def _sums_and_effects(
    values: Values,
    importance: Float[Tensor, "n m t"],
    x: Float[Tensor, "n c t"],
    baseline: Float[Tensor, "*any c t"],
    subsets: Subsets,
) -> tuple[Float[Tensor, "n m r"], Float[Tensor, "n m r"]]:
    check_importance(importance)
    deltas = effects(values, x, baseline, subsets)
    n, m, t = importance.shape
    if (n, m) != deltas.shape[:2] or t != x.shape[2]:
        raise ValueError(
            f"importance is {(n, m, t)}, but there are {len(x)} series of {x.shape[2]} dates, of which "
            f"{tuple(deltas.shape[:2])} values are explained."
        )
    taken = subsets.to(importance)
    sums = torch.einsum("nmt,rt->nmr" if taken.ndim == 2 else "nmt,rnt->nmr", importance, taken)
    return sums, deltas.to(importance)
