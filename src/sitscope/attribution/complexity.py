"""How many dates does the explanation name, and do the dimensions name different ones?

n series, m values explained, t dates. Magnitudes count, each map by itself: no map's measure depends on its neighbours
in a batch. A map of zeros names no date and has no shape: NaN.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .checks import check_importance
from .correlation import Correlation, spearman


def gini(importance: Float[Tensor, "n m t"]) -> Float[Tensor, "n m"]:
    """Gini index of |importance|: 0 if all dates matter alike, (t - 1) / t if only one matters.

        G = sum_i (2 i - t - 1) a_i / (t sum_i a_i),      a sorted upwards, i = 1 ... t

    "Sparseness" of Chalasani et al. 2020 (ICML), as Quantus has it: 1e-7 of the greatest is added to every date.

    Raises:
        TypeError: importance is no floating-point tensor.
        ValueError: importance is not (n, m, t), or not finite.

    Example:
        >>> gini(torch.tensor([[[1.0, 1.0, 1.0, 1.0], [0.0, -2.0, 0.0, 0.0]]]))
        tensor([[0.0000, 0.7500]])
    """
    a = (_relative(importance) + 1e-7).sort(-1).values
    t = a.shape[-1]
    weights = 2 * torch.arange(1, t + 1, device=a.device, dtype=a.dtype) - t - 1
    return (weights * a).sum(-1) / (t * a.sum(-1))


def entropy(importance: Float[Tensor, "n m t"]) -> Float[Tensor, "n m"]:
    """Entropy of the shares of |importance|, in nats: 0 if only one date matters, log t if all matter alike.

        H = - sum_t p_t log p_t,      p_t = |a_t| / sum |a|

    "Complexity" of Bhatt et al. 2020 (IJCAI), DOI 10.24963/ijcai.2020/417. exp(H) is a number of dates.

    Raises: as `gini`.

    Example:
        >>> entropy(torch.tensor([[[1.0, 1.0, -1.0, 1.0], [0.0, -2.0, 0.0, 0.0]]])).exp()
        tensor([[4., 1.]])
    """
    a = _relative(importance)
    p = a / a.sum(-1, keepdim=True)
    return -torch.xlogy(p, p).sum(-1)


def effective_complexity(importance: Float[Tensor, "n m t"], above: float = 1e-5) -> Int[Tensor, "n m"]:
    """Number of dates whose |importance| is more than `above`, as a part of the greatest; 0 for a map of zeros.

    Effective complexity of Nguyen and Martinez 2020, arXiv 2007.07584, as Quantus has it.

    Raises: as `gini`, and ValueError if `above` is not in [0, 1).

    Example:
        >>> effective_complexity(torch.tensor([[[1.0, -0.5, 1e-7, 0.0]]]))
        tensor([[2]])
    """
    if not 0 <= above < 1:
        raise ValueError(f"above = {above} is no part of the greatest importance: give a number in [0, 1).")
    return (_relative(importance) > above).sum(-1)


def diversity(importance: Float[Tensor, "n m t"], correlation: Correlation = spearman) -> Float[Tensor, " n"]:
    """Mean correlation between the m maps of a series, pair by pair: 1 if all dimensions look at the same dates.

    Lower is more diverse. The maps are compared as they are: give `importance.abs()` to ask which dates they look at
    and not in which direction these pull. NaN if a map is constant.

    Args:
        importance: (n, m, t), m >= 2.
        correlation: `correlation.spearman` or `pearson`, or any function of two (*, t) that gives (*).

    Raises: as `gini`, and ValueError if there is one map only.

    Example:
        >>> diversity(torch.tensor([[[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]], [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]]))
        tensor([-0.5000,  0.5000])
    """
    check_importance(importance)
    m = importance.shape[1]
    if m < 2:
        raise ValueError("there is one map of each series; diversity compares two or more.")
    i, j = torch.triu_indices(m, m, offset=1, device=importance.device)
    return correlation(importance[:, i], importance[:, j]).mean(1)


def _relative(importance: Float[Tensor, "n m t"]) -> Float[Tensor, "n m t"]:
    """|importance| as a part of its greatest; NaN for a map of zeros."""
    check_importance(importance)
    size = importance.abs()
    return size / size.amax(-1, keepdim=True)
