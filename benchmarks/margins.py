"""Does the explanation of a margin between two clusters name the dates that truly part the two crops?

On a simulated season each date is known to part two crops by so much (Jeffries-Matusita distance of the noise-free
renderings and the noise). True dates are those with at least half of the pair's greatest distance. For every ordered
pair of crops that won a cluster, the margin between their clusters is explained for series of the first crop; the
profile of the pair is the mean over them.

    python -m benchmarks.margins [seed ...]    the last line is JSON
"""

import json
import sys
from collections import defaultdict
from itertools import permutations

import numpy as np
import torch
from benchmarks.sets import Trained, trained
from torch import Tensor, nn

from sitscope.attribution import controls, planted, targets
from sitscope.attribution.gradslam import grad_slam
from sitscope.attribution.path import path
from sitscope.attribution.ranking import rank_dates
from sitscope.classes.codebook import Codebook, fit_codebook

CLUSTERS = 16
SERIES, FEWEST = 40, 10
"""Of a crop that are explained at most; and fewer than this say nothing of it."""


def explained(
    encoder: nn.Module, x: Tensor, why: targets.Target, other: Tensor, pool: Tensor, mean: Tensor
) -> dict[str, Tensor]:
    """Importance (n, 1, t) of the margin. `other`: mean curve of the other crop, `pool` its series, `mean` of all."""
    of = {"target": why}
    return {
        "path": path(encoder, x, other, nodes=8, **of).merged,
        "rounds": rank_dates(encoder, x, other, pool=pool, **of).merged,
        "integrated gradients": controls.integrated_gradients(encoder, x, reference=mean, **of).merged,
        "occlusion": controls.occlusion(encoder, x, reference=mean, **of).merged,
        "occlusion by the other crop": controls.occlusion(encoder, x, reference=other, **of).merged,
        "letter": grad_slam(encoder, x, **of).merged,
        "element-wise": controls.element_wise(encoder, x, **of).merged,
        "Grad-CAM": controls.grad_cam(encoder, x, **of).merged,
        "activation only": controls.activation_only(encoder, x, **of).merged,
        "saliency": controls.saliency(encoder, x, **of).merged,
        "random": controls.random_order(encoder, x, **of).merged,
        "difference of the series": (x - other).abs().sum(1, keepdim=True),
    }


def margins(made: Trained, seed: int) -> dict[str, dict[str, float]]:
    """By method: AUPRC of the pairs' profiles and of single series, means over pairs; how many pairs."""
    assert made.truth is not None
    with torch.no_grad():
        e = torch.cat([made.encoder(part) for part in made.x.split(1024)]).numpy()
    book = fit_codebook(e, made.label, clusters=CLUSTERS, seed=seed)
    cluster = book.cluster(e)
    right = book.assigned[cluster] == np.searchsorted(book.classes, made.label)
    crops = [name for name in book.classes if (right & (made.label == name)).sum() >= FEWEST]
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for crop, other in permutations(crops, 2):
        mine = np.flatnonzero(right & (made.label == crop))
        theirs = made.x[made.label == other]
        why = targets.margin(_centre(book, cluster, right, made.label == crop), _centre(
            book, cluster, right, made.label == other))  # fmt: skip
        parts = made.truth[(made.truth.class_a == crop) & (made.truth.class_b == other)].sort_values("date").jm.values
        truth = torch.as_tensor(parts >= parts.max() / 2)
        found = explained(made.encoder, made.x[mine[:SERIES]], why, theirs.mean(0), theirs, made.x.mean(0))
        for method, importance in found.items():
            profile = planted.auprc(importance.mean(0, keepdim=True), truth)
            scores[method].append((float(profile), float(planted.auprc(importance, truth).mean())))
    return {
        method: {"profile": float(np.mean([p for p, _ in values])), "series": float(np.mean([s for _, s in values])),
                 "pairs": len(values)}
        for method, values in scores.items()
    }  # fmt: skip


def _centre(book: Codebook, cluster: np.ndarray, right: np.ndarray, crop: np.ndarray) -> Tensor:
    """Of the cluster that holds most of the crop's series."""
    return torch.as_tensor(book.centres[np.bincount(cluster[right & crop]).argmax()])


def main() -> None:
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in sys.argv[1:]] or [0]
    print(json.dumps({str(seed): margins(trained("simulated", seed), seed) for seed in seeds}))


if __name__ == "__main__":
    main()
