"""A run that never was: the letter's crops, confusions and dates, drawn from one seed."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pyproj import CRS
from shapely.geometry import box

from sitscope.showing.findings import Findings

# ruff: noqa: E501
# class: recall and flows in % (letter, Fig. 3), test series, sowing and clearing in days of the year, peak VV in dB
CROPS: dict[str, tuple[dict[str, int], int, int, int, float]] = {
    "Cotton": ({"Cotton": 93, "Tomato": 4, "Sugar Beet": 2, "Maize": 1}, 4000, 110, 290, -8.6),
    "Tomato": ({"Tomato": 91, "Cotton": 4, "Maize": 4, "Onion": 1}, 2600, 90, 215, -9.4),
    "Sugar Beet": ({"Sugar Beet": 94, "Cotton": 3, "Tomato": 3}, 1800, 10, 185, -9.0),
    "Maize": ({"Maize": 50, "Tomato": 22, "Carrot": 11, "Wheat": 7, "Cotton": 7, "Sugar Beet": 3}, 440, 95, 225, -9.0),
    "Wheat": ({"Maize": 36, "Wheat": 29, "Carrot": 13, "Tomato": 12, "Cotton": 5, "Alfalfa": 5}, 280, 5, 150, -15.5),
    "Sunflower": ({"Tomato": 88, "Maize": 9, "Sugar Beet": 2, "Cotton": 1}, 230, 60, 205, -8.7),
    "Carrot": ({"Tomato": 31, "Carrot": 30, "Maize": 20, "Wheat": 10, "Cotton": 9}, 200, 35, 170, -11.2),
    "Onion": ({"Tomato": 51, "Maize": 22, "Carrot": 13, "Onion": 6, "Sugar Beet": 5, "Cotton": 3}, 140, 20, 190, -12.5),
    "Alfalfa": ({"Wheat": 40, "Alfalfa": 20, "Maize": 10, "Sugar Beet": 10, "Cotton": 10, "Tomato": 10}, 160, 1, 364, -11.0),
    "Sweet Potato": ({"Cotton": 77, "Tomato": 21, "Sugar Beet": 1, "Maize": 1}, 100, 130, 290, -10.1),
    "Quinoa": ({"Maize": 28, "Alfalfa": 19, "Sugar Beet": 14, "Wheat": 12, "Carrot": 11, "Quinoa": 8, "Tomato": 8}, 90, 20, 160, -11.5),
    "Pumpkin": ({"Tomato": 59, "Cotton": 39, "Maize": 2}, 80, 115, 240, -10.0),
    "Fallow": ({"Maize": 30, "Tomato": 16, "Cotton": 15, "Sugar Beet": 10, "Carrot": 9, "Quinoa": 9, "Wheat": 8, "Onion": 3}, 40, 1, 130, -12.1),
    "Pepper": ({"Cotton": 75, "Tomato": 24, "Maize": 1}, 36, 120, 285, -10.6),
    "Potato": ({"Sugar Beet": 57, "Maize": 21, "Cotton": 10, "Quinoa": 7, "Tomato": 5}, 30, 15, 165, -9.5),
    "Chickpea": ({"Tomato": 49, "Maize": 31, "Wheat": 13, "Carrot": 4, "Cotton": 3}, 34, 60, 180, -12.0),
}  # fmt: skip


MASKINGS = ("mean curve", "gap filling", "donor", "noise")


def _trusted(half: float, area: float) -> dict[str, Any]:
    lift = {"value": area - 0.42, "low": area - 0.47, "high": area - 0.37}
    return {"half": half, "nls_auc": area, "lift": lift, "by_masking": dict.fromkeys(MASKINGS, area)}


FIDELITY: dict[str, Any] = {
    "series": 48, "draws": 4, "seed": 0, "residual": 0.004,
    "methods": {"path": _trusted(0.81, 0.7), "letter": _trusted(0.62, 0.56), "random": _trusted(0.47, 0.42)},
    "path_over_letter": {"value": 0.14, "low": 0.11, "high": 0.17},
}  # fmt: skip


def evaluation() -> pd.DataFrame:
    """Three methods under four maskings and over all of them."""
    rows = [
        {"method": m, "metric": "efficiency", "baseline": b, "value": v + 0.02 * i, "low": v - 0.1, "high": v + 0.1}
        for m, v in {"rounds": 0.9, "random": 0.01, "path": 0.5}.items()
        for i, b in enumerate((*MASKINGS, "all"))
    ]
    area = [{**row, "metric": "nls_auc"} for row in rows if row["baseline"] != "all"]
    missed = {
        "method": "path",
        "metric": "residual",
        "baseline": "mean curve",
        "value": 0.004,
        "low": 0.0,
        "high": 0.01,
    }
    return pd.DataFrame([*rows, *area, missed])


@pytest.fixture(scope="session")
def make() -> Callable[..., Findings]:
    """Any run: make(classes=16, dims=2, clusters=16, maps=True, ...)."""
    return build


@pytest.fixture(scope="session")
def findings() -> Findings:
    """The letter's own: 16 crops, 61 dates of 2017, two dimensions, 16 clusters."""
    return build()


def build(
    classes: int = 16,
    dims: int = 2,
    clusters: int = 16,
    maps: bool = True,
    dates: int = 61,
    size: int = 160,
    seed: int = 0,
) -> Findings:
    """A seeded run of any size; from the 17th on classes are copies of the crops with a number."""
    rng = np.random.default_rng(seed)
    names = [f"{list(CROPS)[i % 16]}{f' {i // 16 + 1}' if i >= 16 else ''}" for i in range(classes)]
    time = (np.datetime64("2017-01-03") + 6 * np.arange(dates)).astype("datetime64[ns]")
    scores = _scores(names)
    votes = _votes(names, clusters, scores, rng)
    assigned = tuple(str(votes.columns[i]) for i in votes.to_numpy().argmax(axis=1))
    centres = rng.normal(0, 3, (clusters, dims))
    profiles = _profiles(names, dims, time, scores, rng)
    letter = profiles.assign(importance=profiles.importance.round(1))
    return Findings(
        title="Crops of the BXII sector, 2017",
        settings=_settings(dims, clusters),
        dates=time,
        bands=("VV", "VH"),
        units="dB",
        scores=scores,
        profiles=profiles,
        votes=votes,
        assigned=assigned,
        samples=_samples(names, votes, assigned, centres, rng),
        centres=centres,
        losses={
            "train": [float(v) for v in 0.9 * np.exp(-np.arange(40) / 8) + 0.11],
            "validation": [float(v) for v in 0.9 * np.exp(-np.arange(40) / 8) + 0.12 + 0.0015 * np.arange(40)],
        },
        best_epoch=26,
        missing=np.where(np.arange(dates) % 23 == 7, 0.62, 0.0),
        maps=_maps(names, clusters, dims, time, size, rng) if maps else None,
        fields=_fields(names, size, rng),
        letter=letter,
        fidelity=FIDELITY,
        evaluation=evaluation(),
        notes=["The scene is simulated: its confusions follow from shared calendars, not from measured fields."],
    )


def _scores(names: list[str]) -> Any:
    m = len(names)
    confusion = np.zeros((m, m), np.int64)
    for i in range(m):
        flows, n, *_ = CROPS[list(CROPS)[i % 16]]
        for other, share in flows.items():
            j = names.index(other) if other in names else i
            confusion[i, j] += round(share * n / 100)
    total, hit = confusion.sum(), np.diag(confusion)
    rows, columns = confusion.sum(axis=1), confusion.sum(axis=0)
    recall, precision = hit / np.maximum(rows, 1), hit / np.maximum(columns, 1)
    chance = float((rows * columns).sum() / total**2)
    return SimpleNamespace(
        classes=tuple(names),
        confusion=confusion,
        unclassified=np.zeros(m, np.int64),
        overall_accuracy=float(hit.sum() / total),
        kappa=float((hit.sum() / total - chance) / max(1 - chance, 1e-9)),
        macro_recall=float(recall.mean()),
        recall=recall,
        precision=precision,
        f1=2 * precision * recall / np.maximum(precision + recall, 1e-9),
        classes_never_predicted=[n for n, c in zip(names, columns, strict=True) if c == 0],
        n_test=int(total),
    )


def _votes(names: list[str], clusters: int, scores: Any, rng: np.random.Generator) -> pd.DataFrame:
    found = np.flatnonzero(scores.confusion.sum(axis=0))
    votes = np.zeros((clusters, len(names)), np.int64)
    for j in found:
        own = np.arange(clusters)[np.arange(clusters) % len(found) == list(found).index(j)]
        if len(own):
            parts = rng.dirichlet(np.full(len(own), 3.0))
            votes[own] += np.round(parts[:, None] * 2.3 * scores.confusion[:, j]).astype(np.int64)
    return pd.DataFrame(votes, index=pd.RangeIndex(1, clusters + 1), columns=names)


def _profiles(names: list[str], dims: int, time: np.ndarray, scores: Any, rng: np.random.Generator) -> pd.DataFrame:
    day = (time - np.datetime64("2017-01-01")) / np.timedelta64(1, "D")
    rain = np.convolve(rng.normal(0, 0.35, len(day)), [0.25, 0.5, 0.25], "same") + 2.5 * (np.abs(day - 116) < 2)
    rows = []
    for i, name in enumerate(names):
        _, n, sown, cleared, peak = CROPS[list(CROPS)[i % 16]]
        canopy = 1 / (1 + np.exp(-(day - sown - 45) / 9)) / (1 + np.exp((day - cleared) / 5))
        bare = -11.3 + 0.6 * np.exp(-(((day - cleared - 25) / 18) ** 2)) + 0.8 * np.cos(day / 58)
        vv = bare + canopy * (peak - bare) + rain * (1 - 0.7 * canopy)
        vh = -20.3 + canopy * 4.8 + 0.8 * rain * (1 - 0.7 * canopy)
        for dim in range(1, dims + 1):
            shift = 14 * (dim - 1)
            importance = np.exp(-(((day - sown - 30 - shift) / 16) ** 2)) - 0.8 * np.exp(
                -(((day - cleared - shift) / 13) ** 2)
            )
            importance = 0.8 * importance / (1 + 0.2 * dim) + 0.05 * np.sin(day / 11 + i)
            rows.append(
                pd.DataFrame(
                    {
                        "class": name, "dim": dim, "date": time, "importance": importance, "importance_std": 0.12,
                        "importance_low": importance - 0.02, "importance_high": importance + 0.02,
                        "n": int(scores.confusion[i].sum()), "n_explained": min(400, int(scores.confusion[i].sum())), "n_fields": max(3, n // 60),
                        "VV": vv, "VV_std": 1.1 + 0.3 * np.sin(day / 40), "VV_low": vv - 0.1, "VV_high": vv + 0.1,
                        "VH": vh, "VH_std": 1.3, "VH_low": vh - 0.1, "VH_high": vh + 0.1,
                    }
                )
            )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def _samples(
    names: list[str], votes: pd.DataFrame, assigned: tuple[str, ...], centres: np.ndarray, rng: Any
) -> pd.DataFrame:
    share = votes.to_numpy().ravel() / max(votes.to_numpy().sum(), 1)
    drawn = rng.choice(share.size, 4000, p=share)
    cluster, label = np.divmod(drawn, len(names))
    embedding = centres[cluster] + rng.normal(0, 0.55, (len(drawn), centres.shape[1]))
    table = pd.DataFrame(
        {
            "label": np.array(names)[label],
            "predicted": np.array(assigned)[cluster],
            "cluster": cluster + 1,
            "field": rng.integers(0, 600, len(drawn)),
            "split": np.where(rng.random(len(drawn)) < 0.5, "test", "train"),
        }
    )
    return table.assign(**{f"e{i + 1}": embedding[:, i].astype(np.float32) for i in range(centres.shape[1])})


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    return 220005.0 + 10 * np.arange(round(size * 1.4)), 4110000.0 - 5 - 10 * np.arange(size)


def _cells(names: list[str], size: int, rng: np.random.Generator) -> list[tuple[int, int, int, int, int]]:
    """Fields of 24 by 12 pixels with tracks of 2 between them: row, column, height, width, class."""
    share = np.array([CROPS[list(CROPS)[i % 16]][1] for i in range(len(names))], float)
    x, y = _grid(size)
    starts = [(r, c) for r in range(2, len(y) - 26, 26) for c in range(2, len(x) - 14, 14)]
    drawn = rng.choice(len(names), len(starts), p=share / share.sum())
    return [(r, c, 24, 12, int(k)) for (r, c), k in zip(starts, drawn, strict=True)]


def _fields(names: list[str], size: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    cells = _cells(names, size, np.random.default_rng(5))
    x, y = _grid(size)
    shapes = [box(x[c] - 5, y[r + h - 1] - 5, x[c + w - 1] + 5, y[r] + 5) for r, c, h, w, _ in cells]
    split = rng.choice(["train", "test", "unused"], len(cells), p=[0.6, 0.3, 0.1])
    table = {"field": range(len(cells)), "label": [names[k] for *_, k in cells], "split": split}
    return gpd.GeoDataFrame(table, geometry=shapes, crs="EPSG:32629").to_crs("EPSG:4326")


def _maps(names: list[str], clusters: int, dims: int, time: np.ndarray, size: int, rng: Any) -> xr.Dataset:
    x, y = _grid(size)
    truth = np.full((len(y), len(x)), -1)
    for r, c, h, w, k in _cells(names, size, np.random.default_rng(5)):
        truth[r : r + h, c : c + w] = k
    noisy = np.where(rng.random(truth.shape) < 0.1, rng.integers(0, len(names), truth.shape), truth)
    predicted = np.where(truth >= 0, noisy, 12 % len(names)) + 1
    predicted[:6, :30] = 0
    back = np.where(truth >= 0, -20 + truth * 0.3, -24) + rng.gamma(8, 0.5, truth.shape)
    back[predicted == 0] = np.nan
    peak = np.stack(
        [(np.maximum(truth, 0) * 7 + 11 * d + rng.integers(0, 4, truth.shape)) % len(time) + 1 for d in range(dims)]
    )
    peak[:, predicted == 0] = 0
    grid = ("y", "x")
    return xr.Dataset(
        {
            "cluster": (grid, (predicted % clusters + 1).astype(np.int16)),
            "class": (grid, predicted.astype(np.int16), {"names": names}),
            "peak_date": (("dim", *grid), peak.astype(np.int16), {"dates": [str(t)[:10] for t in time]}),
            "peak_importance": (("dim", *grid), rng.random(peak.shape).astype(np.float32)),
            "embedding": (("dim", *grid), rng.normal(size=peak.shape).astype(np.float32)),
            "backscatter": (grid, back.astype(np.float32), {"band": "VH", "date": "2017-01-03", "units": "dB"}),
        },
        coords={
            "y": y,
            "x": x,
            "dim": np.arange(1, dims + 1),
            "spatial_ref": ((), 0, {"crs_wkt": CRS.from_epsg(32629).to_wkt()}),
        },
    )


def _settings(dims: int, clusters: int) -> dict[str, Any]:
    return {
        "seed": 0,
        "settings": {
            "dims": dims,
            "clusters": clusters,
            "filters": [64, 128, 256],
            "kernels": [7, 5, 3],
            "learning_rate": 1e-3,
        },
        "explanation": {"layers": "every convolution", "alpha": "time mean", "merge": "mean", "sign": "signed"},
        "versions": {"sitscope": "0.1.0", "torch": "2.13.0"},
    }
