"""Are faithfulness correlation, infidelity and completeness what their definitions and Quantus say?"""

import jaxtyping
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from sitscope.attribution import faithfulness


class Encoder(nn.Module):
    """(n, c, t) -> (n, m) in double precision, whatever the precision of the series: Quantus hands on single."""

    def __init__(self, c: int, t: int, m: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.a = nn.Parameter(torch.randn(m, c, t, dtype=torch.float64, generator=generator))
        self.b = nn.Parameter(torch.randn(m, c, t, dtype=torch.float64, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        x = x.double()
        return torch.einsum("nct,mct->nm", x, self.a) + torch.einsum("nct,mct->nm", x, self.b).tanh()


def case(c: int = 2, t: int = 31, n: int = 5) -> tuple[Encoder, Tensor, Tensor, Tensor]:
    """Encoder, importance (n, 3, t), series, baseline (c, t). The series are exact in single precision."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, c, t, generator=generator).double()
    importance = torch.randn(n, 3, t, dtype=torch.float64, generator=generator)
    encoder = Encoder(c, t).eval().requires_grad_(False)
    return encoder, importance, x, torch.randn(c, t, generator=generator).double()


def linear_case(n: int = 5, c: int = 2, t: int = 31) -> tuple[Encoder, Tensor, Tensor, Tensor]:
    """The same with the one true answer: an encoder that is linear, and what each date contributes to it."""
    encoder, _, x, baseline = case(c, t, n)
    encoder.b.zero_()
    return encoder, torch.einsum("nct,mct->nmt", x - baseline, encoder.a), x, baseline


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("baselines", [False, True])
def test_slow_twins(own: bool, baselines: bool) -> None:
    encoder, importance, x, baseline = case()
    if baselines:
        baseline = baseline + torch.arange(5.0, dtype=torch.float64)[:, None, None]
    subsets = faithfulness.random_subsets(20, 31, 7)
    if own:
        subsets = torch.stack([subsets, subsets.roll(3, 1), ~subsets, subsets.flip(1), subsets.flip(0)], dim=1)
    correlation = faithfulness.faithfulness_correlation(encoder, importance, x, baseline, subsets)
    infidelity = faithfulness.infidelity(encoder, importance, x, baseline, subsets)
    for n in range(5):
        for m in range(3):
            sums, deltas = [], []
            for r in range(20):
                dates = [t for t in range(31) if (subsets[r, n, t] if own else subsets[r, t])]
                masked = x[n : n + 1].clone()
                for t in dates:
                    masked[0, :, t] = baseline[n, :, t] if baselines else baseline[:, t]
                sums.append(sum(float(importance[n, m, t]) for t in dates))
                deltas.append(float(encoder(x[n : n + 1])[0, m] - encoder(masked)[0, m]))
            s, d = np.array(sums), np.array(deltas)
            assert correlation[n, m].item() == pytest.approx(stats.pearsonr(s, d).statistic, abs=1e-9)
            best = np.linalg.lstsq(s[:, None], d, rcond=None)[0][0]
            assert infidelity.scale[n, m].item() == pytest.approx(best, rel=1e-9)
            assert infidelity.error[n, m].item() == pytest.approx(np.mean((best * s - d) ** 2), rel=1e-9)
            assert infidelity.unexplained[n, m].item() == pytest.approx(
                np.mean((best * s - d) ** 2) / np.mean(d**2), rel=1e-9
            )


def test_quantus_says_the_same_with_the_same_draws() -> None:
    quantus = pytest.importorskip("quantus")
    encoder, importance, x, _ = case(c=1)
    m = np.array([0, 1, 2, 0, 1])
    metric = quantus.FaithfulnessCorrelation(
        nr_runs=40, subset_size=9, perturb_baseline=0.5, return_aggregate=False, disable_warnings=True
    )
    np.random.seed(7)  # noqa: NPY002
    chosen = importance[torch.arange(5), torch.as_tensor(m)][:, None]
    theirs = metric(encoder, x.numpy(), m, chosen.numpy().copy(), channel_first=True, softmax=False)

    np.random.seed(7)  # noqa: NPY002
    subsets = torch.zeros(40, 5, 31, dtype=torch.bool)
    for r in range(40):
        for n in range(5):
            subsets[r, n, np.random.choice(31, 9, replace=False)] = True  # noqa: NPY002
    baseline = torch.full((1, 31), 0.5, dtype=torch.float64)
    ours = faithfulness.faithfulness_correlation(encoder, importance, x, baseline, subsets)
    torch.testing.assert_close(
        ours[torch.arange(5), torch.as_tensor(m)], torch.tensor(theirs, dtype=torch.float64), rtol=0, atol=1e-9
    )


def test_contributions_of_a_linear_encoder_are_faithful_and_complete() -> None:
    encoder, true, x, baseline = linear_case()
    subsets = faithfulness.random_subsets(50, 31, 8)
    correlation = faithfulness.faithfulness_correlation(encoder, true, x, baseline, subsets)
    torch.testing.assert_close(correlation, torch.ones(5, 3, dtype=torch.float64))
    found = faithfulness.infidelity(encoder, true, x, baseline, subsets)
    torch.testing.assert_close(found.scale, torch.ones(5, 3, dtype=torch.float64))
    assert (found.unexplained < 1e-20).all()
    at_x, at_baseline = encoder(x), encoder(baseline[None]).expand(5, 3)
    assert (faithfulness.completeness(true, at_x, at_baseline) < 1e-12).all()
    by_band = torch.einsum("nct,mct->nmct", x - baseline, encoder.a)
    assert (faithfulness.completeness(by_band, at_x, at_baseline) < 1e-12).all()
    missing = faithfulness.completeness(0.9 * true, at_x, at_baseline)
    torch.testing.assert_close(missing, torch.full((5, 3), 0.1, dtype=torch.float64))


def test_laws() -> None:
    encoder, importance, x, baseline = case()
    subsets = faithfulness.random_subsets(30, 31, 5)
    correlation = faithfulness.faithfulness_correlation(encoder, importance, x, baseline, subsets)
    found = faithfulness.infidelity(encoder, importance, x, baseline, subsets)
    for factor in (1e-3, 7.0):  # no matter which scale the method has
        again = faithfulness.faithfulness_correlation(encoder, factor * importance, x, baseline, subsets)
        torch.testing.assert_close(again, correlation)
        scaled = faithfulness.infidelity(encoder, factor * importance, x, baseline, subsets)
        torch.testing.assert_close(scaled.error, found.error)
        torch.testing.assert_close(scaled.scale * factor, found.scale)
    turned = faithfulness.faithfulness_correlation(encoder, -importance, x, baseline, subsets)
    torch.testing.assert_close(turned, -correlation)
    alone = faithfulness.faithfulness_correlation(encoder, importance[2:3], x[2:3], baseline, subsets)
    torch.testing.assert_close(alone, correlation[2:3], rtol=0, atol=1e-9)
    assert ((found.unexplained >= 0) & (found.unexplained <= 1)).all()
    zeros = faithfulness.infidelity(encoder, 0 * importance, x, baseline, subsets)
    assert (zeros.scale == 0).all()
    torch.testing.assert_close(zeros.unexplained, torch.ones(5, 3, dtype=torch.float64))
    assert faithfulness.faithfulness_correlation(encoder, 0 * importance, x, baseline, subsets).isnan().all()


def test_what_misses_nothing_where_nothing_differs() -> None:
    same = torch.ones(1, 3)
    importance = torch.tensor([[[1.0, -1.0], [1.0, 1.0], [torch.nan, 0.0]]])
    found = faithfulness.completeness(importance, same, same)[0]
    assert found[0] == 0
    assert found[1] == torch.inf
    assert found[2].isnan()


def test_subsets_are_drawn_evenly_and_without_replacement() -> None:
    subsets = faithfulness.random_subsets(4000, 20, 5, seed=3)
    assert (subsets.sum(1) == 5).all()
    torch.testing.assert_close(
        subsets.double().mean(0), torch.full((20,), 0.25, dtype=torch.float64), rtol=0, atol=0.03
    )
    state = torch.get_rng_state()
    assert torch.equal(faithfulness.random_subsets(4000, 20, 5, seed=3), subsets)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(faithfulness.random_subsets(4000, 20, 5, seed=4), subsets)


def test_what_cannot_be_measured_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user runs it
    encoder, importance, x, baseline = case()
    subsets = faithfulness.random_subsets(4, 31, 5)
    with pytest.raises(ValueError, match="3 subsets of 31 of 31"):
        faithfulness.random_subsets(3, 31, 31)
    with pytest.raises(ValueError, match=r"baseline is \(2, 30\).*\(2, 31\) or \(5, 2, 31\)"):
        faithfulness.effects(encoder, x, baseline[:, 1:], subsets)
    with pytest.raises(ValueError, match=r"subsets are \(4, 30\)"):
        faithfulness.effects(encoder, x, baseline, subsets[:, 1:])
    with pytest.raises(ValueError, match="takes 5 or 31 of 31 dates"):
        faithfulness.effects(encoder, x, baseline, torch.cat([subsets, torch.ones(1, 31, dtype=torch.bool)]))
    with pytest.raises(ValueError, match=r"importance is \(5, 2, 31\)"):
        faithfulness.infidelity(encoder, importance[:, :2], x, baseline, subsets)
    with pytest.raises(ValueError, match="NaN"):
        faithfulness.faithfulness_correlation(encoder, importance * torch.nan, x, baseline, subsets)
    with pytest.raises(ValueError, match=r"\(5, 3\) and \(4, 3\)"):
        faithfulness.completeness(importance, torch.zeros(5, 3), torch.zeros(4, 3))
