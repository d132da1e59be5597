"""How are maps of a scene of any size made, so that nothing is lost and nothing depends on who made them?"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import geopandas as gpd
import numpy as np
import xarray as xr
import zarr

from sitscope.cube.fields import field_of_pixels
from sitscope.cube.grid import Grid
from sitscope.cube.source import opened
from sitscope.cube.store import for_zarr
from sitscope.mapping import ledger
from sitscope.mapping.atlas import described, outputs, unpacked
from sitscope.mapping.drive import Work
from sitscope.mapping.plan import Block, blocks, chunk_side, cut, pixels_in
from sitscope.mapping.sums import Sums, merged
from sitscope.mapping.work import MISSING, Job, cluster_scale, field_scale, seen

Progress = Callable[[int, int], object]
"""Called with pixels done, and all of them."""
STRIP = 2048
"""Rows of the scene in which fields are drawn at once: a fixed number, so that no block decides whose a pixel is."""


@dataclass(frozen=True)
class Made:
    """What was summed while the maps were made."""

    clusters: Sums
    """By cluster, from 1; see `sitscope.mapping.work`."""
    fields: Sums
    """By field, from 0."""
    resumed: bool
    """Whether some blocks were there already."""


def make_maps(
    job: Job,
    facts: dict[str, Any],
    work: Work,
    *,
    memory_gb: float,
    workers: int,
    shapes: gpd.GeoSeries | None = None,
    progress: Progress | None = None,
) -> Made:
    """Make atlas.zarr, and importance.zarr where a window is asked for, in job.folder, block by block.

    facts: what must be the same for a job to go on after an interruption; memory_gb: of each worker; shapes: fields to
    sum over, in the reference system of the images. Every block of the images is read once. Raises BadInput for images
    of other dates, bands or units than the model's, for too little memory, and for a folder that cannot be written.
    """
    cube, fitted = opened(job.source), job.fitted
    fitted.check(cube.time.values, tuple(map(str, cube.band.values)), str(cube.attrs["units"]))
    planned = cut(cube, memory_gb, workers)
    with ledger.writing(job.folder):
        plan = ledger.left_over(job.folder, facts)
        if plan is None:
            _prepare(job, cube, shapes)
            ledger.begin(job.folder, facts, planned)
            plan = planned
        todo = ledger.remaining(job.folder, plan)
        resumed = len(todo) < len(plan)
        if todo and max(b.pixels for b in todo) > max(b.pixels for b in planned):  # less memory than there was
            smaller = [part for block in todo for part in _parts(block, cube, planned[0])]
            plan, todo = [block for block in plan if block not in todo] + smaller, smaller
            ledger.begin(job.folder, facts, plan)
    _do(job, work, plan, todo, progress)
    ledger.sweep(job.folder)
    parts = list(ledger.found(job.folder, plan))
    clusters = merged((part[0] for part in parts), len(cluster_scale(job)))
    return Made(clusters, merged((part[1] for part in parts), len(field_scale(job))), resumed)


def _do(job: Job, work: Work, plan: list[Block], todo: list[Block], progress: Progress | None) -> None:
    total = pixels_in(plan)
    done = total - pixels_in(todo)
    tell = progress or (lambda done, total: None)
    tell(done, total)
    if todo:
        for block in work(todo, job):
            done += block.pixels
            tell(done, total)


def _parts(block: Block, cube: xr.DataArray, like: Block) -> list[Block]:
    """A block cut to blocks of another's size."""
    side = chunk_side(cube.sizes["y"], cube.sizes["x"])
    shape = tuple(-(-(b - a) // side) * side for a, b in ((like.top, like.bottom), (like.left, like.right)))
    pieces = blocks(block.bottom - block.top, block.right - block.left, side, (shape[0], shape[1]))
    return [Block(p.top + block.top, p.left + block.left, p.bottom + block.top, p.right + block.left) for p in pieces]


def _prepare(job: Job, cube: xr.DataArray, shapes: gpd.GeoSeries | None) -> None:
    """Empty stores, and the field of every pixel. What another job left here goes."""
    ledger.clear(job.folder)
    for name in ("atlas.zarr", "importance.zarr"):
        shutil.rmtree(job.folder / name, ignore_errors=True)
    job.folder.mkdir(parents=True, exist_ok=True)
    height, width = cube.sizes["y"], cube.sizes["x"]
    side = chunk_side(height, width)
    empty = da.full((height, width, outputs(job.fitted, job.anomaly)), np.nan, np.float32, chunks=(side, side, -1))  # type: ignore[no-untyped-call]
    grid = {name: cube[name] for name in ("y", "x", "spatial_ref")}
    maps = described(
        unpacked(xr.DataArray(empty, grid, ("y", "x", "output")), job.fitted.settings.dims), job.fitted, job.book
    )
    first = seen(cube)
    maps = maps.assign(
        {name: xr.DataArray(maps.confidence.data, grid, ("y", "x"), attrs=a.attrs) for name, a in first.items()}
    )
    template(maps, job.folder / "atlas.zarr", side)
    if job.window is not None:
        packing = {"dtype": "int8", "scale_factor": job.step, "add_offset": 0.0, "_FillValue": np.int8(MISSING)}
        template(_importance(job, cube, side), job.folder / "importance.zarr", side, packing)
    if shapes is not None:
        _draw(shapes, cube, job.folder / ledger.OWNER, side)


def template(dataset: xr.Dataset, path: Path, side: int, packing: Mapping[str, Any] | None = None) -> None:
    """A store with all but the values; chunks of one dimension of the embedding, so that a map is read alone."""
    ready = for_zarr(dataset)
    for name in ready.data_vars:
        sizes = ready[name].sizes
        whole = {"y": min(side, sizes["y"]), "x": min(side, sizes["x"]), "dim": 1}
        ready[name].encoding.update(packing or {})
        ready[name].encoding["chunks"] = tuple(whole.get(str(dim), size) for dim, size in sizes.items())
    ready.to_zarr(path, compute=False, zarr_format=3, consolidated=False, mode="w")


def _importance(job: Job, cube: xr.DataArray, side: int) -> xr.Dataset:
    """Importance date by date, in whole numbers: as large as the images would be in bytes."""
    window, d, t = job.window, job.fitted.settings.dims, len(job.fitted.dates)
    assert window is not None
    assert window.top % side == window.left % side == 0, "chunks of two workers would meet"
    part = cube.isel(window.place)
    empty = da.full((d, t, part.sizes["y"], part.sizes["x"]), np.float32(np.nan), chunks=(1, t, side, side))  # type: ignore[no-untyped-call]
    coords = {"dim": np.arange(1, d + 1), "time": job.fitted.dates, "y": part.y, "x": part.x}
    array = xr.DataArray(empty, coords | {"spatial_ref": cube.spatial_ref}, ("dim", "time", "y", "x"))
    array.attrs = {"long_name": "importance of each date, summed over bands", "units": "1"}
    return array.to_dataset(name="importance")


def _draw(shapes: gpd.GeoSeries, cube: xr.DataArray, path: Path, side: int) -> None:
    """The field of each pixel, strip by strip."""
    height, width = cube.sizes["y"], cube.sizes["x"]
    chunks = (min(side, height), min(side, width))
    owner = zarr.create_array(path, shape=(height, width), chunks=chunks, dtype="int32", fill_value=-1, overwrite=True)
    for top in range(0, height, STRIP):
        strip = cube.isel(y=slice(top, top + STRIP))
        owner[top : top + STRIP] = field_of_pixels(shapes, Grid.of(strip))
