"""Which computation is this encoder? Its blocks and dense layers as shapes, from the modules themselves.

c bands, t dates, k filters, d embedding dimensions. A plan holds shapes only, no weights: networks alike share it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import nn


class NotServed(Exception):
    """The encoder is no plain chain of convolutions and dense layers: the general path explains it."""


@dataclass(frozen=True)
class Activation:
    """y = f(x), value by value."""

    kind: Literal["none", "relu", "elu", "gelu"] = "none"
    alpha: float = 1.0
    """Of ELU: y = alpha (exp(x) - 1) where x <= 0."""


@dataclass(frozen=True)
class Block:
    """A convolution, and the pooling and activation that follow it, in either order."""

    name: str
    """Of the convolution: the name of the layer."""
    tapped: str
    """Of the module whose output is the feature map; see `sitscope.attribution.taps.block_output`."""
    channels: int
    filters: int
    width: int
    """Cells that the convolution sees at once."""
    stride: int
    padding: int
    """Zeros at each end."""
    pool: int
    """Cells merged by the max-pooling; 1 means none."""
    pool_first: bool
    """Whether pooling comes before the activation."""
    activation: Activation
    t_in: int
    t_conv: int
    t_out: int

    @property
    def at_convolution(self) -> bool:
        """Whether the feature map is the convolution's own output: a block ends where one cell is left."""
        return self.tapped == self.name

    @property
    def t_used(self) -> int:
        """Cells of the convolution that anything depends on."""
        return self.t_conv if self.at_convolution else self.pool * self.t_out

    @property
    def t_map(self) -> int:
        """Cells of the feature map."""
        return self.t_conv if self.at_convolution else self.t_out


@dataclass(frozen=True)
class Dense:
    """A dense layer and its activation."""

    inputs: int
    outputs: int
    activation: Activation


@dataclass(frozen=True)
class Plan:
    """An encoder from series (n, c, t) to embeddings (n, d)."""

    bands: int
    dates: int
    blocks: tuple[Block, ...]
    dense: tuple[Dense, ...]

    @property
    def dims(self) -> int:
        return self.dense[-1].outputs

    @property
    def cells(self) -> tuple[int, ...]:
        """t_layer of each layer's map."""
        return tuple(block.t_map for block in self.blocks)

    @property
    def flat(self) -> int:
        """Values that the first dense layer reads: cells x filters."""
        return self.dense[0].inputs


@dataclass(frozen=True)
class Weights:
    """Weights and bias of each layer in running order, as torch holds them: (k, c, width) or (outputs, inputs)."""

    blocks: tuple[tuple[np.ndarray, np.ndarray], ...]
    dense: tuple[tuple[np.ndarray, np.ndarray], ...]


def read(encoder: nn.Module, dates: int) -> tuple[Plan, list[nn.Conv1d | nn.Linear]]:
    """The plan of an encoder for series of so many dates, and its layers with weights. Raises NotServed."""
    steps = list(_steps(encoder))
    if len({id(module) for _, module in steps}) < len(steps):
        raise NotServed("a module that runs twice")
    blocks, i = [], 0
    t = dates
    while i < len(steps) and type(steps[i][1]) is nn.Conv1d:
        end = i + 1
        while end < len(steps) and type(steps[end][1]) in (nn.MaxPool1d, nn.ReLU, nn.ELU, nn.GELU):
            end += 1
        blocks.append(_block(steps[i:end], t))
        t, i = blocks[-1].t_out, end
    if not blocks or any(a.filters != b.channels for a, b in pairwise(blocks)):
        raise NotServed("no chain of convolutions")
    dense = _dense([module for _, module in steps[i:]], blocks[-1].filters * t)
    layers = [module for _, module in steps if isinstance(module, nn.Conv1d | nn.Linear)]
    return Plan(blocks[0].channels, dates, tuple(blocks), dense), layers


def weights(layers: list[nn.Conv1d | nn.Linear], plan: Plan) -> Weights:
    """Weights as arrays; a missing bias is zeros."""
    pairs = []
    for layer in layers:
        weight = layer.weight.detach().numpy()
        bias = np.zeros(len(weight), weight.dtype) if layer.bias is None else layer.bias.detach().numpy()
        pairs.append((weight, bias))
    return Weights(tuple(pairs[: len(plan.blocks)]), tuple(pairs[len(plan.blocks) :]))


def copy(given: Weights) -> Weights:
    """The same numbers in memory of their own."""
    return Weights(*(tuple((w.copy(), b.copy()) for w, b in part) for part in (given.blocks, given.dense)))


def same(a: Weights, b: Weights) -> bool:
    """Whether all numbers are equal."""
    return all(
        np.array_equal(x, y)
        for one, other in zip(a.blocks + a.dense, b.blocks + b.dense, strict=True)
        for x, y in zip(one, other, strict=True)
    )


def _steps(module: nn.Module | None, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Modules that compute, in running order, with their names."""
    if module is None:
        raise NotServed(f"{name!r} is None")
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        raise NotServed(f"{name or 'encoder'!r} has hooks")
    if type(module) is nn.Sequential:
        for child, inner in module._modules.items():
            yield from _steps(inner, f"{name}.{child}" if name else child)
    else:
        yield name, module


def _block(steps: list[tuple[str, nn.Module]], t_in: int) -> Block:
    name, conv = steps[0]
    assert isinstance(conv, nn.Conv1d)
    pools = [(i, m) for i, (_, m) in enumerate(steps) if isinstance(m, nn.MaxPool1d)]
    acts = [(i, m) for i, (_, m) in enumerate(steps) if not isinstance(m, nn.MaxPool1d | nn.Conv1d)]
    if len(pools) > 1 or len(acts) > 1 or not _plain(conv):
        raise NotServed(f"the block of {name!r}")
    width, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
    t_conv = (t_in + 2 * padding - width) // stride + 1
    pool = _pool(pools[0][1]) if pools else 1
    if t_conv // pool < 1:
        raise NotServed(f"{name!r} leaves no cell")
    tapped, cells = name, t_conv
    for follower, module in steps[1:]:
        cells //= pool if isinstance(module, nn.MaxPool1d) else 1
        if cells < 2:
            break  # see taps: a block ends where one cell is left
        tapped = follower
    if tapped not in (name, steps[-1][0]):
        raise NotServed(f"the feature map of {name!r} lies inside its block")
    return Block(
        name=name,
        tapped=tapped,
        channels=conv.in_channels,
        filters=conv.out_channels,
        width=width,
        stride=stride,
        padding=padding,
        pool=pool,
        pool_first=bool(pools and acts and pools[0][0] < acts[0][0]),
        activation=_activation(acts[0][1]) if acts else Activation(),
        t_in=t_in,
        t_conv=t_conv,
        t_out=t_conv // pool,
    )


def _plain(conv: nn.Conv1d) -> bool:
    return (
        conv.dilation == (1,)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )


def _pool(module: nn.Module) -> int:
    size = module.kernel_size
    usual = (module.stride in (size, None), module.padding == 0, module.dilation == 1, not module.ceil_mode)
    if not isinstance(size, int) or not all(usual) or module.return_indices or size > 127:
        raise NotServed("a pooling of cells that overlap, or of very many")
    return size


def _activation(module: nn.Module) -> Activation:
    if type(module) is nn.ReLU:
        return Activation("relu")
    if type(module) is nn.ELU and module.alpha > 0:
        return Activation("elu", float(module.alpha))
    if type(module) is nn.GELU and module.approximate == "none":
        return Activation("gelu")
    raise NotServed(f"the activation {module}")


def _dense(modules: list[nn.Module], flat: int) -> tuple[Dense, ...]:
    if not modules or type(modules[0]) is not nn.Flatten or (modules[0].start_dim, modules[0].end_dim) != (1, -1):
        raise NotServed("no flattening after the convolutions")
    layers: list[Dense] = []
    for module in modules[1:]:
        if type(module) is nn.Linear:
            layers.append(Dense(module.in_features, module.out_features, Activation()))
        elif layers and layers[-1].activation.kind == "none":
            layers[-1] = Dense(layers[-1].inputs, layers[-1].outputs, _activation(module))
        else:
            raise NotServed(f"{module} among the dense layers")
    widths = [flat, *(layer.outputs for layer in layers)]
    if not layers or layers[-1].activation.kind != "none" or [x.inputs for x in layers] != widths[:-1]:
        raise NotServed("no chain of dense layers")
    return tuple(layers)


def served(encoder: nn.Module) -> torch.dtype | None:
    """The one floating dtype of an encoder on the CPU; None if it has another or several."""
    kinds = {(p.dtype, p.device.type) for p in encoder.parameters()}
    if len(kinds) != 1:
        return None
    dtype, device = kinds.pop()
    return dtype if device == "cpu" and dtype in (torch.float32, torch.float64) else None
