"""How well does a small network find the classes when it is told them? An upper reference, never a product."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Shaped
from torch import nn

from sitscope.autoencoder.network import Autoencoder, Settings, as_tensor, scaled
from sitscope.autoencoder.training import Series, fields_of, held_out, learn, scaling, values_of

BATCH = 1024


@dataclass(frozen=True, eq=False)
class Classifier:
    """A 1-D convolutional network that gives a class to a series: the encoder of the autoencoder, with labels."""

    network: nn.Module
    classes: tuple[str, ...]
    mean: Float32[np.ndarray, " c"]
    std: Float32[np.ndarray, " c"]

    @torch.no_grad()
    def predict(self, x: Float[np.ndarray, "n c t"]) -> Int[np.ndarray, " n"]:
        """Position in `classes` of the class of each series (n, c, t), in the units of the training."""
        device = torch.device("cpu")
        mean, std = as_tensor(self.mean, device), as_tensor(self.std, device)
        parts = (as_tensor(x[i : i + BATCH], device) for i in range(0, len(x), BATCH))
        found = [self.network(scaled(part, mean, std)).argmax(1).numpy() for part in parts]
        return np.concatenate(found) if found else np.empty(0, np.int64)


def fit_classifier(
    series: Series, label: Shaped[np.ndarray, " n"], settings: Settings | None = None, *, seed: int = 0
) -> Classifier:
    """Train by cross-entropy, in the same loop as the autoencoder: same validation fields, best epoch kept.

    label: names (n,), none empty. Raises BadInput as `fit` does.

    >>> from sitscope.simulation.scene import simulate
    >>> from sitscope.cube.sampling import sample
    >>> scene = simulate(fields=60, seed=0)
    >>> series = sample(scene.cube, scene.fields, label="crop", max_pixels=5)
    >>> found = fit_classifier(series, series.label.values, Settings(epochs=1))
    >>> found.predict(series.x.values).shape == (len(series.x),)
    True
    """
    settings = settings or Settings()
    x = values_of(series)
    classes, wanted = np.unique(np.asarray(label).astype(str), return_inverse=True)
    held = torch.as_tensor(held_out(fields_of(series), settings.validation, seed))
    mean, std = scaling(x[~held.numpy()], _names(series.band))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wide = settings.model_copy(update={"dims": len(classes)})
        network = Autoencoder(x.shape[1], x.shape[2], wide).encoder
        z = scaled(*(as_tensor(v, torch.device("cpu")) for v in (x, mean, std)))
        target = torch.as_tensor(wanted)
        loss = nn.functional.cross_entropy
        learn(network, (z[~held], target[~held]), (z[held], target[held]), settings, loss)
    return Classifier(network.eval().requires_grad_(False), tuple(classes.tolist()), mean, std)


def _names(bands: Sequence[str] | object) -> tuple[str, ...]:
    return tuple(map(str, np.asarray(bands)))
