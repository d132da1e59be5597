"""Are the tables of what was tried against confusion, sweep.csv, sweep_dates.csv and compare.csv, whole?"""

from pathlib import Path

import numpy as np
import pandas as pd

from sitscope.untrusted import content

WHOLE, SHARE = (0, 2**31), (0, 1)
Columns = dict[str, type | tuple[int, int]]
SWEEP: Columns = {
    "dims": WHOLE,
    "clusters": WHOLE,
    "seed": (0, 2**32),
    "train_series": WHOLE,
    "overall_accuracy": SHARE,
    "macro_recall": SHARE,
    "never_predicted": WHOLE,
    "missed": WHOLE,
    "covered": SHARE,
    "by_margin": SHARE,
    "alike": (-1, 1),
    "agreement": (-1, 1),
}
"""Columns of sweep.csv with their least and greatest; see `sitscope.covering.compared`."""
DATES: Columns = {
    "truth": str,
    "predicted": str,
    "date": str,
    "dims": WHOLE,
    "seed": (0, 2**32),
    "covered": SHARE,
    "by_margin": SHARE,
}
COMPARED: Columns = {
    "method": str,
    "kind": str,
    "dims": WHOLE,
    "clusters": WHOLE,
    "seed": (0, 2**32),
    "test": SHARE,
    "overall_accuracy": SHARE,
    "macro_recall": SHARE,
    "test_series": WHOLE,
}
"""Columns of compare.csv; see `sitscope.baselines.compare`."""
MAY_LACK = {"covered", "by_margin", "alike", "agreement"}
"""What is not known of every row."""
MOST_ROWS = 1_000_000


def found(folder: Path) -> dict[str, pd.DataFrame]:
    """Those of the tables that a run folder holds, by their names in `Findings`; ValueError for one that is spoiled."""
    readers = {"sweep": sweep, "sweep_dates": dates, "comparison": comparison}
    files = {"sweep": "sweep.csv", "sweep_dates": "sweep_dates.csv", "comparison": "compare.csv"}
    return {name: read(folder / files[name]) for name, read in readers.items() if (folder / files[name]).exists()}


def sweep(path: Path) -> pd.DataFrame:
    """sweep.csv: every size with the same numbers of clusters and seeds, once; ValueError where it is not."""
    found = _table(path, SWEEP)
    keys = found[["dims", "clusters", "seed"]]
    if keys.duplicated().any() or len(keys) != np.prod([keys[name].nunique() for name in keys]):
        raise ValueError(f"{path.name} does not hold every size, number of clusters and seed once")
    return found


def dates(path: Path) -> pd.DataFrame:
    """sweep_dates.csv: the dates that small embeddings missed."""
    found = _table(path, DATES)
    return found.assign(date=pd.to_datetime(found.date, format="ISO8601").astype("datetime64[ns]"))


def comparison(path: Path) -> pd.DataFrame:
    """compare.csv: every method on the same splits, once; ValueError where it is not."""
    found = _table(path, COMPARED)
    splits = found.groupby("method")["seed"].agg(lambda seeds: tuple(sorted(seeds)))
    if len(set(splits)) != 1 or len(set(splits.iloc[0])) < len(splits.iloc[0]):
        raise ValueError(f"{path.name} does not hold every method once on the same splits")
    return found


def _table(path: Path, columns: Columns) -> pd.DataFrame:
    """A CSV of these columns: text without a gap, numbers within their limits."""
    content(path)
    kinds = {name: str if limits is str else float for name, limits in columns.items()}
    found = pd.read_csv(path, dtype=kinds, keep_default_na=True, nrows=MOST_ROWS + 1)
    if list(found.columns) != list(columns) or not 0 <= len(found) <= MOST_ROWS:
        raise ValueError(f"{path.name} has other columns than {', '.join(columns)}, or too many rows")
    for name, limits in columns.items():
        values = found[name]
        if values.isna().any() and name not in MAY_LACK:
            raise ValueError(f"{path.name} has gaps in {name}")
        if isinstance(limits, tuple):
            known = values.dropna()
            if not known.between(*limits).all():
                raise ValueError(f"{path.name} holds {name} that are not from {limits[0]} to {limits[1]}")
            if limits[1] > 1:
                found[name] = values.astype("int64")
    return found
