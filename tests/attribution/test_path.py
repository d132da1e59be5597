"""Is path attribution complete, exact where it must be, and the same whatever the company?"""

import pytest
import torch
from captum.attr import IntegratedGradients
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sitscope.attribution import targets
from sitscope.attribution.path import FEWEST, MOST, gauss_legendre, path


def encoder_of(seed: int = 0, d: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return (
        nn.Sequential(
            *(nn.Conv1d(2, 6, 5, padding=2), nn.MaxPool1d(2), nn.ELU(inplace=True)),
            *(nn.Conv1d(6, 8, 3, padding=1), nn.MaxPool1d(2), nn.ELU(inplace=True)),
            *(nn.Flatten(), nn.Linear(32, 8), nn.ELU(), nn.Linear(8, d)),
        )
        .double()
        .eval()
    )


def series(n: int = 5, seed: int = 1) -> Tensor:
    return 2 * torch.randn(n, 2, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_contributions_sum_to_the_change() -> None:
    encoder, x = encoder_of(), series(40)
    found = path(encoder, x, tolerance=0.01)
    change = encoder(x) - encoder(x.mean(0, keepdim=True))
    torch.testing.assert_close(found.values - found.reference_values, change.detach())
    torch.testing.assert_close(found.importance.sum((2, 3)) - change.detach(), found.residual)
    missed = found.residual.norm(dim=1) / change.detach().norm(dim=1)
    assert ((missed <= 0.01) | (found.nodes == MOST)).all()
    assert float(found.relative_residual.median()) <= 0.01


def test_dates_and_bands_are_sums_of_the_same_whole() -> None:
    found = path(encoder_of(), series())
    torch.testing.assert_close(found.merged.sum(2), found.bands.sum(2))


def test_linear_encoder_needs_no_quadrature() -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(32, 2)).double()
    x = series()
    found = path(encoder, x)
    exact = encoder[1].weight.view(1, 2, 2, 16) * (x - x.mean(0))[:, None]
    torch.testing.assert_close(found.importance, exact.detach())
    assert (found.nodes == FEWEST).all()


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_nodes_equal_captum(nodes: int) -> None:
    encoder, x = encoder_of(), series()
    plain = encoder_of()
    for module in plain.modules():
        if isinstance(module, nn.ELU):
            module.inplace = False
    base = series(1, seed=9)[0]
    found = path(encoder, x, base, nodes=nodes)
    for d in range(3):
        theirs = IntegratedGradients(plain).attribute(
            x, base.expand_as(x), target=d, n_steps=nodes, method="gausslegendre"
        )
        torch.testing.assert_close(found.importance[:, d], theirs)


def test_more_nodes_miss_less() -> None:
    encoder, x = encoder_of(), series(60)
    missed = [path(encoder, x, nodes=k).residual.abs().mean() for k in (1, 4, 16, 64)]
    assert missed == sorted(missed, reverse=True)


def test_each_series_may_have_its_own_reference() -> None:
    encoder, x = encoder_of(), series(6)
    others = x.roll(1, 0)
    together = path(encoder, x, others)
    for i in range(6):
        torch.testing.assert_close(together.importance[i : i + 1], path(encoder, x[i : i + 1], others[i]).importance)


def test_a_series_that_is_its_reference_has_nothing_to_explain() -> None:
    encoder, x = encoder_of(), series(3)
    found = path(encoder, x, x)
    assert torch.equal(found.importance, torch.zeros_like(found.importance))
    assert torch.equal(found.relative_residual, torch.zeros(3, 3, dtype=torch.float64))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), batch=st.integers(1, 9))
def test_batch_and_company_do_not_matter(seed: int, batch: int) -> None:
    encoder, x = encoder_of(seed), series(8, seed)
    base = x.mean(0)
    whole = path(encoder, x, base)
    torch.testing.assert_close(path(encoder, x, base, batch=batch).importance, whole.importance)
    alone = path(encoder, torch.cat([50 * series(2, seed + 1), x[3:4]]), base)
    torch.testing.assert_close(alone.importance[2], whole.importance[3])
    assert alone.nodes[2] == whole.nodes[3]


def test_a_margin_is_the_same_mixture_of_contributions() -> None:
    encoder, x = encoder_of(), series()
    a, b = torch.tensor([1.0, 0.0, 2.0]).double(), torch.tensor([0.0, -1.0, 1.0]).double()
    whole = path(encoder, x, nodes=8).importance
    found = path(encoder, x, nodes=8, target=targets.margin(a, b)).importance
    torch.testing.assert_close(found[:, 0], torch.einsum("d,ndct->nct", 2 * (a - b), whole))


def test_reconstruction_error_is_explained_through_encoder_and_series() -> None:
    torch.manual_seed(3)
    decoder = nn.Sequential(nn.Linear(3, 32), nn.Unflatten(1, (2, 16))).double()
    encoder, x = encoder_of(), series()
    found = path(encoder, x, target=targets.reconstruction_error(decoder))
    change = found.values - found.reference_values
    assert float((found.residual.abs() / change.abs()).max()) <= 0.01


def test_machine_code_gives_the_same_contributions() -> None:
    """Through every kind of target: the chain rule takes the place of autograd."""
    torch.manual_seed(0)
    convolutions = [nn.Conv1d(2, 6, 5, padding=2), nn.MaxPool1d(2), nn.ELU(), nn.Conv1d(6, 8, 3), nn.ELU()]
    encoder = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(48, 3)).double()
    decoder = nn.Sequential(nn.Linear(3, 32), nn.Unflatten(1, (2, 16))).double()
    unserved, x = encoder_like(encoder), series()
    a, b = torch.tensor([1.0, 0.0, 2.0]).double(), torch.tensor([0.0, -1.0, 1.0]).double()
    kinds = (targets.dimensions, targets.margin(a, b), targets.distance(a), targets.reconstruction_error(decoder))
    for target in (*kinds, targets.reconstruction(decoder)):
        ours, general = (path(f, x, target=target, nodes=5) for f in (encoder, unserved))
        torch.testing.assert_close(ours.importance, general.importance)
        torch.testing.assert_close(ours.values, general.values)


def encoder_like(encoder: nn.Module) -> nn.Module:
    """The same numbers, but no chain that machine code is written for."""
    return nn.Sequential(nn.Identity(), encoder)


def test_missing_values_spoil_no_other_series() -> None:
    encoder, x = encoder_of(), series()
    base = x.mean(0)
    spoilt = x.clone()
    spoilt[1, 0, 4] = torch.nan
    found = path(encoder, spoilt, base)
    assert found.importance[1].isnan().any()
    torch.testing.assert_close(found.importance[[0, 2]], path(encoder, x, base).importance[[0, 2]])


def test_encoder_is_left_as_it_was() -> None:
    encoder, x = encoder_of(), series()
    before, state = x.clone(), torch.random.get_rng_state()
    with torch.no_grad():
        path(encoder, x)
    with torch.inference_mode():
        path(encoder, x)
    assert torch.equal(x, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(p.grad is None for p in encoder.parameters())


def test_weights_of_the_nodes_sum_to_one() -> None:
    for k in (1, 2, 8, 64):
        at, weight = gauss_legendre(k)
        assert sum(weight) == pytest.approx(1)
        assert all(0 < a < 1 for a in at)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nodes": 0}, "nodes is 0"),
        ({"tolerance": 0.0}, "tolerance is 0.0"),
        ({"reference": torch.zeros(2, 9)}, r"the reference has shape \(2, 9\)"),
        ({"reference": torch.full((2, 16), torch.nan)}, "32 values missing"),
    ],
)
def test_what_cannot_be_explained_is_refused(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        path(encoder_of(), series(), **options)
