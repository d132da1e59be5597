"""Where the true dates are known: does the explanation find them?

n series, m values explained, t dates. Magnitudes count: a date that pulls down is as true as one that pushes up.
`truth` says which dates are true; it is broadcast to the importance, so (t,) serves all maps, (m, t) each value
explained, (n, 1, t) each series, (n, m, t) each map. Encoders with known dates are made by `planting`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .checks import check_importance

Truth = Bool[Tensor, "*any t"]


def auprc(importance: Float[Tensor, "n m t"], truth: Truth) -> Float[Tensor, "n m"]:
    """Average precision of |importance| as a score for the true dates: area under precision against recall, in [0, 1].

        AP = sum_i (R_i - R_(i-1)) P_i      over the thresholds i, equal importances at one threshold

    A random order gives about the share of true dates, and so, exactly, does a constant map. NaN where no date is
    true. It depends on ranks only, not on the scale of the map.

    Raises:
        TypeError: importance is no floating-point tensor, or truth is not boolean.
        ValueError: importance is not (n, m, t) or not finite; truth does not broadcast to it.

    Example:
        >>> truth = torch.tensor([True, True, False, False])
        >>> auprc(torch.tensor([[[0.9, -0.8, 0.1, 0.0], [0.9, 0.1, -0.8, 0.0], [1.0, 1.0, 1.0, 1.0]]]), truth)
        tensor([[1.0000, 0.8333, 0.5000]])
    """
    truth = _on(importance, truth)
    order = (-importance.abs()).contiguous().sort(-1)
    true = truth.gather(-1, order.indices).to(importance)
    # how many dates are at least as important as each: the rank at which its threshold cuts
    taken = torch.searchsorted(order.values, order.values, right=True)
    precision = true.cumsum(-1).gather(-1, taken - 1) / taken
    return (precision * true).sum(-1) / true.sum(-1)


def pointing_game(importance: Float[Tensor, "n m t"], truth: Truth) -> Float[Tensor, "n m"]:
    """1 where a date of greatest |importance| is true, else 0; NaN where no date is true.

    Of several dates that share the greatest importance, one that is true suffices, as in Quantus. A map of zeros
    points nowhere and scores 0; Quantus lets it hit, and calls an empty truth hit too.

    Raises: as `auprc`.

    Example:
        >>> pointing_game(torch.tensor([[[0.1, -0.9, 0.2]]]), torch.tensor([False, True, False]))
        tensor([[1.]])
    """
    truth = _on(importance, truth)
    size = importance.abs()
    most = size.amax(-1, keepdim=True)
    hit = ((size == most) & (most > 0) & truth).any(-1)
    return hit.to(importance).where(truth.any(-1), torch.nan)


def relevance_mass(importance: Float[Tensor, "n m t"], truth: Truth) -> Float[Tensor, "n m"]:
    """Share of sum_t |importance| that lies on true dates, in [0, 1]; NaN for a map of zeros, or where no date is true.

    Relevance mass accuracy of Arras et al. 2022, DOI 10.1016/j.inffus.2021.11.008, of magnitudes.

    Raises: as `auprc`.

    Example:
        >>> relevance_mass(torch.tensor([[[0.5, -1.5, 2.0]]]), torch.tensor([False, True, True]))
        tensor([[0.8750]])
    """
    truth = _on(importance, truth)
    size = importance.abs()
    # the largest divided out, so that the sum of tiny or of huge importances stays a number
    size = size / size.amax(-1, keepdim=True)
    return ((size * truth).sum(-1) / size.sum(-1)).where(truth.any(-1), torch.nan)


def relevance_rank(importance: Float[Tensor, "n m t"], truth: Truth) -> Float[Tensor, "n m"]:
    """Of the K most important dates, K = number of true ones, the share that is true, in [0, 1]; NaN where K = 0.

    Relevance rank accuracy of Arras et al. 2022, DOI 10.1016/j.inffus.2021.11.008, of magnitudes. Where equal
    importances straddle the K-th place, each of them has the same chance of being taken, and this is the expectation.

    Raises: as `auprc`.

    Example:
        >>> relevance_rank(torch.tensor([[[0.5, -1.5, 2.0], [1.0, 1.0, 1.0]]]), torch.tensor([True, False, True]))
        tensor([[0.5000, 0.6667]])
    """
    truth = _on(importance, truth)
    size = importance.abs()
    k = truth.sum(-1, keepdim=True)
    last_taken = size.sort(-1, descending=True).values.gather(-1, (k - 1).clamp(min=0))
    above, tied = size > last_taken, size == last_taken
    places = (k - above.sum(-1, keepdim=True)).to(importance)
    chance = above + tied * places / tied.sum(-1, keepdim=True)  # (n, m, t), of being taken
    return (chance * truth).sum(-1) / k.squeeze(-1)


def _on(importance: Float[Tensor, "n m t"], truth: Truth) -> Bool[Tensor, "n m t"]:
    """The truth of each map, once both have been checked."""
    check_importance(importance)
    if not isinstance(truth, Tensor) or truth.dtype != torch.bool:
        found = truth.dtype if isinstance(truth, Tensor) else type(truth).__name__
        raise TypeError(f"truth is {found}, not a boolean torch tensor of true dates. Compare: truth > 0.")
    try:
        return truth.to(importance.device).expand(importance.shape)
    except RuntimeError:
        raise ValueError(
            f"truth has shape {tuple(truth.shape)}, which does not broadcast to the importance's "
            f"{tuple(importance.shape)} = (n, m, t). Give (t,), (m, t), (n, 1, t) or (n, m, t)."
        ) from None
