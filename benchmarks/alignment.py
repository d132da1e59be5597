"""Do layer cells lie where they look? Placement against what random chains of convolution and pooling truly see.

Each configuration is a chain of 1-4 convolutions and poolings over a season of 61 dates: strides, dilation, padding,
'same' padding of even kernels, residual sums, modules and functional calls. It is built twice. Grad-SLAM explains the
one with random weights and max-pooling, and finds the placement of each layer from its autograd graph. In the other all
weights are 1 and pooling is by mean, so that impulses at each date, sent through it, say which dates each cell sees.

The true centre of a cell is measured where nothing cuts its field off: on a season that is long enough, the last date
that the first cell sees, less half the width of the widest field, and from there by the distance of two fields. The
estimated centre is measured on the placement itself: an impulse in a cell, brought to the dates, gives way to that of
the next cell half-way between their centres.

    python -m benchmarks.alignment [configurations]    the last line is JSON
"""

import json
import random
import sys
import time
import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sitscope.attribution import merging
from sitscope.attribution.alignment import Layer
from sitscope.attribution.gradslam import grad_slam

T = 61
LONG = 500
"""Dates of a season in which some field of each layer is cut off nowhere."""
FEWEST = 3
"""Cells of the last layer: the border between two cells says where they lie if there are two borders."""


@dataclass(frozen=True)
class Step:
    """One convolution or pooling of a chain."""

    kind: str
    """conv, same, residual (of a convolution that keeps the length), max, mean."""
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    functional: bool = False
    """Called as a function, so that only the autograd graph knows of it."""


class Block(nn.Module):
    """A step (n, k, t) -> (n, k, t'): with random weights, or so that it only measures what is seen."""

    def __init__(self, step: Step, bands: int, filters: int, measure: bool) -> None:
        super().__init__()
        self.step, self.measure = step, measure
        if step.kind in ("conv", "same", "residual"):
            how = {"stride": step.stride, "dilation": step.dilation}
            padding = step.padding if step.kind == "conv" else "same"
            self.conv = nn.Conv1d(bands, filters, step.kernel, padding=padding, bias=not measure, **how)  # type: ignore[arg-type]
            if measure:
                nn.init.ones_(self.conv.weight)
        else:
            self.pool = (nn.MaxPool1d if step.kind == "max" and not measure else nn.AvgPool1d)(
                step.kernel, step.stride, step.padding
            )

    def forward(self, x: Tensor) -> Tensor:
        step = self.step
        if step.kind in ("max", "mean"):
            pool = F.max_pool1d if step.kind == "max" else F.avg_pool1d
            if step.functional and not self.measure:
                return pool(x, step.kernel, step.stride, step.padding)
            return self.pool(x)
        h = self.conv(x)
        if step.functional:
            padding = step.padding if step.kind == "conv" else "same"
            h = F.conv1d(x, self.conv.weight, self.conv.bias, step.stride, padding, step.dilation)
        if step.kind == "residual":
            h = h + x
        if self.measure:
            return h
        return F.elu(h) if step.functional else h.relu_()


def configuration(seed: int) -> list[Step]:
    """A chain that leaves a season of 61 dates at least 3 cells."""
    draw = random.Random(seed)
    while True:
        steps = [_step(draw) for _ in range(draw.randint(1, 4))]
        try:
            cells = _blocks(steps, measure=True)(torch.zeros(1, 1, T, dtype=torch.float64)).shape[2]
        except RuntimeError:  # too short for another step
            continue
        if cells >= FEWEST:
            return steps


def _step(draw: random.Random) -> Step:
    functional = draw.random() < 0.5
    kind = draw.choice(("conv", "conv", "conv", "same", "residual", "max", "mean"))
    kernel, dilation = draw.randint(1, 7), draw.choice((1, 1, 2, 3))
    if kind == "conv":
        padding = draw.choice((0, dilation * (kernel - 1) // 2, draw.randint(0, dilation * (kernel - 1) // 2)))
        return Step(kind, kernel, draw.choice((1, 1, 2, 3)), padding, dilation, functional)
    if kind in ("same", "residual"):
        return Step(kind, kernel, dilation=dilation, functional=functional)
    kernel = draw.randint(2, 4)
    return Step(kind, kernel, draw.randint(1, kernel), draw.choice((0, 0, kernel // 2)), functional=functional)


def _blocks(steps: list[Step], measure: bool) -> nn.Sequential:
    """The chain; measuring, with one filter; else with two bands and three filters."""
    blocks, bands = [], 1 if measure else 2
    for step in steps:
        keeps = step.kind in ("residual", "max", "mean")
        filters = bands if measure or keeps else 3
        blocks.append(Block(step, bands, filters, measure))
        bands = filters
    return nn.Sequential(*blocks).double()


def seen(steps: list[Step], t: int) -> list[Tensor]:
    """By layer (cells, t): which dates each cell sees."""
    h, layers = torch.eye(t, dtype=torch.float64)[:, None], []  # one impulse a date
    with torch.no_grad():
        for block in _blocks(steps, measure=True):
            h = block(h)
            h = (h > 0).double()  # no matter how much
            layers.append((h[:, 0] > 0).T)
    return layers


def true_fields(sees: Tensor, cells: int) -> tuple[np.ndarray, float]:
    """Centres of the first cells of a layer, and width of a field, from what all cells see of a long season."""
    first, last = _ends(sees)
    width = (last - first + 1).max()
    whole = np.flatnonzero(last - first + 1 == width)
    step = last[whole[1]] - last[whole[0]]
    return last[0] - (width - 1) / 2 + step * np.arange(cells), width


def _ends(sees: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """First and last date that each cell sees."""
    some = sees.numpy()
    return some.argmax(1), some.shape[1] - 1 - some[:, ::-1].argmax(1)


def impulse_centres(matrix: Tensor) -> np.ndarray:
    """Where impulses in the cells lie on the dates, of any placement (t, cells) of 3 or more evenly spaced cells."""
    borders = []
    for here, there in pairwise(matrix.numpy().T):
        dates = np.flatnonzero(here + there > 0)
        more = (there - here)[dates]
        i = max(int(np.argmax(more > -1e-12)), 1)  # the first date that takes no less of the next cell
        borders.append(np.interp(0.0, more[i - 1 : i + 1], dates[i - 1 : i + 1]))
    middle = [(one + other) / 2 for one, other in pairwise(borders)]
    return np.array([2 * borders[0] - middle[0], *middle, 2 * borders[-1] - middle[-1]])


def impulse_errors(matrix: Tensor, centres: np.ndarray) -> list[float]:
    """|estimated - true centre| of the cells whose centre padding has not pushed out of the season."""
    inside = (centres >= -0.5) & (centres <= T - 0.5)
    if inside.sum() < FEWEST:
        return []
    among = matrix[:, torch.from_numpy(inside)]
    total = among.sum(1, keepdim=True)
    return [*abs(impulse_centres(among / total.where(total > 0, 1)) - centres[inside])]


def errors(steps: list[Step], seed: int) -> dict[str, float]:
    """The greatest errors over all layers and cells of a chain, in acquisitions."""
    torch.manual_seed(seed)
    head = nn.Sequential(nn.Flatten(), nn.LazyLinear(1)).double()
    encoder = nn.Sequential(*_blocks(steps, measure=False), head)
    x = torch.randn(1, 2, T, dtype=torch.float64)
    encoder(x)
    found = grad_slam(encoder, x, [str(i) for i in range(len(steps))])
    dilated = any(step.dilation > 1 for step in steps)
    aligned, plain, field, outside, lost = ([0.0] for _ in range(5))
    impulses = 0
    for i, (short, long) in enumerate(zip(seen(steps, T), seen(steps, LONG), strict=True)):
        placed, cells = found.placed[str(i)], len(short)
        centres, width = true_fields(long, cells)
        measured = impulse_errors(placed.matrix, centres)
        impulses += len(measured)
        aligned += [*measured, *abs(placed.centre.numpy() - centres)]
        plain += impulse_errors(merging.linear(Layer(str(i), cells, torch.arange(T, dtype=torch.float64))), centres)
        first, last = _ends(short)
        early, late = first - placed.first.numpy(), placed.last.numpy() - last
        # the season may cut a dilated field off in a hole, so that the cell sees less than the field
        field += [*np.maximum(-early, -late)] if dilated else [*abs(early), *abs(late)]
        some, dates = short.any(0).numpy(), np.arange(T)[:, None]
        beyond = (abs(dates - centres) > (width - 1) / 2) | ~some[:, None]
        outside += [float(placed.matrix.abs().numpy()[beyond].max(initial=0))]
        lost += [float(abs(placed.matrix.sum(1).numpy() - some).max())]
    return {
        "alignment_error_max": float(max(aligned)),
        "plain_linear_error_max": float(max(plain)),
        "field_error_max": float(max(field)),
        "mass_outside_max": max(outside),
        "mass_lost_max": max(lost),
        "impulses": impulses,
    }


def alignment_error_max(configurations: int) -> dict[str, float]:
    """The greatest errors over configurations 0, 1, ..., in acquisitions.

    `alignment_error_max` of the receptive-field placement, `plain_linear_error_max` of `merging.linear`,
    `field_error_max` of first and last acquisition; `mass_outside_max` is the greatest weight of a date that lies
    outside the cell's field, or that no cell sees, `mass_lost_max` how far the weights of a date that some cell sees
    are from 1; `impulses` is how many were placed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
        found = [errors(configuration(seed), seed) for seed in range(configurations)]
    worst = {name: max(each[name] for each in found) for name in found[0]}
    return worst | {"impulses": sum(each["impulses"] for each in found), "configurations": configurations}


def main() -> None:
    start = time.perf_counter()
    found = alignment_error_max(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    print(json.dumps(found | {"seconds": round(time.perf_counter() - start, 1)}))


if __name__ == "__main__":
    main()
