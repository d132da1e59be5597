"""How does the autoencoder learn from series, and when does it stop?"""

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Shaped
from torch import Tensor, nn

from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Autoencoder, Settings, as_tensor, scaled
from sitscope.errors import BadInput


@runtime_checkable
class Series(Protocol):
    """What `sitscope.cube.sampling.sample` returns: x (series, band, time) with its dates, bands, fields and units."""

    x: Any
    time: Any
    band: Any
    attrs: Any


STEPS, LEAST_BATCH = 30, 8
"""Where series are few, a batch holds fewer of them, so that an epoch still has this many steps."""

Progress = Callable[[int, int, float, float], None]
"""Called after each epoch with: epoch from 1, most epochs, training loss, validation loss."""

Loss = Callable[..., Tensor]
"""(output, wanted, reduction="mean" or "sum") -> a number: one of `torch.nn.functional`."""


def fit(
    series: Series,
    settings: Settings | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Fitted:
    """Train the autoencoder to reconstruct series: Adam on the mean squared error of z-scores, best epoch kept.

    series: x (n, c, t) without missing values, in the units of the cube; whole fields are kept apart for validation.
    The same seed, series and number of threads give the same weights. Raises BadInput for missing values, for fewer
    than two series and for a band that never varies.

    >>> from sitscope.simulation.scene import simulate
    >>> from sitscope.cube.sampling import sample
    >>> scene = simulate(fields=60, seed=0)
    >>> fitted = fit(sample(scene.cube, scene.fields, label="crop", max_pixels=5), Settings(epochs=1))
    >>> fitted.bands
    ('VV', 'VH')
    """
    settings = settings or Settings()
    x = values_of(series)
    held = held_out(fields_of(series), settings.validation, seed)
    mean, std = scaling(x[~held], tuple(map(str, np.asarray(series.band))))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Autoencoder(x.shape[1], x.shape[2], settings).to(device)
        z = scaled(as_tensor(x, torch.device(device)), *(as_tensor(v, torch.device(device)) for v in (mean, std)))
        train, rest = z[torch.as_tensor(~held)], z[torch.as_tensor(held)]
        losses, best = learn(network, (train, train), (rest, rest), settings, nn.functional.mse_loss, progress)
    return Fitted(
        network=network.eval().requires_grad_(False),
        settings=settings,
        mean=mean,
        std=std,
        curve=x[~held].mean(axis=0, dtype=np.float64).astype(np.float32),
        dates=np.asarray(series.time).astype("datetime64[ns]"),
        bands=tuple(map(str, np.asarray(series.band))),
        units=str(series.attrs.get("units", "1")),
        losses=losses,
        best_epoch=best,
        seed=seed,
    )


def learn(
    network: nn.Module,
    train: tuple[Float[Tensor, "n c t"], Shaped[Tensor, "n ..."]],
    held: tuple[Float[Tensor, "m c t"], Shaped[Tensor, "m ..."]],
    settings: Settings,
    loss: Loss,
    progress: Progress | None = None,
) -> tuple[dict[str, list[float]], int]:
    """Losses per epoch and the best epoch (from 1) on what is held, whose weights the network is left with.

    train, held: scaled series, and what the network shall make of each: the series itself, or its class.
    Raises BadInput where the loss is not finite.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, settings.epochs, eta_min=settings.learning_rate / 100
    )
    losses: dict[str, list[float]] = {"train": [], "validation": []}
    best, weights = 0, copy.deepcopy(network.state_dict())
    batch = min(settings.batch, max(LEAST_BATCH, len(train[0]) // STEPS))
    for epoch in range(1, settings.epochs + 1):
        losses["train"].append(one_epoch(network.train(), *train, batch, optimiser, loss))
        losses["validation"].append(_error(network.eval(), *held, partial(loss, reduction="sum")))
        falling.step()
        if progress:
            progress(epoch, settings.epochs, losses["train"][-1], losses["validation"][-1])
        if best == 0 or losses["validation"][-1] < losses["validation"][best - 1]:
            best, weights = epoch, copy.deepcopy(network.state_dict())
        if epoch - best >= settings.patience:
            break
    if not math.isfinite(losses["validation"][best - 1]):
        raise BadInput("settings", f"training diverged (loss {losses['train'][-1]}); lower learning_rate.")
    network.load_state_dict(weights)
    return losses, best


def one_epoch(
    network: nn.Module,
    z: Float[Tensor, "n c t"],
    wanted: Shaped[Tensor, "n ..."],
    batch: int,
    optimiser: torch.optim.Optimizer,
    loss: Loss,
) -> float:
    """Every series once, in random order; the mean loss along the way."""
    total = torch.zeros((), dtype=torch.float64, device=z.device)
    for part in _batches(torch.randperm(len(z)).to(z.device), batch):
        optimiser.zero_grad(set_to_none=True)
        missed = loss(network(z[part]), wanted[part])
        missed.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += missed.detach() * len(part)
    return float(total / len(z))


@torch.no_grad()
def _error(network: nn.Module, z: Float[Tensor, "n c t"], wanted: Shaped[Tensor, "n ..."], summed: Loss) -> float:
    pairs = zip(_batches(z, 1024), _batches(wanted, 1024), strict=True)
    return sum(float(summed(network(p), w)) for p, w in pairs) / wanted.numel()


def _batches(values: Shaped[Tensor, "n ..."], size: int) -> Iterator[Tensor]:
    return (values[i : i + size] for i in range(0, len(values), size))


def values_of(series: Series) -> Float32[np.ndarray, "n c t"]:
    """The series as they are trained on. Raises BadInput for fewer than two and for missing values."""
    x = np.asarray(series.x, dtype=np.float32)
    if len(x) < 2:
        raise BadInput("fields", f"{len(x)} series are too few to train on; at least 2 are needed. Add fields.")
    missing = np.isnan(x).any(axis=(1, 2)).sum()
    if missing:
        raise BadInput(
            "series",
            f"{missing} of {len(x)} series have missing values, which the network cannot read. "
            "Fill them in time (fill=True), or leave those series out.",
        )
    return x


def fields_of(series: Series) -> Shaped[np.ndarray, " n"]:
    """The field of each series; -1 where none is known."""
    return np.asarray(series.field) if hasattr(series, "field") else np.full(len(series.x), -1)


def held_out(field: Shaped[np.ndarray, " n"], share: float, seed: int) -> Bool[np.ndarray, " n"]:
    """Which series only validate: whole fields, and pixels of no field (-1) one by one."""
    rng = np.random.default_rng(seed)
    alone = field < 0
    group = np.where(alone, np.arange(len(field)) + field.max(initial=0) + 1, field)
    names, group = np.unique(group, return_inverse=True)
    if len(names) < 2:  # a single field: pixels are all there is to split
        names, group = np.arange(len(field)), np.arange(len(field))
    many = min(max(1, round(share * len(names))), len(names) - 1)
    chosen = np.zeros(len(names), dtype=bool)
    chosen[rng.permutation(len(names))[:many]] = True
    return chosen[group]


def scaling(
    x: Float32[np.ndarray, "n c t"], bands: tuple[str, ...]
) -> tuple[Float32[np.ndarray, " c"], Float32[np.ndarray, " c"]]:
    """Mean and standard deviation of each band over series and dates; BadInput for a band that never varies."""
    mean, std = x.mean(axis=(0, 2), dtype=np.float64), x.std(axis=(0, 2), dtype=np.float64)
    for band, value, spread in zip(bands, mean, std, strict=True):
        if not spread > 1e-6 * max(1.0, abs(value)):
            raise BadInput(
                "images", f"band {band} never varies (always {value:.4g}); there is nothing to learn. Leave it out."
            )
    return mean.astype(np.float32), std.astype(np.float32)
