"""How do the maps of several layers become one value per date?

n series, d embedding dimensions, t dates, t_layer cells of a layer, l layers. Here are the plug-ins `scale`,
`upsample`, `merge` and `sign` of `grad_slam`, which act in this order: each layer's map is scaled, brought to the
dates, and the layers are merged under a rule for the sign. Any callable of the same form can take their place. The
default upsampling, which knows where the cells lie, is `alignment.receptive_field`.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from .alignment import Layer

Scale = Callable[[Float[Tensor, "n d t_layer"]], Float[Tensor, "n d t_layer"]]
"""One layer's map -> the same, comparable between layers."""
Upsample = Callable[[Layer], Float[Tensor, "t t_layer"]]
"""What is known of a layer -> the matrix that brings its maps to the dates: how much of each cell a date takes."""
Merge = Callable[[Float[Tensor, "l n d t"]], Float[Tensor, "n d t"]]
"""The maps of all layers -> one."""
Sign = Callable[[Float[Tensor, "l n d t"], Merge], Float[Tensor, "n d t"]]
"""The maps of all layers, and how to merge them -> one map with the signs wished for."""


# ---- scale: each series, dimension and layer for itself, so that no series depends on its neighbours in a batch


def max_abs(cells: Float[Tensor, "n d t"]) -> Float[Tensor, "n d t"]:
    """Into [-1, 1] by the largest magnitude: keeps zero and sign. A map of zeros stays zero."""
    return _divided(cells, cells.abs().amax(-1, keepdim=True))


def min_max(cells: Float[Tensor, "n d t"]) -> Float[Tensor, "n d t"]:
    """Into [0, 1] from least to greatest: loses zero, and ranks strongly negative cells lowest. Constant becomes 0."""
    least = cells.amin(-1, keepdim=True)
    return _divided(cells - least, cells.amax(-1, keepdim=True) - least)


def l1(cells: Float[Tensor, "n d t"]) -> Float[Tensor, "n d t"]:
    """Magnitudes sum to 1 over a layer's cells."""
    return _divided(cells, cells.abs().sum(-1, keepdim=True))


def l2(cells: Float[Tensor, "n d t"]) -> Float[Tensor, "n d t"]:
    """Squares sum to 1 over a layer's cells."""
    return _divided(cells, torch.linalg.vector_norm(cells, dim=-1, keepdim=True))


def none(cells: Float[Tensor, "n d t"]) -> Float[Tensor, "n d t"]:
    """As they are: in units of the embedding."""
    return cells


def _divided(cells: Float[Tensor, "n d t"], by: Float[Tensor, "n d 1"]) -> Float[Tensor, "n d t"]:
    return cells / by.where(by > 0, 1)  # a map of zeros has nothing to divide


# ---- upsample: from a layer's cells to the dates, by the number of cells alone; see also alignment.receptive_field


def linear(layer: Layer) -> Float[Tensor, "t t_layer"]:
    """Linear between cell centres that divide the series evenly; constant beyond the first and the last."""
    return _interpolated(layer, mode="linear", align_corners=False)


def linear_aligned(layer: Layer) -> Float[Tensor, "t t_layer"]:
    """Linear with the first and last cells on the first and last dates."""
    return _interpolated(layer, mode="linear", align_corners=True)


def nearest(layer: Layer) -> Float[Tensor, "t t_layer"]:
    """Each date takes the cell whose share of the series it lies in."""
    return _interpolated(layer, mode="nearest-exact")


def _interpolated(layer: Layer, **how: Any) -> Float[Tensor, "t t_layer"]:
    impulses = torch.eye(layer.cells, dtype=torch.float64)
    return interpolate(impulses[None], size=len(layer.days), **how)[0].T


# ---- merge: from layers to one map


def mean(maps: Float[Tensor, "l n d t"]) -> Float[Tensor, "n d t"]:
    """Mean of the layers."""
    return maps.mean(0)


def total(maps: Float[Tensor, "l n d t"]) -> Float[Tensor, "n d t"]:
    """Sum of the layers."""
    return maps.sum(0)


def maximum(maps: Float[Tensor, "l n d t"]) -> Float[Tensor, "n d t"]:
    """Greatest of the layers, date by date: with signed maps a negative value yields to any other."""
    return maps.amax(0)


def product(maps: Float[Tensor, "l n d t"]) -> Float[Tensor, "n d t"]:
    """Product of the layers: high only where all agree. Signs multiply, so an even number of negatives is positive."""
    return maps.prod(0)


# ---- sign: what of a signed answer is kept


def signed(maps: Float[Tensor, "l n d t"], merge: Merge) -> Float[Tensor, "n d t"]:
    """All: a negative contribution informs as much as a positive one (the letter, Section II.C)."""
    return merge(maps)


def absolute_after(maps: Float[Tensor, "l n d t"], merge: Merge) -> Float[Tensor, "n d t"]:
    """Magnitude of the merged map: layers of opposite sign cancel."""
    return merge(maps).abs()


def absolute_before(maps: Float[Tensor, "l n d t"], merge: Merge) -> Float[Tensor, "n d t"]:
    """Merged magnitudes: layers of opposite sign add up."""
    return merge(maps.abs())


def positive(maps: Float[Tensor, "l n d t"], merge: Merge) -> Float[Tensor, "n d t"]:
    """The positive part of the merged map; zero elsewhere."""
    return merge(maps).clamp(min=0)


def negative(maps: Float[Tensor, "l n d t"], merge: Merge) -> Float[Tensor, "n d t"]:
    """The negative part of the merged map, still negative; zero elsewhere."""
    return merge(maps).clamp(max=0)
