"""Does the recommended size look at the dates that two dimensions miss, and does it find more of the classes?

The demo's scene and settings (`sitscope demo`), then `sitscope sweep`. Every definition is that of
`sitscope.covering.compared` and `sitscope.classes.sizes.recommended`; the last line is JSON:

- recommended: dimensions and clusters.
- sweep_covered: of the dates that part a confused pair and that no dimension of the 2-D embedding, nor the margin
  between the two classes, gives its share of importance, the share that the recommended size does; all seeds together.
- sweep_covered_again: the same of another training of two dimensions, which is what chance covers.
- sweep_covered_margin: the same, where the margin between the two classes alone counts, for which no number of
  dimensions makes it easier.
- sweep_gain: mean macro recall of the recommended size and clusters above that of two dimensions with the clusters of
  the run, which is what a person gains who follows the advice; sweep_gain_same_clusters: above two dimensions with as
  many clusters as are recommended, which is what the size alone gains.

    python -m benchmarks.cures [--run FOLDER] [--seeds 3]    FOLDER is made by the demo where it is missing
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from sitscope.applying import Machines
from sitscope.classes.sizes import recommended
from sitscope.cli import LETTER_GROUPS
from sitscope.job import run
from sitscope.settings import RunSettings
from sitscope.showing.cure import covered_by, sweep_rows
from sitscope.simulation.scene import simulate
from sitscope.sweeping import SIZES, sweep

FIELDS, TRAIN_SERIES = 900, 10_000


def told(stage: str, done: int, total: int) -> None:
    print(f"{stage} {done}/{total}", file=sys.stderr, flush=True)


def demo(folder: Path) -> None:
    """The demo's run, its scene in memory."""
    scene = simulate(fields=FIELDS, seed=0)
    settings = RunSettings(clusters=16, buffer=10.0, train_series=TRAIN_SERIES, seed=0, groups=LETTER_GROUPS)
    run(scene.cube, scene.fields, folder, settings)


def figures(table: pd.DataFrame) -> dict[str, Any]:
    """What the bars are held against."""
    found = recommended(table)
    small = table[table.dims == table.dims.min()].groupby("clusters").macro_recall.mean()
    return {
        "recommended": [found.dims, found.clusters],
        "sweep_covered": covered_by(table, found.dims),
        "sweep_covered_again": covered_by(table, int(table.dims.min())),
        "sweep_covered_margin": covered_by(table, found.dims, "by_margin"),
        "missed_dates": int(table[table.dims == found.dims].drop_duplicates("seed").missed.sum()),
        "sweep_gain": found.recall - float(small.iloc[0]),
        "sweep_gain_same_clusters": found.recall - float(small[found.clusters]),
        "best": list(found.best),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--train-series", type=int, default=TRAIN_SERIES, help="fewer than the demo's are faster")
    asked = parser.parse_args()
    folder = asked.run or Path(tempfile.mkdtemp()) / "RUN"
    if not folder.exists():
        demo(folder)
    options = {"seeds": asked.seeds, "train_series": asked.train_series}
    table = sweep(folder, SIZES, **options, machines=Machines(asked.workers), talk=told)
    for row in sweep_rows(table):
        print(" | ".join(row))
    print(json.dumps({**figures(table), **options, "fields": FIELDS}))


if __name__ == "__main__":
    main()
