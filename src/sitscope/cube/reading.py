"""How do I get my images, whatever their layout, as one cube?"""

import glob
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import xarray as xr

from sitscope.cube import catalog, cleaning, doubles, masks, orbits, together
from sitscope.cube import units as unit
from sitscope.cube.datasets import open_files, open_files_by_grid, open_object
from sitscope.cube.layers import open_by_grid, open_tiffs
from sitscope.cube.names import few, iso, parsed, radar_band
from sitscope.cube.regrid import onto_one
from sitscope.errors import BadInput, attempt

SUFFIXES = {
    "GeoTIFF": (".tif", ".tiff", ".vrt", ".jp2", ".img"),
    "NetCDF": (".nc", ".nc4", ".cdf", ".h5", ".hdf5"),
    "Zarr": (".zarr",),
}
LOOKED_FOR = "; ".join(f"{kind} ({', '.join(suffixes)})" for kind, suffixes in SUFFIXES.items())
ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata", ".zarray")
BLOCK_BYTES = 64 * 2**20
"""A block of the cube: whole in time, small in space, and several fit into memory at once."""

Images = str | Path | Iterable[Any] | Mapping[str, Any] | xr.DataArray | xr.Dataset


def open_cube(
    images: Images,
    *,
    units: str | None = None,
    bands: Sequence[str] | None = None,
    start: str | None = None,
    end: str | None = None,
    orbit: str | None = None,
    grid: Mapping[str, Any] | None = None,
    chunks: int | Mapping[str, int] | None = None,
    **clean: Unpack[cleaning.Options],
) -> xr.DataArray:
    """Open images of any usual layout as one lazy cube.

    Args:
        images: a folder, a glob, a file, a list of files (GeoTIFF, NetCDF, Zarr), an xarray object; or STAC: a
            JSON file of items, a search, pystac's items (`sitscope.cube.catalog`; needs sitscope[stac]).
        units: "dB" or "linear" for radar bands whose tags and attributes do not say; it overrides them.
        bands: those to take, in this order; or the names of layers that have none.
        start, end: ISO dates, both included.
        orbit: relative orbit, direction or group to take where images of several lie together.
        grid: brings images of several grids onto one: crs, resolution, bbox in degrees, like (`sitscope.cube.regrid`).
        chunks: pixels along y and x of the blocks in which the cube is computed.
        clean: mask, mask_values, border_noise, border_pixels, doubles, speckle, window: see `cleaning.Options`.

    Returns:
        (time, band, y, x) float32 in dB for VV, VH, HH, HV (linear power becomes 10 log10 of it) and as it is for any
        other band; NaN = missing, also as .rio.nodata. Coordinates time, band, y, x (centres of pixels), spatial_ref
        and, where known, orbit; attribute units, "dB" or "1" (one per band, with commas, where bands differ).

    Raises:
        BadInput: no or unreadable images, dates or bands that are missing or double, different grids, no reference
            system, unknown or contradicted units, mixed orbits, two images of one pass, nothing between start and
            end, a mask that is not there or does not fit.

    >>> times = np.array(["2017-01-03", "2017-01-09"], "datetime64[ns]")
    >>> coords = {"time": times, "y": [15.0, 5.0], "x": [5.0, 15.0, 25.0]}
    >>> vv = xr.DataArray(np.full((2, 2, 3), 0.1), coords, ("time", "y", "x"), "vv", {"units": "linear"})
    >>> cube = open_cube(vv.rio.write_crs("EPSG:32630"))
    >>> cube.dims, float(cube[0, 0, 0, 0]), cube.attrs["units"]
    (('time', 'band', 'y', 'x'), -10.0, 'dB')
    """
    how = cleaning.cleaning(clean)
    taken, known, mask = open_bands(images, units, bands, start, end, orbit, grid, how)
    return as_cube(taken, known, chunks, how, mask)


def open_bands(
    images: Images,
    units: str | None,
    bands: Sequence[str] | None,
    start: str | None,
    end: str | None,
    orbit: str | None,
    grid: Mapping[str, Any] | None = None,
    how: cleaning.Cleaning = cleaning.NOTHING,
) -> tuple[dict[str, xr.DataArray], dict[str, str], xr.DataArray | None]:
    """The options of `open_cube` -> one lazy (time, y, x) array per band, as stored; its units; and the mask."""
    opened = _opened(images, bands, grid, units)
    mask = None if how.mask is None else attempt(partial(_mask, opened, how.mask, grid), None)
    opened = {band: array for band, array in opened.items() if array.dtype.kind != "b" and array is not mask}
    _refuse_none(opened)
    chosen = attempt(partial(_chosen, opened, bands), opened)
    taken = {band: _dated(array, orbit, start, end) for band, array in chosen.items()}
    taken = attempt(partial(together.require_every, taken), together.shared(taken))
    band, first = next(iter(taken.items()))
    if how.doubles is None:
        attempt(partial(doubles.refuse_doubles, first, band), None)
    for radar in [band for band in taken if radar_band(band)][:1]:  # all have the same dates
        attempt(partial(orbits.refuse_mixed, taken[radar]), None)
    known = attempt(partial(unit.known_units, taken, units), {b: "dB" if radar_band(b) else "1" for b in taken})
    attempt(partial(cleaning.refuse_without_radar, how, known), None)
    if mask is None or how.mask is None:
        return taken, known, None
    return taken, known, attempt(partial(masks.fitted_mask, mask, first, how.mask), None)


def _refuse_none(opened: Mapping[str, xr.DataArray]) -> None:
    if not opened:
        raise BadInput("images", "there is nothing but masks of true and false. Give the images too.")


def _mask(opened: Mapping[str, xr.DataArray], name: str, grid: Mapping[str, Any] | None) -> xr.DataArray:
    """The band of this name, or the one band of the files that the name means."""
    if name in opened:
        return opened[name]
    if not (Path(name).exists() or glob.has_magic(name)):
        raise BadInput("mask", f"{name!r} is neither a file nor among the bands: {few(opened, 20)}. Name one of these.")
    found = _opened(name, None, grid, None)
    if len(found) > 1:
        raise BadInput("mask", f"{name} holds {len(found)} bands: {few(found, 20)}. Give a file with the mask alone.")
    return next(iter(found.values()))


def _opened(
    images: Images, bands: Sequence[str] | None, grid: Mapping[str, Any] | None, units: str | None
) -> dict[str, xr.DataArray]:
    """One (time, y, x) array per band, each with its own dates, all on one grid."""
    if isinstance(images, (xr.DataArray, xr.Dataset)):
        pieces = [open_object(images, bands)]
    elif catalog.meant(images):
        from sitscope.cube.stac import open_items  # an extra

        pieces = open_items(images, bands, several=grid is not None)
    else:
        kind, paths = files(images)  # type: ignore[arg-type]
        if grid is None:
            pieces = [open_tiffs(paths, bands) if kind == "GeoTIFF" else open_files(paths, bands)]
        else:
            pieces = open_by_grid(paths, bands) if kind == "GeoTIFF" else open_files_by_grid(paths, bands)
    found = pieces[0] if grid is None else onto_one(pieces, grid, units)
    return {band: orbits.labelled(array) for band, array in found.items()}


def files(images: str | Path | Sequence[str | Path]) -> tuple[str, list[str]]:
    """The files meant, all of one kind."""
    one = isinstance(images, (str, Path))
    asked = [str(images)] if one else [str(image) for image in images]  # type: ignore[union-attr]
    if not asked:
        raise BadInput("images", f"the list of images is empty. Give a folder, a glob or files: {LOOKED_FOR}.")
    by_kind: dict[str, list[str]] = {}
    for path in [path for given in asked for path in _expanded(given)]:
        by_kind.setdefault(_kind(path) or "", []).append(path)
    if "" in by_kind:
        raise BadInput("images", f"{few(by_kind[''])} is no image that can be read. Looked for: {LOOKED_FOR}.")
    if len(by_kind) > 1:
        found = ", ".join(f"{len(paths)} {kind} ({Path(paths[0]).name})" for kind, paths in by_kind.items())
        raise BadInput("images", f"images of several kinds lie together: {found}. Choose with a glob, as in '*.tif'.")
    return next(iter(by_kind.items()))


def _expanded(given: str) -> list[str]:
    path = Path(given)
    if path.is_dir() and not _kind(given):
        inside = sorted(str(member) for member in path.iterdir() if _kind(str(member)))
        if not inside:
            raise BadInput("images", f"no images in the folder {given}. Looked for: {LOOKED_FOR}. {_what_is(path)}")
        return inside
    if path.exists():
        return [given]
    found = sorted(glob.glob(given, recursive=True))
    if found:
        return found
    raise BadInput("images", f"{given} matches no file. Looked for: {LOOKED_FOR}. {_what_is(path.parent)}")


def _kind(path: str) -> str | None:
    folder = Path(path)
    if folder.is_dir():
        return "Zarr" if any((folder / mark).exists() for mark in ZARR_MARKS) else None
    return next((kind for kind, suffixes in SUFFIXES.items() if folder.suffix.lower() in suffixes), None)


def _what_is(folder: Path) -> str:
    """What lies there instead, so that a slip of the path is seen."""
    while not folder.is_dir():
        folder = folder.parent
    members = sorted(folder.iterdir())
    if not members:
        return f"{folder} is empty."
    counts = Counter("folders" if member.is_dir() else member.suffix or "no suffix" for member in members)
    found = ", ".join(f"{n} x {suffix}" for suffix, n in counts.most_common(5))
    return f"In {folder} there are: {found} ({few([member.name for member in members], 3)})."


def _chosen(opened: dict[str, xr.DataArray], bands: Sequence[str] | None) -> dict[str, xr.DataArray]:
    if bands is None:
        # VV before VH, as everyone has them; others by name
        return {band: opened[band] for band in sorted(opened, key=lambda name: (name != "VV", name))}
    wanted = [band if band in opened else radar_band(band) or band for band in bands]
    unknown = [band for band in wanted if band not in opened]
    if unknown or not wanted:
        raise BadInput("bands", f"{few(unknown) or 'none'} asked for, but there are: {few(opened, 20)}. Name these.")
    if len(set(wanted)) < len(wanted):
        raise BadInput("bands", f"{', '.join(wanted)}: a band is named twice. Name each once.")
    return {band: opened[band] for band in wanted}


def _dated(array: xr.DataArray, orbit: str | None, start: str | None, end: str | None) -> xr.DataArray:
    """The dates of the orbit that lie between start and end."""
    own = array if orbit is None else attempt(partial(orbits.select_orbit, array, orbit), array)
    return attempt(partial(_between, own, start, end), own)


def _between(array: xr.DataArray, start: str | None, end: str | None) -> xr.DataArray:
    """The dates from start to end, both days included."""
    times = array.time.values
    first = times[0] if start is None else parsed("start", start)[0]
    last = times[-1] if end is None else parsed("end", end)[1]
    kept = np.flatnonzero((times >= first) & (times <= last))
    if not kept.size:
        asked = "end" if start is None else "start"
        span = f"the {times.size} images are from {iso(times[0])} to {iso(times[-1])}"
        remedy = "Choose start and end within these, start first."
        raise BadInput(asked, f"nothing from {start or 'the first'} to {end or 'the last'}: {span}. {remedy}")
    return array.isel(time=slice(int(kept[0]), int(kept[-1]) + 1))


def as_cube(
    bands: Mapping[str, xr.DataArray],
    known: Mapping[str, str],
    chunks: int | Mapping[str, int] | None,
    how: cleaning.Cleaning = cleaning.NOTHING,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    """What `open_bands` found, as the cube that `open_cube` gives."""
    first = next(iter(bands.values()))
    size = _block(first, len(bands), chunks)
    parts = [_plain(array, known[band], size) for band, array in bands.items()]
    cube = xr.concat(parts, xr.Variable("band", list(bands)), join="override", combine_attrs="drop")
    cube = cube.transpose("time", "band", "y", "x").chunk({"time": -1, "band": -1, **size})
    names = orbits.orbit_names(first)
    if names is not None:
        cube = cube.assign_coords(orbit=("time", names.astype(str)))
    cube = cleaning.cleaned(cube, known, how, mask, first)
    cube.attrs = {"units": unit.summary(known)}
    cube.encoding = {"_FillValue": np.float32(np.nan)}  # what .rio.nodata says, and what files get
    cube.name = "backscatter" if any(map(radar_band, bands)) else "values"
    return cube


def _plain(array: xr.DataArray, known: str, size: Mapping[str, int]) -> xr.DataArray:
    """One band, float32 in its final units, NaN where missing, with no coordinate but time, y, x and spatial_ref."""
    nodata = array.attrs.get("nodata")
    array = array.drop_vars(["relative_orbit", "direction", "pass_", "named"], errors="ignore").chunk(
        {"time": -1, **size}
    )
    values = array.astype("float32")
    if nodata is not None:
        values = values.where(array != nodata)
    return unit.to_db(values) if known == "linear" else values


def _block(array: xr.DataArray, bands: int, chunks: int | Mapping[str, int] | None) -> dict[str, int]:
    """Rows and columns of a block: near BLOCK_BYTES, and whole blocks of the file where these are not far larger."""
    rows, columns = array.sizes["y"], array.sizes["x"]
    if isinstance(chunks, int):
        return {"y": min(chunks, rows), "x": min(chunks, columns)}
    if chunks is not None:
        return {"y": chunks.get("y", rows), "x": chunks.get("x", columns)}
    pixels = max(1, BLOCK_BYTES // (4 * bands * array.sizes["time"]))
    stored = array.encoding.get("preferred_chunks", {})
    y, x = min(stored.get("y", 1), rows), min(stored.get("x", 1), columns)
    if y * x > 4 * pixels:
        y, x = 1, 1
    width = _even(columns, math.isqrt(pixels), x)
    return {"y": _even(rows, pixels // width, y), "x": width}


def _even(length: int, wanted: int, stored: int) -> int:
    """The size of parts of about the wanted length, all alike, whole blocks of the file."""
    parts = math.ceil(length / max(stored, wanted // stored * stored))
    return min(length, math.ceil(length / parts / stored) * stored)
