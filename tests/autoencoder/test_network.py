"""The network is the letter's, and every other that the settings can describe."""

import itertools

import pytest
import torch
from pydantic import ValidationError

from sitscope.autoencoder.network import Autoencoder, Settings, cells_left, parameters
from sitscope.errors import BadInput


def test_the_default_is_the_network_of_2022_with_an_embedding_in_two_dimensions() -> None:
    network = Autoencoder(2, 61, Settings())
    names = [type(m).__name__ for m in network.encoder]
    assert names == ["Conv1d", "MaxPool1d", "ELU"] * 3 + ["Flatten"] + ["Linear", "ELU"] * 2 + ["Linear"]
    convolutions = [
        (m.in_channels, m.out_channels, m.kernel_size[0]) for m in network.encoder if isinstance(m, torch.nn.Conv1d)
    ]
    assert convolutions == [(2, 64, 7), (64, 128, 5), (128, 256, 3)]
    assert [m.out_features for m in network.encoder if isinstance(m, torch.nn.Linear)] == [128, 64, 2]
    assert [m.out_features for m in network.decoder if isinstance(m, torch.nn.Linear)] == [64, 128, 122]
    assert not any(isinstance(m, torch.nn.Dropout | torch.nn.BatchNorm1d) for m in network.modules())
    by_hand = (2 * 64 * 7 + 64) + (64 * 128 * 5 + 128) + (128 * 256 * 3 + 256) + (256 * 7 * 128 + 128)
    by_hand += (128 * 64 + 64) + (64 * 2 + 2) + (2 * 64 + 64) + (64 * 128 + 128) + (128 * 122 + 122)
    assert parameters(network) == by_hand


@pytest.mark.parametrize(("padding", "stride", "pool"), list(itertools.product(["same", "valid"], [1, 2], [1, 2, 3])))
def test_the_cells_are_counted_as_torch_counts_them(padding: str, stride: int, pool: int) -> None:
    settings = Settings(
        filters=(3, 4), kernels=(5, 3), strides=(stride,) * 2, pooling=(pool,) * 2, padding=padding, dims=3
    )
    network = Autoencoder(1, 61, settings)
    x = torch.randn(5, 1, 61)
    cells = network.encoder[: list(dict(network.encoder.named_children())).index("flatten")](x).shape[-1]
    assert cells == cells_left(61, settings)
    assert network.encoder(x).shape == (5, 3)
    assert network(x).shape == x.shape


def test_a_season_too_short_for_the_network_is_refused() -> None:
    with pytest.raises(BadInput, match=r"7 dates are too few for this network: convolution 3 .* leaves no cell"):
        Autoencoder(2, 7, Settings())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kernels": (7, 5)}, "kernels has 2 entries and filters 3"),
        ({"kernels": (6, 5, 3)}, "must be odd"),
        ({"dims": 0}, "greater than 0"),
        ({"dropout": 0.1}, "Extra inputs are not permitted"),
        ({"activation": "tanh"}, "'elu', 'relu' or 'gelu'"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**wrong)  # type: ignore[arg-type]
