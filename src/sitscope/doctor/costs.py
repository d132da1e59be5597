"""What will a run need of this machine?"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import xarray as xr

from sitscope.autoencoder.network import cells_left
from sitscope.classes.codebook import require_clusters
from sitscope.doctor.fields import Drawn
from sitscope.doctor.images import Opened
from sitscope.doctor.notebook import Notebook
from sitscope.mapping.plan import GB, cut, memory_each, processors
from sitscope.measuring import DATES, EXPLAINED
from sitscope.settings import RunSettings
from sitscope.showing.story import require_classes

FEW = 30
"""Series for each cluster, below which clusters are drawn from too little."""
SERIES_COPIES = 4
"""Of the series of the fields in memory at once: as read, scaled, their split, their embedding's network."""


def examine_costs(
    opened: Opened, drawn: Drawn | None, settings: RunSettings, out: Path | None, note: Notebook
) -> dict[str, str]:
    """What the network, clusters and this machine ask for; the figures that a person would like to know before."""
    dates, bands = opened.first.sizes["time"], len(opened.bands)
    pixels, workers = opened.grid.height * opened.grid.width, processors()
    note.tried(lambda: cells_left(dates, settings.autoencoder))
    if drawn is not None and drawn.labels is not None and drawn.train:
        _examine_clusters(drawn, settings, note)
    shape = (dates, bands, opened.grid.height, opened.grid.width)
    like = xr.DataArray(np.broadcast_to(np.float32(0), shape), dims=("time", "band", "y", "x"))
    free = psutil.virtual_memory().available / GB
    each = memory_each(workers)
    note.tried(lambda: cut(like, each, workers))
    series = 0 if drawn is None else drawn.pixels.size
    learning = SERIES_COPIES * 4 * dates * bands * series / GB
    if learning > 0.8 * free:
        what = f"the {series:,} series of the fields take about {size(learning)} of memory, and {size(free)} are free"
        note.warn("max_pixels", f"{what}. Take fewer pixels of each field, as with max_pixels = 50.")
    kept = _disk(pixels, settings)
    place = next(path for path in [(out or Path()).absolute(), *(out or Path()).absolute().parents] if path.exists())
    room = shutil.disk_usage(place).free / GB
    if kept > 0.9 * room:
        what = f"maps take about {size(kept)}, and {size(room)} are free at {place}"
        note.warn("out", f"{what}. Name a folder on another disk, or free some.")
    minutes = pixels * dates / DATES / (EXPLAINED * workers) / 60
    return {
        "series": f"{series:,} pixels in fields, of {pixels:,} in the images",
        "memory": f"{size(free)} free; about {size(learning + workers * each)} used at most, {workers} blocks at once",
        "disk": f"about {size(kept)} for maps; {size(room)} free",
        "time": f"mapping: {minutes:.1f} min on {workers} processors like the reference machine's (sitscope bench)",
    }


def size(gb: float) -> str:
    """In the unit that reads well.

    >>> size(0.0123), size(12.345)
    ('13 MB', '12.3 GB')
    """
    return f"{gb:.1f} GB" if gb >= 1 else f"{gb * 1024:.0f} MB"


def _examine_clusters(drawn: Drawn, settings: RunSettings, note: Notebook) -> None:
    assert drawn.labels is not None
    owners = np.unique(drawn.owner.ravel()[drawn.pixels])
    classes = sorted({drawn.labels[i] for i in owners} - {""})
    clusters = settings.clusters or len(classes)
    before = len(note.problems)
    note.tried(lambda: require_clusters(clusters, drawn.train))
    note.tried(lambda: require_classes(settings.groups, classes))
    if len(note.problems) == before and drawn.train < FEW * clusters:
        what = f"{drawn.train} series train {clusters} clusters, fewer than {FEW} for each"
        note.warn("clusters", f"{what}. Ask for fewer clusters, or add fields.")


def _disk(pixels: int, settings: RunSettings) -> float:
    """GB of maps: class, cluster, confidence, background, missing; embedding, peak date and strength by dimension."""
    values: Any = 5 + 3 * settings.autoencoder.dims
    return 2 * 4 * values * pixels / GB  # Zarr, and GeoTIFF again
