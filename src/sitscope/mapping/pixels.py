"""What is typical of every cluster, class and field, over all pixels of the map and not over samples of it?"""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from jaxtyping import Float

from sitscope.mapping.make import Made
from sitscope.mapping.sums import Sums
from sitscope.mapping.work import Job, cluster_scale, field_scale


def pixel_profiles(made: Made, job: Job) -> pd.DataFrame:
    """Means over all pixels of each cluster and each class of the map: a row per group, dimension and date.

    Columns: by ("cluster" or "class"), name, dim (from 1), date, n (pixels), importance (of all bands), importance_VV
    and so on with _std where the method tells bands, each band in the units of the cube with _std, embedding and
    confidence of the group (the same on all dates). Exact to the quantum of `sitscope.mapping.sums`, and the same to
    the last bit for any blocks, workers and interruptions.
    """
    classes = job.book.classes
    of = {i + 1: int(c) for i, c in enumerate(job.book.assigned.tolist()) if c >= 0}
    by_class = made.clusters.joined(of)
    tables = [
        _profiles("cluster", [f"cluster {i}" for i in made.clusters.ids.tolist()], made.clusters, job),
        _profiles("class", [classes[i] for i in by_class.ids.tolist()], by_class, job),
    ]
    return pd.concat(tables, ignore_index=True)


def _profiles(by: str, names: Sequence[str], found: Sums, job: Job) -> pd.DataFrame:
    fitted, scale = job.fitted, cluster_scale(job)
    g, d, c, t = len(names), fitted.settings.dims, len(fitted.bands), len(fitted.dates)
    mean, std = found.mean(scale), found.std(scale)
    b = (mean.shape[1] - c * t - d - 1) // (d * t)
    series, series_std = (m[:, : c * t].reshape(g, 1, c, t) for m in (mean, std))
    importance, importance_std = (m[:, c * t : -d - 1].reshape(g, d, b, t) for m in (mean, std))
    columns: dict[str, Any] = {
        "by": np.full(g * d * t, by),
        "name": np.repeat(np.array(names, dtype=object), d * t),
        "dim": np.tile(np.repeat(np.arange(1, d + 1), t), g),
        "date": np.tile(fitted.dates, g * d),
        "n": np.repeat(found.count, d * t),
        "importance": importance.sum(axis=2).ravel(),
    }
    for i, band in enumerate(fitted.bands):
        if b > 1:
            columns |= {f"importance_{band}": importance[:, :, i].ravel()}
            columns |= {f"importance_{band}_std": importance_std[:, :, i].ravel()}
        columns[band] = np.broadcast_to(series[:, :, i], (g, d, t)).ravel()
        columns[f"{band}_std"] = np.broadcast_to(series_std[:, :, i], (g, d, t)).ravel()
    columns["embedding"] = np.repeat(mean[:, -d - 1 : -1].ravel(), t)
    columns["confidence"] = np.repeat(mean[:, -1], d * t)
    return pd.DataFrame(columns)


def field_table(fields: gpd.GeoDataFrame, made: Made, job: Job) -> gpd.GeoDataFrame:
    """A row per field, whatever columns it had and: what all its pixels say.

    pixels (those without a gap), predicted (the most frequent class, "" = none), its share, e1 .. ed (mean
    embedding), confidence, share of each class ("share Cotton", "share no class"), importance_1 .. _d (a list, one
    number per acquisition). A field without a pixel has NaN and empty lists.
    """
    d, t, classes = job.fitted.settings.dims, len(job.fitted.dates), job.book.classes
    n = len(fields)
    mean = np.full((n, len(field_scale(job))), np.nan)
    mean[made.fields.ids] = made.fields.mean(field_scale(job))
    pixels = np.zeros(n, np.int64)
    pixels[made.fields.ids] = made.fields.count
    share = mean[:, d * t + d + 1 :]  # no class first
    columns: dict[str, Any] = {"pixels": pixels, **winners(share[:, 1:], classes, pixels > 0)}
    columns |= {f"e{i + 1}": mean[:, d * t + i] for i in range(d)}
    columns["confidence"] = mean[:, d * t + d]
    columns |= {f"share {name}": share[:, i + 1] for i, name in enumerate(classes)}
    columns["share no class"] = share[:, 0]
    for i in range(d):
        rows = mean[:, i * t : (i + 1) * t]
        columns[f"importance_{i + 1}"] = [
            row.tolist() if some else [] for row, some in zip(rows, pixels > 0, strict=True)
        ]
    kept = fields.drop(columns=[name for name in fields.columns if name in columns and name != fields.geometry.name])
    found = pd.concat([kept.reset_index(drop=True), pd.DataFrame(columns)], axis=1)
    table = gpd.GeoDataFrame(found, geometry=fields.geometry.name, crs=fields.crs)
    return table.rename_geometry("geometry") if table.geometry.name != "geometry" else table


def winners(share: Float[np.ndarray, "n m"], classes: Sequence[str], known: np.ndarray) -> dict[str, Any]:
    best = np.nan_to_num(share).argmax(axis=1)
    won = np.take_along_axis(share, best[:, None], axis=1)[:, 0]
    names = np.array([*classes, ""], dtype=object)
    return {"predicted": names[np.where(known & (won > 0), best, len(classes))], "share": won}
