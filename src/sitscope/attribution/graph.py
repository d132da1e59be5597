"""What do the cells of a layer see of the series? Read from the autograd graph, where functional calls are seen too.

From a feature map the graph is walked back to the series. Convolutions, pooling, padding and slices say how their cells
lie on those before; whatever works on each date for itself keeps them; branches that meet are united. A value that all
cells share (the gate of squeeze-and-excitation, the statistics of a layer norm) moves none of them and is left aside.
What mixes dates otherwise (recurrent and dense layers over time, attention, flattening), or is not known here, leaves
the geometry unknown: it is never guessed. Padding by reflection or replication is taken as if it were zeros.

Time is followed through reshaping and transposing by its `gap`, how many values lie between one cell and the next when
the tensor is read row by row: no view changes it.
"""

import math
import re
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, NamedTuple

from torch.autograd.graph import GradientEdge, Node

from .alignment import Geometry

_CELL_BY_CELL = set(
    re.findall(
        r"\w+",
        "Abs Acos Acosh Add Addcdiv Addcmul Alias Asin Asinh Atan Atanh BatchNormWithUpdate Celu Ceil Clamp "
        "ClampMax ClampMin Clone Copysign Cos Cosh CudnnBatchNorm Div Elu Erf Erfc Exp Exp2 Expand Expm1 Floor "
        "FusedRmsNorm Gelu Hardshrink Hardsigmoid Hardswish Hardtanh Hypot LeakyRelu Lerp Lgamma Log Log10 Log1P "
        "Log2 LogSigmoid LogSoftmax Logaddexp MaskedFill Maximum Minimum MiopenBatchNorm Mish Mul NanToNum "
        "NativeBatchNorm NativeDropout NativeGroupNorm NativeLayerNorm Neg Pow PreluKernel Reciprocal Relu Round "
        "RreluWithNoise Rsqrt Rsub Sgn Sigmoid Sign Silu Sin Sinc Sinh Softmax Softplus Softshrink Sqrt Sub Tan "
        "Tanh Threshold ToCopy Trunc Where Xlogy ",
    )
)
_VIEWS = {"View", "UnsafeView", "ReshapeAlias", "Unsqueeze", "Squeeze"}
_IN_PLACE = {"CopySlices", "AsStrided"}
_OVER_AXES = set(
    re.findall(r"\w+", "Amax Amin LinalgVectorNorm Logsumexp Max Mean Min Norm Prod Select Std Sum Unbind Var")
)
_POOLING = {"MaxPool2DWithIndices", "MaxPool3DWithIndices", "AvgPool2D", "AvgPool3D"}
_ADAPTIVE = {"AdaptiveAvgPool2D", "AdaptiveAvgPool3D", "AdaptiveMaxPool2D", "AdaptiveMaxPool3D"}
_PADDING = {"ConstantPadNd"} | {f"{how}Pad{n}D" for how in ("Reflection", "Replication") for n in (1, 2, 3)}
_ALONG_AN_AXIS = {"Cat", "Glu", "Split", "UnsafeSplit", "SplitWithSizes", "UnsafeSplitWithSizes"}
_PRODUCTS = {"Mm": (0, 1), "Bmm": (0, 1), "Addmm": (1, 2)}


class _Unknown(ValueError):
    """Dates cannot be followed through this node."""


class _Place(NamedTuple):
    """A tensor on the way, and time in it."""

    node: Node
    output: int
    gap: int
    cells: int


class _Window(NamedTuple):
    """How the cells of a node lie on those of the node before."""

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1


_Known = dict[_Place, Geometry | None]
"""What is known on the way; None of what all cells share."""


def geometries(layers: dict[str, GradientEdge], series: GradientEdge) -> dict[str, Geometry | str]:
    """By layer, the geometry of its feature map (n, k, t_layer) over series (n, c, t), or why it is unknown.

    To be asked before a backward pass frees the graph. Edges are those of `torch.autograd.graph.get_gradient_edge`.

    >>> import torch
    >>> from torch.autograd.graph import get_gradient_edge
    >>> x = torch.randn(4, 2, 61, requires_grad=True)
    >>> h = torch.nn.functional.max_pool1d(torch.nn.Conv1d(2, 3, 7, padding="same")(x), 2)
    >>> found = geometries({"conv": get_gradient_edge(h)}, get_gradient_edge(x))["conv"]
    >>> found.centre, found.step, found.width
    (0.5, 2, 8)
    """
    season = _place(series.node, series.output_nr, -1)
    known: _Known = {season: Geometry.season(season.cells)}
    following = _following(series.node, [edge.node for edge in layers.values()])
    found: dict[str, Geometry | str] = {}
    for name, edge in layers.items():
        try:
            found[name] = _walked(_place(edge.node, edge.output_nr, -1), known, following)
        except ValueError as error:
            found[name] = str(error)
    return found


def _following(series: Node, ends: Iterable[Node]) -> set[Node]:
    """Nodes whose values depend on the series."""
    users: dict[Node, list[Node]] = {}
    todo, heard = list(ends), set(ends)
    while todo:
        node = todo.pop()
        for before, _ in node.next_functions:
            if before is not None:
                users.setdefault(before, []).append(node)
                if before not in heard:
                    heard.add(before)
                    todo.append(before)
    following, todo = {series}, [series]
    while todo:
        for user in users.get(todo.pop(), []):
            if user not in following:
                following.add(user)
                todo.append(user)
    return following


def _walked(end: _Place, known: _Known, following: set[Node]) -> Geometry:
    """The geometry at a place, from that of all places before it; by a stack, since encoders may be deep."""
    todo = [end]
    while todo:
        place = todo[-1]
        if place in known:
            todo.pop()
            continue
        before = _before(place, following)
        if missing := [each for each, _ in before if each not in known]:
            todo += missing
        else:
            branches = [(known[each], window) for each, window in before]
            seen = [g.through(*window, cells=place.cells) if window else g for g, window in branches if g is not None]
            known[place] = reduce(Geometry.united, seen) if seen else None
    geometry = known[end]
    if geometry is None:
        raise _Unknown(f"{end.node.name()} takes from the series only what all its cells share")
    return geometry


def _before(place: _Place, following: set[Node]) -> list[tuple[_Place, _Window | None]]:
    """What a node takes from the series, and how its cells lie on it; None if they are the same cells."""
    node = place.node
    # a function of the caller's own has no number
    match = re.fullmatch(r"(\w+)Backward\d+|torch::autograd::(CopySlices)", node.name())
    kind = (match[1] or match[2]) if match else ""
    inputs = {i: (n, o) for i, (n, o) in enumerate(node.next_functions) if n is not None and n in following}
    if node in following and not inputs:  # the series itself, but not by its dates
        raise _Unknown(f"the dates of the series {_shape(node, place.output)} are folded into another axis before it")
    if not inputs:
        raise _Unknown(f"autograd follows no way from the series to it (torch.no_grad or detach before {node.name()}?)")
    if kind in _VIEWS:
        return [(_Place(*inputs[0], place.gap, place.cells), None)]
    if kind in _IN_PLACE:
        return [(each, None) for each in _written(place, kind, inputs.values())]
    if kind in _CELL_BY_CELL:
        return [(each, None) for edge in inputs.values() if (each := _beside(place, *edge))]
    if kind in _PRODUCTS:
        return [(_through_product(place, inputs, *_PRODUCTS[kind]), None)]
    axis = _axis(place)
    if kind == "Stack" or kind in _ALONG_AN_AXIS | _OVER_AXES | {"Transpose", "Permute", "T"}:
        return [_rearranged(place, kind, axis, edge) for edge in inputs.values()]
    if set(inputs) == {0}:
        return [(_place(*inputs[0], axis), _window(place, kind, axis))]
    raise _refusal(place)


def _window(place: _Place, kind: str, axis: int) -> _Window:
    """Of a node that looks along time, and keeps the order of the axes."""
    node: Any = place.node
    if kind == "Convolution" and not node._saved_transposed and -axis <= len(node._saved_stride):
        return _Window(
            node._saved_weight.shape[axis],
            node._saved_stride[axis],
            node._saved_padding[axis],
            node._saved_dilation[axis],
        )
    if kind in _POOLING and -axis <= len(node._saved_kernel_size):
        stride = node._saved_stride or node._saved_kernel_size
        dilation = node._saved_dilation[axis] if kind.startswith("Max") else 1
        return _Window(node._saved_kernel_size[axis], stride[axis], node._saved_padding[axis], dilation)
    before = _shape(*node.next_functions[0])[axis]
    if kind in _ADAPTIVE and before % place.cells == 0:
        return _Window(before // place.cells, before // place.cells)
    if kind == "Slice":
        start = _signed(node._saved_start)
        moved = (_signed(node._saved_dim) - axis) % len(_shape(node, place.output)) == 0
        return _Window(1, node._saved_step, -min(start + before * (start < 0), before)) if moved else _Window()
    if kind in _PADDING:
        ahead = (node._saved_pad if kind == "ConstantPadNd" else node._saved_padding)[2 * (-axis - 1) :]
        return _Window(padding=_signed(ahead[0]) if ahead else 0)
    raise _refusal(place)


def _rearranged(place: _Place, kind: str, axis: int, edge: tuple[Node, int]) -> tuple[_Place, _Window | None]:
    """Of a node that moves, adds, drops or divides axes."""
    node: Any = place.node
    here, there = len(_shape(node, place.output)), len(_shape(*edge))
    at = here + axis
    if kind in ("Transpose", "Permute", "T"):
        order = list(range(here))
        if kind == "Permute":
            order = [_signed(each) % here for each in node._saved_dims]
        else:
            one, other = (node._saved_dim0, node._saved_dim1) if kind == "Transpose" else (0, 1)
            one, other = _signed(one) % here, _signed(other) % here
            order[one], order[other] = other, one
        return _place(*edge, order[at] - there), None
    if kind == "Stack":
        added = _signed(node._saved_dim) % here
        if added == at:
            raise _refusal(place)
        return _place(*edge, at - (added < at) - there), None
    dims = node._saved_dim if isinstance(node._saved_dim, Sequence) else (node._saved_dim,)
    over = {_signed(each) % there for each in dims}
    if kind in _ALONG_AN_AXIS:
        if at not in over:
            return _place(*edge, axis), None
        if "Split" not in kind:
            raise _refusal(place)
        sizes = node._saved_split_sizes if "Sizes" in kind else [node._saved_split_size] * place.output
        return _place(*edge, axis), _Window(padding=-sum(sizes[: place.output]))
    if getattr(node, "_saved_keepdim", False):
        return _place(*edge, axis), _Window(_shape(*edge)[axis]) if at in over else None
    return _place(*edge, [i for i in range(there) if i not in over][at] - there), None


def _through_product(place: _Place, inputs: dict[int, tuple[Node, int]], first: int, second: int) -> _Place:
    """Of a matrix product that leaves dates apart: they are rows of the first factor, or columns of the second."""
    columns = _shape(place.node, place.output)[-1]
    if set(inputs) == {first} and place.gap % columns == 0:
        return _Place(*inputs[first], place.gap // columns * _shape(*inputs[first])[-1], place.cells)
    if set(inputs) == {second} and columns % (place.gap * place.cells) == 0:
        return _Place(*inputs[second], place.gap, place.cells)
    raise _refusal(place)


def _beside(place: _Place, node: Node, output: int) -> _Place | None:
    """The same cells in an input of the same shape, or of one that is spread over it; None if all cells share it."""
    shape, here = _shape(node, output), _shape(place.node, place.output)
    if shape == here:
        return _Place(node, output, place.gap, place.cells)
    axis = _axis(place)
    if -axis > len(shape) or shape[axis] != place.cells:
        return None
    return _place(node, output, axis)


def _written(place: _Place, kind: str, inputs: Iterable[tuple[Node, int]]) -> list[_Place]:
    """Of a view that was written in place, such as what max-pooling gives by an activation.

    Autograd does not say by what; where all has the size of the whole it is taken to work on each cell for itself.
    """
    node: Any = place.node
    shape, gap = _shape(node, place.output), place.gap
    if kind == "AsStrided":  # how the view lies in what it is a view of
        gap = node._saved_stride[_axis(place)]
        inside = 1
        for stride, size in sorted(zip(node._saved_stride, shape, strict=True)):
            if size > 1 and stride != inside:
                raise _refusal(place)
            inside *= size
    if any(math.prod(_shape(*edge)) != math.prod(shape) for edge in inputs):
        raise _refusal(place)
    return [_Place(*edge, gap, place.cells) for edge in inputs]


def _axis(place: _Place) -> int:
    """Which axis is time, counted from the end: -1 is the last."""
    shape = _shape(place.node, place.output)
    for axis in range(-1, -len(shape) - 1, -1):
        if shape[axis] == place.cells and math.prod(shape[len(shape) + axis + 1 :]) == place.gap:
            return axis
    raise _refusal(place)


def _place(node: Node, output: int, axis: int) -> _Place:
    shape = _shape(node, output)
    return _Place(node, output, math.prod(shape[len(shape) + axis + 1 :]), shape[axis])


def _shape(node: Any, output: int) -> tuple[int, ...]:
    """Of what the node gave forward."""
    return tuple(node._input_metadata[output].shape)


def _refusal(place: _Place) -> _Unknown:
    return _Unknown(
        f"{place.node.name()}, which gives shape {_shape(place.node, place.output)} on the way from the series to it, "
        "mixes dates, or is not known to keep them apart"
    )


def _signed(value: int) -> int:
    """Autograd shows negative positions as unsigned numbers of 64 bits."""
    return value - 2**64 if value >= 2**63 else value
