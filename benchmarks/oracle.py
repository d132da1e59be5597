"""Does Grad-SLAM agree with an implementation that is not ours? Captum's LayerGradCam, on random encoders.

With `relu_attributions=False` Captum computes Eqs. 3 and 4 for one layer and one dimension. Every layer and dimension
of each random encoder is compared; an error is relative to the largest magnitude of the map it lies in. In float32 a
few series sit on a kink of ReLU or max-pooling, where any two implementations part: hence the percentile there.

    python benchmarks/oracle.py [encoders]    the last line is JSON
"""

import copy
import json
import random
import sys
import time

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from sitscope.attribution import taps
from sitscope.attribution.gradslam import grad_slam

TAPS = (taps.block_output, taps.convolution_output, taps.pool_output)


class Residual(nn.Module):
    """x + inner(x); the sum written into inner's own output, if in place."""

    def __init__(self, inner: nn.Module, inplace: bool) -> None:
        super().__init__()
        self.inner = inner
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner(x)
        return h.add_(x) if self.inplace else h + x


class OverTime(nn.Module):
    """(n, k, t) -> (n, k): the mean over time, as a dense layer's input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(-1)


def random_encoder(seed: int, n: int = 3) -> tuple[nn.Module, Tensor]:
    """An encoder of 1-4 blocks in eval mode, and n series for it, in float64."""
    torch.manual_seed(seed)
    draw = random.Random(seed)
    x = torch.randn(n, draw.randint(1, 3), draw.randint(16, 48), dtype=torch.float64)
    steps = nn.Sequential()
    h = x
    for _ in range(draw.randint(1, 4)):
        block = _random_block(draw, h.shape[1], draw.choice((h.shape[1], draw.randint(1, 8)))).double().eval()
        try:
            h_next = block(h)
        except RuntimeError:
            break  # too short for another block
        if h_next.shape[2] < 2:
            break
        h = h_next
        steps.append(block)
    if not steps:
        return random_encoder(seed + 1_000_000, n)
    steps.extend(_random_head(draw, h))
    return steps.double().eval(), x


def _random_activation(draw: random.Random) -> nn.Module:
    inplace = draw.random() < 0.4
    return draw.choice((lambda: nn.ELU(inplace=inplace), lambda: nn.ReLU(inplace=inplace), nn.GELU))()


def _random_block(draw: random.Random, k_in: int, k: int) -> nn.Sequential:
    width, dilation = draw.choice((1, 3, 5)), draw.choice((1, 1, 2))
    if residual := (k == k_in and draw.random() < 0.5):
        stride, padding = 1, dilation * (width // 2)  # the sum needs the same shape
    else:
        stride, padding = draw.choice((1, 1, 2)), draw.choice((0, dilation * (width // 2)))
    inner: nn.Module = nn.Conv1d(k_in, k, width, stride, padding, dilation)
    if draw.random() < 0.3:
        inner = nn.Sequential(inner, _random_norm(k))
    steps = [Residual(inner, draw.random() < 0.5) if residual else inner, _random_activation(draw)]
    if draw.random() < 0.6:
        steps.insert(draw.choice((1, 2)), draw.choice((nn.MaxPool1d, nn.AvgPool1d))(2))
    return nn.Sequential(*steps)


def _random_norm(k: int) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(k)
    for statistic in (norm.running_mean, norm.weight, norm.bias):
        nn.init.normal_(statistic)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


def _random_head(draw: random.Random, h: Tensor) -> list[nn.Module]:
    d = draw.randint(1, 8)
    flat = OverTime() if draw.random() < 0.2 else nn.Flatten()
    width = flat(h).shape[1]
    if draw.random() < 0.5:
        return [flat, nn.Linear(width, d)]
    return [flat, nn.Linear(width, 6), _random_activation(draw), nn.Linear(6, d)]


def captum_map(encoder: nn.Module, x: Tensor, module: str, d: int) -> Tensor:
    """One layer's map (n, d, t_layer): one call, each series repeated for each dimension."""
    plain = copy.deepcopy(encoder)
    for each in plain.modules():  # Captum keeps the tensor itself: an in-place operation would rewrite it
        if hasattr(each, "inplace"):
            each.inplace = False
    repeated = x.repeat_interleave(d, 0).requires_grad_()
    target = list(range(d)) * len(x)
    cam = LayerGradCam(plain, plain.get_submodule(module))
    cells = cam.attribute(repeated, target, relu_attributions=False)  # (n d, 1, t_layer)
    return cells.detach().view(len(x), d, -1)


def errors(encoder: nn.Module, x: Tensor, tap: taps.Tap) -> list[Tensor]:
    """|ours - Captum's| / largest magnitude of Captum's map: one tensor (n, d, t_layer) per layer."""
    found = grad_slam(encoder, x, _pooled(encoder) if tap is taps.pool_output else None, tap=tap)
    each = []
    for layer, ours in found.maps.items():
        theirs = captum_map(encoder, x, found.tapped[layer], ours.shape[1])
        largest = theirs.abs().amax(-1, keepdim=True)
        each.append((ours - theirs).abs() / largest.where(largest > 0, 1))
    return each


def _pooled(encoder: nn.Module) -> list[str]:
    """Names of the convolutions in blocks that pool."""
    pooled = [name for name, block in encoder.named_children() if any(_pools(step) for step in block.children())]
    return [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Conv1d) and name.split(".")[0] in pooled
    ]


def _pools(step: nn.Module) -> bool:
    return isinstance(step, nn.MaxPool1d | nn.AvgPool1d)


def compare(encoders: int) -> dict[str, float]:
    """The largest error in float64, the 99.9th percentile in float32, over encoders 0, 1, ..."""
    double: list[Tensor] = []
    single: list[Tensor] = []
    for seed in range(encoders):
        encoder, x = random_encoder(seed)
        tap = TAPS[seed % len(TAPS)]
        if tap is taps.pool_output and not _pooled(encoder):
            tap = taps.block_output
        double += errors(encoder, x, tap)
        single += errors(encoder.float(), x.float(), tap)
    in_double, in_single = (torch.cat([error.flatten() for error in each]) for each in (double, single))
    return {
        "encoders": encoders,
        "comparisons": sum(error.shape[0] * error.shape[1] for error in double),
        "values": in_double.numel(),
        "max_error_float64": float(in_double.max()),
        "p999_error_float32": float(in_single.quantile(0.999)),
        "max_error_float32": float(in_single.max()),
        "share_above_1e-5_float32": float((in_single > 1e-5).double().mean()),
    }


def main() -> None:
    start = time.perf_counter()
    found = compare(int(sys.argv[1]) if len(sys.argv) > 1 else 330)
    print(json.dumps(found | {"seconds": round(time.perf_counter() - start, 1)}))


if __name__ == "__main__":
    main()
