"""What must an explanation beat? Chance, activation without gradient, occlusion, and the gradient methods in use.

Each control has the call shape of `grad_slam`, (encoder, x, *, target, batch, ...), so that one table holds them all.
Some read feature maps, as Grad-SLAM does: `activation_only`, `grad_cam`, `element_wise`, `grad_lam`. The others see
only the input: `random_order`, `saliency`, `occlusion`, `integrated_gradients`, `gee`. What these explain is
v(x) = target(encoder(x), x) as a function of the series, wherever x comes into it.

n series, c bands, t dates, d embedding dimensions, m values explained.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from . import gradslam, merging, taps
from .checks import check_input
from .passes import gradients_of, values_of
from .path import reference_for
from .targets import Target, dimensions, reconstruction_error

Reference = Float[Tensor, "c t"] | Float[Tensor, "n c t"] | None
"""The series that importance is measured from: one for all, one for each; None: the mean curve of those explained."""


@dataclass(frozen=True)
class Control:
    """What a control found, on the device and in the dtype of the series."""

    merged: Float[Tensor, "n m t"]
    """One importance per date."""
    values: Float[Tensor, "n m"]
    """What is explained."""
    importance: Float[Tensor, "n m c t"] | None = None
    """The same by band and date, signed, where the method tells bands apart."""


class Choices(TypedDict, total=False):
    """The choices of `grad_slam` for controls that read feature maps, with its defaults."""

    tap: taps.Tap
    scale: merging.Scale
    upsample: merging.Upsample
    merge: merging.Merge
    sign: merging.Sign
    dates: Any
    batch: int


class WithTarget(Choices, total=False):
    """And what is explained."""

    target: Target


def activation_only(
    encoder: nn.Module, x: Float[Tensor, "n c t"], layers: taps.Layers = None, **choices: Unpack[WithTarget]
) -> Control:
    """L_t = (1/k) sum_k A_t^k, where the encoder is active, whatever is explained (LaFAM).

    Every one of the m values gets the same map. A method that does no better says nothing about them. Args, Raises: see
    `grad_slam`.

    Example:
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(48, 3))
        >>> found = activation_only(encoder, torch.randn(5, 2, 14))
        >>> found.merged.shape, bool((found.merged[:, 0] == found.merged[:, 2]).all())
        (torch.Size([5, 3, 14]), True)
    """
    return _by_layers(encoder, x, layers, gradslam.activation_only, **choices)


def grad_cam(
    encoder: nn.Module, x: Float[Tensor, "n c t"], layers: taps.Layers = None, **choices: Unpack[WithTarget]
) -> Control:
    """L_t = ReLU(sum_k alpha_k A_t^k), alpha_k = (1/t) sum_t dv/dA_t^k: Grad-CAM, Eqs. 1 and 2 of the letter.

    Only what raises a value counts: right for a class against its rivals, not for an embedding dimension, whose sign
    means nothing. The encoder may also be a classifier, whose values are class logits. Args, Raises: see `grad_slam`.

    Example: why class 1 of a classifier of 4.
        >>> classifier = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
        >>> found = grad_cam(classifier, torch.randn(5, 2, 14), target=lambda logits, x: logits[:, [1]])
        >>> found.merged.shape, bool((found.merged >= 0).all())
        (torch.Size([5, 1, 14]), True)
    """
    return _by_layers(encoder, x, layers, _rectified, **choices)


def element_wise(
    encoder: nn.Module, x: Float[Tensor, "n c t"], layers: taps.Layers = None, **choices: Unpack[WithTarget]
) -> Control:
    """L_t = sum_k dv/dA_t^k A_t^k: every cell keeps its own weight (HiResCAM), signed. Args, Raises: see `grad_slam`.

    Example:
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(48, 3))
        >>> element_wise(encoder, torch.randn(5, 2, 14)).merged.shape
        torch.Size([5, 3, 14])
    """
    return _by_layers(encoder, x, layers, gradslam.element_wise, **choices)


def grad_lam(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    layers: taps.Layers = None,
    *,
    decoder: nn.Module,
    **choices: Unpack[Choices],
) -> Control:
    """Grad-CAM of an autoencoder as a whole, its embedding dimensions weighted by the decoder: one map, m = 1.

        L_t = ReLU(sum_k alpha_k A_t^k),  alpha_k = sum_d w_d alpha_k^d,  w_d = d(1/2 |decoder(e)|^2)/de^d

    with alpha_k^d of Eq. 4. Published as Grad-LAM (DOI 10.23919/Eusipco47968.2020.9287730) are the idea of Grad-CAM
    for autoencoders and a weighting "based on the knowledge of the autoencoder's decoder". How it weights we could not
    find: **these w_d are ours**. They let no choice of axes for the embedding matter, as the decoder undoes it. The
    value explained is half the squared norm of the reconstruction: for standardised series, how far from the mean one.

    Args, Raises: see `grad_slam`; decoder: (n, d) -> (n, ...), in eval mode, takes the place of a target.

    Example:
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(48, 3))
        >>> decoder = nn.Sequential(nn.Linear(3, 28), nn.Unflatten(1, (2, 14)))
        >>> grad_lam(encoder, torch.randn(5, 2, 14), decoder=decoder).merged.shape
        torch.Size([5, 1, 14])
    """

    def energy(e: Float[Tensor, "n d"], series: Float[Tensor, "n c t"]) -> Float[Tensor, "n 1"]:
        return decoder(e).flatten(1).square().sum(1, keepdim=True) / 2

    return _by_layers(encoder, x, layers, _rectified, target=energy, **choices)


def _rectified(gradient: Float[Tensor, "n k t"], activation: Float[Tensor, "n k t"]) -> Float[Tensor, "n t"]:
    return gradslam.letter(gradient, activation).clamp(min=0)


def _by_layers(
    encoder: nn.Module, x: Tensor, layers: taps.Layers, alpha: gradslam.Alpha, **choices: Unpack[WithTarget]
) -> Control:
    found = gradslam.grad_slam(encoder, x, layers, alpha=alpha, **choices)
    return Control(found.merged, found.values)


@torch.inference_mode(False)
def random_order(
    encoder: nn.Module, x: Float[Tensor, "n c t"], *, target: Target = dimensions, batch: int = 256, seed: int = 0
) -> Control:
    """Importances drawn from [0, 1): what any order of the dates achieves.

    A series' numbers come from its own content and the seed, so that they do not depend on its company in a batch.
    Raises what `grad_slam` raises for encoder, x, batch and target.

    Example:
        >>> encoder = nn.Sequential(nn.Flatten(), nn.Linear(28, 3))
        >>> x = torch.randn(5, 2, 14)
        >>> whole, part = random_order(encoder, x).merged, random_order(encoder, x[3:]).merged
        >>> whole.shape, torch.equal(whole[3:], part)
        (torch.Size([5, 3, 14]), True)
    """
    values = values_of(encoder, x, target, batch)
    m, t = values.shape[1], x.shape[2]
    merged = x.new_empty(len(x), m, t)
    for row, series in zip(merged, x.detach().cpu(), strict=True):
        row.copy_(torch.rand(m, t, dtype=torch.float64, generator=_generator(series, seed)))
    return Control(merged, values)


@torch.inference_mode(False)
def saliency(
    encoder: nn.Module, x: Float[Tensor, "n c t"], *, target: Target = dimensions, batch: int = 256
) -> Control:
    """sum_c |dv/dx_ct|: how sensitive each value is to each date, without sign. `importance` holds dv/dx, signed.

    Raises what `grad_slam` raises for encoder, x, batch and target.

    Example:
        >>> encoder = nn.Sequential(nn.Flatten(), nn.Linear(28, 3))
        >>> found = saliency(encoder, torch.randn(5, 2, 14))
        >>> found.merged.shape, found.importance.shape
        (torch.Size([5, 3, 14]), torch.Size([5, 3, 2, 14]))
    """
    check_input(encoder, x, batch)
    parts = [gradients_of(encoder, part, target) for part in torch.split(x, batch)]
    bands, values = (torch.cat(each) for each in zip(*parts, strict=True))
    return Control(bands.abs().sum(2), values, bands)


def gee(encoder: nn.Module, x: Float[Tensor, "n c t"], *, decoder: nn.Module, batch: int = 256) -> Control:
    """sum_c |dE/dx_ct|: which dates make a series an anomaly, E its reconstruction error. One map, m = 1.

    GEE (arXiv:1903.06661) is the gradient of a variational autoencoder's objective with respect to the
    input, a fingerprint of the anomaly. **Ours is to take the mean squared error as the objective**, which is what a
    plain autoencoder has, and to sum magnitudes over bands; `importance` holds the signed gradient, the fingerprint
    itself. The series comes into E twice, as input and as what is to be reconstructed; the gradient is of both.

    Args, Raises: see `grad_slam`; decoder: (n, d) -> (n, c, t), in eval mode, takes the place of a target.

    Example:
        >>> encoder = nn.Sequential(nn.Flatten(), nn.Linear(28, 3))
        >>> decoder = nn.Sequential(nn.Linear(3, 28), nn.Unflatten(1, (2, 14)))
        >>> gee(encoder, torch.randn(5, 2, 14), decoder=decoder).merged.shape
        torch.Size([5, 1, 14])
    """
    return saliency(encoder, x, target=reconstruction_error(decoder), batch=batch)


@torch.inference_mode(False)
def occlusion(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    reference: Reference = None,
    *,
    target: Target = dimensions,
    batch: int = 256,
) -> Control:
    """v(x) - v(x with date t, all bands, taken from a reference series), for each t. Asks for no gradient.

    Args:
        reference: None, the mean curve, depends on all of x.
        batch: series at a time, of the n t occluded ones.

    Raises what `grad_slam` raises for encoder, x, batch and target; ValueError for a reference of another shape.

    Example: a date that an encoder does not read has no importance.
        >>> encoder = nn.Sequential(nn.Flatten(), nn.Linear(28, 3))
        >>> with torch.no_grad():
        ...     encoder[1].weight.view(3, 2, 14)[..., 5] = 0
        >>> found = occlusion(encoder, torch.randn(5, 2, 14)).merged
        >>> found.shape, float(found[..., 5].abs().max()) < 1e-5
        (torch.Size([5, 3, 14]), True)
    """
    values = values_of(encoder, x, target, batch)
    n, t = len(x), x.shape[2]
    reference = reference_for(x.detach(), reference)  # (n, c, t)
    pairs = torch.arange(n * t, device=x.device)
    occluded = []
    for pair in torch.split(pairs, batch):
        which, date = pair // t, pair % t
        series = x.detach()[which]
        series[torch.arange(len(pair), device=x.device), :, date] = reference[which, :, date]
        occluded.append(values_of(encoder, series, target, batch))
    without = torch.cat(occluded).view(n, t, values.shape[1])
    return Control((values[:, None] - without).transpose(1, 2), values)  # (n, t, m) -> (n, m, t)


@torch.inference_mode(False)
def integrated_gradients(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    reference: Reference = None,
    *,
    target: Target = dimensions,
    nodes: int = 64,
    batch: int = 256,
) -> Control:
    """(x - r)_ct int_0^1 dv/dx_ct(r + s (x - r)) ds, over Gauss-Legendre nodes; `merged` sums it over bands.

    Sums over bands and dates to v(x) - v(r), but for the error of the quadrature (Sundararajan et al. 2017).

    Args:
        reference: r; None, the mean curve, depends on all of x.
        nodes: forward and backward passes.

    Raises what `grad_slam` raises for encoder, x, batch and target; ValueError for a reference of another shape and
    for fewer than one node.

    Example:
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(48, 3)).double()
        >>> x = torch.randn(5, 2, 14).double()
        >>> found = integrated_gradients(encoder, x)
        >>> shift = encoder(x) - encoder(x.mean(0, keepdim=True))
        >>> found.importance.shape, torch.allclose(found.merged.sum(-1), shift, atol=1e-3)
        (torch.Size([5, 3, 2, 14]), True)
    """
    check_input(encoder, x, batch)
    if nodes < 1:
        raise ValueError(f"nodes is {nodes}; at least one is needed.")
    at, weight = np.polynomial.legendre.leggauss(nodes)  # on [-1, 1]
    values, bands = values_of(encoder, x, target, batch), []
    for part, r in zip(
        torch.split(x.detach(), batch), torch.split(reference_for(x.detach(), reference), batch), strict=True
    ):
        total = part.new_zeros(())
        for s, w in zip((at + 1) / 2, weight / 2, strict=True):
            total = total + float(w) * gradients_of(encoder, r + float(s) * (part - r), target)[0]
        bands.append(total * (part - r)[:, None])
    whole = torch.cat(bands)  # (n, m, c, t)
    return Control(whole.sum(2), values, whole)


def _generator(series: Float[Tensor, "c t"], seed: int) -> torch.Generator:
    content = series.double().numpy().tobytes() + str(seed).encode()
    return torch.Generator().manual_seed(int.from_bytes(blake2b(content, digest_size=7).digest(), "little"))
