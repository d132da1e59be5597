"""Which feature maps of an encoder are explained: of which layers, and where in a block?

n series, k filters, t cells in time. Here are the plug-ins `tap` and `layers` of `grad_slam`, and how maps are read.

A block is told by the order in which the modules of an encoder run: it begins with a 1-D convolution and goes on
through every activation, normalisation, dropout, pooling or other module without weights that runs next, as long as its
output keeps the filters and has more than one cell in time. Anything else ends it: another convolution, a dense or
recurrent layer, attention, a flattening. Order alone decides, so of parallel branches the one that runs last gets what
follows their sum. What is called as a function (`F.relu(self.conv(x))`) is no module and is not seen: that block ends
with its convolution. `GradSlam.tapped` says what was read; to read elsewhere write the activation as a module, or name
a module in `layers`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

Tap = Callable[[Sequence[nn.Module]], bool]
"""The modules of a block so far, in running order, convolution first: is the output of the newest the feature map?
If it says yes more than once in a block, the last yes counts."""

Selection = Callable[[Sequence[str]], Sequence[str]]
"""Names of the layers that ran, in running order: which of them are explained?"""

Layers = nn.Module | str | Sequence[nn.Module | str] | Selection | None
"""Modules or names; or a function that selects among the convolutions that ran; None: all of them."""

_POOLING = {"torch.nn.modules.pooling"}
_IN_A_BLOCK = {f"torch.nn.modules.{kind}" for kind in ("activation", "batchnorm", "instancenorm", "normalization")}


def block_output(block: Sequence[nn.Module]) -> bool:
    """What feeds the next layer: the last output of the block, after its activation and its pooling."""
    return True


def convolution_output(block: Sequence[nn.Module]) -> bool:
    """What the convolution gives, before activation and pooling."""
    return len(block) == 1


def pool_output(block: Sequence[nn.Module]) -> bool:
    """What the pooling gives, be it before or after the activation."""
    return _is_from(_POOLING, block[-1])


def every(names: Sequence[str]) -> Sequence[str]:
    """All convolutions."""
    return names


def last(names: Sequence[str]) -> Sequence[str]:
    """The last convolution."""
    return names[-1:]


@dataclass(frozen=True)
class FeatureMap:
    """A_t^k of one layer, as they were when a module gave them."""

    values: Float[Tensor, "n k t"]
    """A copy: no in-place operation downstream rewrites it."""
    edge: GradientEdge
    """Where in the autograd graph the gradient with respect to these values arrives."""
    module: str
    """Name of the module that gave them."""


@dataclass
class Reading:
    """What is heard while an encoder runs once. The forward goes on with its own tensors, or with equal ones."""

    names: dict[nn.Module, str]
    """Every module and its name."""
    wanted: set[str]
    """Names of the layers to read."""
    tap: Tap
    n: int
    """How many series the encoder was given."""
    blocks: dict[str, list[nn.Module]] = field(default_factory=dict)
    """By layer that ran, in running order: the modules of its block."""
    maps: dict[str, FeatureMap] = field(default_factory=dict)
    """By layer that ran and that the tap read."""
    _layer: str | None = None
    """Whose block may go on, if any."""
    _shape: tuple[int, ...] = ()
    """(n, k) in that block."""

    def step(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Hear a module that works on tensors itself: begin, carry on or end a block."""
        name = self.names[module]
        if isinstance(module, nn.Conv1d):
            self._begin(name, module)
            self._layer, self._shape = name, output.shape[:2]
        elif self._layer is not None and _goes_on(module, output, self._shape):
            self.blocks[self._layer].append(module)
        else:
            self._layer = None
        if self._layer is not None and self._layer in self.wanted and self.tap(self.blocks[self._layer]):
            return self._keep(self._layer, name, output)
        return output

    def named(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Hear a module that the caller named and that is no convolution: its own output is the map."""
        name = self.names[module]
        self._begin(name, module)
        return self._keep(name, name, output)

    def found(self, select: Selection) -> dict[str, FeatureMap]:
        """The feature maps of the layers selected, in running order."""
        ran = [layer for layer in self.blocks if layer in self.wanted]
        selected = set(select(ran))
        if not selected:
            raise ValueError(
                f"of the layers {sorted(self.wanted)} none is left: {len(ran)} ran in the encoder's forward, and none "
                "of these was selected. Compiled or scripted modules run unheard: give the encoder as it was before."
            )
        for layer in sorted(selected - self.maps.keys()):
            if layer not in ran:
                raise ValueError(f"layer {layer!r} did not run in the encoder's forward; these did: {ran}.")
            block = "-".join(type(module).__name__ for module in self.blocks[layer])
            raise ValueError(
                f"the tap reads nothing in the block of layer {layer!r}, which is {block}. "
                "Use another tap, or leave this layer out of layers."
            )
        return {layer: self.maps[layer] for layer in ran if layer in selected}

    def _begin(self, layer: str, module: nn.Module) -> None:
        if layer in self.wanted and layer in self.blocks:
            raise ValueError(
                f"layer {layer!r} runs more than once in one forward, so it has more than one feature map. "
                "Give each run a module of its own, or leave this one out of layers."
            )
        self.blocks[layer] = [module]

    def _keep(self, layer: str, module: str, output: Any) -> Tensor:
        """Keep a feature map; what the encoder goes on with, so that it may write into it."""
        if not isinstance(output, Tensor) or output.ndim != 3 or len(output) != self.n:
            found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
            raise ValueError(
                f"layer {layer!r}: the output of {module!r} is {found}, but a feature map is (n, k, t): "
                f"{self.n} series, filters, cells in time. Name another module in layers."
            )
        if not output.requires_grad:
            raise ValueError(
                f"layer {layer!r}: the output of {module!r} is cut off from autograd (torch.no_grad or detach inside "
                "the encoder). Let the encoder run with gradients, or leave this layer out."
            )
        if output._is_view():  # writing into a view in place would take it, and its edge, out of the graph
            values, onward = output.detach(), output.clone()
        else:  # writing into it in place would rewrite what is kept
            values, onward = output.detach().clone(), output
        self.maps[layer] = FeatureMap(values, get_gradient_edge(onward), module)
        return onward


def chosen(encoder: nn.Module, layers: Layers) -> tuple[set[str], Selection]:
    """Names of the layers to read while the encoder runs, and the selection among those that ran."""
    names = {module: name for name, module in encoder.named_modules()}
    if layers is None or (callable(layers) and not isinstance(layers, nn.Module)):
        convolutions = {name for module, name in names.items() if isinstance(module, nn.Conv1d)}
        if not convolutions:
            raise ValueError("the encoder has no torch.nn.Conv1d. Name the modules that give (n, k, t) in layers.")
        return convolutions, layers or every
    given = [layers] if isinstance(layers, nn.Module | str) else list(layers)
    if not given:
        raise ValueError("layers is empty. Leave it out to explain every convolution.")
    named = {_name(layer, names) for layer in given}
    return named, lambda ran: sorted(named)


def _name(layer: nn.Module | str, names: dict[nn.Module, str]) -> str:
    if not isinstance(layer, nn.Module | str):
        raise TypeError(f"layers has a {type(layer).__name__}, which is neither a module nor a name.")
    if isinstance(layer, str) and layer in names.values():
        return layer
    if isinstance(layer, nn.Module) and layer in names:
        return names[layer]
    what = repr(layer) if isinstance(layer, str) else f"this {type(layer).__name__}"
    raise ValueError(f"the encoder has no layer {what}; it has: {', '.join(filter(None, names.values()))}.")


@contextmanager
def reading(encoder: nn.Module, wanted: set[str], tap: Tap, n: int) -> Iterator[Reading]:
    """Hear the modules of `encoder` while the context lasts; no hook outlives it."""
    names = {module: name for name, module in encoder.named_modules() if "parametrizations" not in name.split(".")}
    heard, thread = Reading(names, wanted, tap, n), get_ident()

    def in_this_thread(hear: Callable[[nn.Module, Any, Any], Any]) -> Callable[[nn.Module, Any, Any], Any]:
        # another thread may run the same encoder for itself
        return lambda module, inputs, output: hear(module, inputs, output) if get_ident() == thread else output

    with ExitStack() as hooks:
        for module, name in names.items():
            if _is_step(module):
                hooks.enter_context(module.register_forward_hook(in_this_thread(heard.step)))
            if name in wanted and not isinstance(module, nn.Conv1d):
                hooks.enter_context(module.register_forward_hook(in_this_thread(heard.named)))
        yield heard


def _is_step(module: nn.Module) -> bool:
    """Whether a module works on tensors itself rather than calling others that do."""
    return isinstance(module, nn.Conv1d) or not any(True for _ in module.children()) or _has_weights(module)


def _goes_on(module: nn.Module, output: Any, shape: tuple[int, ...]) -> bool:
    """Whether a module belongs to the block of the convolution before it."""
    return (
        (_is_from(_IN_A_BLOCK, module) or not _has_weights(module))
        and isinstance(output, Tensor)
        and output.ndim == 3
        and output.shape[:2] == shape
        and output.shape[2] > 1
    )


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _is_from(homes: set[str], module: nn.Module) -> bool:
    """Whether a module is of a class, or a descendant of one, that torch defines in one of these files."""
    return any(ancestor.__module__ in homes for ancestor in type(module).__mro__)
