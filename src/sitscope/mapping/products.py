"""What does a person open in QGIS? Every map of an atlas as a GeoTIFF with its colours and names."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import to_hex

from sitscope.classes.codebook import Codebook
from sitscope.cube.writing import Progress, around_zero, shares, write_map
from sitscope.showing.colours import class_colours, cluster_colours, date_colours, importance_colours

PARTS = 100
"""Steps of progress for each map."""


def write_maps(maps: xr.Dataset, folder: str | Path, book: Codebook, progress: Progress | None = None) -> None:
    """Write class, cluster, embedding, confidence, and of each dimension peak date and peak importance, into a folder;
    and anomalies; of an embedding that somebody else computed its components in place of embedding and dates.

    Memory: windows of 64 MB of one map at a time, so that an atlas opened from Zarr may be of any size. Peak importance
    is blue below zero and red above it, confidence runs from 0 to 1, the other numbers from their 2nd to their 98th
    percentile. The files are the same to the last byte however the maps are cut into chunks.

    Args:
        maps: as `atlas` or `sitscope.mapping.placing` makes them, lazy or not; confidence and anomalies may be missing.
        folder: where the GeoTIFFs go, with a QGIS style (.qml) beside each; maps of these names are replaced.
        book: names the classes, and the class of each cluster.
        progress: called with (steps done, steps), a hundred for each map.

    Raises BadInput where the folder is full or must not be written. Maps that were finished then are whole.
    """
    writers = list(_writers(maps, Path(folder), book))
    for i, write in enumerate(writers):
        write(progress=partial(_told, progress, i, len(writers)))


def _told(progress: Progress | None, map_: int, maps: int, done: int, total: int) -> None:
    if progress:
        progress(PARTS * map_ + PARTS * done // total, PARTS * maps)


def _writers(maps: xr.Dataset, folder: Path, book: Codebook) -> Iterable[Callable[..., None]]:
    """A call for each map, which lacks only its progress."""
    classes = class_colours(book.classes)
    yield partial(write_map, maps["class"], folder / "class.tif", **_legend(classes, classes.values()))
    clusters = [_cluster_name(i, book) for i in range(len(book.centres))]
    legend = _legend(clusters, cluster_colours(len(clusters)))
    yield partial(write_map, maps["cluster"], folder / "cluster.tif", **legend)
    for name in ("embedding", "components"):
        if name in maps:
            yield partial(write_map, maps[name], folder / f"{name}.tif")
    if "confidence" in maps:
        yield partial(write_map, maps["confidence"], folder / "confidence.tif", stretch=shares)
    if "peak_date" not in maps:  # of an embedding whose dates nobody knows
        return
    days = maps["peak_date"].attrs["dates"]
    diverging = [to_hex(colour) for colour in importance_colours(np.linspace(0, 1, 9))]
    for dim in maps.dim.values.tolist():
        date, strength = (maps[name].sel(dim=dim, drop=True) for name in ("peak_date", "peak_importance"))
        yield partial(write_map, date, folder / f"peak_date_{dim}.tif", **_legend(days, date_colours(len(days))))
        path = folder / f"peak_importance_{dim}.tif"
        yield partial(write_map, strength, path, ramp=diverging, stretch=around_zero)
    if "anomaly" in maps:
        yield partial(write_map, maps["anomaly"], folder / "anomaly.tif")
        legend = _legend(days, date_colours(len(days)))
        yield partial(write_map, maps["anomaly_date"], folder / "anomaly_date.tif", **legend)


def _cluster_name(i: int, book: Codebook) -> str:
    return f"{i + 1}: {book.classes[book.assigned[i]] if book.assigned[i] >= 0 else 'no class'}"


def _legend(names: Iterable[str], colours: Iterable[str]) -> dict[str, Any]:
    """Code of the map, from 1, to what stands for it."""
    return {"names": dict(enumerate(names, start=1)), "colours": dict(enumerate(colours, start=1))}
