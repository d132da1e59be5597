"""Is agreement with known dates what its definition says, and what Quantus and scikit-learn say?"""

from collections.abc import Callable

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torch import Tensor

from sitscope.attribution import planted

Agreement = Callable[[Tensor, Tensor], Tensor]
AGREEMENTS = [planted.auprc, planted.pointing_game, planted.relevance_mass, planted.relevance_rank]


def maps(seed: int, values: int | None = None, t: int = 23) -> tuple[Tensor, Tensor]:
    """Importance (4, 3, t) and truth (4, 3, t); of few values, with ties, if wished; some date true and some not."""
    generator = torch.Generator().manual_seed(seed)
    importance = torch.randn(4, 3, t, dtype=torch.float64, generator=generator)
    if values is not None:
        importance = torch.randint(-values, values + 1, (4, 3, t), generator=generator).double()
    truth = torch.rand(4, 3, t, generator=generator) < 0.3
    truth[..., 0], truth[..., 1] = True, False
    return importance, truth


def one_by_one(measure: Callable[[np.ndarray, np.ndarray], float], importance: Tensor, truth: Tensor) -> Tensor:
    n, m, _ = importance.shape
    rows = [[measure(importance[i, j].numpy(), truth[i, j].numpy()) for j in range(m)] for i in range(n)]
    return torch.tensor(rows, dtype=torch.float64)


def expected_rank(importance: np.ndarray, truth: np.ndarray) -> float:
    """Over many random orders of the dates, of which a stable sort takes the first among equals."""
    rng, k, hits = np.random.default_rng(0), truth.sum(), []
    for _ in range(3000):
        order = rng.permutation(len(truth))
        best = order[np.argsort(-np.abs(importance[order]), kind="stable")][:k]
        hits.append(truth[best].mean())
    return float(np.mean(hits))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), values=st.sampled_from([None, 1, 3, 9]))
def test_auprc_is_the_average_precision_of_scikit_learn(seed: int, values: int | None) -> None:
    importance, truth = maps(seed, values)
    slow = one_by_one(lambda a, g: average_precision_score(g, np.abs(a)), importance, truth)
    torch.testing.assert_close(planted.auprc(importance, truth), slow, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (planted.pointing_game, "PointingGame"),
        (planted.relevance_mass, "RelevanceMassAccuracy"),
        (planted.relevance_rank, "RelevanceRankAccuracy"),
    ],
)
def test_quantus_says_the_same(ours: Agreement, theirs: str) -> None:
    quantus = pytest.importorskip("quantus")
    metric = getattr(quantus, theirs)(abs=True, disable_warnings=True)

    def score(importance: np.ndarray, truth: np.ndarray) -> float:
        given = {"model": None, "x_batch": importance[None, None], "y_batch": np.zeros(1, int)}
        return float(metric(**given, a_batch=importance[None, None].copy(), s_batch=truth[None, None])[0])

    for seed in range(10):
        importance, truth = maps(seed, t=61)
        slow = one_by_one(score, importance, truth)
        torch.testing.assert_close(ours(importance, truth), slow, rtol=0, atol=1e-9)


def test_pointing_at_several_dates_hits_with_one_as_in_quantus() -> None:
    quantus = pytest.importorskip("quantus")
    metric = quantus.PointingGame(abs=True, disable_warnings=True)
    importance, truth = maps(5, values=1)
    x = np.zeros((12, 1, 23))
    slow = metric(
        None, x, np.zeros(12, int), importance.reshape(12, 1, 23).numpy().copy(), truth.reshape(12, 1, 23).numpy()
    )
    assert planted.pointing_game(importance, truth).flatten().tolist() == [float(hit) for hit in slow]


def test_relevance_rank_is_the_expectation_over_ties() -> None:
    importance, truth = maps(2, values=1)
    slow = one_by_one(expected_rank, importance[:2], truth[:2])
    torch.testing.assert_close(planted.relevance_rank(importance, truth)[:2], slow, rtol=0, atol=0.02)


@pytest.mark.parametrize("agreement", AGREEMENTS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(1e-6, 1e6))
def test_laws_of_agreement(agreement: Agreement, seed: int, factor: float) -> None:
    importance, truth = maps(seed)
    found = agreement(importance, truth)
    assert ((found >= 0) & (found <= 1)).all()
    torch.testing.assert_close(agreement(-factor * importance, truth), found)  # neither sign nor unit
    moved = torch.randperm(23, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(agreement(importance[..., moved], truth[..., moved]), found)  # no matter which date
    assert (agreement(truth.double(), truth) == 1).all()
    assert (agreement((~truth).double(), truth) < 1).all()
    torch.testing.assert_close(agreement(importance[1:2], truth[1:2]), found[1:2], rtol=0, atol=0)  # alone or not


@pytest.mark.parametrize("agreement", AGREEMENTS)
def test_truth_may_be_of_all_maps_of_each_value_or_of_each_series(agreement: Agreement) -> None:
    importance, truth = maps(3)
    for part in (truth[0, 0], truth[0], truth[:, :1], truth):
        torch.testing.assert_close(agreement(importance, part), agreement(importance, part.expand(4, 3, 23)))


@pytest.mark.parametrize("agreement", AGREEMENTS)
def test_without_a_true_date_there_is_no_agreement(agreement: Agreement) -> None:
    importance, truth = maps(4)
    truth[1, 2] = False
    found = agreement(importance, truth)
    assert found[1, 2].isnan()
    assert found.isnan().sum() == 1


def test_a_map_of_zeros_finds_no_more_than_chance() -> None:
    _, truth = maps(6)
    zeros = torch.zeros(4, 3, 23, dtype=torch.float64)
    share = truth.double().mean(-1)
    torch.testing.assert_close(planted.auprc(zeros, truth), share)
    torch.testing.assert_close(planted.relevance_rank(zeros, truth), share)
    assert (planted.pointing_game(zeros, truth) == 0).all()
    assert planted.relevance_mass(zeros, truth).isnan().all()


@pytest.mark.parametrize("agreement", AGREEMENTS)
def test_what_cannot_be_compared_is_refused(agreement: Agreement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user runs it
    importance, truth = maps(7)
    with pytest.raises(ValueError, match=r"\(4, 23\).*broadcast.*\(4, 3, 23\)"):
        agreement(importance, truth[:, 0])
    with pytest.raises(TypeError, match=r"truth is torch.int64, not a boolean"):
        agreement(importance, truth.long())
    with pytest.raises(ValueError, match=r"\(3, 23\), not \(n, m, t\)"):
        agreement(importance[0], truth[0])
    with pytest.raises(TypeError, match=r"importance is torch.int64"):
        agreement(importance.long(), truth)
    importance[0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"1 of 276 importances"):
        agreement(importance, truth)
