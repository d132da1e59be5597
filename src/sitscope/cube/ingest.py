"""How do images become one Zarr cube, which is read as fast as it is explained?

A folder of a GeoTIFF per date is opened date by date for every block of series; a Zarr cube keeps all dates of some
pixels together.
"""

import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import rasterio
import xarray as xr
from zarr.codecs import BloscCodec

from sitscope.cube import cleaning
from sitscope.cube import units as unit
from sitscope.cube.reading import BLOCK_BYTES, ZARR_MARKS, Images, as_cube, files, open_bands
from sitscope.cube.store import for_zarr
from sitscope.errors import BadInput

SIDE = 128
"""Pixels along y and x of a chunk: 4 MB for 61 dates of a band."""
MARK = "done.json"

Progress = Callable[[int, int], object]
"""Called with rows of blocks that are done, and all of them."""


@dataclass(frozen=True)
class Layout:
    """How the pixels of a cube are cut."""

    chunk: tuple[int, int]
    """Rows and columns of a chunk as stored, whole in time"""
    window: tuple[int, int]
    """Rows and columns read at once: whole chunks, and where they are not too large whole blocks of the images"""
    cache_bytes: int
    """What GDAL has to keep so that it unpacks no block twice for a window"""


def ingest(
    images: Images,
    out: str | Path,
    *,
    units: str | None = None,
    bands: Sequence[str] | None = None,
    start: str | None = None,
    end: str | None = None,
    orbit: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **clean: Unpack[cleaning.Options],
) -> Path:
    """Convert images of any layout, once and in one pass, to a Zarr v3 cube whose chunks are whole in time.

    The cube is what `open_cube` gives for the images: float32, dB for radar bands, NaN = missing. Each band is a
    variable (time, y, x) with CF's grid mapping, so xarray.open_zarr reads it too, and `open_cube` reads it back.
    Memory: a few windows of 64 to 256 MB for each of dask's threads, however large the images.

    Args:
        images, units, bands, start, end, orbit, clean: as in `open_cube`.
        out: the cube to write. Until all is there, it is `out` + ".partial"; started again on the same images and
            options after an interruption, the conversion goes on after the last whole row of blocks.
        overwrite: replace a Zarr cube of this name.
        progress: called with (rows of blocks done, rows of blocks).

    Raises BadInput for what `open_cube` refuses, for a place that is not free, and for a place among the images.

    >>> import tempfile
    >>> from sitscope.cube.reading import open_cube
    >>> from sitscope.simulation.scene import simulate
    >>> cube = simulate(fields=48, field_px=8).cube
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     back = open_cube(ingest(cube, f"{folder}/cube.zarr"))
    ...     bool(back.equals(cube)), back.rio.crs == cube.rio.crs
    (True, True)
    """
    out = Path(out)
    _require_free(out, overwrite)
    _require_apart(images, out)
    how = cleaning.cleaning(clean)
    found, known, mask = open_bands(images, units, bands, start, end, orbit, how)
    layout = _layout(found)
    cube = as_cube(found, known, dict(zip(("y", "x"), layout.window, strict=True)), how, mask)
    dataset = _by_band(cube, known)
    facts = {"images": _stamps(images), "layout": asdict(layout), "clean": asdict(how), "cube": _described(dataset)}
    partial = out.with_name(f"{out.name}.partial")
    done = _begin(partial, dataset, layout, json.loads(json.dumps(facts)))
    tops = range(0, cube.sizes["y"], layout.window[0])
    with rasterio.Env(GDAL_CACHEMAX=layout.cache_bytes):
        for i in range(done, len(tops)):
            rows = slice(tops[i], min(tops[i] + layout.window[0], cube.sizes["y"]))
            # coordinates are there already
            dataset.isel(y=rows).drop_vars(list(dataset.coords)).to_zarr(partial / "cube", region={"y": rows})
            _write_mark(partial, facts, i + 1)
            if progress:
                progress(i + 1, len(tops))
    if out.exists():
        shutil.rmtree(out)
    os.replace(partial / "cube", out)
    shutil.rmtree(partial)
    return out


def _require_free(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not any((out / mark).exists() for mark in ZARR_MARKS):
        what = "is a file" if out.is_file() else "holds other things than a Zarr cube"
        raise BadInput("out", f"{out} {what}. Name a place of its own, such as CUBE.zarr.")
    if not overwrite:
        raise BadInput("out", f"{out} is there already. Name another place, or replace it with --overwrite.")


def _require_apart(images: Images, out: Path) -> None:
    """Among the images, the cube would be taken for one of them."""
    if isinstance(images, str | Path) and Path(images).is_dir() and out.resolve().parent == Path(images).resolve():
        message = f"{out} lies in the folder of the images, where it would be taken for one. Name a place beside it."
        raise BadInput("out", message)


def _layout(bands: dict[str, xr.DataArray]) -> Layout:
    """Windows of about BLOCK_BYTES, which hold whole blocks of the images unless these are far larger.

    Strips are as wide as the image, so windows are too; chunks are then lower and wider where the image is wide.
    """
    first = next(iter(bands.values()))
    rows, columns = first.sizes["y"], first.sizes["x"]
    stored = first.encoding.get("preferred_chunks", {})
    tall, wide = min(stored.get("y", 1), rows), min(stored.get("x", 1), columns)
    pixel = 4 * len(bands) * first.sizes["time"]
    usual, most = max(1, BLOCK_BYTES // pixel), max(1, 4 * BLOCK_BYTES // pixel)
    low = SIDE
    if wide < columns or columns <= SIDE:
        height, width = math.lcm(SIDE, tall), math.lcm(SIDE, wide)
        if height * width > most:
            height, width = SIDE, SIDE
        width *= max(1, usual // (height * width))
    else:
        while low > 1 and low * columns > most:
            low //= 2
        height, width = math.lcm(low, tall), columns
        if height * columns > most:  # each strip is unpacked for several windows, so for as few as can be
            height = low * max(1, most // (low * columns))
        height *= max(1, usual // (height * columns))
    chunk = min(low, rows), min(SIDE * SIDE // low, columns)
    window = min(height, rows), min(width, columns)
    blocks = [math.ceil(size / block) * block for size, block in zip(window, (tall, wide), strict=True)]
    return Layout(chunk, window, (os.cpu_count() or 1) * max(BLOCK_BYTES, 2 * pixel * math.prod(blocks)))


def _by_band(cube: xr.DataArray, known: dict[str, str]) -> xr.Dataset:
    """A variable per band, as CF and xarray's users have them, each with its own units."""
    dataset = cube.to_dataset("band")
    for band in dataset.data_vars:
        name = str(band)
        quantity = cube.name if known[name] != "1" else "values"
        dataset[band].attrs = {"long_name": f"{quantity} {name}", "units": unit.summary({name: known[name]})}
    return for_zarr(dataset)


def _stamps(images: Images) -> list[tuple[str, int, int]] | None:
    """Name, size and time of change of every file; None for objects in memory, which have none."""
    if isinstance(images, xr.DataArray | xr.Dataset):
        return None
    stats = [(str(Path(path).resolve()), Path(path).stat()) for path in files(images)[1]]
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _described(dataset: xr.Dataset) -> dict[str, Any]:
    """What else must be the same for a conversion to go on."""
    dates = np.datetime_as_string(dataset.time.values).tolist()
    return {"dates": dates, "bands": {str(band): array.attrs["units"] for band, array in dataset.data_vars.items()}}


def _begin(partial: Path, dataset: xr.Dataset, layout: Layout, facts: dict[str, Any]) -> int:
    """Rows of blocks that an interrupted conversion of the same images left; else an empty cube is made, and 0."""
    try:
        left = json.loads((partial / MARK).read_text())
    except (OSError, json.JSONDecodeError):
        left = {}
    if left.get("facts") == facts and facts["images"] is not None:
        return int(left["rows"])
    if partial.exists() and not (partial / MARK).exists():
        raise BadInput("out", f"{partial}, where the cube is made, holds other things. Move them, or name another out.")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    (partial / MARK).write_text("{}")
    chunks = (dataset.sizes["time"], *layout.chunk)
    packed = BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=4)
    for band in dataset.data_vars:
        dataset[band].encoding |= {"chunks": chunks, "compressors": packed, "_FillValue": np.float32(np.nan)}
    with warnings.catch_warnings():
        # Consolidated metadata is not yet in the specification, and readers are slow, and warn, without it.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        dataset.to_zarr(partial / "cube", compute=False, zarr_format=3, consolidated=True)
    _write_mark(partial, facts, 0)
    return 0


def _write_mark(partial: Path, facts: dict[str, Any], rows: int) -> None:
    """Whole or not at all: what is marked is there."""
    new = partial / f"{MARK}.new"
    new.write_text(json.dumps({"facts": facts, "rows": rows}))
    os.replace(new, partial / MARK)
