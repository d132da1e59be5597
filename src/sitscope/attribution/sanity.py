"""Does the explanation depend on what it claims to explain: the weights, the dimension, the series and not its noise?

n series, c bands, t dates, m values explained, l layers.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from random import Random

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .checks import check_importance, check_input
from .correlation import Correlation, spearman

Explain = Callable[[nn.Module, Float[Tensor, "n c t"]], Float[Tensor, "n m t"]]
"""(encoder, series) -> importance: any method, such as `lambda encoder, x: grad_slam(encoder, x).merged`."""

Order = Callable[[Sequence[str]], Sequence[str]]
"""Names of the layers with weights, in the order the encoder holds them -> in the order to randomise them."""


def bottom_up(layers: Sequence[str]) -> Sequence[str]:
    """From the series to the embedding: the first random layer garbles all later ones."""
    return layers


def top_down(layers: Sequence[str]) -> Sequence[str]:
    """From the embedding to the series, as first published; lower layers still hand on what they have learned."""
    return layers[::-1]


def of_magnitudes(a: Float[Tensor, "n m t"], b: Float[Tensor, "n m t"]) -> Float[Tensor, "n m"]:
    """Spearman's correlation of |maps|: are the same dates important, in whatever direction?"""
    return spearman(a.abs(), b.abs())


@dataclass(frozen=True)
class Cascade:
    """What becomes of the maps while one layer after another loses what it has learned."""

    layers: tuple[str, ...]
    """In the order in which they were randomised."""
    spearman: Float[Tensor, "l n m"]
    """Of the map before with the map after this layer, and all before it here, became random; of |maps| by default.
    NaN where either map is constant."""
    before: Float[Tensor, "n m t"]
    """Maps of the encoder as given."""
    after: Float[Tensor, "n m t"]
    """Maps with all layers random."""
    floor: Float[Tensor, "n m"]
    """The same between `after` and the map of a second random encoder. Two encoders that have nothing in common still
    share the series: contributions all have the factor (x - reference). No method falls below its floor."""

    @property
    def similarity(self) -> Float[Tensor, "l n m"]:
        """|Spearman|, in [0, 1]. Even of unrelated maps it is sqrt(2 / (pi (t - 1))) on average if their dates are
        independent, 0.10 for 61 dates, and more if they are smooth; means of `spearman` itself are free of that."""
        return self.spearman.abs()


def cascade(
    explain: Explain,
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    order: Order = bottom_up,
    correlation: Correlation = of_magnitudes,
    seed: int = 0,
) -> Cascade:
    """Randomise the layers one after another, and ask each time how much of the explanation is left.

    The cascading parameter randomisation test of Adebayo et al. 2018, arXiv 1810.03292, in the repaired order of
    Hedstrom et al. 2023, arXiv 2401.06465, bottom up. A method whose maps do not change explains the series, not the
    encoder. Layers are modules with weights of their own; they draw new ones as they did when they were made
    (`reset_parameters`), or, lacking that, normal ones of the same root mean square.

    Args:
        explain: the method: (encoder, x) -> (n, m, t).
        encoder: is copied, and stays as it is.
        order: `bottom_up` or `top_down`. Whatever the order, with all layers random the encoder is the same.
        correlation: `of_magnitudes`, or `correlation.spearman` to compare maps with their signs.
        seed: decides the new weights; torch's own generator stays where it was.

    Raises:
        TypeError, ValueError: what every method raises for encoder and series; the encoder has no weights; or the maps
            are not (n, m, t) or not finite.

    Example:
        >>> def gradient(encoder, x):
        ...     x = x.clone().requires_grad_()
        ...     return torch.autograd.grad(encoder(x).sum(), x)[0]
        >>> _ = torch.manual_seed(0)
        >>> encoder = nn.Sequential(nn.Conv1d(1, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(4 * 28, 1))
        >>> found = cascade(gradient, encoder, torch.randn(5, 1, 30))
        >>> found.layers, found.similarity.shape
        (('0', '3'), torch.Size([2, 5, 1]))
    """
    check_input(encoder, x, batch=1)
    before = _explained(explain, encoder, x)
    layers, rows, after = [], [], before
    for layer, randomised in _randomised(encoder, order, seed):
        after = _explained(explain, randomised, x)
        layers.append(layer)
        rows.append(correlation(before, after))
    if not layers:
        raise ValueError("the encoder has no weights, so that none can be randomised.")
    *_, (_, second) = _randomised(encoder, order, seed + 1)
    floor = correlation(after, _explained(explain, second, x))
    return Cascade(tuple(layers), torch.stack(rows), before, after, floor)


def emprt(before: Float[Tensor, "n m t"], after: Float[Tensor, "n m t"], bins: int = 100) -> Float[Tensor, "n m"]:
    """How much more complex maps are once the encoder is random: positive if the explanation had learned something.

        eMPRT = (H(after) - H(before)) / H(before),      H: `histogram_entropy`

    The efficient model parameter randomisation test of Hedstrom et al. 2023, arXiv 2401.06465, as Quantus has it.
    NaN where the map was constant, H(before) = 0.

    Args:
        before, after: maps of the encoder as it is and with all its layers random, such as a `Cascade` has.
        bins: of the histogram.

    Raises:
        TypeError, ValueError: the maps are not (n, m, t), not finite, or not of one shape.

    Example:
        >>> a = torch.tensor([[[0.0, 0.0, 0.0, 1.0]]])
        >>> emprt(a, torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]))
        tensor([[0.2326]])
    """
    if before.shape != after.shape:
        raise ValueError(f"maps before are {tuple(before.shape)} and after {tuple(after.shape)}; they must be alike.")
    a, b = histogram_entropy(before, bins), histogram_entropy(after, bins)
    return ((b - a) / a).where(a > 0, torch.nan)


def histogram_entropy(maps: Float[Tensor, "n m t"], bins: int = 100) -> Float[Tensor, "n m"]:
    """Entropy, in nats, of how the values of a map spread over `bins` equal bins from its least to its greatest.

    Raises: as `emprt`, and ValueError for fewer than one bin.

    Example:
        >>> histogram_entropy(torch.tensor([[[0.0, 0.1, 0.9, 1.0], [2.0, 2.0, 2.0, 2.0]]]), bins=2).exp()
        tensor([[2., 1.]])
    """
    check_importance(maps)
    if bins < 1:
        raise ValueError(f"bins = {bins}; at least one is needed.")
    values = maps.double().contiguous()  # the bin of a value must not hang on how it was rounded
    low, high = values.amin(-1, keepdim=True), values.amax(-1, keepdim=True)
    edges = torch.arange(bins + 1, dtype=values.dtype, device=values.device) * ((high - low) / bins) + low
    edges[..., -1:] = high
    # each bin holds its lower edge, the last one its upper edge too
    bin_ = (torch.searchsorted(edges, values, right=True) - 1).clamp(0, bins - 1)
    counts = torch.zeros(*values.shape[:2], bins, dtype=values.dtype, device=values.device)
    p = counts.scatter_add_(-1, bin_, torch.ones_like(values)) / values.shape[-1]
    return -torch.xlogy(p, p).sum(-1).to(maps.dtype)


def random_dimension(importance: Float[Tensor, "n m t"]) -> Float[Tensor, "n m"]:
    """How alike is the map of each value to that of another: mean |Spearman| of |maps|, over all others, in [0, 1].

    The random logit test of Sixt et al. 2020, arXiv 1912.09818, for embedding dimensions, and its expectation over
    the dimension drawn instead of one draw. Near 1: the map does not depend on what is explained. NaN where a map is
    constant.

    Raises:
        TypeError, ValueError: importance is not (n, m, t) or not finite, or has one value only.

    Example:
        >>> random_dimension(torch.tensor([[[1.0, 2.0, 3.0], [-20.0, -30.0, -10.0]]]))
        tensor([[0.5000, 0.5000]])
    """
    check_importance(importance)
    m = importance.shape[1]
    if m < 2:
        raise ValueError("there is one map of each series; the test compares two or more.")
    size = importance.abs()
    # of dimension i with the one k places on, k = 1 ... m - 1: every other one once
    others = torch.stack([spearman(size, size.roll(-k, dims=1)) for k in range(1, m)])
    return others.abs().mean(0)


def max_sensitivity(
    explain: Explain,
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    radius: float | Float[Tensor, " c"] | None = None,
    draws: int = 50,
    seed: int = 0,
) -> Float[Tensor, "n m"]:
    """How much the map can change though the series hardly does: 0 for not at all.

        max over draws of || a(x + noise) - a(x) || / || a(x) ||,      noise uniform in [-radius, radius]

    Max-sensitivity of Yeh et al. 2019, arXiv 1901.09392, relative to the map as in Captum and Quantus. All series meet
    the same noise, so that none depends on its neighbours. NaN for a map of zeros.

    Args:
        explain, encoder: as `cascade`.
        radius: in units of x, for all bands or for each; 0.02 of a band's standard deviation in x if left out, which
            does depend on all series given.
        draws: how often the series is disturbed.

    Raises:
        TypeError, ValueError: as `cascade`; fewer than one draw; the radius is not positive, or x is constant.

    Example:
        >>> encoder = nn.Sequential(nn.Flatten(), nn.Linear(30, 2))
        >>> squared = lambda encoder, x: x * x
        >>> (max_sensitivity(squared, encoder, torch.randn(5, 1, 30)) < 0.1).all()
        tensor(True)
    """
    check_input(encoder, x, batch=1)
    if draws < 1:
        raise ValueError(f"draws is {draws}; at least one is needed.")
    if radius is None:
        radius = 0.02 * x.std((0, 2))
    r = torch.as_tensor(radius, dtype=x.dtype, device=x.device).reshape(-1, 1)  # (c, 1) or (1, 1)
    if not (r > 0).all():
        raise ValueError(f"radius is {r.flatten().tolist()}, in units of x; it must be positive in every band.")
    generator = torch.Generator().manual_seed(seed)
    still = _explained(explain, encoder, x)
    most = torch.zeros(still.shape[:2], dtype=still.dtype, device=still.device)
    for _ in range(draws):
        noise = 2 * torch.rand(x.shape[1:], generator=generator, dtype=torch.float64) - 1
        moved = _explained(explain, encoder, x + r * noise.to(x))
        most = torch.maximum(most, torch.linalg.vector_norm(moved - still, dim=-1))
    size = torch.linalg.vector_norm(still, dim=-1)
    return (most / size).where(size > 0, torch.nan)


def _explained(explain: Explain, encoder: nn.Module, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n m t"]:
    importance = explain(encoder, x)
    check_importance(importance)
    if len(importance) != len(x):
        raise ValueError(f"the method gives maps of {len(importance)} series for {len(x)}.")
    return importance.detach()


def _randomised(encoder: nn.Module, order: Order, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """One copy of the encoder, in which one layer more is random each time."""
    copy = deepcopy(encoder)
    modules = dict(copy.named_modules())
    weighted = [name for name, module in modules.items() if any(True for _ in module.parameters(recurse=False))]
    for name in order(weighted):
        _randomise(modules[name], Random(f"{seed} {name}").getrandbits(63))  # the same weights in any order
        yield name, copy


def _randomise(layer: nn.Module, seed: int) -> None:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)  # and not torch.manual_seed, which would seed accelerators as well
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset):
            device = next(layer.parameters(recurse=False)).device
            layer.cpu()
            reset()
            layer.to(device)
            return
        for weights in layer.parameters(recurse=False):
            size = weights.double().square().mean().sqrt()
            weights.copy_(torch.randn(weights.shape, dtype=torch.float64).to(weights) * size.to(weights))
