"""How does the autoencoder do beside PCA, raw series and methods that are told the classes, on real sets?

Two dimensions, 64 clusters, majority vote, five splits; whoever lies in one place, or in one field, is on one side.
Large sets are drawn from at random. Prints Markdown, and as the last line JSON.

    OMP_NUM_THREADS=1 python -m benchmarks.baselines [set ...]    reads ../shared/data; what is missing is left out
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from benchmarks.sets import REAL

from sitscope.baselines import METHODS, planned, result, sized
from sitscope.classes.splits import lead
from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.settings import RunSettings
from sitscope.showing.cure import comparison_rows, standing

DIMS, CLUSTERS, SPLITS = 2, 64, 5
MOST = 3000
"""Series taken of a set."""
CELL = 0.02
"""Degrees, some 2 km: points of one cell are one place. In larger ones whole classes lie in one place alone."""


def _points(name: str, start: str, step: int, bands: tuple[str, ...], cell: float | None) -> xr.Dataset:
    """Series of points; those of one cell, degrees wide, are one field. Whole series only."""
    with np.load(REAL / f"{name}.npz") as file:
        x, y, classes, known = (file[key] for key in ("x", "y", "classes", "bands"))
        places = np.stack([file["lat"], file["lon"]], axis=1) if cell else None
    x = x[:, :, [known.tolist().index(band) for band in bands]] if bands else x
    whole = np.flatnonzero(np.isfinite(x).all((1, 2)) & (y >= 0))
    some = np.sort(np.random.default_rng(0).permutation(whole)[:MOST])
    field = np.arange(len(some))
    if places is not None and cell is not None:
        _, field = np.unique(np.floor(places[some] / cell), axis=0, return_inverse=True)
    time_ = np.datetime64(start, "ns") + np.arange(x.shape[1]) * np.timedelta64(step, "D")
    data = {
        "x": (("series", "band", "time"), x[some].transpose(0, 2, 1).astype(np.float32)),
        "label": ("series", classes[y[some]].astype(str)),
        "field": ("series", field.ravel()),
    }
    named = list(bands or known.astype(str))
    return xr.Dataset(data, {"time": time_, "band": named}, {"units": "dB" if "VV" in named else "1"})


def _antwerp() -> xr.Dataset:
    place = REAL / "antwerp_s1_2019"
    return sample(open_cube(place, start="2018-11-24"), place / "fields.gpkg", label="crop")


SETS: dict[str, Callable[[], xr.Dataset]] = {
    "br_mt_9classes_modis": lambda: _points("br_mt_9classes_modis", "2001-09-14", 16, (), CELL),
    "ucr_crop_ndvi": lambda: _points("ucr_crop_ndvi", "2006-01-01", 8, (), None),
    "ca_crops_s1s2_2017_monthly": lambda: _points("ca_crops_s1s2_2017_monthly", "2017-01-01", 30, ("VV", "VH"), CELL),
    "antwerp_s1_2019": _antwerp,
}


def measured(series: xr.Dataset) -> pd.DataFrame:
    """Every method on every split."""
    settings = sized(RunSettings(), series, DIMS, CLUSTERS)
    rows = []
    for trial in planned(METHODS, SPLITS, series, settings):
        start = time.process_time()
        rows.append(result(trial, series, settings).model_dump())
        print(f"  {trial.method} {trial.seed}: {rows[-1]['macro_recall']:.3f}, {time.process_time() - start:.0f} s CPU",
              file=sys.stderr, flush=True)  # fmt: skip
    return pd.DataFrame(rows)


def _facts(series: xr.Dataset, table: pd.DataFrame) -> dict[str, Any]:
    means = table.groupby("method", sort=False)[["overall_accuracy", "macro_recall"]].mean().round(3)
    return {
        "series": len(series.x),
        "fields": len(np.unique(series.field)),
        "classes": len(np.unique(series.label)),
        "test_series": round(float(table.test_series.mean())),
        **{name: means[name].to_dict() for name in means},
        "accuracy_over_pca": [round(v, 3) for v in lead(table, "overall_accuracy", "pca")],
    }


def main() -> None:
    torch.set_num_threads(1)
    found = {}
    for name in sys.argv[1:] or SETS:
        if not list(REAL.glob(f"{name}*")):
            print(f"left out, not beside the checkout: {name}", file=sys.stderr)
            continue
        print(name, file=sys.stderr)
        series = SETS[name]()
        table = measured(series)
        found[name] = _facts(series, table)
        header, *rows = comparison_rows(table)
        print(f"\n## {name}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
        print("".join(f"| {' | '.join(row)} |\n" for row in rows))
        print(standing(table), flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
