"""Where do embedding, cluster, class and important dates lie on the map, and what is typical of a class?"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int, Shaped
from scipy.stats import t as student

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.cube.over import over_pixels

NODES = 16
"""Of the path to each series of a profile: in the demo they miss 1 % of the change (median), and 0.2 % of means."""
PEAK_NODES = 4
"""Of the path to each pixel of a map, where only the largest contribution matters: 88 % right in the demo."""
EXPLAINED = 400
"""Most series of a class that are explained for its profile: enough for a mean, where a hundred thousand take hours."""

Method = Callable[[Fitted, Float[np.ndarray, "n c t"]], Float[np.ndarray, "n d b t"]]
"""(model, series) -> importance of each date for each embedding dimension; b bands, or 1 where bands are not told."""


def path(fitted: Fitted, x: Float[np.ndarray, "n c t"]) -> Float[np.ndarray, "n d c t"]:
    """Contributions along the path from the training's mean curve, in units of the embedding: complete."""
    return fitted.contributions(x, nodes=NODES)


def letter(fitted: Fitted, x: Float[np.ndarray, "n c t"]) -> Float[np.ndarray, "n d 1 t"]:
    """The letter's Grad-SLAM, in [-1, 1]."""
    return fitted.explain(x)[:, :, None]


def quick_path(fitted: Fitted, x: Float[np.ndarray, "n c t"]) -> Float[np.ndarray, "n d c t"]:
    """`path` with few nodes, for maps of millions of pixels."""
    return fitted.contributions(x, nodes=PEAK_NODES)


METHODS: Mapping[str, Method] = {"path": path, "letter": letter}
"""By the names that a person types."""
QUICK: Mapping[str, Method] = {"path": quick_path, "letter": letter}
"""The same for every pixel of a map."""

Group = Callable[[Shaped[np.ndarray, " n"], Shaped[np.ndarray, " n"]], Shaped[np.ndarray, " n"]]
"""From the names of truth and prediction of each series to the name it is averaged under."""


def truth(label: Shaped[np.ndarray, " n"], predicted: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Average by the class that a series is."""
    return label


def prediction(label: Shaped[np.ndarray, " n"], predicted: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Average by the class that a series was given."""
    return predicted


def confusion(label: Shaped[np.ndarray, " n"], predicted: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Average by both, named "Pepper as Cotton"."""
    return np.char.add(np.char.add(label.astype(str), " as "), predicted.astype(str))


def atlas(cube: xr.DataArray, fitted: Fitted, book: Codebook, method: Method = quick_path) -> xr.Dataset:
    """Maps on the grid of the cube: embedding, cluster, class, peak date of each dimension. Lazy where the cube is.

    Returns embedding (dim, y, x); cluster, class (y, x), 0 where nothing is known, else 1 + position; peak_date
    (dim, y, x), the acquisition, from 1, whose importance by the method is largest in size; peak_importance (dim, y,
    x), that importance with its sign. Raises BadInput for a cube of other dates, bands or units.
    """
    fitted.check(cube.time.values, tuple(map(str, cube.band.values)), str(cube.attrs.get("units", fitted.units)))
    d = fitted.settings.dims

    def rows(x: Float[np.ndarray, "n c t"]) -> Float[np.ndarray, "n k"]:
        embedding, importance = fitted.embed(x), method(fitted, x).sum(axis=2)
        peak = np.abs(importance).argmax(axis=2)  # (n, d)
        strength = np.take_along_axis(importance, peak[:, :, None], axis=2)[:, :, 0]
        cluster = book.cluster(embedding)[:, None]
        return np.hstack([embedding, cluster + 1, book.assigned[cluster] + 1, peak + 1, strength]).astype(np.float32)

    packed = over_pixels(rows, cube, outputs=3 * d + 2)  # (y, x, output)
    maps = xr.Dataset(
        {
            "embedding": _by_dim(packed, 0, d),
            "cluster": _codes(packed[..., d]),
            "class": _codes(packed[..., d + 1]),
            "peak_date": _codes(_by_dim(packed, d + 2, d)),
            "peak_importance": _by_dim(packed, 2 * d + 2, d),
        }
    ).assign_coords(dim=np.arange(1, d + 1), spatial_ref=cube.spatial_ref)
    return _described(maps, fitted, book)


def _by_dim(packed: xr.DataArray, first: int, d: int) -> xr.DataArray:
    return packed[..., first : first + d].rename({packed.dims[-1]: "dim"}).transpose("dim", "y", "x")


def _codes(values: xr.DataArray) -> xr.DataArray:
    """Whole numbers with 0 for nodata."""
    return values.fillna(0).astype(np.int16)


def _described(maps: xr.Dataset, fitted: Fitted, book: Codebook) -> xr.Dataset:
    """CF names, flags and units."""
    days = [str(d) for d in fitted.dates.astype("datetime64[D]")]
    clusters = [f"cluster {i + 1}" for i in range(len(book.centres))]
    maps["embedding"].attrs = {"long_name": "embedding", "units": "1"}
    maps["cluster"].attrs = {"long_name": "cluster of the embedding", **_flags(clusters)}
    maps["class"].attrs = {"long_name": "class that the cluster stands for", **_flags(list(book.classes))}
    maps["peak_date"].attrs = {"long_name": "acquisition of the largest importance", "dates": days, **_flags(days)}
    maps["peak_importance"].attrs = {"long_name": "importance at the peak date", "units": "1"}
    return maps


def _flags(names: list[str]) -> dict[str, Any]:
    """CF flags; `names` keeps the blanks that flag_meanings cannot hold."""
    meanings = " ".join(name.replace(" ", "_") for name in names)
    return {"flag_values": list(range(1, len(names) + 1)), "flag_meanings": meanings, "names": names}


def profiles(
    series: Any,
    fitted: Fitted,
    book: Codebook,
    *,
    by: Group = truth,
    methods: Mapping[str, Method] = METHODS,
    most: int = EXPLAINED,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean, standard deviation and 95 % interval of series and importance per (method, class, dimension, date).

    series: labelled, x (n, c, t). One row per method, class, embedding dimension (dim, from 1) and date: `importance`
    with `_std, _low, _high`, of which `importance_VV` and so on are the bands' parts where the method tells them; each
    band likewise in the units of the cube, `n` series and `n_fields` fields. Importance is of `n_explained` series of
    each class, at most `most`, drawn at random. Fields, not pixels, are the
    independent draws: the interval of a mean is Student's over the means of the fields, and over pixels only where a
    class has a single field.
    """
    label = np.asarray(series.label).astype(str)
    x, field = np.asarray(series.x, np.float32), np.asarray(series.field)
    names = np.array([*book.classes, "no class"])
    group = by(label, names[book.classify(fitted.embed(x))])
    rng = np.random.default_rng(seed)
    tables = []
    for name in sorted(set(group[label != ""].tolist())):
        mine = rng.permutation(np.flatnonzero((group == name) & (label != "")))
        for method, importance in methods.items():
            table = _profile(name, x[mine], importance(fitted, x[mine[:most]]), field[mine], fitted)
            tables.append(table.assign(method=method))
    return pd.concat(tables, ignore_index=True)


def _profile(
    name: str,
    x: Float[np.ndarray, "n c t"],
    importance: Float[np.ndarray, "some d b t"],
    field: Int[np.ndarray, " n"],
    fitted: Fitted,
) -> pd.DataFrame:
    """The rows of one class and method, dimension by dimension; the first series are those explained."""
    d, b, t = importance.shape[1:]
    some = len(importance)
    fields, group = np.unique(field, return_inverse=True)
    if len(fields) == 1:
        group = np.arange(len(field))
    columns = {
        "class": np.full(d * t, name),
        "dim": np.repeat(np.arange(1, d + 1), t),
        "date": np.tile(fitted.dates, d),
        **_spread("importance", importance.sum(axis=2).reshape(some, -1), group[:some]),
        "n": np.full(d * t, len(x)),
        "n_explained": np.full(d * t, some),
        "n_fields": np.full(d * t, len(fields)),
    }
    for i, band in enumerate(fitted.bands):
        if b > 1:
            columns[f"importance_{band}"] = importance[:, :, i].mean(axis=0, dtype=np.float64).ravel()
        columns |= {k: np.tile(v, d) for k, v in _spread(band, x[:, i], group).items()}
    return pd.DataFrame(columns)


def _spread(
    name: str, values: Float[np.ndarray, "n m"], group: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, " m"]]:
    """Mean and standard deviation over series, 95 % interval from the means of the groups."""
    _, group = np.unique(group, return_inverse=True)
    count = np.bincount(group)
    mean = values.mean(axis=0, dtype=np.float64)
    half = np.zeros_like(mean)
    if len(count) > 1:
        sums = np.zeros((len(count), values.shape[1]))
        np.add.at(sums, group, values)
        spread = (sums / count[:, None]).std(axis=0, ddof=1)
        half = student.ppf(0.975, len(count) - 1) * spread / np.sqrt(len(count))
    return {
        name: mean,
        f"{name}_std": values.std(axis=0, dtype=np.float64),
        f"{name}_low": mean - half,
        f"{name}_high": mean + half,
    }
