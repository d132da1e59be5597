"""Are correlations those of SciPy, ties and constants included?"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from sitscope.attribution.correlation import Correlation, pearson, ranks, spearman


def pairs(seed: int, values: int) -> tuple[Tensor, Tensor]:
    """Few different values give many ties."""
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randint(values, (2, 4, 3, 17), generator=generator).double() / 7
    a[0, 0, 0] += 1  # no map is constant
    return a + torch.linspace(0, 1, 17).double().round(), b + torch.linspace(1, 0, 17).double().round()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), values=st.integers(1, 10**6))
def test_many_pairs_at_once_are_as_scipy_one_by_one(seed: int, values: int) -> None:
    a, b = pairs(seed, values)
    for ours, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        slow = [[theirs(a[i, j].numpy(), b[i, j].numpy()).statistic for j in range(3)] for i in range(4)]
        torch.testing.assert_close(ours(a, b), torch.tensor(slow, dtype=torch.float64), rtol=0, atol=1e-12)
    assert np.array_equal(ranks(a).numpy(), stats.rankdata(a.numpy(), axis=-1))


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_laws_of_correlation(correlation: Correlation) -> None:
    a, b = torch.randn(2, 5, 31, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(correlation(a, b), correlation(b, a))
    torch.testing.assert_close(correlation(a, 3 * b + 2), correlation(a, b))
    torch.testing.assert_close(correlation(a, -b), -correlation(a, b))
    torch.testing.assert_close(correlation(a, a), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(correlation(1e-200 * a, 1e200 * b), correlation(a, b))


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_a_constant_map_correlates_with_nothing(correlation: Correlation) -> None:
    constant = torch.full((2, 61), 0.1)
    assert correlation(constant, torch.randn(2, 61)).isnan().all()
    assert correlation(torch.randn(2, 61), constant).isnan().all()


def test_ranks_care_for_order_only() -> None:
    a, b = torch.randn(2, 5, 31, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(spearman(a.exp(), b), spearman(a, b))
