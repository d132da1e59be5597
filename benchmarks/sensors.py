"""Do two sensors in one embedding tell more crops apart than one, and how much does each contribute?

Monthly Sentinel-1 and Sentinel-2 over Canada (../shared/data/ca_crops_s1s2_2017_monthly.npz): 18 months of VV, VH in dB
and nine reflectances, 60 classes with a long tail. Gaps are filled linearly in time within each band. Each autoencoder
(the default network) and each PCA (of z-scores) is followed by the same k-means with 64 clusters and the same majority
vote, on the same splits: places, cells of a quarter degree, are drawn at random, 30 % of them for the test.

The interval of a mean over splits is Nadeau and Bengio's (2003): Student's with the variance multiplied by
1/splits + test/train, since the splits share most of their training series. Differences are paired by split.

    python -m benchmarks.sensors [--splits 5] [--epochs 20] [--dims 2] [--season] [--picture docs/images/sensors.png]

--season takes April to October 2017 only, with the last pooling left out, as seven months are too few for it. The last
line is JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupShuffleSplit

from sitscope.autoencoder.branches import Sensor
from sitscope.autoencoder.fused import Fused, rows
from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.sensors import fit_sensors
from sitscope.classes.codebook import fit_codebook
from sitscope.classes.scores import score_embedding
from sitscope.cube.gaps import filled_in_time
from sitscope.mapping.contributions import contributed, letter_table, sensor_shares, table
from sitscope.showing.contributions import contributions_figure
from sitscope.showing.style import png

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "ca_crops_s1s2_2017_monthly.npz"
CLUSTERS, TEST, DEGREES = 64, 0.3, 0.25
MODELS: dict[str, dict[str, Any]] = {
    "Sentinel-1": {"which": [0]},
    "Sentinel-2": {"which": [1]},
    "both, stacked": {"which": [0, 1], "join": "stacked"},
    "both, a branch each": {"which": [0, 1]},
    "both, a branch each, balanced": {"which": [0, 1], "balance": True},
}
COMPARED = [
    ("both, stacked", "Sentinel-1"),
    ("both, a branch each", "Sentinel-1"),
    ("both, a branch each, balanced", "Sentinel-1"),
    ("both, a branch each", "both, stacked"),
    ("both, a branch each, balanced", "both, a branch each"),
]


def series(season: bool) -> tuple[list[np.ndarray], list[Sensor], np.ndarray, np.ndarray]:
    """Series (n, c, t) of each sensor, the sensors, labels (n,) and places (n,)."""
    with np.load(DATA) as file:
        x, y, classes, bands, dates = (file[key] for key in ("x", "y", "classes", "bands", "dates"))
        cells = np.floor(np.stack([file["lat"], file["lon"]], axis=1) / DEGREES)
    x, days = x.transpose(0, 2, 1), dates.astype("datetime64[ns]")
    if season:
        x, days = x[:, :, 3:10], days[3:10]
    enough = ((~np.isnan(x)).sum(axis=2) >= 2).all(axis=1) & (y >= 0)
    x = filled_in_time(x[enough], days)
    place = np.unique(cells[enough], axis=0, return_inverse=True)[1].ravel()
    radar = Sensor("S1", tuple(map(str, bands[:2])), days, "dB")
    optical = Sensor("S2", tuple(map(str, bands[2:])), days)
    return [x[:, :2], x[:, 2:]], [radar, optical], classes[y[enough]].astype(str), place


def scored(embedding: Sequence[np.ndarray], label: Sequence[np.ndarray], seed: int) -> tuple[float, float]:
    """Overall accuracy and macro recall on the second of two parts, clustered and voted on the first."""
    book = fit_codebook(embedding[0], label[0], clusters=CLUSTERS, seed=seed)
    scores = score_embedding(embedding[1], label[1], book)
    return scores.overall_accuracy, scores.macro_recall


def trained(
    x: list[np.ndarray], sensors: list[Sensor], place: np.ndarray, settings: Settings, seed: int
) -> Iterator[tuple[str, list[int], Callable[[list[np.ndarray]], np.ndarray], Fused | None]]:
    """Name, sensors used, embedding, and the model, of each autoencoder and each PCA."""
    for name, how in MODELS.items():
        which = how["which"]
        options = {key: value for key, value in how.items() if key != "which"}
        mine = [x[i] for i in which], [sensors[i] for i in which]
        fused = fit_sensors(*mine, settings, seed, field=place, **options)
        yield name, which, fused.embed, fused
        if "balance" not in options and "join" not in options:
            z = lambda parts, fused=fused: rows(parts, fused.mean, fused.std)[:, 0].numpy()  # noqa: E731
            axes = PCA(settings.dims, random_state=seed).fit(z(mine[0]))
            yield f"PCA: {name.partition(',')[0]}", which, lambda parts, z=z, axes=axes: axes.transform(z(parts)), None


def interval(values: Sequence[float], ratio: float) -> dict[str, float]:
    """Mean over splits and its 95 % interval; ratio: test series per training series."""
    k = len(values)
    half = float(student.ppf(0.975, k - 1) * np.std(values, ddof=1) * np.sqrt(1 / k + ratio)) if k > 1 else float("nan")
    mean = float(np.mean(values))
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--dims", type=int, default=2)
    parser.add_argument("--season", action="store_true")
    parser.add_argument("--picture", type=Path)
    asked, began = parser.parse_args(), time.process_time()
    settings = Settings(epochs=asked.epochs, dims=asked.dims, pooling=(2, 2, 1) if asked.season else (2, 2, 2))
    x, sensors, label, place = series(asked.season)
    found: dict[str, list[tuple[float, float]]] = {}
    shares: dict[str, list[pd.DataFrame]] = {}
    residuals: dict[str, list[float]] = {}
    ratio = []
    splits = GroupShuffleSplit(asked.splits, test_size=TEST, random_state=0).split(label, groups=place)
    for seed, (train, test) in enumerate(splits):
        ratio.append(len(test) / len(train))
        mine = [each[train] for each in x]
        for name, which, embed, fused in trained(mine, sensors, place[train], settings, seed):
            parts = [[x[i][rows_] for i in which] for rows_ in (train, test)]
            scores = scored([embed(part) for part in parts], [label[train], label[test]], seed)
            found.setdefault(name, []).append(scores)
            spent = time.process_time() - began
            print(f"{seed} {name:<32} {scores[0]:.3f} {scores[1]:.3f} {spent:.0f} s", file=sys.stderr)
            if fused is None or len(which) < 2:
                continue
            told = contributed(parts[1], label[test], place[test], fused)
            share = sensor_shares(told)
            shares.setdefault(name, []).append(share[share["sensor"] == "S1"])
            residuals.setdefault(name, []).append(float(np.median(told.residual)))
            if asked.picture and seed == 0 and name == "both, a branch each":
                asked.picture.write_bytes(png(contributions_figure(table(told), letter_table(told), share)))
    facts = {"series": len(label), "classes": len(set(label)), "places": int(place.max()) + 1, "clusters": CLUSTERS}
    facts |= {key: getattr(asked, key) for key in ("splits", "epochs", "dims", "season")}
    facts["cpu_s"] = round(time.process_time() - began)
    print(json.dumps(told_of(found, shares, residuals, float(np.mean(ratio))) | facts))


def told_of(
    found: dict[str, list[tuple[float, float]]],
    shares: dict[str, list[pd.DataFrame]],
    residuals: dict[str, list[float]],
    ratio: float,
) -> dict[str, Any]:
    """Means with intervals, paired differences, shares of Sentinel-1 by dimension and split."""
    names = ("overall_accuracy", "macro_recall")
    scores = {name: np.array(values).T for name, values in found.items()}  # 2 by splits

    def both(values: np.ndarray) -> dict[str, dict[str, float]]:
        return {what: interval(row.tolist(), ratio) for what, row in zip(names, values, strict=True)}

    return {
        "scores": {name: both(values) for name, values in scores.items()},
        "differences": {f"{one} - {other}": both(scores[one] - scores[other]) for one, other in COMPARED},
        "share_of_s1": {
            name: {
                "by_dimension_and_split": [rows["share"].round(3).tolist() for rows in each],
                "share": interval([float(rows["share"].mean()) for rows in each], ratio),
                "net_share": interval([float(rows["net_share"].mean()) for rows in each], ratio),
            }
            for name, each in shares.items()
        },
        "residual": {name: round(float(np.mean(values)), 5) for name, values in residuals.items()},
    }


if __name__ == "__main__":
    main()
