"""The upper reference learns classes, and the network without convolutions is what it says."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from sitscope.autoencoder.classifier import fit_classifier
from sitscope.autoencoder.network import Autoencoder, Settings, parameters, weights_in
from sitscope.autoencoder.training import fit
from sitscope.settings import read_settings

LABEL = np.repeat(["rises", "falls"], 100)


def test_the_classifier_learns_what_it_is_told(series: xr.Dataset, small: Settings) -> None:
    found = fit_classifier(series, LABEL, small)
    assert found.classes == ("falls", "rises")
    assert (np.array(found.classes)[found.predict(series.x.values)] == LABEL).mean() > 0.98
    mixed = np.random.default_rng(0).permutation(LABEL)
    told_nothing = fit_classifier(series, mixed, small)
    assert (np.array(found.classes)[told_nothing.predict(series.x.values)] == mixed).mean() < 0.8


def test_the_same_seed_gives_the_same_classifier(series: xr.Dataset, small: Settings) -> None:
    before = torch.random.get_rng_state()
    one, again, other = (fit_classifier(series, LABEL, small, seed=s).network.state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["dense1.weight"], other["dense1.weight"])
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_network_without_convolutions_is_dense_and_learns(series: xr.Dataset, small: Settings) -> None:
    dense = small.dense()
    network = Autoencoder(2, 12, dense)
    assert not any(isinstance(layer, nn.Conv1d | nn.MaxPool1d) for layer in network.modules())
    assert [layer.in_features for layer in network.encoder if isinstance(layer, nn.Linear)] == [24, 16]
    assert parameters(network) == weights_in(2, 12, dense)
    fitted = fit(series, dense)
    assert fitted.losses["train"][-1] < fitted.losses["train"][0] / 2
    assert fitted.embed(series.x.values).shape == (200, 2)
    x = torch.as_tensor(series.x.values)
    z = (x - torch.as_tensor(fitted.mean)[:, None]) / torch.as_tensor(fitted.std)[:, None]
    np.testing.assert_allclose(fitted.embed(series.x.values), fitted.network.encoder(z).numpy(), rtol=1e-4, atol=1e-4)


def test_a_run_wants_convolutions() -> None:
    nothing: dict[str, object] = {"filters": (), "kernels": (), "strides": (), "pooling": ()}
    with pytest.raises(ValueError, match="a run explains convolutions"):
        read_settings(None, {"autoencoder": nothing})
