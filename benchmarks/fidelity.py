"""How far can each method be trusted? Grad-SLAM, its repairs, path attribution and the controls, measured.

For each set of `benchmarks.sets` and each seed an autoencoder is trained and 24 of its series are explained by every
method; dates are removed in the order each names, under four maskings, and the shift of the embedding is set between
chance (0) and greedy removal (1). Then planted truth: margins between crops of the simulated season, and encoders whose
dates are known. Two processes of one thread each; the last line is JSON.

    python -m benchmarks.fidelity               about half an hour on two cores
    python -m benchmarks.fidelity --seeds 1
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.alignment import alignment_error_max
from benchmarks.margins import margins
from benchmarks.sets import there, trained
from torch import Tensor, nn

from sitscope.attribution import controls, merging, planted, sanity
from sitscope.attribution.correlation import spearman
from sitscope.attribution.evaluation import Method, evaluate
from sitscope.attribution.gradslam import element_wise, grad_slam
from sitscope.attribution.masking import standard
from sitscope.attribution.path import path
from sitscope.attribution.planting import planted_encoder
from sitscope.attribution.ranking import rank_dates

SERIES = 24
TIMED, TIMES = 64, 3
ENCODERS = 500
PATH, ROUNDS, MORE, IG = "path, 4 nodes", "20 rounds", "64 rounds", "integrated gradients, 64 nodes"
LETTER, LAFAM = "letter, by receptive field", "activation only"


def methods(mean: Tensor, pool: Tensor, days: Tensor) -> dict[str, Method]:
    """By name; `mean` (c, t) is the reference of all that have one."""
    placed = {"dates": days.numpy()}
    return {
        ROUNDS: lambda f, x: rank_dates(f, x, mean, pool=pool, days=days, rounds=20).merged,
        MORE: lambda f, x: rank_dates(f, x, mean, pool=pool, days=days, rounds=64).merged,
        "path": lambda f, x: path(f, x, mean).merged,
        PATH: lambda f, x: path(f, x, mean, nodes=4).merged,
        "path, 2 nodes": lambda f, x: path(f, x, mean, nodes=2).merged,
        IG: lambda f, x: controls.integrated_gradients(f, x, reference=mean, nodes=64).merged,
        "occlusion": lambda f, x: controls.occlusion(f, x, reference=mean).merged,
        "element-wise, by receptive field": lambda f, x: grad_slam(f, x, alpha=element_wise, **placed).merged,
        "element-wise, linear": lambda f, x: grad_slam(f, x, alpha=element_wise, upsample=merging.linear).merged,
        LETTER: lambda f, x: grad_slam(f, x, **placed).merged,
        "letter, linear": lambda f, x: grad_slam(f, x, upsample=merging.linear).merged,
        "Grad-CAM": lambda f, x: controls.grad_cam(f, x).merged,
        LAFAM: lambda f, x: controls.activation_only(f, x).merged,
        "saliency": lambda f, x: controls.saliency(f, x).merged,
        "random": lambda f, x: controls.random_order(f, x).merged,
    }


def measured(job: tuple[str, int, Path]) -> dict[str, Any]:
    """All of one set and seed; from the folder where an earlier run has left it."""
    torch.set_num_threads(1)
    name, seed, folder = job
    kept = folder / f"{name} {seed}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    start = time.perf_counter()
    made = trained(name, seed)
    x, pool = made.x[:SERIES], made.x[SERIES:]
    days = torch.as_tensor((made.fitted.dates - made.fitted.dates[0]) / np.timedelta64(1, "D"), dtype=torch.float32)
    known = methods(pool.mean(0), pool, days)
    rows = evaluate(made.encoder, x, known, standard(pool, SERIES, days=days, seed=seed), seed=seed)
    chosen = path(made.encoder, made.x[:200], pool.mean(0))
    result = {
        "set": name,
        "seed": seed,
        "table": [row.as_dict() for row in rows],
        "completeness": float(chosen.relative_residual.median()),
        "nodes": float(chosen.nodes.double().mean()),
        "time": timed(made.encoder, made.x[:TIMED], known),
        "sanity": sane(made.encoder, x, known),
        "margins": margins(made, seed) if made.truth is not None else None,
        "seconds": time.perf_counter() - start,
    }
    print(f"{name}, seed {seed}: {result['seconds']:.0f} s", file=sys.stderr, flush=True)
    kept.write_text(json.dumps(result))
    return result


def timed(encoder: nn.Module, x: Tensor, known: dict[str, Method]) -> dict[str, float]:
    """Time over that of integrated gradients with 64 nodes: medians of rounds in which all are timed.

    All take the general path, which the plain integrated gradients take too; machine code is timed beside it.
    """
    general = General(encoder)
    ratios: dict[str, list[float]] = defaultdict(list)
    for _ in range(TIMES):
        seconds = {}
        for name in (PATH, "path", ROUNDS, MORE, LETTER, IG):
            for engine, ending in ((general, ""), (encoder, ", machine code")):
                if name != IG or engine is general:
                    start = time.process_time()
                    known[name](engine, x)
                    seconds[name + ending] = time.process_time() - start
        for name, taken in seconds.items():
            ratios[name].append(taken / seconds[IG])
    return {name: float(np.median(values)) for name, values in ratios.items()}


class General(nn.Module):
    """The encoder as one for which no machine code is written."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)


def sane(encoder: nn.Module, x: Tensor, known: dict[str, Method]) -> dict[str, float]:
    """What is left of the path's maps in a random encoder, and whether they became more complex."""

    def explain(f: nn.Module, z: Tensor) -> Tensor:
        return known[PATH](f, z)

    signed = sanity.cascade(explain, encoder, x, correlation=spearman)
    size = sanity.cascade(explain, encoder, x)
    return {
        "signed_spearman": float(signed.spearman[-1].nanmean().abs()),
        "mean_abs_signed_spearman": float(signed.similarity[-1].nanmean()),
        "magnitude_spearman": float(size.spearman[-1].nanmean().abs()),
        "magnitude_floor": float(size.floor.nanmean().abs()),
        "emprt_positive": float((sanity.emprt(signed.before, signed.after) > 0).double().mean()),
    }


def on_planted(encoders: int) -> dict[str, dict[str, float]]:
    """AUPRC and pointing game on encoders whose true dates are known, means over them."""
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(encoders):
        made = planted_encoder(seed)
        t = made.truth.shape[1]
        x = torch.randn(16, made.bands, t, generator=torch.Generator().manual_seed(seed))
        for name, method in methods(x.mean(0), x, torch.arange(t, dtype=torch.float32)).items():
            if name in (PATH, LETTER, LAFAM, "element-wise, by receptive field", "saliency", "random"):
                importance = method(made.encoder, x)
                scores[name]["auprc"].append(float(planted.auprc(importance, made.truth).nanmean()))
                scores[name]["pointing_game"].append(float(planted.pointing_game(importance, made.truth).nanmean()))
    return {name: {k: float(np.mean(v)) for k, v in of.items()} for name, of in scores.items()}


Cell = tuple[str, int, str]


def efficiencies(found: list[dict[str, Any]]) -> dict[str, dict[Cell, float]]:
    """By method: efficiency by set, seed and masking."""
    by: dict[str, dict[Cell, float]] = defaultdict(dict)
    for one in found:
        for row in one["table"]:
            if row["metric"] == "efficiency" and row["baseline"] != "all":
                by[row["method"]][one["set"], one["seed"], row["baseline"]] = row["value"]
    return by


def mean_of(cells: dict[Cell, float], keep: Callable[[Cell], bool] = lambda cell: True) -> float:
    return float(np.mean([value for cell, value in cells.items() if keep(cell)]))


def above(one: dict[Cell, float], other: dict[Cell, float]) -> float:
    """Share of the cells in which one method is above another."""
    return float(np.mean([value > other[cell] for cell, value in one.items()]))


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    by = efficiencies(found)
    sets = list(dict.fromkeys(one["set"] for one in found))
    per_set = {method: {s: mean_of(cells, lambda c, s=s: c[0] == s) for s in sets} for method, cells in by.items()}
    simulated = [one["margins"] for one in found if one["margins"]]
    shares = {key: [one["sanity"][key] for one in found] for key in found[0]["sanity"]}
    return {
        "path_over_ig64_min": min(per_set[PATH][s] / per_set[IG][s] for s in sets),
        "path_time_over_ig64": float(np.median([one["time"][PATH] for one in found])),
        "best_efficiency": mean_of(by[ROUNDS]),
        "best_time_over_ig64": float(np.median([one["time"][ROUNDS] for one in found])),
        "more_rounds_efficiency": mean_of(by[MORE]),
        "time_over_ig64": {k: float(np.median([one["time"][k] for one in found])) for k in found[0]["time"]},
        "ig64_efficiency": mean_of(by[IG]),
        "cells": len(by[PATH]),
        "cells_above_lafam": above(by[PATH], by[LAFAM]),
        "cells_above_letter": above(by[PATH], by[LETTER]),
        "best_cells_above_ig64": above(by[ROUNDS], by[IG]),
        "completeness_median": float(np.median([one["completeness"] for one in found])),
        "completeness_by_set": {s: float(np.median([o["completeness"] for o in found if o["set"] == s])) for s in sets},
        "nodes_mean": float(np.mean([one["nodes"] for one in found])),
        "planted_auprc": float(np.mean([m["path"]["profile"] for m in simulated])),
        "planted_margins": {
            method: {k: float(np.mean([m[method][k] for m in simulated])) for k in ("profile", "series")}
            for method in simulated[0]
        },
        "sanity": {key: float(np.mean(values)) for key, values in shares.items()},
        "efficiency_by_set": per_set,
        "efficiency_by_baseline": {
            method: {b: mean_of(cells, lambda c, b=b: c[2] == b) for b in dict.fromkeys(cell[2] for cell in cells)}
            for method, cells in by.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoders", type=int, default=ENCODERS, help="planted encoders")
    parser.add_argument("--keep", type=Path, help="folder for the results of each set and seed, to go on from")
    asked = parser.parse_args()
    start = time.perf_counter()
    folder = asked.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(name, seed, folder) for seed in range(asked.seeds) for name in there()]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        slow = pool.map_async(measured, jobs, chunksize=1)
        known = pool.apply_async(on_planted, (asked.encoders,))
        placement = pool.apply_async(alignment_error_max, (1000,))
        found, encoders, placed = slow.get(), known.get(), placement.get()
    whole = {
        **summary(found),
        "planted_encoder_auprc": encoders[PATH]["auprc"],
        "pointing_game": encoders[PATH]["pointing_game"],
        "planted_encoders": encoders,
        "alignment_error_max": placed["alignment_error_max"],
        "plain_linear_error_max": placed["plain_linear_error_max"],
        "seconds": round(time.perf_counter() - start),
        "table": [{"set": one["set"], "seed": one["seed"], **row} for one in found for row in one["table"]],
    }
    print(json.dumps(whole))


if __name__ == "__main__":
    main()
