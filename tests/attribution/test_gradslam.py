"""Does `grad_slam` compute what the letter's equations say, for every layer and dimension, in one forward?"""

import doctest
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sitscope.attribution import gradslam, merging, taps
from sitscope.attribution.alignment import Layer
from sitscope.attribution.gradslam import grad_slam


def encoder_of(d: int = 2, seed: int = 0, activation: type[nn.Module] = nn.ELU) -> nn.Sequential:
    """(n, 2, 12) -> (n, d): two blocks, of 12 and 6 cells after their pooling (the first has none)."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(
        *(nn.Conv1d(2, 3, 3, padding=1), activation()),
        *(nn.Conv1d(3, 4, 3, padding=1), nn.AvgPool1d(2), activation()),
        *(nn.Flatten(), nn.Linear(24, 5), nn.Tanh(), nn.Linear(5, d)),
    )
    return encoder.double().eval()


def series(n: int = 3, seed: int = 1) -> Tensor:
    return torch.randn(n, 2, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# ---- the slow twin: the equations, with loops and finite differences, without autograd


def derivative(rest: nn.Module, a: Tensor, k: int, t: int, d: int) -> float:
    """de^d/dA_t^k of one series, by central difference; a is (k, t)."""
    h = 1e-5
    up, down = a.clone(), a.clone()
    up[k, t] += h
    down[k, t] -= h
    return float((rest(up[None])[0, d] - rest(down[None])[0, d]) / (2 * h))


def slow_letter(g: list[list[float]], a: Tensor) -> list[float]:
    """Eq. 4, then Eq. 3."""
    filters, cells = a.shape
    alpha = [sum(g[k][t] for t in range(cells)) / cells for k in range(filters)]
    return [sum(alpha[k] * float(a[k, t]) for k in range(filters)) for t in range(cells)]


def slow_element_wise(g: list[list[float]], a: Tensor) -> list[float]:
    return [sum(g[k][t] * float(a[k, t]) for k in range(a.shape[0])) for t in range(a.shape[1])]


def slow_gradient_only(g: list[list[float]], a: Tensor) -> list[float]:
    return [sum(g[k][t] for k in range(a.shape[0])) for t in range(a.shape[1])]


def slow_activation_only(g: list[list[float]], a: Tensor) -> list[float]:
    return [sum(float(a[k, t]) for k in range(a.shape[0])) / a.shape[0] for t in range(a.shape[1])]


def slow_map(encoder: nn.Sequential, x: Tensor, cut: int, d: int, formula: Callable[..., list[float]]) -> Tensor:
    """One layer's map (n, d, t_layer), the layer's feature maps being the output of module `cut`."""
    with torch.no_grad():
        before, rest = encoder[: cut + 1], encoder[cut + 1 :]
        rows = []
        for one in x:
            a = before(one[None])[0]  # (k, t)
            for i in range(d):
                g = [[derivative(rest, a, k, t, i) for t in range(a.shape[1])] for k in range(a.shape[0])]
                rows.append(formula(g, a))
        return torch.tensor(rows, dtype=x.dtype).view(len(x), d, -1)


def slow_dates(cells: Tensor, dates: int) -> list[float]:
    """Max-abs, then linear between the centres of cells that divide the dates evenly."""
    values = [float(v) for v in cells]
    largest = max(abs(v) for v in values)
    placed = []
    for date in range(dates):
        at = min(max((date + 0.5) * len(values) / dates - 0.5, 0), len(values) - 1)
        left = min(int(at), len(values) - 2)
        placed.append((values[left] * (1 - (at - left)) + values[left + 1] * (at - left)) / largest)
    return placed


@pytest.mark.parametrize(
    ("alpha", "formula"),
    [
        (gradslam.letter, slow_letter),
        (gradslam.element_wise, slow_element_wise),
        (gradslam.gradient_only, slow_gradient_only),
        (gradslam.activation_only, slow_activation_only),
    ],
)
def test_maps_equal_the_slow_twin(alpha: gradslam.Alpha, formula: Callable[..., list[float]]) -> None:
    encoder, x = encoder_of(), series()
    found = grad_slam(encoder, x, alpha=alpha)
    assert found.tapped == {"0": "1", "2": "4"}
    for layer, cut in {"0": 1, "2": 4}.items():
        torch.testing.assert_close(found.maps[layer], slow_map(encoder, x, cut, 2, formula), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("tap", "cuts"),
    [(taps.block_output, {"0": 1, "2": 4}), (taps.convolution_output, {"0": 0, "2": 2}), (taps.pool_output, {"2": 3})],
)
def test_each_tap_equals_the_slow_twin(tap: taps.Tap, cuts: dict[str, int]) -> None:
    encoder, x = encoder_of(), series()
    found = grad_slam(encoder, x, list(cuts), tap=tap)
    assert found.tapped == {layer: str(cut) for layer, cut in cuts.items()}
    for layer, cut in cuts.items():
        torch.testing.assert_close(found.maps[layer], slow_map(encoder, x, cut, 2, slow_letter), rtol=0, atol=1e-9)


def test_merged_is_the_mean_of_scaled_maps_on_the_dates() -> None:
    found = grad_slam(encoder_of(), series(), upsample=merging.linear)
    for i in range(3):
        for d in range(2):
            layers = [slow_dates(cells[i, d], 12) for cells in found.maps.values()]
            slow = torch.tensor(layers, dtype=torch.float64).mean(0)
            torch.testing.assert_close(found.merged[i, d], slow, rtol=0, atol=1e-12)


def test_embedding_is_what_the_encoder_gives() -> None:
    encoder, x = encoder_of(), series()
    assert torch.equal(grad_slam(encoder, x).embedding, encoder(x).detach())


def test_example_in_the_docstring_runs() -> None:
    assert doctest.testmod(gradslam, raise_on_error=False).failed == 0


# ---- one forward


@pytest.mark.parametrize(("n", "batch", "forwards"), [(7, 256, 1), (7, 7, 1), (7, 3, 3), (0, 256, 1)])
def test_every_layer_and_dimension_come_from_one_forward_per_batch(n: int, batch: int, forwards: int) -> None:
    encoder, counts = encoder_of(d=4), dict.fromkeys(range(9), 0)
    for i, module in enumerate(encoder):
        module.register_forward_hook(lambda *_, i=i: counts.update({i: counts[i] + 1}))
    found = grad_slam(encoder, series(n), batch=batch)
    assert set(counts.values()) == {forwards}
    assert {layer: tuple(cells.shape) for layer, cells in found.maps.items()} == {"0": (n, 4, 12), "2": (n, 4, 6)}
    assert found.merged.shape == (n, 4, 12)


# ---- laws


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(-8, 8).filter(lambda s: abs(s) > 0.01))
def test_scaling_the_encoder_scales_the_maps(seed: int, factor: float) -> None:
    encoder, x = encoder_of(seed=seed), series(seed=seed)
    before = grad_slam(encoder, x, scale=merging.none)
    with torch.no_grad():
        encoder[-1].weight *= factor
        encoder[-1].bias *= factor
    after = grad_slam(encoder, x, scale=merging.none)
    torch.testing.assert_close(after.merged, factor * before.merged, rtol=1e-9, atol=1e-12)
    for layer, cells in before.maps.items():
        torch.testing.assert_close(after.maps[layer], factor * cells, rtol=1e-9, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(5)))
def test_permuting_the_series_permutes_the_maps(seed: int, order: list[int]) -> None:
    encoder, x = encoder_of(seed=seed), series(5, seed)
    torch.testing.assert_close(grad_slam(encoder, x[order]).merged, grad_slam(encoder, x).merged[order])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(4)))
def test_permuting_the_dimensions_permutes_the_maps(seed: int, order: list[int]) -> None:
    encoder, x = encoder_of(d=4, seed=seed), series(seed=seed)
    before = grad_slam(encoder, x)
    with torch.no_grad():
        encoder[-1].weight.copy_(encoder[-1].weight[order])
        encoder[-1].bias.copy_(encoder[-1].bias[order])
    torch.testing.assert_close(grad_slam(encoder, x).merged, before.merged[:, order])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), batch=st.integers(1, 9))
def test_batch_size_and_company_do_not_matter(seed: int, batch: int) -> None:
    encoder, x = encoder_of(seed=seed), series(8, seed)
    whole = grad_slam(encoder, x)
    torch.testing.assert_close(grad_slam(encoder, x, batch=batch).merged, whole.merged, rtol=1e-12, atol=1e-13)
    strangers = torch.cat([1e3 * series(3, seed + 1), x[2:3]])
    torch.testing.assert_close(grad_slam(encoder, strangers).merged[3], whole.merged[2], rtol=1e-12, atol=1e-13)


def test_one_layer_with_a_cell_per_date_is_its_own_merged_map() -> None:
    found = grad_slam(encoder_of(), series(), "0", scale=merging.none)
    assert torch.equal(found.merged, found.maps["0"])


def test_a_layer_without_gradient_maps_to_zero_not_nan() -> None:
    encoder = encoder_of()
    nn.init.zeros_(encoder[-1].weight[:1])
    found = grad_slam(encoder, series())
    assert torch.equal(found.merged[:, 0], torch.zeros(3, 12, dtype=torch.float64))
    assert found.merged[:, 1].abs().max() > 0.1


def test_series_with_a_nan_spoils_no_other() -> None:
    encoder, x = encoder_of(), series()
    spoilt = x.clone()
    spoilt[1, 0, 4] = torch.nan
    found, whole = grad_slam(encoder, spoilt).merged, grad_slam(encoder, x).merged
    assert found[1].isnan().all()
    torch.testing.assert_close(found[[0, 2]], whole[[0, 2]])


def test_choices_of_one_s_own_are_callables() -> None:
    encoder, x, heard = encoder_of(), series(), []

    def shift(layer: Layer) -> Tensor:
        heard.append((layer.name, layer.cells, len(layer.days)))
        return merging.nearest(layer)

    found = grad_slam(
        encoder,
        x,
        lambda ran: ran[1:],
        tap=lambda block: isinstance(block[-1], nn.AvgPool1d),
        alpha=lambda g, a: 2 * gradslam.letter(g, a),
        scale=lambda cells: cells / 2,
        upsample=shift,
        merge=lambda maps: maps[0],
        sign=lambda maps, merge: -merge(maps),
    )
    assert heard == [("2", 6, 12)]
    pooled = grad_slam(encoder, x, "2", tap=taps.pool_output)
    assert torch.equal(found.merged, -pooled.maps["2"].repeat_interleave(2, -1))
