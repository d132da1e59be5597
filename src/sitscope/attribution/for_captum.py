"""How do I use this with Captum? Grad-SLAM and path attribution as attributions of `captum.attr`.

They have Captum's shapes and conventions: `attribute(inputs, target=...)`, tensors in and out on the same device and in
the same dtype, a tuple of one for a tuple of one. So Captum's metrics, its NoiseTunnel and its figures take them.
Needs the extra `sitscope[captum]`; nothing else in sitscope imports this module.

n series, c bands, t dates, m values explained.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Unpack

import matplotlib
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from . import gradslam, taps
from .controls import Choices
from .path import path, reference_for
from .targets import Target, dimensions, only

try:
    from captum.attr import GradientAttribution, LayerAttribution, visualization
    from captum.log import log_usage
except ImportError as error:
    raise ImportError(f"{error}: Captum is an extra. Install it with: pip install 'sitscope[captum]'") from error

if not hasattr(visualization.cm, "get_cmap"):
    # Captum 0.9 draws with a function that matplotlib took away in 3.9, and so could draw nothing, not even its own
    visualization.cm = SimpleNamespace(**vars(visualization.cm), get_cmap=matplotlib.colormaps.get_cmap)

Inputs = Float[Tensor, "n c t"] | tuple[Float[Tensor, "n c t"]]
Index = int | Sequence[int] | Tensor | None
"""Captum's target: which value, of all series or of each; None: all values."""
Baselines = Tensor | float | int | tuple[Tensor | float | int] | None
"""Captum's reference: a number, one series, one for each; None: the mean curve of the inputs."""


class GradSLAM(LayerAttribution):
    """Grad-SLAM, Eqs. 3 and 4 of DOI 10.1109/LGRS.2023.3302906, as a layer attribution of Captum's.

    Args:
        forward_func: the encoder, a module (n, c, t) -> (n, d).
        layer: see `grad_slam`: a module or name, several, a selection; None: every convolution.
        explained: what Captum's target is an index of: see `targets`.
        alpha, choices: see `grad_slam`.

    Example:
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(48, 3))
        >>> GradSLAM(encoder).attribute(torch.randn(5, 2, 14), target=1).shape
        torch.Size([5, 2, 14])
        >>> GradSLAM(encoder).attribute(torch.randn(5, 2, 14)).shape
        torch.Size([5, 3, 14])
    """

    def __init__(
        self,
        forward_func: nn.Module,
        layer: taps.Layers = None,
        *,
        explained: Target = dimensions,
        alpha: gradslam.Alpha = gradslam.letter,
        **choices: Unpack[Choices],
    ) -> None:
        LayerAttribution.__init__(self, forward_func, layer)
        self.explained = explained
        self.alpha = alpha
        self.choices = choices

    @log_usage()
    def attribute(self, inputs: Inputs, target: Index = None) -> Tensor | tuple[Tensor]:
        """Importance of each date.

        Args:
            inputs: series (n, c, t).
            target: the value explained, for all series or for each; None: all of them.

        Returns:
            (n, c, t) for one value: Grad-SLAM does not tell bands apart, so that each has an equal share of its date's
            importance, and their sum over bands is that importance; (n, m, t) for all values.

        Raises:
            As `grad_slam`; ValueError for a target that does not fit.
        """
        x = _only(inputs)

        def maps(rows: Int[Tensor, " r"], explained: Target) -> tuple[Tensor]:
            return (
                gradslam.grad_slam(
                    self.forward_func, x[rows], self.layer, target=explained, alpha=self.alpha, **self.choices
                ).merged,
            )

        (found,) = _of_value(maps, len(x), self.explained, target)
        if target is not None:
            found = (found / x.shape[1])[:, None].expand(x.shape).contiguous()  # (n, t) -> (n, c, t)
        return (found,) if isinstance(inputs, tuple) else found


class PathAttribution(GradientAttribution):
    """Attribution along the path from a reference series, complete: a gradient attribution of Captum's.

    As Captum's IntegratedGradients, but with as many nodes as each series needs, and with another default: **the
    mean curve of the inputs is the reference**, where Captum has zero.

    Args:
        forward_func: the encoder, a module (n, c, t) -> (n, d).
        explained: what Captum's target is an index of: see `targets`.

    Example:
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(48, 3))
        >>> x = torch.randn(5, 2, 14)
        >>> found, delta = PathAttribution(encoder).attribute(x, 0, target=1, return_convergence_delta=True)
        >>> found.shape, delta.shape, float(delta.abs().max()) < 0.01
        (torch.Size([5, 2, 14]), torch.Size([5]), True)
    """

    def __init__(self, forward_func: nn.Module, *, explained: Target = dimensions) -> None:
        GradientAttribution.__init__(self, forward_func)
        self.explained = explained

    def has_convergence_delta(self) -> bool:
        return True

    @property
    def multiplies_by_inputs(self) -> bool:
        return True

    @log_usage()
    def attribute(
        self,
        inputs: Inputs,
        baselines: Baselines = None,
        target: Index = None,
        n_steps: int | None = None,
        internal_batch_size: int = 256,
        return_convergence_delta: bool = False,
    ) -> Tensor | tuple[Tensor] | tuple[Tensor | tuple[Tensor], Tensor]:
        """Contribution of each band and date to the value's difference from the reference's.

        Args:
            inputs: series (n, c, t).
            baselines: the reference: a number, (c, t), (1, c, t) or (n, c, t); None: the mean curve of the inputs.
            target: the value explained, for all series or for each; None: all of them.
            n_steps: nodes; None: as many as each series needs.
            internal_batch_size: series at a time.
            return_convergence_delta: give as well what the contributions' sum misses: (n,), or (n, m) for all values.

        Returns:
            (n, c, t) for one value, (n, m, c, t) for all.

        Raises:
            As `path`; ValueError for a target that does not fit.
        """
        x = _only(inputs)
        reference = reference_for(x, _reference(baselines, x))

        def along(rows: Int[Tensor, " r"], explained: Target) -> tuple[Tensor, Tensor]:
            start = reference[rows]
            whole = path(self.forward_func, x[rows], start, target=explained, nodes=n_steps, batch=internal_batch_size)
            return whole.importance, whole.residual

        found, delta = _of_value(along, len(x), self.explained, target)
        given = (found,) if isinstance(inputs, tuple) else found
        return (given, delta) if return_convergence_delta else given


def _of_value(
    explain: Callable[[Int[Tensor, " r"], Target], tuple[Tensor, ...]], n: int, explained: Target, target: Index
) -> tuple[Tensor, ...]:
    """Explanations (n, m, ...) of all values, or (n, ...) of the one that target says: one backward pass a series."""
    if target is None:
        return explain(torch.arange(n), explained)
    index = torch.as_tensor(target).cpu()
    if index.numel() != 1 and index.shape != (n,):
        raise ValueError(f"target has shape {tuple(index.shape)} for {n} series: one number, or one for each.")
    index = index.flatten().expand(n)
    groups = [torch.nonzero(index == one)[:, 0] for one in torch.unique(index)]
    found = [explain(rows, only(int(index[rows[0]]), explained)) for rows in groups]
    place = torch.cat(groups).argsort()
    return tuple(torch.cat(each)[place.to(each[0].device), 0] for each in zip(*found, strict=True))


def _only(inputs: Inputs) -> Float[Tensor, "n c t"]:
    if isinstance(inputs, Tensor):
        return inputs
    if len(inputs) != 1:
        raise ValueError(f"inputs are {len(inputs)} tensors; an encoder of series takes one, (n, c, t).")
    return inputs[0]


def _reference(baselines: Baselines, x: Tensor) -> Tensor | None:
    one = baselines[0] if isinstance(baselines, tuple) else baselines
    if one is None:
        return None
    if not isinstance(one, Tensor):
        return torch.full_like(x, float(one))
    return one.expand_as(x) if one.ndim == 3 and len(one) == 1 else one
