"""Where do cluster, class and confidence of an embedding lie on the map that somebody else computed?

d dimensions, r principal components.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr
import zarr
from jaxtyping import Float, Int

from sitscope.classes.codebook import Codebook
from sitscope.classes.components import Components
from sitscope.cube.blocking import ROWS, block_side
from sitscope.cube.fields import field_of_pixels
from sitscope.cube.grid import Grid
from sitscope.cube.over import batches
from sitscope.mapping.atlas import classes_described
from sitscope.mapping.ledger import writing
from sitscope.mapping.make import template
from sitscope.mapping.pixels import winners
from sitscope.mapping.plan import Block, blocks, pixels_in, processors
from sitscope.mapping.sums import Sums, merged, power_of_two, sums

Progress = Callable[[int, int], object]
"""Called with pixels done, and all of them."""
CODES = ("cluster", "class")


@dataclass(frozen=True)
class Placing:
    """All that is needed for a block of the maps."""

    embedding: xr.DataArray
    """(band, y, x) as `sitscope.cube.embeddings.open_embedding` gives it."""
    book: Codebook
    components: Components
    """Of which the map shows places: colours of an embedding."""
    path: Path
    """Of the Zarr store."""


def map_embedding(
    placing: Placing, shapes: gpd.GeoSeries | None = None, progress: Progress | None = None
) -> tuple[Sums, Sums]:
    """Write cluster, class, confidence and components of every pixel to placing.path; what all pixels of each cluster
    (from 1) and of each field (position in `shapes`) sum up to.

    Block by block, several at once; memory is that of some blocks of 64 MB whatever the size of the raster. Sums: see
    `sitscope.mapping.sums`; quantities are the embedding (d), confidence, and the share of no class and of each class.
    Raises BadInput where the folder cannot be written, or the raster not be read.
    """
    raster, path = placing.embedding, placing.path
    side = block_side(*raster.shape)
    with writing(path.parent):
        template(_maps(placing), path, side)
    shape = (raster.chunksizes["y"][0], raster.chunksizes["x"][0])
    whole = (-(-shape[0] // side) * side, -(-shape[1] // side) * side)  # a single one may be smaller
    every = blocks(raster.sizes["y"], raster.sizes["x"], side, whole)
    pool, done, found = ThreadPoolExecutor(processors()), 0, []
    try:
        for top in range(0, raster.sizes["y"], ROWS):
            strip = [block for block in every if top <= block.top < top + ROWS]
            here = raster.isel(y=slice(top, top + ROWS))
            owner = None if shapes is None else field_of_pixels(shapes, Grid.of(here))
            for each in as_completed([pool.submit(_place, block, placing, _part(owner, block)) for block in strip]):
                block, mine = each.result()
                found.append(mine)
                done += block.pixels
                if progress:
                    progress(done, pixels_in(every))
    finally:
        pool.shutdown(cancel_futures=True)
    m = len(_scale(placing))
    return merged((f[0] for f in found), m), merged((f[1] for f in found), m)


def _part(owner: Int[np.ndarray, "h w"] | None, block: Block) -> Int[np.ndarray, " n"] | None:
    """The field of each pixel of a block, from those of its strip."""
    if owner is None:
        return None
    top = block.top % ROWS
    return owner[top : top + block.bottom - block.top, block.left : block.right].ravel()


def _maps(placing: Placing) -> xr.Dataset:
    """All but the values."""
    raster, r = placing.embedding, len(placing.components.axes)
    height, width = raster.sizes["y"], raster.sizes["x"]
    side = block_side(*raster.shape)
    grid = {name: raster[name] for name in ("y", "x", "spatial_ref")}

    def empty(dtype: Any, *more: int) -> da.Array:
        return da.zeros((*more, height, width), dtype=dtype, chunks=(*more, side, side))

    maps = xr.Dataset({name: xr.DataArray(empty(np.int16), grid, ("y", "x")) for name in CODES})
    maps["confidence"] = xr.DataArray(empty(np.float32), grid, ("y", "x"))
    maps["components"] = xr.DataArray(empty(np.float32, r), grid, ("dim", "y", "x"))
    maps = classes_described(maps.assign_coords(dim=np.arange(1, r + 1)), placing.book)
    shares = [round(float(share), 4) for share in placing.components.share]
    words = {"long_name": "principal components of the embedding", "units": "1", "share_of_variance": shares}
    maps["components"].attrs = words
    return maps


def _place(block: Block, placing: Placing, owner: Int[np.ndarray, " n"] | None) -> tuple[Block, tuple[Sums, Sums]]:
    part = placing.embedding.isel(block.place).transpose("y", "x", "band").compute(scheduler="synchronous")
    packed = np.full((block.pixels, 3 + len(placing.components.axes)), np.nan, np.float32)
    scale, clusters, fields = _scale(placing), [], []
    for here, x in batches(part.values[..., None]):
        e = x[:, :, 0]
        cluster, confidence = placing.book.cluster_and_confidence(e)
        assigned = placing.book.assigned[cluster]
        codes = np.stack([cluster + 1, assigned + 1], axis=1)
        packed[here] = np.hstack([codes, confidence[:, None], placing.components(e)])
        values = np.hstack([e, confidence[:, None], np.eye(len(placing.book.classes) + 1)[assigned + 1]])
        clusters.append(sums(cluster + 1, values, scale))
        if owner is not None:
            inside = owner[here] >= 0
            fields.append(sums(owner[here][inside], values[inside], scale))
    _write(block, packed, placing)
    return block, (merged(clusters, len(scale)), merged(fields, len(scale)))


def _write(block: Block, packed: Float[np.ndarray, "n k"], placing: Placing) -> None:
    """To the place of the block in the store: a whole chunk, which nobody else writes."""
    shape = (block.bottom - block.top, block.right - block.left)
    maps = packed.reshape(*shape, -1).transpose(2, 0, 1)
    values = {name: np.nan_to_num(maps[i]).astype(np.int16) for i, name in enumerate(CODES)}
    values |= {"confidence": maps[2], "components": maps[3:]}
    with writing(placing.path.parent):
        root = zarr.open_group(placing.path, mode="r+", use_consolidated=False)
        for name, array in values.items():
            target = root[name]
            assert isinstance(target, zarr.Array)
            target[..., block.top : block.bottom, block.left : block.right] = array


def _scale(placing: Placing) -> Float[np.ndarray, " m"]:
    """Powers of two near the size of each quantity."""
    spread = power_of_two(np.abs(placing.book.centres).max(axis=0))
    return np.concatenate([spread, np.ones(2 + len(placing.book.classes))])


def cluster_table(found: Sums, placing: Placing) -> pd.DataFrame:
    """Means over all pixels of each cluster and each class: by, name, dim (from 1), n, embedding, confidence."""
    book, d = placing.book, placing.embedding.sizes["band"]
    of = {i + 1: int(c) for i, c in enumerate(book.assigned.tolist()) if c >= 0}
    tables = []
    for by, part in (("cluster", found), ("class", found.joined(of))):
        names = [f"cluster {i}" if by == "cluster" else book.classes[i] for i in part.ids.tolist()]
        mean = part.mean(_scale(placing))
        columns: dict[str, Any] = {"by": by, "name": np.repeat(np.array(names, dtype=object), d)}
        columns |= {"dim": np.tile(np.arange(1, d + 1), len(names)), "n": np.repeat(part.count, d)}
        columns |= {"embedding": mean[:, :d].ravel(), "confidence": np.repeat(mean[:, d], d)}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def field_means(fields: gpd.GeoDataFrame, found: Sums, placing: Placing) -> gpd.GeoDataFrame:
    """A row per field, whatever columns it had and what all its pixels say: pixels (those with an embedding),
    predicted (the most frequent class, "" = none), its share, e1 .. ed (mean embedding), confidence, share of each
    class. NaN for a field without a pixel.
    """
    d, classes, n = placing.embedding.sizes["band"], placing.book.classes, len(fields)
    mean = np.full((n, len(_scale(placing))), np.nan)
    mean[found.ids] = found.mean(_scale(placing))
    pixels = np.zeros(n, np.int64)
    pixels[found.ids] = found.count
    share = mean[:, d + 1 :]  # no class first
    columns: dict[str, Any] = {"pixels": pixels, **winners(share[:, 1:], classes, pixels > 0)}
    columns |= {f"e{i + 1}": mean[:, i] for i in range(d)} | {"confidence": mean[:, d]}
    columns |= {f"share {name}": share[:, i + 1] for i, name in enumerate(classes)}
    columns["share no class"] = share[:, 0]
    return gpd.GeoDataFrame(pd.concat([fields, pd.DataFrame(columns)], axis=1), geometry="geometry", crs=fields.crs)
