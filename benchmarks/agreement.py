"""Would the same dates matter if the encoder were trained again?

The same series, three seeds of the training; embeddings are aligned (Procrustes), and with them the class profiles of
importance, which are then rank-correlated. The letter's maps are compared as contributions (not scaled), since only
these follow the embedding when it turns.

    python -m benchmarks.agreement [set ...]    the last line is JSON
"""

import json
import sys
from itertools import combinations
from typing import Any

import numpy as np
import torch
from benchmarks.sets import series_of, there
from torch import Tensor

from sitscope.attribution import merging
from sitscope.attribution.gradslam import grad_slam
from sitscope.attribution.path import path
from sitscope.attribution.seeds import agreement
from sitscope.autoencoder.network import Settings, scaled
from sitscope.autoencoder.training import fit

SEEDS, PER_CLASS = 3, 40


def run(series: Any, rows: np.ndarray, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Embedding (n, d) of the rows, and by method the profile (m, d, t) of each class."""
    fitted = fit(series, Settings(), seed=seed)
    z = scaled(torch.as_tensor(series.x.values), torch.as_tensor(fitted.mean), torch.as_tensor(fitted.std))
    x, encoder, label = z[rows], fitted.network.encoder, series.label.values[rows]
    maps = {
        "path": path(encoder, x, z.mean(0)).merged,
        "letter": grad_slam(encoder, x, scale=merging.none, dates=fitted.dates).merged,
    }
    profiles = {
        method: torch.stack([importance[torch.as_tensor(label == name)].mean(0) for name in np.unique(label)])
        for method, importance in maps.items()
    }
    return path(encoder, x, nodes=1).values, profiles


def measured(name: str) -> dict[str, float]:
    series, _ = series_of(name, 0)
    label = series.label.values
    rows = np.concatenate([np.flatnonzero(label == one)[:PER_CLASS] for one in np.unique(label) if one])
    runs = [run(series, rows, seed) for seed in range(SEEDS)]
    found: dict[str, list[float]] = {"explained": [], "path": [], "letter": []}
    for (e_a, a), (e_b, b) in combinations(runs, 2):
        for method in a:
            both = agreement(a[method], b[method], e_a, e_b)
            found[method].append(float(both.correlation.nanmean()))
        found["explained"].append(both.alignment.explained)
    return {key: round(float(np.mean(values)), 3) for key, values in found.items()}


def main() -> None:
    torch.set_num_threads(1)
    print(json.dumps({name: measured(name) for name in sys.argv[1:] or there()}))


if __name__ == "__main__":
    main()
