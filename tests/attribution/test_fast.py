"""Machine code gives what the general path gives, for every network that Settings can describe."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sitscope.attribution import alignment, fast, merging
from sitscope.attribution.fast import code, machine, plan, winograd
from sitscope.attribution.fast.product import even, tiling
from sitscope.attribution.gradslam import Alpha, element_wise, grad_slam, letter
from sitscope.autoencoder.network import Autoencoder, Settings, cells_left
from sitscope.errors import BadInput

HERE = machine.processor()
pytestmark = pytest.mark.skipif(HERE is None, reason="this processor has no vectors that machine code is written for")


def _targets() -> list[machine.Processor]:
    """This processor, and half of it: what one without AVX-512 runs."""
    if HERE is None:
        return []
    return [HERE] if HERE.bytes == 32 else [HERE, machine.Processor("haswell", "", 32, 16)]


@st.composite
def networks(draw: st.DrawFn) -> tuple[Settings, int, int]:
    """Settings, bands and dates that fit each other."""
    depth = draw(st.integers(1, 3))
    same = draw(st.booleans())

    def each(values: st.SearchStrategy[int]) -> tuple[int, ...]:
        return tuple(draw(st.lists(values, min_size=depth, max_size=depth)))

    chosen = Settings(
        dims=draw(st.integers(1, 9)),
        filters=each(st.integers(1, 20)),
        kernels=each(st.sampled_from([1, 3, 5, 7] if same else [1, 2, 3, 4, 5])),
        strides=each(st.sampled_from([1, 1, 2, 3])),
        pooling=each(st.sampled_from([1, 2, 2, 3])),
        padding="same" if same else "valid",
        activation=draw(st.sampled_from(["elu", "relu", "gelu"])),
        hidden=tuple(draw(st.lists(st.integers(1, 20), max_size=2))),
    )
    for dates in range(draw(st.integers(5, 60)), 4000):
        try:
            cells_left(dates, chosen)
        except BadInput:
            continue  # too few dates for this network
        return chosen, draw(st.integers(1, 3)), dates
    raise AssertionError(f"no series is long enough for {chosen}")


def _error(ours: Tensor, theirs: Tensor) -> Tensor:
    """Of each value, relative to the largest magnitude in its row."""
    largest = theirs.abs().amax(-1, keepdim=True)
    return (ours - theirs).abs() / largest.where(largest > 0, 1)


def _input_gradient(encoder: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    e = encoder(x)
    rows = [torch.autograd.grad(e[:, i].sum(), x, retain_graph=True)[0] for i in range(e.shape[1])]
    return torch.stack(rows, 1)


def _errors(compiled: code.Compiled, encoder: nn.Module, x: Tensor, alpha: Alpha) -> list[Tensor]:
    """Of the embedding, of every layer's map, and of the merged map."""
    ours, theirs = compiled.grad_slam(x, alpha), grad_slam(encoder, x, alpha=alpha)
    assert ours.tapped == theirs.tapped
    assert list(ours.maps) == list(theirs.maps)
    pairs = [(ours.maps[layer], theirs.maps[layer]) for layer in theirs.maps]
    pairs += [(ours.embedding, theirs.embedding), (ours.merged, theirs.merged)]
    return [_error(a, b) for a, b in pairs]


@pytest.mark.parametrize("target", _targets(), ids=lambda target: f"{target.bytes} bytes")
@settings(max_examples=12, deadline=None)
@given(networks(), st.integers(0, 2**20))
def test_all_answers_are_the_general_paths_to_ten_digits(
    target: machine.Processor, network: tuple[Settings, int, int], seed: int
) -> None:
    chosen, bands, dates = network
    torch.manual_seed(seed)
    encoder = Autoencoder(bands, dates, chosen).encoder.double().requires_grad_(False)
    x = torch.randn(seed % 19 + 1, bands, dates, dtype=torch.float64)
    shapes, layers = plan.read(encoder, dates)
    compiled = code.Compiled(shapes, torch.float64, plan.weights(layers, shapes), target)
    for alpha in (letter, element_wise):
        assert max(float(error.max()) for error in _errors(compiled, encoder, x, alpha)) < 1e-10
    e, gradient = compiled.gradient(x)
    assert float(_error(gradient.flatten(1), _input_gradient(encoder, x).flatten(1)).max()) < 1e-10
    assert float(_error(e, encoder(x).detach()).max()) < 1e-10
    torch.testing.assert_close(compiled.embed(x), e)


def test_single_precision_differs_by_roundings_only() -> None:
    errors = []
    for seed, chosen in enumerate(
        (Settings(), Settings(activation="relu", dims=3), Settings(activation="gelu", pooling=(2, 1, 3), hidden=()))
    ):
        torch.manual_seed(seed)
        encoder = Autoencoder(2, 61, chosen).encoder
        compiled = fast.compiled(encoder, 61)
        assert compiled is not None
        x = torch.randn(1000, 2, 61)
        errors += [error for alpha in (letter, element_wise) for error in _errors(compiled, encoder, x, alpha)]
    every = torch.cat([error.flatten() for error in errors]).sort().values
    assert every[int(0.999 * len(every))] < 1e-5  # the rest sit on kinks of max-pooling or ReLU


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 33])
def test_a_series_does_not_depend_on_its_neighbours(n: int) -> None:
    encoder = _small()
    compiled = fast.compiled(encoder, 20)
    assert compiled is not None
    x = torch.randn(40, 2, 20)
    all_of_them, some = compiled.grad_slam(x), compiled.grad_slam(x[:n])
    assert some.merged.shape == (n, 3, 20)
    assert torch.equal(some.merged, all_of_them.merged[:n])
    assert torch.equal(some.embedding, all_of_them.embedding[:n])
    assert torch.equal(compiled.gradient(x)[1][:n], compiled.gradient(x[:n])[1])


def test_activation_before_pooling_is_another_network() -> None:
    torch.manual_seed(0)
    steps = [nn.Conv1d(2, 6, 3, padding=1), nn.GELU(), nn.MaxPool1d(3), nn.Conv1d(6, 5, 3), nn.ELU(0.5), nn.Flatten()]
    encoder = nn.Sequential(*steps, nn.Linear(25, 4, bias=False)).double()
    compiled = fast.compiled(encoder, 21)
    assert compiled is not None
    x = torch.randn(9, 2, 21, dtype=torch.float64)
    assert max(float(error.max()) for error in _errors(compiled, encoder, x, letter)) < 1e-12


@pytest.mark.parametrize("rule", [alignment.receptive_field, merging.linear, merging.linear_aligned, merging.nearest])
def test_cells_are_brought_to_the_dates_by_any_linear_rule(rule: merging.Upsample) -> None:
    encoder = _small()
    compiled = fast.compiled(encoder, 20)
    assert compiled is not None
    x = torch.randn(5, 2, 20)
    days = torch.arange(20) + 9.0 * (torch.arange(20) > 7)
    for dates in (None, days):
        ours, general = (f(x, upsample=rule, dates=dates) for f in (compiled.grad_slam, partial(grad_slam, encoder)))
        torch.testing.assert_close(ours.merged, general.merged)
        assert ours.placed.keys() == general.placed.keys()
        for layer, there in general.placed.items():
            torch.testing.assert_close(ours.placed[layer].matrix, there.matrix)


def test_nan_stays_with_its_series_and_its_dates() -> None:
    encoder = _small()
    compiled = fast.compiled(encoder, 20)
    assert compiled is not None
    x = torch.randn(6, 2, 20)
    x[2, 1, 4] = torch.nan
    ours, theirs = compiled.grad_slam(x), grad_slam(encoder, x)
    torch.testing.assert_close(ours.embedding, theirs.embedding, equal_nan=True)
    assert ours.merged[[0, 1, 3, 4, 5]].isfinite().all()
    torch.testing.assert_close(compiled.embed(x).isnan(), encoder(x).isnan())


def test_a_map_of_zeros_stays_zero() -> None:
    encoder = _small()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    compiled = fast.compiled(encoder, 20)
    assert compiled is not None
    assert not compiled.grad_slam(torch.randn(3, 2, 20)).merged.any()


def test_minimal_filtering_is_convolution() -> None:
    filters = [(m, r) for m in range(2, 6) for r in range(2, 8 - m)]
    for m, r in filters:
        how = winograd.filtering(m, r)
        x, w = torch.randn(how.n, dtype=torch.float64), torch.randn(r, dtype=torch.float64)
        data, taps, back = (torch.tensor(matrix, dtype=torch.float64) for matrix in (how.data, how.taps, how.back))
        direct = torch.stack([(x[i : i + r] * w).sum() for i in range(m)])
        torch.testing.assert_close(back @ ((taps @ w) * (data @ x)), direct)


def test_blocks_of_a_product_cover_it() -> None:
    for rows, columns in ((1, 1), (1, 97), (7, 3), (61, 256), (16, 40)):
        tall, wide = tiling(rows, columns, 32)
        assert tall * wide + tall < 32
        for total, most in ((rows, tall), (columns, wide)):
            parts = even(total, most)
            assert (parts[0][0], parts[-1][1]) == (0, total)
            assert all(a[1] == b[0] for a, b in pairwise(parts))
            assert all((b - a) % size == 0 and size <= most for a, b, size in parts)


def _small() -> nn.Sequential:
    torch.manual_seed(3)
    return Autoencoder(2, 20, Settings(dims=3, filters=(4, 6), kernels=(5, 3), strides=(1, 1), pooling=(2, 2))).encoder
