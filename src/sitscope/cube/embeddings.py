"""How is an embedding opened that somebody else computed, whatever raster it lies in?

d dimensions. A raster holds a number for each of them at each pixel: the layers of a GeoTIFF, or an axis or the
variables of a NetCDF file or a Zarr store.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.core import indexing

from sitscope.cube.blocking import block_shape
from sitscope.cube.coding import Coding, decided, decoded
from sitscope.cube.datasets import NODATA_KEYS, TIME, X, Y, centred, crs_of, number, on_grid
from sitscope.cube.guarded import open_guarded
from sitscope.cube.layers import Layer, Stack, grid_of
from sitscope.cube.names import few, iso, parsed
from sitscope.cube.pictures import block_of, picture
from sitscope.cube.reading import files
from sitscope.errors import BadInput

PREFERRED = ("embedding", "embeddings")
"""What the variable is called where several might be meant."""


def open_embedding(
    embedding: Any,
    *,
    dequantise: str | None = None,
    scale: float | None = None,
    offset: float | None = None,
    nodata: float | None = None,
    variable: str | None = None,
    date: str | None = None,
) -> xr.DataArray:
    """Open a raster of embeddings, lazily.

    Args:
        embedding: a GeoTIFF with a layer for each dimension, or several of one grid, whose layers follow each other in
            the order of their names; a Zarr store, a NetCDF file or an xarray object with an axis beside y and x, or
            a variable for each dimension.
        dequantise: "alphaearth" for AlphaEarth Foundations' int8; see `sitscope.cube.coding.decided`.
        scale, offset: the stored number times the first plus the second is the value; they override what the file says.
        nodata: the stored number that stands for nothing, where the file does not say.
        variable: of a Zarr store, a NetCDF file or a dataset that holds several.
        date: year, month or day of an embedding that has several.

    Returns:
        (band, y, x) float32, rows from the north: band is the name of each dimension; NaN = missing. Attribute coding,
        a sentence. Rasters with rows from the south, as some copies of AlphaEarth's are, are turned.

    Raises:
        BadInput: nothing that can be read, no place on Earth, several grids, variables or dates, whole numbers of
            which nobody says what they stand for.

    >>> values = np.array([[[127, -64]], [[0, -128]]], np.int8)
    >>> raster = xr.DataArray(values, {"y": [5.0], "x": [5.0, 15.0]}, ("dim", "y", "x")).rio.write_crs("EPSG:32630")
    >>> print(open_embedding(raster, dequantise="alphaearth").values.round(3).tolist()[1])
    [[0.0, nan]]
    """
    with blamed():
        if isinstance(embedding, xr.DataArray | xr.Dataset):
            stored, written = _of_dataset(embedding, variable, date)
        else:
            kind, paths = files(embedding)
            if kind == "GeoTIFF":
                _refuse_choice(variable, date, paths)
                stored, written = _of_tiffs(paths)
            else:
                _require_one(paths, kind)
                stored, written = _of_dataset(open_guarded(paths[0], "images", mask_and_scale=False), variable, date)
        kind_of = np.dtype(stored.attrs.pop("stored", stored.dtype))
        coding = decided(
            kind_of, len(stored), written, dequantise=dequantise, scale=scale, offset=offset, nodata=nodata
        )
        return _decoded(stored, coding)


@contextmanager
def blamed() -> Iterator[None]:
    """Within, what is wrong with images is wrong with the embedding, which is read as they are."""
    try:
        yield
    except BadInput as error:
        argument = "embedding" if error.argument == "images" else error.argument
        words = re.sub(r"\b(the |these )?images\b", r"\1embedding", error.message)
        raise BadInput(argument, words) from None


def _decoded(stored: xr.DataArray, coding: Coding) -> xr.DataArray:
    lazy = stored.chunk({"band": -1, **block_shape(stored)})
    values = lazy.data.map_blocks(partial(decoded, coding=coding), dtype=np.float32, meta=np.empty((0, 0, 0), "f4"))
    found = lazy.copy(data=values).rename("embedding")
    found.attrs, found.encoding = {"coding": coding.said(), "units": "1"}, {}
    return found


# ---- GeoTIFFs


def _of_tiffs(paths: Sequence[str]) -> tuple[xr.DataArray, Coding]:
    """Layers one after the other, file by file; what the files say of their numbers."""
    ordered = sorted(paths, key=_natural)
    grids = {path: grid_of(path) for path in ordered}
    first = grids[ordered[0]]
    other = next((path for path in ordered if not grids[path].same(first)), None)
    if other is not None:
        raise BadInput(
            "embedding",
            f"{len(ordered)} files of several grids: {Path(ordered[0]).name} is of {first}, but {Path(other).name} of "
            f"{grids[other]}. Put tiles together first (gdalbuildvrt EMB.vrt *.tif), or give one of them.",
        )
    layers, named, kinds = [], [], set()
    for path in ordered:
        with picture(path) as source:
            block = block_of(source)
            kinds |= set(source.dtypes)
            told = [text or "" for text in source.descriptions]
            several = f"{Path(path).stem} " if len(ordered) > 1 and source.count > 1 else ""
            for i in source.indexes:
                own = told[i - 1] or (Path(path).stem if source.count == 1 and len(ordered) > 1 else str(i))
                named.append(f"{several if not told[i - 1] else ''}{own}")
                scaling = (source.scales[i - 1], source.offsets[i - 1])
                layers.append(Layer(path, i, None, None, "", ("", ""), source.nodatavals[i - 1], scaling))
    raw = tuple(replace(layer, nodata=None, scale=(1.0, 0.0)) for layer in layers)
    lazy = indexing.LazilyIndexedArray(Stack(raw, (first.height, first.width)))
    array = xr.DataArray(xr.Variable(("band", "y", "x"), lazy), {"band": _names(named)} | first.coords())
    array.encoding["preferred_chunks"] = {"y": block[0], "x": block[1]}
    stored = on_grid(array, first.crs).assign_attrs(stored=np.result_type(*kinds).name)
    stored.encoding = dict(array.encoding)
    return stored, Coding(
        "linear",
        tuple(layer.scale[0] for layer in layers),
        tuple(layer.scale[1] for layer in layers),
        tuple(layer.nodata for layer in layers),
    )


def _natural(path: str) -> list[str | int]:
    """B2 before B10."""
    parts = re.split(r"([0-9]{1,18})", Path(path).name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _names(names: Sequence[str]) -> list[str]:
    """Each once: else the number is put behind."""
    return list(names) if len(set(names)) == len(names) else [f"{name} {i}" for i, name in enumerate(names, start=1)]


# ---- NetCDF, Zarr, objects


def _of_dataset(
    given: xr.DataArray | xr.Dataset, variable: str | None, date: str | None
) -> tuple[xr.DataArray, Coding]:
    dataset = given if isinstance(given, xr.Dataset) else given.to_dataset(name=str(given.name or "embedding"))
    dataset = dataset.rename(_axes(dataset))
    crs, dataset = crs_of(dataset), centred(dataset)
    whole = [_of_one_time(array, date) for array in _variables(dataset, variable)]
    arrays = [array if array.ndim == 3 else array.expand_dims(band=[str(array.name)]) for array in whole]
    coding = [_written(array) for array in arrays for _ in range(array.sizes["band"])]
    stored = arrays[0] if len(arrays) == 1 else xr.concat([array.chunk() for array in arrays], "band", join="override")
    if stored.dtype.kind not in "fiu":
        message = f"{stored.name} holds {stored.dtype}, and an embedding is of numbers. Give another."
        raise BadInput("embedding", message)
    stored = on_grid(stored.transpose("band", "y", "x"), crs)
    stored = stored.drop_vars([name for name in stored.coords if name not in ("band", "y", "x", "spatial_ref")])
    stored.attrs, stored.encoding = {}, _lying(arrays[0])
    return stored, Coding(
        "linear",
        tuple(each.gain[0] for each in coding),
        tuple(each.offset[0] for each in coding),
        tuple(each.nodata[0] for each in coding),
    )


def _lying(array: xr.DataArray) -> dict[str, Any]:
    """In which blocks a variable lies in its file."""
    there = {str(name).lower(): size for name, size in array.encoding.get("preferred_chunks", {}).items()}
    sizes = {axis: [there[name] for name in known if name in there] for axis, known in (("y", Y), ("x", X))}
    return {"preferred_chunks": {axis: size[0] for axis, size in sizes.items() if size}}


def _axes(dataset: xr.Dataset) -> dict[Any, str]:
    """Which of the dataset's own names stand for y, x and time."""
    found: dict[Any, str] = {}
    for wanted, known in (("y", Y), ("x", X), ("time", TIME)):
        here = [dim for dim in dataset.dims if str(dim).lower() in known]
        if here and here[0] != wanted:
            found[here[0]] = wanted
    if {"y", "x"} - {found.get(dim, dim) for dim in dataset.dims}:
        remedy = "Name the axes of the raster y and x; an array without a place is given as .npy, .npz or .parquet."
        raise BadInput("embedding", f"rows and columns are not among the axes: {_shapes(dataset)}. {remedy}")
    return found


def _shapes(dataset: xr.Dataset) -> str:
    return few((f"{name} ({', '.join(map(str, array.dims))})" for name, array in dataset.data_vars.items()), 6)


def _variables(dataset: xr.Dataset, variable: str | None) -> list[xr.DataArray]:
    """The one with an axis of dimensions, or all that are a dimension each."""
    maps = {str(n): a for n, a in dataset.data_vars.items() if {"y", "x"} <= set(a.dims) and a.dtype.kind in "fiu"}
    deep = {name: array for name, array in maps.items() if _depth(array)}
    if variable is not None:
        if variable not in maps:
            there = few(sorted(maps), 20) or "none"
            raise BadInput("variable", f"there is no map {variable!r}, only: {there}. Name one of them.")
        return [maps[variable]]
    named = [deep[name] for name in PREFERRED if name in deep]
    if named or len(deep) == 1:
        return named[:1] or list(deep.values())
    if deep:
        remedy = f"Say which is the embedding, as in variable='{min(deep)}'."
        raise BadInput("variable", f"several variables have an axis beside y and x: {few(sorted(deep), 20)}. {remedy}")
    if not maps:
        raise BadInput("embedding", f"no variable has rows and columns: {_shapes(dataset)}. Give a raster of numbers.")
    return [maps[name] for name in sorted(maps, key=_natural)]


def _depth(array: xr.DataArray) -> bool:
    return any(array.sizes[dim] > 1 for dim in array.dims if dim not in ("y", "x", "time"))


def _of_one_time(array: xr.DataArray, date: str | None) -> xr.DataArray:
    """(band, y, x) or (y, x) of the date asked for."""
    name = str(array.name)
    if "time" in array.dims and (array.sizes["time"] > 1 or date is not None):
        array = array.isel(time=_chosen(array, date))
    elif date is not None:
        raise BadInput("date", f"{name} has no dates, and {date} is asked for. Leave date out.")
    extra = [dim for dim in array.dims if dim not in ("y", "x") and array.sizes[dim] > 1]
    if len(extra) > 1:
        sizes = few(f"{dim} of {array.sizes[dim]}" for dim in extra)
        raise BadInput("embedding", f"{name} has an axis too many beside y and x: {sizes}. Select one along it first.")
    array = array.squeeze([dim for dim in array.dims if dim not in ("y", "x", *extra)])
    if not extra:
        return array
    labels = [str(each) for each in array[extra[0]].values] if extra[0] in array.coords else []
    array = array.rename({extra[0]: "band"})
    return array.assign_coords(band=_names(labels or [str(i + 1) for i in range(array.sizes["band"])]))


def _chosen(array: xr.DataArray, date: str | None) -> int:
    """Position of the one time within the date asked for."""
    if "time" not in array.coords or array.time.dtype.kind != "M":
        raise BadInput("embedding", f"{array.name} has {array.sizes['time']} times without dates. Select one first.")
    times = array.time.values.astype("datetime64[s]")
    there = few((iso(time) for time in times), 12)
    if date is None:
        remedy = f"Say which, as in date='{str(times[-1])[:4]}'."
        raise BadInput("date", f"{array.name} is of {len(times)} dates: {there}. {remedy}")
    first, last = parsed("date", date)
    inside = np.flatnonzero((times >= first) & (times <= last))
    if len(inside) != 1:
        raise BadInput("date", f"{len(inside)} of the dates lie in {date}: there are {there}. Name one of them.")
    return int(inside[0])


def _written(array: xr.DataArray) -> Coding:
    """What attributes and encoding say, whether xarray has looked at them or not."""
    said = array.attrs if "scale_factor" in array.attrs or "add_offset" in array.attrs else {}
    gain, offset = number(said.get("scale_factor")), number(said.get("add_offset"))
    nodata = next((n for key in NODATA_KEYS if (n := number(array.attrs.get(key))) is not None), None)
    return Coding("linear", (1.0 if gain is None else gain,), (offset or 0.0,), (nodata,))


def _refuse_choice(variable: str | None, date: str | None, paths: Sequence[str]) -> None:
    for name, value in (("variable", variable), ("date", date)):
        if value is not None:
            remedy = f"Leave {name} out."
            raise BadInput(name, f"{Path(paths[0]).name} is a GeoTIFF, which has layers and no {name}. {remedy}")


def _require_one(paths: Sequence[str], kind: str) -> None:
    if len(paths) > 1:
        names = few(Path(path).name for path in paths)
        raise BadInput("embedding", f"{len(paths)} files of {kind}: {names}. Give the one that holds the embedding.")
