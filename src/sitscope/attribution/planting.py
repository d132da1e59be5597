"""An encoder whose dimensions look at dates that we chose: what should an explanation of it find?

n series, c bands, t dates, d embedding dimensions, k filters of the last layer, l its cells in time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import conv1d

Block = Callable[[int, int, int, int, int], list[nn.Module]]
"""(how many layers lie before, inputs, outputs, width, groups) -> a convolution and what follows its activation."""
Chain = tuple[nn.Sequential, Bool[Tensor, "d t"]]
_GAIN: dict[type[nn.Module], float] = {nn.ReLU: 2**0.5, nn.ELU: 1.25, nn.GELU: 1.5}
"""How much larger the weights around an activation are, so that signals keep their size through the layers."""
_MOST = 0.6
"""No dimension looks at a greater share of the dates, so that every truth has something to miss."""


@dataclass(frozen=True)
class Planted:
    """A random encoder and the dates that each of its dimensions depends on."""

    encoder: nn.Sequential
    """(n, c, t) -> (n, d): convolutions and a linear readout, float32, in eval mode."""
    truth: Bool[Tensor, "d t"]
    """Which dates each dimension depends on: on every one of them, on no other."""
    bands: int
    """c."""
    recipe: str
    """How it was made, such as 'gated, strided, ELU'."""


def planted_encoder(seed: int, dates: int | None = None, bands: int | None = None, dims: int | None = None) -> Planted:
    """A random convolutional encoder each of whose dimensions depends on known dates, and on no others.

    Half are *gated*: each dimension has a branch of grouped convolutions of its own, which is shown the series with all
    but one or two windows of dates set to zero. Half are *reaching*: all dimensions share the convolutions, and each
    reads one or two short runs of cells of the last layer, so that its true dates are those within reach of these
    cells. Convolutions, 3 or 5 dates wide, are strided, dilated, or followed by mean pooling (not by maximum pooling:
    of a maximum only one date counts), 2 of them or, if gated, up to 3; activations are ReLU, ELU or GELU.

    Args:
        seed: decides everything; the random generators of torch and of Python stay where they were.
        dates, bands, dims: t, c, d; drawn from 40 to 80, 1 to 4, 2 to 6 if left out.

    Raises:
        ValueError: fewer than 30 dates, of which a cell, that may reach 16, would reach most; no band or dimension.

    Example:
        >>> planted = planted_encoder(3, dates=61, dims=4)
        >>> planted.encoder(torch.zeros(5, planted.bands, 61)).shape, planted.truth.shape
        (torch.Size([5, 4]), torch.Size([4, 61]))
    """
    dice, weights = Random(seed), torch.Generator().manual_seed(seed)
    t = dice.randint(40, 80) if dates is None else dates
    c = dice.randint(1, 4) if bands is None else bands
    d = dice.randint(2, 6) if dims is None else dims
    if t < 30 or c < 1 or d < 1:
        raise ValueError(f"dates = {t}, bands = {c}, dims = {d}: at least 30 dates, 1 band and 1 dimension are needed.")
    plant, block = dice.choice((gated, reaching)), dice.choice((strided, dilated, pooled))
    activation = dice.choice(list(_GAIN))
    encoder, truth = plant(dice, block, activation, c, d, t)
    for module in encoder:
        if isinstance(module, nn.Conv1d | Readout):
            _draw(module, _GAIN[activation], weights)
    recipe = f"{plant.__name__}, {block.__name__}, {activation.__name__}"
    return Planted(encoder.eval(), truth, c, recipe)


# ---- where the true dates come from


def gated(dice: Random, block: Block, activation: type[nn.Module], c: int, d: int, t: int) -> Chain:
    """Every dimension is shown its windows of dates, and has filters of its own."""
    truth = torch.stack([_windows(dice, t) for _ in range(d)])
    k = dice.randint(6, 8)
    trunk = _trunk(dice, block, activation, c * d, k * d, depth=dice.randint(2, 3), groups=d)
    cells = _reach(trunk, c * d, t).shape[0]
    own = torch.eye(d, dtype=torch.bool).repeat_interleave(k, dim=1)  # (d, d * k)
    return nn.Sequential(Gate(truth), *trunk, Readout(own[:, :, None].expand(d, d * k, cells))), truth


def reaching(dice: Random, block: Block, activation: type[nn.Module], c: int, d: int, t: int) -> Chain:
    """All dimensions share the filters, and each reads a few cells of the last layer."""
    k = dice.randint(12, 20)
    trunk = _trunk(dice, block, activation, c, k, depth=2, groups=1)
    reach = _reach(trunk, c, t)  # (l, t)
    reads = torch.stack([_runs(dice, reach) for _ in range(d)])  # (d, l)
    truth = (reads[:, :, None] & reach).any(1)
    return nn.Sequential(*trunk, Readout(reads[:, None, :].expand(d, k, len(reach)))), truth


def _windows(dice: Random, t: int) -> Bool[Tensor, " t"]:
    """One or two windows, each 2 dates wide to a quarter of the season."""
    dates = torch.zeros(t, dtype=torch.bool)
    for _ in range(dice.randint(1, 2)):
        width = dice.randint(2, t // 4)
        start = dice.randint(0, t - width)
        dates[start : start + width] = True
    return dates


def _runs(dice: Random, reach: Bool[Tensor, "l t"]) -> Bool[Tensor, " l"]:
    """One or two runs of 1 to 3 cells that do not reach too many dates."""
    while True:
        cells = torch.zeros(len(reach), dtype=torch.bool)
        for _ in range(dice.randint(1, 2)):
            start = dice.randrange(len(cells))
            cells[start : start + dice.randint(1, 3)] = True
        if reach[cells].any(0).float().mean() <= _MOST:
            return cells


def _reach(trunk: list[nn.Module], c: int, t: int) -> Bool[Tensor, "l t"]:
    """Which dates each cell of the last layer depends on: an impulse at every date, through weights of one."""
    impulses = torch.eye(t)[:, None, :].expand(t, c, t)
    for module in trunk:
        if isinstance(module, nn.Conv1d):
            ones = torch.ones_like(module.weight)
            padding: Any = module.padding  # typed more loosely than that of the function
            found = conv1d(impulses, ones, None, module.stride, padding, module.dilation, module.groups)
            impulses = (found > 0).float()  # kept small, so that none overflows
        elif isinstance(module, nn.AvgPool1d):
            impulses = module(impulses)
    return (impulses > 0).any(1).T


# ---- the layers


def strided(i: int, inputs: int, outputs: int, width: int, groups: int) -> list[nn.Module]:
    """A convolution in steps of 2 dates; at least 3 wide, so that no date falls between the steps."""
    return [_convolution(inputs, outputs, width, groups, padding=width // 2, stride=2)]


def dilated(i: int, inputs: int, outputs: int, width: int, groups: int) -> list[nn.Module]:
    """A convolution of every 2^i-th date."""
    return [_convolution(inputs, outputs, width, groups, padding=2**i * (width // 2), dilation=2**i)]


def pooled(i: int, inputs: int, outputs: int, width: int, groups: int) -> list[nn.Module]:
    """A convolution, then the mean of two cells; the last cell alone if their number is odd."""
    convolution = _convolution(inputs, outputs, width, groups, padding=width // 2)
    return [convolution, nn.AvgPool1d(2, ceil_mode=True)]


class Gate(nn.Module):
    """(n, c, t) -> (n, d * c, t): the series as each dimension may see it, zero outside its windows."""

    windows: Tensor

    def __init__(self, windows: Bool[Tensor, "d t"]) -> None:
        super().__init__()
        self.register_buffer("windows", windows.clone())

    def forward(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n dc t"]:
        return (x[:, None] * self.windows[:, None]).flatten(1, 2)


class Readout(nn.Module):
    """(n, k, l) -> (n, d): linear; each dimension reads the filters and cells that it may read."""

    reads: Tensor

    def __init__(self, reads: Bool[Tensor, "d k l"]) -> None:
        super().__init__()
        self.register_buffer("reads", reads.clone())
        self.weight = nn.Parameter(torch.zeros(reads.shape))
        self.bias = nn.Parameter(torch.zeros(len(reads)))

    def forward(self, cells: Float[Tensor, "n k l"]) -> Float[Tensor, "n d"]:
        return cells.flatten(1) @ (self.weight * self.reads).flatten(1).T + self.bias

    def reset_parameters(self) -> None:
        """Draw weights anew, as the layers of torch do; what may be read stays."""
        _draw(self, 1.0, None)


def _trunk(
    dice: Random, block: Block, activation: type[nn.Module], inputs: int, outputs: int, depth: int, groups: int
) -> list[nn.Module]:
    width, trunk = dice.choice((3, 5)), list[nn.Module]()
    for i in range(depth):
        convolution, *rest = block(i, inputs if i == 0 else outputs, outputs, width, groups)
        trunk += [convolution, activation(), *rest]
    return trunk


def _convolution(
    inputs: int, outputs: int, width: int, groups: int, padding: int, stride: int = 1, dilation: int = 1
) -> nn.Conv1d:
    # made without values: torch's initialisation would draw them from everybody's generator
    made = nn.Conv1d(inputs, outputs, width, stride, padding, dilation, groups, device="meta")
    return made.to_empty(device="cpu")


def _draw(layer: nn.Conv1d | Readout, gain: float, generator: torch.Generator | None) -> None:
    """Normal weights of variance gain^2 / inputs."""
    inputs = layer.reads[0].sum() if isinstance(layer, Readout) else layer.weight[0].numel()
    with torch.no_grad():
        layer.weight.normal_(0, gain / float(inputs) ** 0.5, generator=generator)
        assert layer.bias is not None
        layer.bias.normal_(0, 0.1, generator=generator)
