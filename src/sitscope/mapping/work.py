"""What is done to one block of a scene: read once, explained, written to its place, summed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
import zarr
from jaxtyping import Float, Int

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.cube.gaps import fill_cube
from sitscope.cube.over import batches
from sitscope.cube.source import Source, opened
from sitscope.mapping import ledger
from sitscope.mapping.atlas import outputs, pixel_rows, unpacked
from sitscope.mapping.methods import QUICK
from sitscope.mapping.plan import Block
from sitscope.mapping.sums import Sums, merged, power_of_two, sums

MISSING = -128
"""Of importance in whole numbers."""


@dataclass(frozen=True)
class Job:
    """All that a worker must know to do any block of a scene. Small: the images and the model travel as paths."""

    source: Source
    fitted: Fitted
    book: Codebook
    method: str
    """A name in `sitscope.mapping.methods.QUICK`."""
    folder: Path
    """Where the maps are being made; see `sitscope.mapping.ledger`."""
    fill: bool = False
    """Fill missing values linearly in time."""
    window: Block | None = None
    """Pixels whose importance is kept date by date."""
    step: float = 1.0
    """Importance of 1 in the whole numbers of which it is kept."""
    anomaly: bool = False
    """Map what the model cannot reconstruct, too."""

    def __call__(self, block: Block) -> Block:
        """Do a block, wherever this is."""
        return map_block(block, self)


def map_block(block: Block, job: Job) -> Block:
    """Make the maps of one block; when the mark is there, so are they. The same again gives the same bytes."""
    with one_torch_thread():
        raw = opened(job.source).isel(block.place).compute(scheduler="synchronous")
        cube = fill_cube(raw) if job.fill else raw
        values = cube.transpose("y", "x", "band", "time").values
        owner = ledger.owner_of(job.folder, block)
        packed = np.full((block.pixels, outputs(job.fitted, job.anomaly)), np.nan, np.float32)
        kept = _kept(job, block)
        clusters, fields = [], []
        for here, x in batches(values):
            packed[here], importance = pixel_rows(x, job.fitted, job.book, QUICK[job.method], job.anomaly)
            clusters.append(_cluster_sums(x, packed[here], importance, job))
            if owner is not None:
                fields.append(_field_sums(owner.ravel()[here], packed[here], importance, job))
            if kept is not None:
                kept[here] = np.clip(np.rint(importance.sum(axis=2) / job.step), -127, 127)
    found = merged(clusters, len(cluster_scale(job))), merged(fields, len(field_scale(job)))
    with ledger.writing(job.folder):
        _write(job, block, raw, packed, kept)
        ledger.mark(job.folder, block, *found)
    return block


def _kept(job: Job, block: Block) -> Int[np.ndarray, "n d t"] | None:
    """Room for the importance of a block of which any is asked for."""
    if job.window is None or not overlap(job.window, block):
        return None
    return np.full((block.pixels, job.fitted.settings.dims, len(job.fitted.dates)), MISSING, np.int8)


def overlap(window: Block, block: Block) -> Block | None:
    """What both hold."""
    top, left = max(window.top, block.top), max(window.left, block.left)
    bottom, right = min(window.bottom, block.bottom), min(window.right, block.right)
    return Block(top, left, bottom, right) if top < bottom and left < right else None


def _write(
    job: Job, block: Block, raw: xr.DataArray, packed: Float[np.ndarray, "n k"], kept: Int[np.ndarray, "n d t"] | None
) -> None:
    """To the place of the block in the stores: whole chunks, which no other worker writes."""
    shape = (block.bottom - block.top, block.right - block.left)
    grid = raw.isel(time=0, band=0, drop=True)
    rows = xr.DataArray(packed.reshape(*shape, -1), grid.coords, ("y", "x", "output"))
    maps = unpacked(rows, job.fitted.settings.dims).assign(seen(raw))
    _store(job.folder / "atlas.zarr", {str(name): array.values for name, array in maps.data_vars.items()}, block)
    part = overlap(job.window, block) if job.window else None
    if part and kept is not None:
        every = kept.reshape(*shape, *kept.shape[1:]).transpose(2, 3, 0, 1)
        mine = every[
            ..., part.top - block.top : part.bottom - block.top, part.left - block.left : part.right - block.left
        ]
        shift = job.window
        assert shift is not None
        moved = Block(part.top - shift.top, part.left - shift.left, part.bottom - shift.top, part.right - shift.left)
        _store(job.folder / "importance.zarr", {"importance": mine}, moved)


def seen(raw: xr.DataArray) -> dict[str, xr.DataArray]:
    """The first acquisition, in VH where there is one, as in the letter's Fig. 2; the share of dates without values."""
    band = "VH" if "VH" in raw.band.values else str(raw.band.values[0])
    image = raw.isel(time=0).sel(band=band)
    facts = {"long_name": str(raw.name), "band": band, "date": str(image.time.values)[:10], "units": raw.attrs["units"]}
    plain = image.drop_vars([name for name in image.coords if name not in ("y", "x", "spatial_ref")])
    missing = raw.isnull().any("band").mean("time").astype("float32")
    words = {"long_name": "share of dates with missing values", "units": "1"}
    return {"backscatter": plain.assign_attrs(facts), "missing": missing.assign_attrs(words)}


def _store(path: Path, arrays: dict[str, np.ndarray], block: Block) -> None:
    root = zarr.open_group(path, mode="r+", use_consolidated=False)
    for name, values in arrays.items():
        target = root[name]
        assert isinstance(target, zarr.Array)
        target[..., block.top : block.bottom, block.left : block.right] = values


def _cluster_sums(
    x: Float[np.ndarray, "n c t"], rows: Float[np.ndarray, "n k"], importance: Float[np.ndarray, "n d b t"], job: Job
) -> Sums:
    """By cluster, from 1: series, importance by dimension, band and date, embedding, confidence."""
    d, n = job.fitted.settings.dims, len(x)
    values = np.hstack([x.reshape(n, -1), importance.reshape(n, -1), rows[:, :d], rows[:, d + 2 : d + 3]])
    return sums(rows[:, d].astype(int), values, cluster_scale(job))


def _field_sums(
    owner: Int[np.ndarray, " n"], rows: Float[np.ndarray, "n k"], importance: Float[np.ndarray, "n d b t"], job: Job
) -> Sums:
    """By field, from 0: importance by dimension and date, embedding, confidence, share of each class from none on."""
    d, inside = job.fitted.settings.dims, owner >= 0
    rows, by_date = rows[inside], importance[inside].sum(axis=2)
    share = np.eye(len(job.book.classes) + 1)[rows[:, d + 1].astype(int)]
    values = np.hstack([by_date.reshape(len(rows), -1), rows[:, :d], rows[:, d + 2 : d + 3], share])
    return sums(owner[inside], values, field_scale(job))


def cluster_scale(job: Job) -> Float[np.ndarray, " m"]:
    """Powers of two near the size of each quantity of `_cluster_sums`."""
    fitted, t = job.fitted, len(job.fitted.dates)
    bands = power_of_two(np.abs(fitted.mean) + 4 * fitted.std)
    parts = 1 if job.method == "letter" else len(fitted.bands)
    return np.concatenate([np.repeat(bands, t), np.repeat(_importance_scale(job), parts * t), _spread(job), [1.0]])


def field_scale(job: Job) -> Float[np.ndarray, " m"]:
    """Powers of two near the size of each quantity of `_field_sums`."""
    t, m = len(job.fitted.dates), len(job.book.classes)
    return np.concatenate([np.repeat(_importance_scale(job), t), _spread(job), np.ones(m + 2)])


def _importance_scale(job: Job) -> Float[np.ndarray, " d"]:
    return np.ones(job.fitted.settings.dims) if job.method == "letter" else _spread(job)


def _spread(job: Job) -> Float[np.ndarray, " d"]:
    return power_of_two(np.abs(job.book.centres).max(axis=0))


@contextmanager
def one_torch_thread() -> Iterator[Any]:
    """There is a worker per core already; torch's own threads on top would only be in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
