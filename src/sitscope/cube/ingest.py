"""How do images become one Zarr cube, which is read as fast as it is explained?

A folder of a GeoTIFF per date is opened date by date for every block of series; a Zarr cube keeps all dates of some
pixels together.
"""

import errno
import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import rasterio
import xarray as xr
from numcodecs import Blosc
from rasterio.errors import NotGeoreferencedWarning

from sitscope.cube import catalog, cleaning
from sitscope.cube import units as unit
from sitscope.cube.grid import Grid
from sitscope.cube.periods import COUNT, Periods, composed, periods
from sitscope.cube.reading import BLOCK_BYTES, ZARR_MARKS, Images, as_cube, files, open_bands
from sitscope.cube.store import for_zarr
from sitscope.errors import BadInput
from sitscope.untrusted import content, require_own

SIDE = 128
"""Pixels along y and x of a chunk: 4 MB for 61 dates of a band."""
MARK = "done.json"
FORMAT = 2
"""Of Zarr: GDAL 3.10, which rasterio brings, opens no array of version 3 as it was specified in the end."""
FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "files may not be as large",
    errno.EROFS: "it can only be read",
    errno.EACCES: "writing is not allowed",
    errno.EPERM: "writing is not allowed",
}
"""What keeps files from being written, and how to say it."""

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
    grid: Mapping[str, Any] | None = None,
    every: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **clean: Unpack[cleaning.Options],
) -> Path:
    """Convert images of any layout, once and in one pass, to a Zarr cube whose chunks are whole in time.

    The cube is what `open_cube` gives for the images: float32, dB for radar bands, NaN = missing. Each band is a
    variable (time, y, x) with CF's grid mapping, so xarray.open_zarr and GDAL read it too, and `open_cube` reads it
    back. Memory: a few windows of 64 to 256 MB for each of dask's threads, however large the images.

    Args:
        images, units, bands, start, end, orbit, grid, clean: as in `open_cube`.
        out: the cube to write. Until all is there, it is `out` + ".partial"; started again on the same images and
            options after an interruption, the conversion goes on after the last whole row of blocks.
        every: compose periods, "month" or days as "10D", counted from start or from 1 January: the mean of linear
            power for radar, the median for others, NaN where there is nothing. The dates are the middles of the
            periods, time_bnds has their ends, and VV_count how many images each value of VV is made of.
        overwrite: replace a Zarr cube of this name.
        progress: called with (rows of blocks done, rows of blocks).

    Raises BadInput for what `open_cube` refuses, for a place among the images or one that is not free, and for one that
    cannot be written or is full: what was done is kept, and gone on with.

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
    partial = out.with_name(f"{out.name}.partial")
    moved = out.exists() and (partial / MARK).exists() and not (partial / "cube").exists()
    _require_free(out, overwrite or moved)
    _require_apart(images, out)
    how = cleaning.cleaning(clean)
    found, known, mask = open_bands(images, units, bands, start, end, orbit, grid, how)
    layout = _layout(found)
    cube = as_cube(found, known, dict(zip(("y", "x"), layout.window, strict=True)), how, mask)
    spans = None if every is None else periods(cube.time.values, every, start)
    dataset = _by_band(cube, known) if spans is None else _by_period(cube, known, spans)
    asked = {"grid": dict(grid or {}), "every": every, "place": str(Grid.of(cube)), "clean": asdict(how)}
    facts = {"images": _stamps(images), "layout": asdict(layout), "cube": _described(dataset), **asked}
    facts = json.loads(json.dumps(facts))
    steps = math.ceil(cube.sizes["y"] / layout.window[0])
    with _room(out):
        if moved and _left(partial, facts) == steps:  # it was stopped between its last two steps
            shutil.rmtree(partial)
            return out
        _require_free(out, overwrite)
        _begin(partial, dataset, layout, facts)
        with rasterio.Env(GDAL_CACHEMAX=layout.cache_bytes), warnings.catch_warnings():
            # rasterio silences itself while it warps, but not for the threads beside
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            _fill(partial, dataset, layout.window[0], facts, progress)
        _move(partial, out)
    return out


def _fill(partial: Path, dataset: xr.Dataset, height: int, facts: dict[str, Any], progress: Progress | None) -> None:
    """The rows of blocks that are not there yet, each marked when it is."""
    there = [name for name, array in dataset.variables.items() if "y" not in array.dims]
    pixels = dataset.drop_vars([*there, "y"])
    tops = range(0, dataset.sizes["y"], height)
    for i in range(_left(partial, facts), len(tops)):
        rows = slice(tops[i], min(tops[i] + height, dataset.sizes["y"]))
        part = pixels.isel(y=rows)
        part.drop_vars(list(part.coords)).to_zarr(partial / "cube", region={"y": rows})
        _write_mark(partial, facts, i + 1)
        if progress:
            progress(i + 1, len(tops))


def _move(partial: Path, out: Path) -> None:
    """The cube to its place; one of that name is whole until the other is there."""
    if out.exists():
        os.replace(out, partial / "before")
    os.replace(partial / "cube", out)
    shutil.rmtree(partial)


@contextmanager
def _room(out: Path) -> Iterator[None]:
    """What a full disk or a folder that is read-only says, in our words."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        again = "Make room or name another place; the same command goes on with what is done."
        raise BadInput("out", f"{out} cannot be written: {FULL[error.errno]} ({error.strerror}). {again}") from None


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


def _by_period(cube: xr.DataArray, known: dict[str, str], spans: Periods) -> xr.Dataset:
    """The same of composites, with the ends of their periods and the count of images in each value."""
    values, counts = composed(cube, spans)
    dataset = _by_band(values, known)
    for band in list(dataset.data_vars):
        method = "mean" if known[str(band)] != "1" else "median"
        dataset[band].attrs |= {"cell_methods": f"time: {method}", "ancillary_variables": f"{band}_count"}
        count = counts.sel(band=band, drop=True).drop_attrs()
        count.attrs = {"long_name": f"images in {band}", **COUNT}
        dataset[f"{band}_count"] = count
    dataset["time_bnds"] = (("time", "bnds"), spans.bounds)
    dataset["time"].attrs["bounds"] = "time_bnds"
    return for_zarr(dataset)


def _stamps(images: Images) -> list[Any] | None:
    """Name, size and time of change of every file; None for objects in memory, which have none."""
    if isinstance(images, xr.DataArray | xr.Dataset):
        return None
    if catalog.meant(images):
        from sitscope.cube.stac import stamps  # an extra

        return stamps(images)
    stats = [(str(Path(path).resolve()), Path(path).stat()) for path in files(images)[1]]  # type: ignore[arg-type]
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _described(dataset: xr.Dataset) -> dict[str, Any]:
    """What else must be the same for a conversion to go on."""
    dates = np.datetime_as_string(dataset.time.values).tolist()
    units = {str(band): array.attrs.get("units", "") for band, array in dataset.data_vars.items()}
    return {"dates": dates, "bands": units}


def _left(partial: Path, facts: dict[str, Any]) -> int:
    """Rows of blocks that an interrupted conversion of the same images left; -1 where there is none."""
    try:
        left = json.loads(content(partial / MARK))
    except (OSError, ValueError, RecursionError):
        return -1
    done = left.get("rows") if isinstance(left, dict) and left.get("facts") == facts else None
    return done if isinstance(done, int) else -1


def _begin(partial: Path, dataset: xr.Dataset, layout: Layout, facts: dict[str, Any]) -> None:
    """An empty cube, unless an interrupted conversion of the same images left one; objects in memory have no names."""
    if _left(partial, facts) >= 0 and facts["images"] is not None and (partial / "cube").exists():
        require_own(partial, "out")
        for torn in (partial / "cube").rglob("*.partial"):  # a chunk on its way when the process was killed
            torn.unlink()
        return
    if partial.exists() and any(partial.iterdir()) and not (partial / MARK).exists():
        raise BadInput("out", f"{partial}, where the cube is made, holds other things. Move them, or name another out.")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    (partial / MARK).write_text("{}")
    for name, array in dataset.data_vars.items():
        if "y" not in array.dims:
            continue
        whole = array.dtype.kind == "f"
        packed = Blosc("zstd", clevel=1, shuffle=Blosc.SHUFFLE)
        packing = {"chunks": (array.sizes["time"], *layout.chunk), "compressors": packed}
        dataset[name].encoding |= packing | ({"_FillValue": np.float32(np.nan)} if whole else {})
    dataset.to_zarr(partial / "cube", compute=False, zarr_format=FORMAT, consolidated=True)
    _write_mark(partial, facts, 0)


def _write_mark(partial: Path, facts: dict[str, Any], rows: int) -> None:
    """Whole or not at all: what is marked is there."""
    new = partial / f"{MARK}.new"
    new.write_text(json.dumps({"facts": facts, "rows": rows}))
    os.replace(new, partial / MARK)
