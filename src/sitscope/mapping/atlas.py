"""Where do embedding, cluster, class, confidence and important dates lie on the map?"""

from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Float32

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.cube.over import over_pixels
from sitscope.mapping.methods import Method, quick_path


def atlas(
    cube: xr.DataArray, fitted: Fitted, book: Codebook, method: Method = quick_path, *, anomaly: bool = False
) -> xr.Dataset:
    """Maps on the grid of the cube, lazy where the cube is.

    Returns embedding (dim, y, x); cluster, class (y, x), 0 where nothing is known, else 1 + position; confidence (y,
    x), see `Codebook.cluster_and_confidence`; peak_date (dim, y, x), the acquisition, from 1, whose importance by the
    method is largest in size; peak_importance (dim, y, x), that importance with its sign; and where asked for, anomaly
    (y, x), the root mean squared error of the reconstruction in the units of the cube, and anomaly_date (y, x), the
    acquisition, from 1, with the largest share of it. Raises BadInput for a cube of other dates, bands or units.
    """
    fitted.check(cube.time.values, tuple(map(str, cube.band.values)), str(cube.attrs.get("units", fitted.units)))
    rows = partial(_rows, fitted=fitted, book=book, method=method, anomaly=anomaly)
    packed = over_pixels(rows, cube, outputs=outputs(fitted, anomaly))  # (y, x, output)
    return described(unpacked(packed, fitted.settings.dims), fitted, book)


def _rows(
    x: Float[np.ndarray, "n c t"], fitted: Fitted, book: Codebook, method: Method, anomaly: bool
) -> Float[np.ndarray, "n k"]:
    return pixel_rows(x, fitted, book, method, anomaly)[0]


def outputs(fitted: Fitted, anomaly: bool = False) -> int:
    """Numbers of a pixel in `pixel_rows`."""
    return 3 * fitted.settings.dims + 3 + 2 * anomaly


def pixel_rows(
    x: Float[np.ndarray, "n c t"], fitted: Fitted, book: Codebook, method: Method, anomaly: bool = False
) -> tuple[Float32[np.ndarray, "n k"], Float[np.ndarray, "n d b t"]]:
    """All that the maps say of these series, a row each as `unpacked` reads it; and the importance behind it."""
    embedding, importance = fitted.embed(x), method(fitted, x)
    by_date = importance.sum(axis=2)
    peak = np.abs(by_date).argmax(axis=2)  # (n, d)
    strength = np.take_along_axis(by_date, peak[:, :, None], axis=2)[:, :, 0]
    cluster, confidence = book.cluster_and_confidence(embedding)
    codes = np.stack([cluster + 1, book.assigned[cluster] + 1], axis=1)
    rows = np.hstack([embedding, codes, confidence[:, None], peak + 1, strength])
    if anomaly:
        error, date = fitted.anomaly(x)
        rows = np.hstack([rows, np.stack([error, date + 1], axis=1)])
    return rows.astype(np.float32), importance


def unpacked(packed: xr.DataArray, d: int) -> xr.Dataset:
    """(y, x, output) as the maps it holds."""
    maps = {
        "embedding": _by_dim(packed, 0, d),
        "cluster": _codes(packed[..., d]),
        "class": _codes(packed[..., d + 1]),
        "confidence": packed[..., d + 2],
        "peak_date": _codes(_by_dim(packed, d + 3, d)),
        "peak_importance": _by_dim(packed, 2 * d + 3, d),
    }
    if packed.sizes[packed.dims[-1]] > 3 * d + 3:
        maps |= {"anomaly": packed[..., 3 * d + 3], "anomaly_date": _codes(packed[..., 3 * d + 4])}
    return xr.Dataset(maps).assign_coords(dim=np.arange(1, d + 1), spatial_ref=packed.spatial_ref)


def _by_dim(packed: xr.DataArray, first: int, d: int) -> xr.DataArray:
    return packed[..., first : first + d].rename({packed.dims[-1]: "dim"}).transpose("dim", "y", "x")


def _codes(values: xr.DataArray) -> xr.DataArray:
    """Whole numbers with 0 for nodata."""
    return values.fillna(0).astype(np.int16)


def described(maps: xr.Dataset, fitted: Fitted, book: Codebook) -> xr.Dataset:
    """The same with CF's names, flags and units."""
    days = [str(d) for d in fitted.dates.astype("datetime64[D]")]
    maps = classes_described(maps, book)
    maps["embedding"].attrs = {"long_name": "embedding", "units": "1"}
    maps["peak_date"].attrs = {"long_name": "acquisition of the largest importance", "dates": days, **_flags(days)}
    maps["peak_importance"].attrs = {"long_name": "importance at the peak date", "units": "1"}
    if "anomaly" in maps:
        what = "root mean squared error of the reconstruction"
        maps["anomaly"].attrs = {"long_name": what, "units": fitted.units}
        what = "acquisition of the largest error"
        maps["anomaly_date"].attrs = {"long_name": what, "dates": days, **_flags(days)}
    return maps


def classes_described(maps: xr.Dataset, book: Codebook) -> xr.Dataset:
    """What is said of cluster, class and confidence, whoever made the embedding."""
    clusters = [f"cluster {i + 1}" for i in range(len(book.centres))]
    confidence = "1 - distance to the centre of the cluster / to the second-nearest"
    maps["cluster"].attrs = {"long_name": "cluster of the embedding", **_flags(clusters)}
    maps["class"].attrs = {"long_name": "class that the cluster stands for", **_flags(list(book.classes))}
    maps["confidence"].attrs = {"long_name": "confidence in the cluster", "units": "1", "comment": confidence}
    return maps


def _flags(names: list[str]) -> dict[str, Any]:
    """CF flags; `names` keeps the blanks that flag_meanings cannot hold."""
    meanings = " ".join(name.replace(" ", "_") for name in names)
    return {"flag_values": list(range(1, len(names) + 1)), "flag_meanings": meanings, "names": names}
