"""Do scale, upsampling, merge and sign do what their names say?"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sitscope.attribution import merging
from sitscope.attribution.alignment import Layer

CELLS = torch.tensor([[[3.0, -4.0, 0.0]]])
LAYERS = torch.tensor([[[[1.0, -2.0, 0.0]]], [[[3.0, 1.0, -4.0]]]])
SCALES = [merging.max_abs, merging.min_max, merging.l1, merging.l2]


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (merging.max_abs, [0.75, -1, 0]),
        (merging.min_max, [1, 0, 4 / 7]),
        (merging.l1, [3 / 7, -4 / 7, 0]),
        (merging.l2, [0.6, -0.8, 0]),
        (merging.none, [3, -4, 0]),
    ],
)
def test_scales(scale: merging.Scale, expected: list[float]) -> None:
    torch.testing.assert_close(scale(CELLS), torch.tensor([[expected]], dtype=torch.float32))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("value", [0.0, 1e-42])
def test_a_flat_map_is_scaled_without_nan(scale: merging.Scale, value: float) -> None:
    flat = torch.full((2, 3, 5), value)
    scaled = scale(flat)
    assert scaled.isfinite().all()
    if value == 0 or scale is merging.min_max:
        assert torch.equal(scaled, torch.zeros(2, 3, 5))


@pytest.mark.parametrize("scale", SCALES)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(1e-6, 1e6))
def test_a_scaled_map_does_not_know_its_unit(scale: merging.Scale, seed: int, factor: float) -> None:
    cells = torch.randn(2, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(scale(factor * cells), scale(cells))
    torch.testing.assert_close(scale(scale(cells)), scale(cells))


@pytest.mark.parametrize(
    ("upsample", "expected"),
    [
        (merging.linear, [0, 0.75, 2.25, 3]),
        (merging.linear_aligned, [0, 1, 2, 3]),
        (merging.nearest, [0, 0, 3, 3]),
        (merging.nearest, [0, 3, 3]),  # the date in the middle lies on the border, which is the second cell's
    ],
)
def test_upsamplings(upsample: merging.Upsample, expected: list[float]) -> None:
    matrix = upsample(_layer(2, len(expected)))
    torch.testing.assert_close(torch.tensor([0.0, 3.0]).double() @ matrix.T, torch.tensor(expected).double())


@pytest.mark.parametrize("upsample", [merging.linear, merging.linear_aligned, merging.nearest])
@pytest.mark.parametrize("cells", [1, 2, 7, 15, 30, 61])
def test_upsampling_keeps_constants_and_what_is_on_the_dates(upsample: merging.Upsample, cells: int) -> None:
    torch.testing.assert_close(upsample(_layer(cells, 61)).sum(1), torch.ones(61, dtype=torch.float64))
    assert torch.equal(upsample(_layer(61, 61)), torch.eye(61, dtype=torch.float64))


def _layer(cells: int, dates: int) -> Layer:
    return Layer("layer", cells, torch.arange(dates, dtype=torch.float64))


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        (merging.mean, [2, -0.5, -2]),
        (merging.total, [4, -1, -4]),
        (merging.maximum, [3, 1, 0]),
        (merging.product, [3, -2, 0]),
    ],
)
def test_merges(merge: merging.Merge, expected: list[float]) -> None:
    torch.testing.assert_close(merge(LAYERS), torch.tensor([[expected]], dtype=torch.float32))


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        (merging.signed, [4, -1, -4]),
        (merging.absolute_after, [4, 1, 4]),
        (merging.absolute_before, [4, 3, 4]),
        (merging.positive, [4, 0, 0]),
        (merging.negative, [0, -1, -4]),
    ],
)
def test_signs(sign: merging.Sign, expected: list[float]) -> None:
    torch.testing.assert_close(sign(LAYERS, merging.total), torch.tensor([[expected]], dtype=torch.float32))


@pytest.mark.parametrize("merge", [merging.mean, merging.total, merging.maximum, merging.product])
def test_one_layer_merges_to_itself(merge: merging.Merge) -> None:
    only: Tensor = LAYERS[:1]
    assert torch.equal(merge(only), only[0])
