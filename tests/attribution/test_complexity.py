"""Is the complexity of a map what its definition says, and what Quantus says?"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from sitscope.attribution import complexity, correlation

MEASURES = [complexity.gini, complexity.entropy, complexity.effective_complexity]


def maps(seed: int, t: int = 61) -> Tensor:
    """(4, 3, t), a third of it nearly zero."""
    generator = torch.Generator().manual_seed(seed)
    importance = torch.randn(4, 3, t, dtype=torch.float64, generator=generator)
    return importance * torch.where(torch.rand(4, 3, t, generator=generator) < 0.3, 1e-7, 1.0)


def one_by_one(measure: Callable[[np.ndarray], float], importance: Tensor) -> Tensor:
    return torch.tensor([[measure(a.numpy()) for a in row] for row in importance], dtype=torch.float64)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (complexity.gini, "Sparseness"),
        (complexity.entropy, "Complexity"),
        (complexity.effective_complexity, "EffectiveComplexity"),
    ],
)
def test_quantus_says_the_same(ours: Callable[[Tensor], Tensor], theirs: str) -> None:
    quantus = pytest.importorskip("quantus")
    metric = getattr(quantus, theirs)(disable_warnings=True)

    def score(a: np.ndarray) -> float:
        # one map at a time: Quantus divides by the greatest importance of the whole batch
        return float(metric(None, x_batch=a[None, None], y_batch=np.zeros(1, int), a_batch=a[None, None].copy())[0])

    for seed in range(10):
        importance = maps(seed)
        found = ours(importance).double()
        torch.testing.assert_close(found, one_by_one(score, importance), rtol=0, atol=1e-9)


def pairwise_gini(a: np.ndarray) -> float:
    """The other definition: half the relative mean difference between any two dates."""
    a = np.abs(a)
    return float(np.abs(a[:, None] - a[None, :]).mean() / (2 * a.mean()))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), t=st.integers(2, 80))
def test_slow_twins(seed: int, t: int) -> None:
    importance = maps(seed, t)
    # 1e-7 is added to every date, as Quantus does
    torch.testing.assert_close(
        complexity.gini(importance), one_by_one(pairwise_gini, importance), rtol=0, atol=t * 1e-7
    )
    slow = one_by_one(lambda a: float(stats.entropy(np.abs(a))), importance)
    torch.testing.assert_close(complexity.entropy(importance), slow, rtol=0, atol=1e-12)
    for above in (0.0, 1e-5, 0.5):
        slow = one_by_one(lambda a, above=above: sum(abs(v) > above * max(np.abs(a)) for v in a), importance)
        assert torch.equal(complexity.effective_complexity(importance, above).double(), slow)


@pytest.mark.parametrize("measure", MEASURES)
def test_laws_of_complexity(measure: Callable[[Tensor], Tensor]) -> None:
    importance = maps(0)
    found = measure(importance)
    torch.testing.assert_close(measure(-1e-3 * importance), found)  # neither sign nor unit
    torch.testing.assert_close(measure(importance.flip(-1)), found)  # no matter which date
    torch.testing.assert_close(measure(importance[1:2]), found[1:2], rtol=0, atol=0)  # alone or not


def test_extremes() -> None:
    one, all_alike = torch.zeros(1, 1, 61, dtype=torch.float64), torch.ones(1, 1, 61, dtype=torch.float64)
    one[..., 7] = -3
    assert complexity.gini(one).item() == pytest.approx(60 / 61, abs=1e-5)
    assert complexity.gini(all_alike).item() == pytest.approx(0, abs=1e-12)
    assert complexity.entropy(one).item() == 0
    assert complexity.entropy(all_alike).exp().item() == pytest.approx(61)
    assert complexity.effective_complexity(one).item() == 1
    assert complexity.effective_complexity(all_alike).item() == 61
    assert complexity.gini(0 * one).isnan().all()
    assert complexity.entropy(0 * one).isnan().all()
    assert complexity.effective_complexity(0 * one).item() == 0


@pytest.mark.parametrize("how", [correlation.pearson, correlation.spearman])
def test_diversity_is_the_mean_off_the_diagonal(how: correlation.Correlation) -> None:
    importance = torch.randn(4, 5, 61, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slow = []
    for maps_of_one in importance.numpy():
        if how is correlation.pearson:
            matrix = np.corrcoef(maps_of_one)
        else:
            matrix = stats.spearmanr(maps_of_one, axis=1).statistic
        slow.append(matrix[~np.eye(5, dtype=bool)].mean())
    found = complexity.diversity(importance, how)
    torch.testing.assert_close(found, torch.tensor(slow, dtype=torch.float64), rtol=0, atol=1e-12)
    moved = importance[:, torch.tensor([3, 0, 4, 1, 2])]
    torch.testing.assert_close(complexity.diversity(moved, how), found)  # no matter which dimension comes first


def test_equal_maps_are_not_diverse() -> None:
    one = torch.randn(4, 1, 61)
    torch.testing.assert_close(complexity.diversity(one.expand(4, 3, 61)), torch.ones(4))


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="one map"):
        complexity.diversity(torch.randn(4, 1, 61))
    with pytest.raises(ValueError, match="above = 1"):
        complexity.effective_complexity(torch.randn(4, 1, 61), 1.0)
    for measure in (*MEASURES, complexity.diversity):
        with pytest.raises(ValueError, match="24 of 24 importances are NaN"):
            measure(torch.full((2, 3, 4), torch.nan))
