"""Grad-SLAM as fast as embedding: machine code written for the shapes of one network, the same answers."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from .code import Compiled


def compiled(encoder: nn.Module, dates: int) -> "Compiled | None":
    """The fast path of an encoder for series of so many dates; None if it has none here: take the general path.

    Served is a chain of 1-D convolutions, max-poolings, ELU, ReLU or GELU, a flattening and dense layers, in float32 or
    float64 on the CPU, where llvmlite is installed and the processor has vectors with fused multiply-add (AVX2 or
    AVX-512). Weights that changed since are packed anew. Threads may share what is returned.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.MaxPool1d(2), nn.ELU(), nn.Flatten(), nn.Linear(24, 3))
    >>> fast = compiled(encoder, dates=14)
    >>> fast is None or fast.grad_slam(torch.randn(10, 2, 14)).merged.shape == (10, 3, 14)
    True
    """
    if find_spec("llvmlite") is None:
        return None
    from .code import prepared  # not before: it needs llvmlite

    return prepared(encoder, dates)
