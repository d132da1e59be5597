"""Which dates made this embedding? Grad-SLAM, for every layer and every dimension from one forward pass.

Method: T. Di Martino, R. Guinvarc'h, L. Thirion-Lefevre, E. Colin, "Grad-SLAM: Explaining Convolutional Autoencoders'
Latent Space of Satellite Image Time Series", IEEE GRSL 20, 2023, DOI 10.1109/LGRS.2023.3302906, Eqs. 3 and 4.

n series, c bands, t dates, d embedding dimensions, m values explained (the embedding dimensions by default),
k filters, t_layer cells of a layer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from . import alignment, merging, taps
from .checks import check_input, check_values
from .graph import geometries
from .targets import Target, dimensions

Alpha = Callable[[Float[Tensor, "n k t"], Float[Tensor, "n k t"]], Float[Tensor, "n t"]]
"""(de^d/dA, A) of one layer and one dimension -> the layer's map for that dimension."""


def letter(gradient: Float[Tensor, "n k t"], activation: Float[Tensor, "n k t"]) -> Float[Tensor, "n t"]:
    """Eq. 3, L_t = sum_k alpha_k A_t^k, with the weights of Eq. 4, alpha_k = (1/t) sum_t de/dA_t^k."""
    alpha = gradient.mean(-1)  # (n, k)
    return torch.einsum("nk,nkt->nt", alpha, activation)


def element_wise(gradient: Float[Tensor, "n k t"], activation: Float[Tensor, "n k t"]) -> Float[Tensor, "n t"]:
    """L_t = sum_k de/dA_t^k A_t^k: each cell keeps its own weight (HiResCAM)."""
    return torch.einsum("nkt,nkt->nt", gradient, activation)


def gradient_only(gradient: Float[Tensor, "n k t"], activation: Float[Tensor, "n k t"]) -> Float[Tensor, "n t"]:
    """L_t = sum_k de/dA_t^k: where the embedding is sensitive, whatever the activation."""
    return gradient.sum(1)


def activation_only(gradient: Float[Tensor, "n k t"], activation: Float[Tensor, "n k t"]) -> Float[Tensor, "n t"]:
    """L_t = (1/k) sum_k A_t^k: a control that ignores the dimension (LaFAM). A good map must differ from it."""
    return activation.mean(1)


@dataclass(frozen=True)
class GradSlam:
    """What `grad_slam` found, on the device and in the dtype of the series."""

    maps: dict[str, Float[Tensor, "n m _"]]
    """By layer, in running order: L_t^d of Eq. 3 (n, m, t_layer), not scaled nor upsampled, in units of the values."""
    merged: Float[Tensor, "n m t"]
    """One value per date. With the default choices a contribution in [-1, 1]."""
    embedding: Float[Tensor, "n d"]
    """e, from the same forward pass."""
    values: Float[Tensor, "n m"]
    """What is explained: the embedding, or what the target makes of it."""
    tapped: dict[str, str]
    """By layer: the module whose output was read as its feature maps."""
    placed: dict[str, alignment.Placed]
    """By layer: centre and width of the receptive field of each cell, whatever the upsampling. A layer whose geometry
    is unknown is not in it."""


def grad_slam(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    layers: taps.Layers = None,
    *,
    target: Target = dimensions,
    tap: taps.Tap = taps.block_output,
    alpha: Alpha = letter,
    scale: merging.Scale = merging.max_abs,
    upsample: merging.Upsample = alignment.receptive_field,
    merge: merging.Merge = merging.mean,
    sign: merging.Sign = merging.signed,
    dates: Any = None,
    batch: int = 256,
) -> GradSlam:
    """How much each date contributes to each embedding dimension: Eqs. 3 and 4 of DOI 10.1109/LGRS.2023.3302906.

        alpha_k^d = (1/t) sum_t de^d/dA_t^k    (4)
        L_t^d     = sum_k alpha_k^d A_t^k      (3)   signed, without ReLU

    for every layer; then each layer's map is scaled, brought to the dates, and merged with the others'. All layers and
    dimensions share one forward pass per batch. The encoder is left as it was: hooks, flags, gradients, parameters.

    Args:
        encoder: any module that maps series (n, c, t) to embeddings (n, d) with 1-D convolutions. Batch-norm and
            dropout must be in eval mode.
        x: series, as the encoder takes them (scaled, not in dB, if it was trained so).
        layers: every convolution that runs (None), names or modules, or a function that selects among the names of the
            convolutions in running order, such as `taps.last`. A module that is no convolution is read at its own
            output.
        target: what is explained: `targets.dimensions`, `distance`, `margin`, `reconstruction_error`, `reconstruction`,
            or any function of embedding (n, d) and series that gives values (n, m).
        tap: where in a convolution's block the feature maps A are read: `taps.block_output` (what feeds the next
            layer), `taps.convolution_output`, `taps.pool_output`. What a block is: see `taps`.
        alpha: `letter` (Eqs. 3 and 4), `element_wise`, `gradient_only`, `activation_only`.
        scale: `merging.max_abs`, `min_max`, `l1`, `l2`, `none`: per series, dimension and layer.
        upsample: from a layer's cells to the dates: `alignment.receptive_field`, each cell at the centre of the dates
            it sees; or `merging.linear`, `linear_aligned`, `nearest`, which know only how many cells there are and may
            be wrong by several dates.
        merge: `merging.mean`, `total`, `maximum`, `product`: over layers.
        sign: `merging.signed`, `absolute_after`, `absolute_before` (the merge), `positive`, `negative`.
        dates: when the series were acquired, increasing: (t,) datetime64, or numbers in days. Evenly spaced if None.
            Only `alignment.receptive_field` minds.
        batch: series at a time. The result does not depend on it, the speed does: on a CPU 64 to 512 are alike, since
            they stay in cache, and larger ones slower.

    Raises:
        TypeError: the encoder is no module, x no floating-point tensor, the embedding no tensor, the dates neither
            datetime64 nor numbers, or `layers` names something that is neither name nor module.
        ValueError: x is not (n, c, t); the embedding is not (n, d); no convolution ran; a layer is unknown, did not
            run, ran twice, gives no (n, k, t), or does not influence the embedding; the tap found nothing in a block;
            batch-norm or dropout in train mode.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> _ = torch.manual_seed(0)
        >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.MaxPool1d(2), nn.ELU(), nn.Flatten(), nn.Linear(24, 3))
        >>> found = grad_slam(encoder, torch.randn(10, 2, 14))
        >>> found.merged.shape, found.embedding.shape
        (torch.Size([10, 3, 14]), torch.Size([10, 3]))
        >>> {layer: tuple(cells.shape) for layer, cells in found.maps.items()}, found.tapped
        ({'0': (10, 3, 6)}, {'0': '2'})
        >>> found.placed["0"].centre.tolist()
        [1.5, 3.5, 5.5, 7.5, 9.5, 11.5]
    """
    check_input(encoder, x, batch)
    days = alignment.in_days(dates, x.shape[2])
    wanted, select = taps.chosen(encoder, layers)
    merged, embeddings, explained = [], [], []
    maps: dict[str, list[Tensor]] = {}
    tapped: dict[str, str] = {}
    layout: dict[str, alignment.Layer] = {}
    # both, since inference mode records nothing even where gradients are enabled
    with torch.inference_mode(False), torch.enable_grad():
        for part in torch.split(x, batch):
            with taps.reading(encoder, wanted, tap, len(part)) as heard:
                leaf = part.detach().clone().requires_grad_()
                e = encoder(leaf.clone())  # no leaf, so that the encoder may write into it
            check_values(e, len(part), "encoder", "embedding")
            values = target(e, part.detach())
            check_values(values, len(part), "target", "value")
            found = heard.found(select)
            if not layout:  # the same for every batch; before the backward pass frees the graph
                layout = _layout(found, get_gradient_edge(leaf), days)
                matrices = {layer: upsample(facts).to(x) for layer, facts in layout.items()}
            cells = _cells(values, found, alpha)
            on_dates = torch.stack([scale(cell) @ matrices[layer].T for layer, cell in cells.items()])
            merged.append(sign(on_dates, merge))  # (l, n, m, t) -> (n, m, t)
            embeddings.append(e.detach())
            explained.append(values.detach())
            for layer, cell in cells.items():
                maps.setdefault(layer, []).append(cell)
            tapped = {layer: read.module for layer, read in found.items()}
        whole = {layer: torch.cat(parts) for layer, parts in maps.items()}
        placed = {layer: alignment.placed(facts) for layer, facts in layout.items() if facts.geometry is not None}
        return GradSlam(whole, torch.cat(merged), torch.cat(embeddings), torch.cat(explained), tapped, placed)


def _layout(
    found: dict[str, taps.FeatureMap], series: GradientEdge, days: Float[Tensor, " t"]
) -> dict[str, alignment.Layer]:
    """What an upsampling is told of each layer."""
    known = geometries({layer: read.edge for layer, read in found.items()}, series)
    layout = {}
    for layer, read in found.items():
        seen = known[layer]
        geometry, unknown = (None, seen) if isinstance(seen, str) else (seen, "")
        layout[layer] = alignment.Layer(layer, read.values.shape[2], days, geometry, unknown)
    return layout


def _cells(
    values: Float[Tensor, "n m"], found: dict[str, taps.FeatureMap], alpha: Alpha
) -> dict[str, Float[Tensor, "n m _"]]:
    """L_t^d of every layer: one backward pass per value, which serves all layers at once."""
    edges = [read.edge for read in found.values()]
    rows: dict[str, list[Tensor]] = {layer: [] for layer in found}
    m = values.shape[1]
    for i in range(m):
        # each series' values depend on its own maps only, so that the gradient of the sum is that of each
        gradients = torch.autograd.grad(values[:, i].sum(), edges, retain_graph=i < m - 1, allow_unused=True)
        for (layer, read), gradient in zip(found.items(), gradients, strict=True):
            if gradient is None:
                raise ValueError(f"layer {layer!r} does not influence the embedding. Leave it out of layers.")
            rows[layer].append(alpha(gradient, read.values))
    return {layer: torch.stack(row, dim=1) for layer, row in rows.items()}  # m times (n, t_layer)
