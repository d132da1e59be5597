"""Which method finds dates that are known to be the true ones? And what survives when an encoder becomes random?

Planted encoders are first tried by changing every date of theirs by itself; then methods explain them. Series are white
noise of unit variance. The path has four nodes, from the mean series.

    python benchmarks/planted.py [encoders]    the last line is JSON
"""

import json
import sys
import time
from collections import defaultdict
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from sitscope.attribution import gradslam, planted, sanity
from sitscope.attribution.correlation import spearman
from sitscope.attribution.gradslam import grad_slam
from sitscope.attribution.passes import gradients_of
from sitscope.attribution.path import path
from sitscope.attribution.planting import Planted, planted_encoder
from sitscope.attribution.targets import dimensions

METRICS = (planted.auprc, planted.pointing_game, planted.relevance_mass, planted.relevance_rank)
ALPHAS = (gradslam.letter, gradslam.element_wise, gradslam.activation_only)


def changed(made: Planted, seed: int, draws: int = 12) -> Tensor:
    """(d, t): by how much at most each dimension moves when one date alone is changed, by little and by much."""
    encoder, t = made.encoder.double(), made.truth.shape[1]
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(draws, made.bands, t, dtype=torch.float64, generator=generator)
    push = torch.randn(draws, made.bands, 1, dtype=torch.float64, generator=generator)
    push = push * torch.logspace(-1, 1, draws, dtype=torch.float64)[:, None, None]
    one_date = torch.eye(t, dtype=torch.float64)[:, None, None, :]  # (t, 1, 1, t)
    with torch.no_grad():
        moved = encoder((x + push * one_date).flatten(0, 1)).unflatten(0, (t, draws))
        return (moved - encoder(x)).abs().amax(1).T


def gradient(encoder: nn.Module, x: Tensor) -> Tensor:
    """(n, d, t): summed over bands."""
    return gradients_of(encoder, x, dimensions)[0].sum(2)


def four_nodes(encoder: nn.Module, x: Tensor) -> Tensor:
    """(n, d, t): contributions to e(x) - e(mean), summed over bands."""
    return path(encoder, x, nodes=4).merged


def methods(made: Planted, x: Tensor, seed: int) -> dict[str, Tensor]:
    maps = {alpha.__name__: grad_slam(made.encoder, x, alpha=alpha).merged for alpha in ALPHAS}
    chance = torch.rand(len(x), *made.truth.shape, generator=torch.Generator().manual_seed(seed))
    return {"path": four_nodes(made.encoder, x), **maps, "random": chance}


def found(encoders: int) -> dict[str, dict[str, float]]:
    """Mean agreement with the true dates, by kind of encoder and method, over encoders 0, 1, ..."""
    scores: dict[str, list[float]] = defaultdict(list)
    for seed in range(encoders):
        made = planted_encoder(seed)
        x = torch.randn(16, made.bands, made.truth.shape[1], generator=torch.Generator().manual_seed(seed))
        for method, importance in methods(made, x, seed).items():
            for metric in METRICS:
                kind = f"{made.recipe.split(',')[0]} {method} {metric.__name__}"
                scores[kind].append(float(metric(importance, made.truth).nanmean()))
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for kind, values in sorted(scores.items()):
        method, metric = kind.rsplit(" ", 1)
        table[method][metric] = round(float(np.nanmean(values)), 4)
    return table


def survived(encoders: int) -> dict[str, dict[str, float]]:
    """What is left of maps once the encoder is random, and what two random encoders share: means over encoders."""
    made = [planted_encoder(seed, dates=60) for seed in range(encoders)]
    reaching = [
        one for one in made if one.recipe.startswith("reaching")
    ]  # a gate keeps its zeros, whatever the weights
    table = {}
    for method, correlation in product((gradient, four_nodes), (sanity.of_magnitudes, spearman)):
        rows = []
        for seed, one in enumerate(reaching):
            x = torch.randn(50, one.bands, 60, generator=torch.Generator().manual_seed(seed))
            # a full readout: which cells are read would be known to the random encoder too
            encoder = nn.Sequential(*one.encoder[:-1], full(one, seed))
            run = sanity.cascade(method, encoder, x, correlation=correlation, seed=seed)
            positive = sanity.emprt(run.before, run.after) > 0
            measures = (run.similarity[-1], run.spearman[-1], run.floor, run.floor.abs(), positive.float())
            rows.append(torch.stack([measure.nanmean() for measure in measures]))
        names = ("mean_abs_spearman", "mean_spearman", "floor", "abs_floor", "emprt_positive")
        compared = "signed" if correlation is spearman else "magnitudes"
        table[f"{method.__name__} {compared}"] = dict(zip(names, torch.stack(rows).mean(0).tolist(), strict=True))
    return table


def full(made: Planted, seed: int) -> nn.Module:
    """The readout of an encoder, once it may read every cell."""
    reads = made.encoder[-1].reads
    layer = nn.Linear(reads[0].numel(), len(reads), device="meta").to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layer.weight.normal_(0, reads[0].numel() ** -0.5, generator=generator)
        layer.bias.normal_(0, 0.1, generator=generator)
    return nn.Sequential(nn.Flatten(), layer)


def main() -> None:
    start, encoders = time.perf_counter(), int(sys.argv[1]) if len(sys.argv) > 1 else 500
    least, greatest = float("inf"), 0.0
    for seed in range(encoders):
        made = planted_encoder(seed)
        moved = changed(made, seed)
        least, greatest = min(least, float(moved[made.truth].min())), max(greatest, float(moved[~made.truth].max()))
    result = {
        "encoders": encoders,
        "least_effect_of_a_true_date": least,
        "greatest_effect_of_another": greatest,
        "found": found(encoders),
        "survived": survived(max(encoders // 5, 10)),
    }
    print(json.dumps(result | {"seconds": round(time.perf_counter() - start, 1)}))


if __name__ == "__main__":
    main()
