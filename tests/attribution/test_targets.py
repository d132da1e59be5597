"""Does each target give the values it says, and does Grad-SLAM explain them as the equations say?"""

import pytest
import torch
from torch import Tensor, nn

from sitscope.attribution import merging, targets
from sitscope.attribution.gradslam import grad_slam


@pytest.fixture
def encoder() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ELU(), nn.Flatten(), nn.Linear(48, 3)).double().eval()


@pytest.fixture
def decoder() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 24), nn.Unflatten(1, (2, 12))).double().eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 2, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


A = torch.tensor([0.3, -0.1, 0.2], dtype=torch.float64)
B = torch.tensor([-0.5, 0.4, 0.1], dtype=torch.float64)


def test_margin_is_the_difference_of_squared_distances(encoder: nn.Module, x: Tensor) -> None:
    e = encoder(x).detach()
    slow = [[float(sum((v - b) ** 2 for v, b in zip(row, B, strict=True))
                   - sum((v - a) ** 2 for v, a in zip(row, A, strict=True)))] for row in e]  # fmt: skip
    torch.testing.assert_close(targets.margin(A, B)(e, x), torch.tensor(slow, dtype=torch.float64))


def test_margin_is_a_fixed_mixture_of_the_dimensions(encoder: nn.Module, x: Tensor) -> None:
    """It is linear in e, so its maps are the dimensions' maps in the same mixture, before any scaling."""
    by_dimension = grad_slam(encoder, x, scale=merging.none).merged
    mixed = torch.einsum("d,ndt->nt", 2 * (A - B), by_dimension)
    found = grad_slam(encoder, x, target=targets.margin(A, B), scale=merging.none)
    torch.testing.assert_close(found.merged[:, 0], mixed)
    assert found.embedding.shape == (5, 3)


def test_swapping_the_clusters_of_a_margin_turns_its_sign(encoder: nn.Module, x: Tensor) -> None:
    there, back = (grad_slam(encoder, x, target=targets.margin(*pair)) for pair in ((A, B), (B, A)))
    torch.testing.assert_close(there.merged, -back.merged)
    torch.testing.assert_close(there.values, -back.values)


def test_one_value_alone_is_explained_as_among_all(encoder: nn.Module, x: Tensor) -> None:
    whole = grad_slam(encoder, x)
    for index in (0, 2, -1):
        alone = grad_slam(encoder, x, target=targets.only(index))
        torch.testing.assert_close(alone.merged[:, 0], whole.merged[:, index])
        torch.testing.assert_close(alone.values[:, 0], whole.values[:, index])
    with pytest.raises(ValueError, match="no value 3 to explain: there are 3, 0 to 2"):
        grad_slam(encoder, x, target=targets.only(3))


def test_distance_explained_by_the_chain_rule(encoder: nn.Module, x: Tensor) -> None:
    found = grad_slam(encoder, x, target=targets.distance(A), scale=merging.none)
    towards = (found.embedding - A) / found.values  # d|e - a|/de
    by_dimension = grad_slam(encoder, x, scale=merging.none).merged
    torch.testing.assert_close(found.merged[:, 0], torch.einsum("nd,ndt->nt", towards, by_dimension))


def test_reconstruction_is_date_by_date(encoder: nn.Module, decoder: nn.Module, x: Tensor) -> None:
    found = grad_slam(encoder, x, target=targets.reconstruction(decoder))
    assert found.merged.shape == (5, 12, 12)
    torch.testing.assert_close(found.values, decoder(encoder(x)).detach().mean(1))
    of_band = grad_slam(encoder, x, target=targets.reconstruction(decoder, band=1)).values
    torch.testing.assert_close(of_band, decoder(encoder(x)).detach()[:, 1])


def test_reconstruction_error_is_the_training_loss_of_each_series(
    encoder: nn.Module, decoder: nn.Module, x: Tensor
) -> None:
    found = grad_slam(encoder, x, target=targets.reconstruction_error(decoder))
    whole = nn.functional.mse_loss(decoder(encoder(x)), x)
    torch.testing.assert_close(found.values.mean(), whole.detach())


def test_a_caller_s_function_is_a_target(encoder: nn.Module, x: Tensor) -> None:
    found = grad_slam(encoder, x, target=lambda e, series: (e * series.mean((1, 2))[:, None]).sum(1, keepdim=True))
    assert found.merged.shape == (5, 1, 12)


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        (lambda e, x: e.sum(1), ValueError, r"the target gives shape \(5,\) for 5 series"),
        (lambda e, x: e.detach(), ValueError, "the value is cut off from autograd"),
        (lambda e, x: e.tolist(), TypeError, "the target gives a list"),
    ],
)
def test_a_target_that_gives_no_values_is_refused(
    encoder: nn.Module, x: Tensor, target: targets.Target, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        grad_slam(encoder, x, target=target)
