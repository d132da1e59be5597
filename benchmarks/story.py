"""Does a simulated season tell the letter's story: three crops found, six lost in a bigger neighbour?

Each seed draws another year, other fields, another split and another training. Prints progress on stderr, the mean
confusion matrix as a table, and as the last line JSON.

    python -m benchmarks.story
    python -m benchmarks.story --seeds 1
"""

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any

import numpy as np

from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.training import fit
from sitscope.classes.codebook import fit_codebook
from sitscope.classes.scores import Scores, score
from sitscope.cube.sampling import sample
from sitscope.cube.splitting import split_by_field
from sitscope.simulation.crops import CROPS
from sitscope.simulation.scene import simulate

LETTER, WIDER = (2, 16), (8, 64)
"""(dimensions, clusters) of the letter, and of the cure that it proposes."""
FIELDS = 1200
FIELD_PX = 14
MAX_PIXELS = 12
"""Of each field: many fields with few pixels say more about crops than few fields with many."""


def story(seed: int, fields: int) -> dict[tuple[int, int], Scores]:
    """The scores of one year, by (dimensions, clusters)."""
    scene = simulate(fields=fields, field_px=FIELD_PX, seed=seed)
    series = sample(scene.cube, scene.fields, label="crop", buffer=10, max_pixels=MAX_PIXELS, seed=seed)
    train, test = split_by_field(series, test=0.3, seed=seed)
    result = {}
    for dims, clusters in (LETTER, WIDER):
        start = time.perf_counter()
        fitted = fit(train, Settings(dims=dims), seed=seed)
        book = fit_codebook(fitted.embed(train.x.values), train.label.values, clusters=clusters, seed=seed)
        result[dims, clusters] = score(test, fitted, book)
        _tell(seed, dims, result[dims, clusters], time.perf_counter() - start)
    return result


def _tell(seed: int, dims: int, scores: Scores, seconds: float) -> None:
    print(
        f"seed {seed}, {dims} dimensions: overall accuracy {scores.overall_accuracy:.3f}, "
        f"macro recall {scores.macro_recall:.3f}, {len(scores.classes_never_predicted)} classes never predicted, "
        f"{scores.n_test} test series, {seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )


def summary(runs: list[dict[tuple[int, int], Scores]]) -> dict[str, Any]:
    """Means over the seeds, and each seed's own."""
    letter, wider = [r[LETTER] for r in runs], [r[WIDER] for r in runs]
    classes = letter[0].classes
    rows = np.mean([s.row_percent for s in letter], axis=0) / 100  # (truth, prediction)
    never = Counter(name for s in letter for name in s.classes_never_predicted)
    return {
        "overall_accuracy": float(np.mean([s.overall_accuracy for s in letter])),
        "macro_recall": float(np.mean([s.macro_recall for s in letter])),
        "recall": {name: float(rows[i, i]) for i, name in enumerate(classes)},
        "never_predicted": [name for name in classes if never[name] > len(runs) / 2],
        "flows": {name: _flow(rows[i], classes) for i, name in enumerate(classes)},
        "macro_recall_8d": float(np.mean([s.macro_recall for s in wider])),
        "overall_accuracy_8d": float(np.mean([s.overall_accuracy for s in wider])),
        "recall_8d": dict(zip(classes, np.mean([s.recall for s in wider], axis=0).tolist(), strict=True)),
        "per_seed": {
            "overall_accuracy": [s.overall_accuracy for s in letter],
            "macro_recall": [s.macro_recall for s in letter],
            "macro_recall_8d": [s.macro_recall for s in wider],
            "never_predicted": [s.classes_never_predicted for s in letter],
        },
    }


def _flow(row: np.ndarray, classes: tuple[str, ...]) -> dict[str, float]:
    """Where a class goes, most first, from 1 % on."""
    return {classes[j]: float(row[j]) for j in np.argsort(-row) if row[j] >= 0.01}


def table(runs: list[dict[tuple[int, int], Scores]]) -> str:
    """The mean confusion matrix, row %, as Markdown, the class most grown first."""
    classes = runs[0][LETTER].classes
    rows = np.mean([r[LETTER].row_percent for r in runs], axis=0)
    names = [c.name for c in CROPS]
    order = [classes.index(name) for name in names]
    lines = ["| truth | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    lines += [f"| {classes[i]} | " + " | ".join(f"{rows[i, j]:.0f}" for j in order) + " |" for i in order]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--fields", type=int, default=FIELDS)
    asked = parser.parse_args()
    start = time.perf_counter()
    seeds = list(range(asked.first, asked.first + asked.seeds))
    runs = [story(seed, asked.fields) for seed in seeds]
    settings = {
        "seeds": seeds,
        "fields": asked.fields,
        "field_px": FIELD_PX,
        "max_pixels": MAX_PIXELS,
        "dims_clusters": [LETTER, WIDER],
        "seconds": round(time.perf_counter() - start),
        **Settings().model_dump(mode="json", exclude={"dims"}),
    }
    print(table(runs))
    print(json.dumps({**summary(runs), "settings": settings}))


if __name__ == "__main__":
    main()
