"""Do the sanity checks pass what depends on the encoder, fail what does not, and leave the encoder as it was?"""

from copy import deepcopy

import jaxtyping
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from sitscope.attribution import gradslam, sanity
from sitscope.attribution.correlation import spearman
from sitscope.attribution.planting import planted_encoder


def series(n: int = 20, c: int = 2, t: int = 40) -> Tensor:
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(0))


def encoder_of(c: int = 2, t: int = 40, d: int = 3, activation: type[nn.Module] = nn.ELU) -> nn.Sequential:
    """As if trained, with weights of its own: two convolutions, batch-norm, a head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv1d(c, 8, 5, padding=2), nn.BatchNorm1d(8), activation()),
            *(nn.Conv1d(8, 8, 5, padding=2), activation(), nn.Flatten(), nn.Linear(8 * t, d)),
        ).eval()


def times_input(encoder: nn.Module, x: Tensor) -> Tensor:
    """Gradient times series: (n, m, t). Depends on the encoder and on the series."""
    x = x.clone().requires_grad_()
    e = encoder(x)
    gradients = [torch.autograd.grad(e[:, i].sum(), x, retain_graph=True)[0] for i in range(e.shape[1])]
    return (torch.stack(gradients, dim=1) * x[:, None]).sum(2).detach()


def gradient(encoder: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    e = encoder(x)
    gradients = [torch.autograd.grad(e[:, i].sum(), x, retain_graph=True)[0] for i in range(e.shape[1])]
    return torch.stack(gradients, dim=1).sum(2).detach()


def edges(encoder: nn.Module, x: Tensor) -> Tensor:
    """An edge detector: knows the series only."""
    return x.diff(dim=2, append=x[..., -1:] + 1).sum(1, keepdim=True).expand(-1, 3, -1)


def test_a_map_that_ignores_the_encoder_survives_its_randomisation() -> None:
    found = sanity.cascade(edges, encoder_of(), series())
    torch.testing.assert_close(found.similarity, torch.ones(4, 20, 3))
    assert torch.equal(found.before, found.after)
    torch.testing.assert_close(found.floor, torch.ones(20, 3))
    assert (sanity.emprt(found.before, found.after) == 0).all()


@pytest.mark.parametrize("order", [sanity.bottom_up, sanity.top_down])
def test_a_map_that_depends_on_the_encoder_does_not(order: sanity.Order) -> None:
    found = sanity.cascade(gradient, encoder_of(), series(), order=order)
    # maps of linear reach and 40 dates: chance alone gives about 0.13
    assert found.similarity[-1].mean() < 0.2
    assert found.spearman[-1].mean().abs() < 0.15


def test_the_floor_is_what_encoders_share_that_have_nothing_in_common() -> None:
    encoder, x = encoder_of(), series(100)
    of_gradient, of_contributions = (sanity.cascade(method, encoder, x) for method in (gradient, times_input))
    assert of_gradient.floor.mean().abs() < 0.1
    assert of_contributions.floor.mean() > 0.15  # both maps have the series as a factor
    assert (of_contributions.spearman[-1].mean() - of_contributions.floor.mean()).abs() < 0.1
    signed = sanity.cascade(times_input, encoder, x, correlation=spearman)
    assert signed.floor.mean().abs() < 0.1  # but its sign is the encoder's
    second = sanity.cascade(times_input, encoder, x, seed=1)
    torch.testing.assert_close(of_contributions.floor, spearman(of_contributions.after.abs(), second.after.abs()))


def test_layers_are_randomised_one_after_another() -> None:
    encoder, seen = encoder_of(), []

    def spy(encoder: nn.Module, x: Tensor) -> Tensor:
        seen.append(deepcopy(encoder.state_dict()))
        return times_input(encoder, x)

    found = sanity.cascade(spy, encoder, series(), order=sanity.top_down)
    assert found.layers == ("6", "3", "1", "0")
    assert sanity.cascade(spy, encoder, series()).layers == ("0", "1", "3", "6")
    for step, state in enumerate(seen[1:5]):
        for name, values in state.items():
            is_random = name.split(".")[0] in found.layers[: step + 1]
            # batch-norm begins with the values it has here, and keeps them when it begins anew
            assert torch.equal(values, encoder.state_dict()[name]) == (not is_random or name.startswith("1.")), name
    for name, values in seen[4].items():  # with all random, the order has been forgotten
        assert torch.equal(values, seen[-2][name])


def test_slow_twin_of_the_cascade() -> None:
    encoder, x = encoder_of(), series(4)
    found = sanity.cascade(times_input, encoder, x)
    for i in range(4):
        for j in range(3):
            slow = stats.spearmanr(found.before[i, j].abs(), found.after[i, j].abs()).statistic
            assert found.spearman[-1, i, j].item() == pytest.approx(slow, abs=1e-6)
    assert torch.equal(found.before, times_input(encoder, x))
    alone = sanity.cascade(times_input, encoder, x[1:2])
    torch.testing.assert_close(alone.spearman, found.spearman[:, 1:2])


def test_encoder_and_generators_stay_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    encoder, before = encoder_of(), deepcopy(encoder_of().state_dict())
    torch.manual_seed(3)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    sanity.cascade(times_input, encoder, series())
    sanity.max_sensitivity(times_input, encoder, series(), draws=2)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert all(torch.equal(values, before[name]) for name, values in encoder.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in encoder.parameters())
    a, b, c = (sanity.cascade(times_input, encoder, series(), seed=seed).after for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


class _Scaled(nn.Module):
    """Weights that know no reset_parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((2, 40), 5.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


def test_weights_without_initialiser_are_redrawn_at_their_size() -> None:
    seen = []

    def spy(encoder: nn.Module, x: Tensor) -> Tensor:
        seen.append(encoder[0].gain.detach().clone())
        return times_input(encoder, x)

    sanity.cascade(spy, nn.Sequential(_Scaled(), encoder_of()), series())
    assert seen[1].std().item() == pytest.approx(5, rel=0.2)
    assert torch.equal(seen[1], seen[-2])
    assert not torch.equal(seen[1], seen[-1])  # of the second random encoder


def test_histogram_entropy_and_emprt_are_those_of_quantus() -> None:
    quantus = pytest.importorskip("quantus")
    maps = torch.randn(6, 3, 61, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    maps[:2] = (maps[:2] * 3).round()  # values on the edges of bins, and ties
    for bins in (1, 7, 100):
        entropy = quantus.functions.complexity_func.discrete_entropy
        slow = [[float(entropy(a.numpy(), None, n_bins=bins)) for a in row] for row in maps]
        found = sanity.histogram_entropy(maps, bins)
        torch.testing.assert_close(found, torch.tensor(slow, dtype=torch.float64), rtol=0, atol=1e-9)


def test_emprt_of_a_whole_run_is_that_of_quantus() -> None:
    quantus = pytest.importorskip("quantus")
    encoder, x = encoder_of(c=1, d=2), series(8, c=1).double()
    encoder.double()
    kept: list[Tensor] = []

    def explain(model: nn.Module, inputs: np.ndarray, targets: np.ndarray, **_: object) -> np.ndarray:
        kept.append(times_input(model, torch.as_tensor(inputs))[:, :1])
        return kept[-1].numpy()

    class AsQuantusCalls(nn.Module):
        """Quantus hands series on in single precision."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, x: Tensor) -> Tensor:
            return self.encoder(x.double()).abs()

    metric = quantus.EfficientMPRT(disable_warnings=True)
    theirs = metric(
        AsQuantusCalls().eval(), x.numpy(), np.zeros(8, int), explain_func=explain, channel_first=True, softmax=False
    )
    # what it called with, first for the encoder as it is and last for the random one
    found = sanity.emprt(kept[0], kept[-1])
    assert not torch.equal(kept[0], kept[-1])
    torch.testing.assert_close(found[:, 0], torch.tensor(theirs, dtype=torch.float64), rtol=0, atol=1e-9)


def test_entropy_of_the_histogram_knows_neither_scale_nor_neighbours() -> None:
    maps = torch.randn(5, 2, 61, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = sanity.histogram_entropy(maps)
    torch.testing.assert_close(sanity.histogram_entropy(4 * maps), found)
    torch.testing.assert_close(sanity.histogram_entropy(maps[2:3]), found[2:3], rtol=0, atol=0)
    torch.testing.assert_close(sanity.histogram_entropy(maps.flip(-1)), found)
    flat = torch.full((1, 1, 61), 0.3)
    assert sanity.histogram_entropy(flat).item() == 0
    assert sanity.emprt(flat, torch.randn(1, 1, 61)).isnan().all()


def test_the_map_of_a_planted_dimension_is_not_that_of_another() -> None:
    same, planted = [], []
    for seed in range(20):
        made = planted_encoder(seed)
        x = torch.randn(5, made.bands, made.truth.shape[1], generator=torch.Generator().manual_seed(seed))
        planted.append(sanity.random_dimension(times_input(made.encoder, x)).nanmean())
        lafam = gradslam.grad_slam(made.encoder, x, alpha=gradslam.activation_only).merged
        same.append(sanity.random_dimension(lafam).mean())
    assert torch.stack(same).min() > 0.999  # activation only: the same map whatever the dimension
    assert torch.stack(planted).mean() < 0.5


def test_slow_twin_of_the_random_dimension() -> None:
    maps = torch.randn(3, 4, 31, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = sanity.random_dimension(maps)
    for n in range(3):
        for i in range(4):
            others = [j for j in range(4) if j != i]
            slow = [abs(stats.spearmanr(maps[n, i].abs(), maps[n, j].abs()).statistic) for j in others]
            assert found[n, i].item() == pytest.approx(np.mean(slow), abs=1e-12)


def test_max_sensitivity_is_that_of_quantus() -> None:
    quantus = pytest.importorskip("quantus")
    encoder, x = encoder_of(c=1, d=2), series(6, c=1).double()
    encoder.double()
    generator = torch.Generator().manual_seed(5)
    noise = iter([0.07 * (2 * torch.rand(1, 40, generator=generator, dtype=torch.float64) - 1) for _ in range(9)])

    def explain(model: nn.Module, inputs: np.ndarray, targets: np.ndarray, **_: object) -> np.ndarray:
        return times_input(model, torch.as_tensor(inputs))[:, :1].numpy()

    def shake(arr: np.ndarray, indices: np.ndarray, **_: object) -> np.ndarray:
        return arr + next(noise).numpy()

    metric = quantus.MaxSensitivity(nr_samples=9, perturb_func=shake, disable_warnings=True)
    theirs = metric(encoder, x.numpy(), np.zeros(6, int), explain_func=explain, channel_first=True, softmax=False)
    ours = sanity.max_sensitivity(times_input, encoder, x, radius=0.07, draws=9, seed=5)
    torch.testing.assert_close(ours[:, 0], torch.tensor(theirs, dtype=torch.float64), rtol=0, atol=1e-9)


def test_laws_of_max_sensitivity() -> None:
    encoder, x = encoder_of(), series()
    found = sanity.max_sensitivity(times_input, encoder, x, draws=5)
    sigma = 0.02 * x.std((0, 2))
    torch.testing.assert_close(sanity.max_sensitivity(times_input, encoder, x, sigma, 5), found)
    alone = sanity.max_sensitivity(times_input, encoder, x[3:4], sigma, 5)
    torch.testing.assert_close(alone, found[3:4], rtol=1e-4, atol=1e-6)  # no matter who else is in the batch
    assert (sanity.max_sensitivity(times_input, encoder, x, sigma, 9) >= found).all()  # more draws, no less
    still = sanity.max_sensitivity(lambda encoder, x: torch.ones(20, 1, 40), encoder, x)
    assert (still == 0).all()
    assert sanity.max_sensitivity(lambda encoder, x: torch.zeros(20, 1, 40), encoder, x).isnan().all()


def test_what_cannot_be_checked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user runs it
    x = series()
    with pytest.raises(ValueError, match="no weights"):
        sanity.cascade(lambda encoder, x: x, nn.Identity(), x)
    with pytest.raises(ValueError, match="maps of 1 series for 20"):
        sanity.cascade(lambda encoder, x: x[:1], encoder_of(), x)
    with pytest.raises(ValueError, match="train mode"):
        sanity.cascade(times_input, encoder_of().train(), x)
    with pytest.raises(ValueError, match="NaN"):
        sanity.cascade(lambda encoder, x: x * torch.nan, encoder_of(), x)
    with pytest.raises(ValueError, match=r"radius is \[0.0, 0.0\]"):
        sanity.max_sensitivity(times_input, encoder_of(), torch.zeros(3, 2, 40))
    with pytest.raises(ValueError, match="draws is 0"):
        sanity.max_sensitivity(times_input, encoder_of(), x, draws=0)
    with pytest.raises(ValueError, match="one map"):
        sanity.random_dimension(x[:, :1])
    with pytest.raises(ValueError, match="bins = 0"):
        sanity.histogram_entropy(x, 0)
    with pytest.raises(ValueError, match=r"\(20, 2, 40\) and after \(20, 1, 40\)"):
        sanity.emprt(x, x[:, :1])
