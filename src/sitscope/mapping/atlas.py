"""Where do embedding, cluster, class and important dates lie on the map?"""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.cube.over import over_pixels
from sitscope.mapping.methods import Method, quick_path


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
