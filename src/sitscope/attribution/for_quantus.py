"""How do I score this with Quantus? An `explain_func` for its metrics.

    from quantus import FaithfulnessCorrelation
    metric = FaithfulnessCorrelation(subset_size=10)
    metric(encoder, x, y, explain_func=explain, softmax=False, explain_func_kwargs={"by": saliency})

x is numpy (n, c, t); y says for each series which value is explained, an embedding dimension where Quantus has a class.
What to mind, as Quantus 0.6 has classifiers of images in view:

- `softmax=True` is the default of ten of its metrics that take time series. The softmax of an embedding means nothing:
  give `softmax=False`, except to `EfficientMPRT`, which takes an entropy of the outputs (and wants `abs=True` besides).
  Where a metric asks which output is largest (Consistency, Sufficiency, the relative stabilities), its answer means
  little for an embedding; `return_nan_when_prediction_changes=False` keeps some from answering nothing.
- It refuses explanations that are all negative, or all alike. `absolute=True` ranks dates as this package does.
- It masks each band of each date by itself. `bands=True` tells them apart, for methods that do; metrics of localisation
  compare with a mask of dates and want `bands=False`.
- Defaults such as `subset_size=224`, `k=1000`, `num_classes=1000` are for images: give your own.
- Each batch is explained alone: give methods with a reference one, as the mean curve of a batch is not that of x, and
  a series that is alone in its batch is its own mean, with nothing to explain.
- `SmoothMPRT` explains by `quantus.explain`, whatever explain_func it is given; `BatchSufficiency` cannot shape any
  batch. tests/attribution/test_for_quantus.py shows a way around both.

This module does not import Quantus, which comes with the extra `sitscope[quantus]`.

n series, c bands, t dates, m values explained.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .gradslam import grad_slam
from .targets import Target, dimensions, only


class Explanation(Protocol):
    """What `grad_slam`, `path` and the controls give."""

    @property
    def merged(self) -> Float[Tensor, "n m t"]: ...


def explain(
    model: nn.Module,
    inputs: Float[np.ndarray, "n c t"] | Float[Tensor, "n c t"],
    targets: Int[np.ndarray, " n"] | Int[Tensor, " n"],
    *,
    by: Callable[..., Explanation] = grad_slam,
    of: Target = dimensions,
    bands: bool = False,
    absolute: bool = False,
    device: str | torch.device | None = None,
    **options: Any,
) -> Float[np.ndarray, "n _ t"]:
    """Importance of each date, in Quantus' form: what its `explain_func` is asked for.

    Args:
        model: the encoder.
        inputs: series, which are brought to the model's dtype and device.
        targets: which value is explained, for each series.
        by: the method: `grad_slam`, `path`, a control, or any callable (encoder, x, target=..., **options) -> `merged`.
        of: what targets is an index of: see `targets`.
        bands: importance of each band and date, where the method tells them apart.
        absolute: magnitudes.
        device: where to compute; None: where the model's parameters are.
        options: of the method.

    Returns:
        (n, 1, t), or (n, c, t) with `bands`, in the dtype of the model.

    Raises:
        As the method; ValueError where targets are not one number for each series, and for bands that
        the method does not tell apart.

    Example:
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(48, 3))
        >>> explain(encoder, np.ones((5, 2, 14)), np.array([0, 1, 2, 0, 0])).shape
        (5, 1, 14)
    """
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    given = inputs if isinstance(inputs, Tensor) else torch.from_numpy(np.array(inputs))  # it may be read-only
    x = given.to(device=like.device if device is None else device, dtype=like.dtype)
    index = np.asarray(targets.cpu() if isinstance(targets, Tensor) else targets)
    if index.shape != (len(x),):
        raise ValueError(f"targets have shape {index.shape} for {len(x)} series: one number for each is needed.")
    one = len(np.unique(index)) == 1
    # the whole batch at once, since a default reference is its mean
    found = by(model, x, target=only(int(index[0]), of) if one else of, **options)
    every = _bands(found, by) if bands else found.merged[:, :, None]  # (n, m, c or 1, t)
    pick = torch.from_numpy(np.zeros_like(index) if one else index).to(every.device, torch.long)
    if pick.min() < -every.shape[1] or pick.max() >= every.shape[1]:
        raise ValueError(f"targets reach from {index.min()} to {index.max()}: there are {every.shape[1]} values.")
    picked = every[torch.arange(len(x), device=every.device), pick]
    return (picked.abs() if absolute else picked).cpu().numpy()


def _bands(found: object, by: Callable[..., Explanation]) -> Float[Tensor, "n m c t"]:
    importance = getattr(found, "importance", None)
    if not isinstance(importance, Tensor):
        name = getattr(by, "__name__", repr(by))
        raise ValueError(f"{name} does not tell bands apart. Leave out bands=True, or explain by path.")
    return importance
