"""Is a block found in any encoder, and read where it should be?"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from sitscope.attribution import merging, taps
from sitscope.attribution.gradslam import grad_slam


def tapped(*body: nn.Module, tap: taps.Tap = taps.block_output, layers: taps.Layers = None) -> dict[str, str]:
    """Which module is read for each layer, when these run one after another on (n, 2, 24)."""
    encoder = nn.Sequential(*body, nn.Flatten(), nn.LazyLinear(3)).eval()
    x = torch.randn(5, 2, 24)
    encoder(x)
    return grad_slam(encoder, x, layers, tap=tap, upsample=merging.linear).tapped


def conv(k_in: int = 2, k: int = 4) -> nn.Conv1d:
    return nn.Conv1d(k_in, k, 3, padding=1)


def test_the_letter_s_order_is_one_block() -> None:
    body = (conv(), nn.MaxPool1d(2), nn.ELU(), conv(4), nn.MaxPool1d(2), nn.ELU())
    assert tapped(*body) == {"0": "2", "3": "5"}
    assert tapped(*body, tap=taps.convolution_output) == {"0": "0", "3": "3"}
    assert tapped(*body, tap=taps.pool_output) == {"0": "1", "3": "4"}
    assert tapped(*body, layers=taps.last) == {"3": "5"}


@pytest.mark.parametrize(
    "rest",
    [
        (nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2), nn.Dropout(0.5)),
        (nn.GroupNorm(2, 4), nn.PReLU(4), nn.AvgPool1d(3), nn.Identity()),
        (nn.InstanceNorm1d(4, affine=True), nn.Dropout1d(), nn.LayerNorm(24), nn.GELU()),
        (nn.Sequential(nn.ELU(inplace=True), nn.LPPool1d(2, 2)), nn.Upsample(scale_factor=2), nn.AdaptiveMaxPool1d(5)),
    ],
)
def test_a_block_goes_on_through_all_that_keeps_filters_and_time(rest: tuple[nn.Module, ...]) -> None:
    block = nn.Sequential(conv(), *rest)
    assert tapped(block) == {"0.0": f"0.{len(rest)}"}


def test_an_activation_of_one_s_own_belongs_to_the_block() -> None:
    class Swish(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.sigmoid()

    assert tapped(conv(), Swish(), conv(4)) == {"0": "1", "2": "2"}


class Transposed(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner(x.transpose(1, 2))
        return (h if isinstance(h, Tensor) else h[0]).transpose(1, 2)


class Swapped(nn.Module):
    """Time first, filters last: no filters where a map has them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        h = x.transpose(1, 2)
        return self.inner(h, h, h, need_weights=False)[0].transpose(1, 2)


@pytest.mark.parametrize(
    "end",
    [
        conv(4),
        nn.ConvTranspose1d(4, 4, 3, padding=1),
        Transposed(nn.Linear(4, 4)),
        Transposed(nn.GRU(4, 4, batch_first=True)),
        Attention(),
        nn.Flatten(),
        nn.AdaptiveAvgPool1d(1),  # no dates left
        nn.Unflatten(2, (2, 12)),
        Swapped(),
        nn.GLU(1),  # half the filters
    ],
)
def test_a_block_ends_with_anything_else(end: nn.Module) -> None:
    found = tapped(conv(), nn.ELU(), end, nn.Tanh())
    assert found["0"] == "1"


def test_what_is_called_as_a_function_is_not_seen() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv()

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.conv(x))

    assert tapped(Functional()) == {"0.conv": "0.conv"}
    assert tapped(Functional(), layers=["0"]) == {"0": "0"}  # the remedy: name the module around it


def test_layers_are_modules_or_names_in_the_order_in_which_they_run() -> None:
    body = (conv(), nn.ELU(), conv(4), nn.ELU())
    assert list(tapped(*body, layers=[body[2], "0"])) == ["0", "2"]
    assert tapped(*body, layers=body[2]) == {"2": "3"}
    assert tapped(*body, layers="2") == {"2": "3"}
    assert tapped(*body, layers=["0", body[0]]) == {"0": "1"}


def test_a_module_that_is_no_convolution_is_read_at_its_own_output() -> None:
    body = (nn.Sequential(conv(), nn.ELU()), nn.MaxPool1d(2))
    assert tapped(*body, layers=["0", "0.0", "1"]) == {"0.0": "1", "0": "0", "1": "1"}
    assert tapped(*body, layers=["0"], tap=taps.pool_output) == {"0": "0"}


def test_a_block_without_pooling_has_no_pool_output() -> None:
    with pytest.raises(ValueError, match="'0', which is Conv1d-ELU"):
        tapped(conv(), nn.ELU(), conv(4), nn.MaxPool1d(2), tap=taps.pool_output)
    last = tapped(conv(), nn.ELU(), conv(4), nn.MaxPool1d(2), tap=taps.pool_output, layers=taps.last)
    assert last == {"2": "3"}


def test_weight_norm_is_no_step_of_a_block() -> None:
    # the batch and the filters of the first block are the shape of the second's weight
    body = (nn.Conv1d(2, 4, 3, padding=1), nn.ELU(), parametrizations.weight_norm(nn.Conv1d(4, 5, 3, padding=1)))
    assert tapped(*body) == {"0": "1", "2": "2"}
