"""What does an autoencoder that has learned one class make of a field? Many small ones, trained at once.

g autoencoders side by side, n series, f fields, c bands, t dates, q = c t values of a series, h hidden, d dimensions,
b series per step. Series are scaled (z-scores) and flat, (n, q).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from sitscope.attribution.path import path

MOMENTS = (1 / 3, 1 / 2, 2 / 3)
"""Of the training, when each autoencoder chooses anew the fields that it goes on with."""
LEAST = 3
"""Fields of a class that are never left out of its training."""


@dataclass(frozen=True)
class Small:
    """A fully connected autoencoder, q - hidden - dims - hidden - q with ELU, and its training by Adam."""

    hidden: int = 64
    dims: int = 8
    steps: int = 400
    batch: int = 32
    """Series of each step: a pixel drawn from a field drawn from the class, so that large fields weigh no more."""
    learning_rate: float = 5e-3
    """Falls to a fiftieth along half a cosine."""


class SideBySide(nn.Module):
    """g autoencoders as one: a product of stacked matrices is much faster than g products. (g, b, q) -> (g, b, q)."""

    def __init__(self, g: int, values: int, settings: Small, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        widths = (values, settings.hidden, settings.dims, settings.hidden, values)
        # all begin alike, so that what they reconstruct differently is what they have seen
        starts = [(2 * torch.rand(1, a, b, generator=draw) - 1) / a**0.5 for a, b in pairwise(widths)]
        self.weight = nn.ParameterList([nn.Parameter(w.expand(g, -1, -1).clone()) for w in starts])
        self.bias = nn.ParameterList([nn.Parameter(torch.zeros(g, 1, w.shape[2])) for w in starts])

    def forward(self, z: Float[Tensor, "g b q"]) -> Float[Tensor, "g b q"]:
        """Reconstruct."""
        for i, (weight, bias) in enumerate(zip(self.weight, self.bias, strict=True)):
            z = torch.baddbmm(bias, z, weight)
            if i in (0, 2):
                z = nn.functional.elu(z)
        return z

    def residual(self, which: int, z: Float32[np.ndarray, "n q"]) -> Float32[np.ndarray, "n q"]:
        """What one of them misses of series: z - its reconstruction."""
        encoder, decoder = self.alone(which)
        with torch.no_grad():
            return z - decoder(encoder(torch.as_tensor(z))).numpy()

    def alone(self, which: int) -> tuple[nn.Sequential, nn.Sequential]:
        """One of them as encoder (n, q) -> (n, d) and decoder (n, d) -> (n, q)."""
        layers = []
        for weight, bias in zip(self.weight, self.bias, strict=True):
            layer = nn.Linear(weight.shape[1], weight.shape[2])
            layer.weight.data, layer.bias.data = weight.data[which].T.contiguous(), bias.data[which, 0].clone()
            layers.append(layer.requires_grad_(False))
        return nn.Sequential(layers[0], nn.ELU(), layers[1]), nn.Sequential(layers[2], nn.ELU(), layers[3])


def train(
    z: Float32[np.ndarray, "n q"],
    field: Int[np.ndarray, " n"],
    groups: Sequence[Int[np.ndarray, " _"]],
    settings: Small | None = None,
    *,
    trim: float | int = 0.0,
    seed: int = 0,
) -> SideBySide:
    """Train an autoencoder on the fields of each group, all at once, by mean squared error.

    z (n, q) scaled series; field (n,) of each, every one of 0 .. f - 1 with a series; groups: the fields of each
    autoencoder. trim: the share of its fields that each leaves aside, those it reconstructs worst, chosen anew three
    times on the way: what it has learned by then is the majority of its class (least trimmed squares, P. J. Rousseeuw
    1984), so that labels which are wrong in less than this share do not spoil it.
    The same seed and number of threads give the same weights.

    >>> z = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
    >>> two = train(z, np.arange(40) // 4, [np.arange(5), np.arange(5, 10)], Small(hidden=8, dims=2, steps=20))
    >>> two.residual(1, z).shape
    (40, 6)
    """
    settings = settings or Small()
    order = np.argsort(field, kind="stable")
    count = torch.as_tensor(np.bincount(field))
    first = torch.cumsum(count, 0) - count
    series = torch.as_tensor(z[order])
    mean = torch.zeros(len(count), z.shape[1]).index_add_(0, torch.as_tensor(field[order]), series) / count[:, None]
    network = SideBySide(len(groups), z.shape[1], settings, seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps, eta_min=settings.learning_rate / 50)
    draw = torch.Generator().manual_seed(seed)
    moments = {int(settings.steps * share) for share in MOMENTS} if trim else set()
    chosen, many = _table(groups)
    for step in range(settings.steps):
        if step in moments:
            chosen, many = _table(_best(network, mean, groups, float(trim)))
        place = (torch.rand(len(groups), settings.batch, generator=draw) * many[:, None]).long()
        fields = torch.gather(chosen, 1, place)
        pixel = (torch.rand(fields.shape, generator=draw) * count[fields]).long()
        batch = series[first[fields] + pixel]  # (g, b, q)
        loss = (network(batch) - batch).square().mean((1, 2)).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        falling.step()
    return network.eval()


def _table(groups: Sequence[Int[np.ndarray, " _"]]) -> tuple[Int[Tensor, "g m"], Int[Tensor, " g"]]:
    """The fields of all groups in one table, and how many of each row count."""
    many = torch.tensor([len(group) for group in groups])
    table = torch.zeros(len(groups), int(many.max()), dtype=torch.long)
    for row, group in zip(table, groups, strict=True):
        row[: len(group)] = torch.as_tensor(group)
    return table, many


@torch.no_grad()
def _best(
    network: SideBySide, mean: Float[Tensor, "f q"], groups: Sequence[Int[np.ndarray, " _"]], trim: float
) -> list[Int[np.ndarray, " _"]]:
    """Of each group all but the share of fields that its autoencoder reconstructs worst.

    Each value counts by its median error in the group: a date on which all fields are hard to know says little.
    """
    table, _ = _table(groups)
    squared = (network(mean[table]) - mean[table]).square()
    kept = []
    for group, errors in zip(groups, squared, strict=True):
        own = errors[: len(group)]
        worse = (own / (own.median(0).values + 1e-3)).mean(1)
        most = max(min(LEAST, len(group)), int(np.ceil(len(group) * (1 - trim))))
        kept.append(np.asarray(group)[torch.argsort(worse)[:most].numpy()])
    return kept


def attributed(
    network: SideBySide,
    which: int,
    z: Float32[np.ndarray, "n q"],
    usual: Float32[np.ndarray, " q"],
    variance: Float[np.ndarray, " q"],
) -> Float32[np.ndarray, "n q"]:
    """Which values of the series made the error of their autoencoder: contributions along the path from `usual`.

    The error explained is the mean over the values of squared residual / variance; contributions (n, q) sum to the
    error of the series less that of `usual`, such as the mean curve of the class. This is path attribution
    (`sitscope.attribution.path`) with the error in the place of an embedding dimension: the letter's output-layer
    variant of its importance, where a date may be to blame for the error of others.
    """
    encoder, decoder = network.alone(which)
    weight = 1 / torch.as_tensor(variance, dtype=torch.float32)

    def error(e: Float[Tensor, "n d"], x: Float[Tensor, "n 1 q"]) -> Float[Tensor, "n 1"]:
        return ((decoder(e) - x[:, 0]).square() * weight).mean(1, keepdim=True)

    flat = nn.Sequential(nn.Flatten(), encoder)
    found = path(flat, torch.as_tensor(z)[:, None], torch.as_tensor(usual)[None], target=error)
    return found.importance[:, 0, 0].numpy()
