"""How does what xarray opens, NetCDF, Zarr or an object in memory, become bands on one grid?"""

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import xarray as xr
from rasterio.crs import CRS
from rasterio.errors import CRSError

from sitscope.cube import names
from sitscope.cube.grid import Grid, by_grid, one_grid
from sitscope.cube.guarded import open_guarded
from sitscope.cube.names import few
from sitscope.errors import BadInput, attempt

TIME = ("time", "t", "date", "datetime", "acquisition_time")
BAND = ("band", "bands", "variable", "polarization", "polarisation", "pol")
Y = ("y", "lat", "latitude", "northing")
X = ("x", "lon", "long", "longitude", "easting")
CRS_KEYS = ("crs_wkt", "spatial_ref", "crs", "proj:code", "proj:epsg", "epsg")
NODATA_KEYS = ("nodata", "_FillValue", "missing_value")


def open_files(paths: Sequence[str], bands: Sequence[str] | None) -> dict[str, xr.DataArray]:
    """One lazy (time, y, x) array per band from NetCDF files or Zarr stores."""
    if len(paths) == 1:
        return _opened_file(paths[0], bands)
    read = {path: attempt(partial(_opened_file, path, bands), None) for path in paths}
    pieces = {path: piece for path, piece in read.items() if piece} or {paths[0]: _opened_file(paths[0], bands)}
    grids = [(path, Grid.of(next(iter(piece.values())))) for path, piece in pieces.items()]
    attempt(lambda: one_grid((Path(path).name, grid) for path, grid in grids), grids[0][1])
    pieces = {path: pieces[path] for path in by_grid(grids)[0][1]}
    first = next(iter(next(iter(pieces.values())).values()))
    joined = {}
    for band in dict.fromkeys(band for piece in pieces.values() for band in piece):
        members = [piece[band].assign_coords(y=first.y, x=first.x) for piece in pieces.values() if band in piece]
        chunked = [member.chunk() for member in members]  # or joining would read them all
        joined[band] = _in_time(xr.concat(chunked, "time", combine_attrs="override"), band)
    return joined


def open_files_by_grid(paths: Sequence[str], bands: Sequence[str] | None) -> list[dict[str, xr.DataArray]]:
    """The same for each of the grids that the files lie on, that of most files first."""
    grids = ((path, Grid.of(next(iter(_opened_file(path, bands).values())))) for path in paths)
    return [open_files(members, bands) for _, members in by_grid(grids)]


def _opened_file(path: str, bands: Sequence[str] | None) -> dict[str, xr.DataArray]:
    return open_object(_opened(path), bands)


def _opened(path: str) -> xr.Dataset:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*referenced in grid_mapping not in variables")  # said in our words below
        return open_guarded(path, "images")


def open_object(images: xr.DataArray | xr.Dataset, bands: Sequence[str] | None) -> dict[str, xr.DataArray]:
    """One (time, y, x) array per band from any of the usual arrangements; nothing is computed."""
    dataset = _one_dataset(images, bands)
    dataset = dataset.rename(_axes(dataset))
    crs, dataset = crs_of(dataset), centred(dataset)
    found: dict[str, xr.DataArray] = {}
    for name, array in dataset.data_vars.items():
        for band, part in _parts(str(name), array):
            if band in found:
                remedy = f"Give one of them, as in images[['{name}']]."
                raise BadInput("bands", f"two variables hold band {band}, the second is {name}. {remedy}")
            found[band] = _in_time(on_grid(_described(part, dataset.attrs, str(name)), crs), band)
    if not found:
        shapes = few((f"{name} ({', '.join(map(str, array.dims))})" for name, array in dataset.data_vars.items()), 6)
        raise BadInput("images", f"no variable has dates, rows and columns: {shapes}. Name the axes time, y and x.")
    return found


def _one_dataset(images: xr.DataArray | xr.Dataset, bands: Sequence[str] | None) -> xr.Dataset:
    if isinstance(images, xr.Dataset):
        return images
    only = bands[0] if bands is not None and len(bands) == 1 else None
    named = images.name if isinstance(images.name, str) else None
    lacks = not any(str(dim).lower() in BAND for dim in images.dims)
    if lacks and not (only or named):
        raise BadInput("bands", f"the array of {dict(images.sizes)} says no band. Name it, as in bands=['VV'].")
    return images.to_dataset(name=(only if lacks else None) or named or "values")


def _axes(dataset: xr.Dataset) -> Mapping[Any, str]:
    """Which of the dataset's own names stand for time, band, y and x."""
    renamed: dict[Any, str] = {}
    for wanted, known in (("time", TIME), ("band", BAND), ("y", Y), ("x", X)):
        here = [dim for dim in dataset.dims if str(dim).lower() in known]
        if here and here[0] != wanted:
            renamed[here[0]] = wanted
            if wanted in dataset.coords:
                renamed[wanted] = f"{wanted}_before"
    if {"time", "y", "x"} - {renamed.get(dim, dim) for dim in dataset.dims}:
        shapes = few((f"{name} ({', '.join(map(str, array.dims))})" for name, array in dataset.data_vars.items()), 6)
        remedy = "Name the axes time, y and x, and give time its dates."
        raise BadInput("images", f"dates, rows and columns are not all among the axes: {shapes}. {remedy}")
    return renamed


def crs_of(dataset: xr.Dataset) -> CRS:
    """From CF's grid mapping, or from the attributes and coordinates that stackstac, cubo and others leave."""
    first = next(iter(dataset.data_vars.values()), dataset)
    for source in (first, dataset):
        if (crs := _written_crs(source)) is not None:
            return crs
    scalars = {str(name): coord.item() for name, coord in dataset.coords.items() if coord.ndim == 0}
    for found in (first.attrs, dataset.attrs, scalars):
        for key in CRS_KEYS:
            text = str(found.get(key, "")).removeprefix("+init=").strip()
            crs = _parsed_crs(text)
            if crs is not None:
                return crs
    remedy = "Say it with images.rio.write_crs('EPSG:....'), or as a CF grid mapping in the file."
    raise BadInput("images", f"no coordinate reference system in coordinates or attributes. {remedy}")


def _written_crs(source: xr.DataArray | xr.Dataset) -> CRS | None:
    try:
        return source.rio.crs
    except (ValueError, TypeError, AttributeError, pyproj.exceptions.CRSError):  # one that PROJ does not understand
        return None


def _parsed_crs(text: str) -> CRS | None:
    try:
        if re.fullmatch(r"[0-9]{1,9}", text):
            return CRS.from_epsg(int(text)) if int(text) else None
        return CRS.from_user_input(text) if text else None
    except (CRSError, ValueError):
        return None


def centred(dataset: xr.Dataset) -> xr.Dataset:
    """The same with coordinates at the centres of pixels: stackstac gives their upper left corners by default."""
    said = [array.attrs["transform"] for array in dataset.data_vars.values() if "transform" in array.attrs]
    numbers = [number(each) for each in said[0][:6]] if said and isinstance(said[0], list | tuple | np.ndarray) else []
    if len(numbers) < 6 or any(each is None or not np.isfinite(each) for each in numbers):
        return dataset
    right, _, west, _, down, north = (each or 0.0 for each in numbers)
    for axis, size, origin in (("x", right, west), ("y", down, north)):
        if not size or axis not in dataset.coords or not dataset[axis].size or dataset[axis].dtype.kind not in "fiu":
            continue
        steps = (float(dataset[axis].values.flat[0]) - origin) / size
        if not np.isfinite(steps):
            continue
        if abs(steps - round(steps)) < 0.01:  # a whole number of pixels from the corner of all: a corner itself
            dataset = dataset.assign_coords({axis: dataset[axis].values + size / 2})
    return dataset


def _parts(name: str, array: xr.DataArray) -> list[tuple[str, xr.DataArray]]:
    """A variable's bands; none where it has no dates, rows and columns: masks, angles, grid mappings."""
    if not {"time", "y", "x"} <= set(array.dims) or array.dtype.kind not in "fiub":
        return []
    if array.attrs.get("standard_name") == "number_of_observations":  # how many images a composite is made of
        return []
    extra = [dim for dim in array.dims if dim not in ("time", "band", "y", "x")]
    if any(array.sizes[dim] > 1 for dim in extra):
        message = f"{name} has an axis too many, {extra[0]} of {array.sizes[extra[0]]}. Select one along it first."
        raise BadInput("images", message)
    array = array.squeeze(extra, drop=True)
    if "band" not in array.dims:
        return [(names.radar_band(name) or names.band_name(name) or "values", array)]
    labels = [names.band_name(str(label)) or "" for label in array["band"].values] if "band" in array.coords else []
    if not labels or (array.sizes["band"] > 1 and all(names.NAMELESS.fullmatch(label) for label in labels)):
        raise BadInput(
            "bands", f"the axis band of {name} has no names. Say them with images.assign_coords(band=[...])."
        )
    return [(names.radar_band(label) or label, array.isel(band=i)) for i, label in enumerate(labels)]


def _described(part: xr.DataArray, attrs: Mapping[str, Any], name: str) -> xr.DataArray:
    """Units, orbits and nodata where the rest of the package looks for them."""
    label = str(part.coords["band"].item()) if "band" in part.coords else name
    said = [each for each in (part.attrs.get("units"), attrs.get("units")) if isinstance(each, str) and each]
    units = [*said, names.suffix_units(label)][0]
    orbits = _orbits(part, {**attrs, **part.attrs})
    nodata = next((found for key in NODATA_KEYS if (found := number(part.attrs.get(key))) is not None), None)
    part = part.drop_vars([key for key in part.coords if key not in ("time", "y", "x")]).assign_coords(orbits)
    part.attrs = {"units": [units]} | ({} if nodata is None else {"nodata": nodata})
    return part.transpose("time", "y", "x")


def number(value: Any) -> float | None:
    """One number; None for anything else that may stand in an attribute."""
    if value is None:  # which numpy takes for NaN
        return None
    try:
        return float(np.asarray(value, dtype="float64").item())
    except (TypeError, ValueError, OverflowError):
        return None


def _orbits(part: xr.DataArray, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Relative orbit and direction of each date, from coordinates along time or from attributes."""
    along = {str(key): coord.values for key, coord in part.coords.items() if coord.dims == ("time",) and key != "time"}
    scalar = dict(attrs) | {str(key): coord.item() for key, coord in part.coords.items() if coord.ndim == 0}
    tags = [scalar | {key: values[i] for key, values in along.items()} for i in range(part.sizes["time"])]
    pairs = [names.orbit_of(each) for each in tags]
    return {
        "relative_orbit": ("time", np.array([relative for relative, _ in pairs], dtype=object)),
        "direction": ("time", np.array([direction for _, direction in pairs], dtype=object)),
    }


def on_grid(part: xr.DataArray, crs: CRS) -> xr.DataArray:
    """Rows from the north, columns from the west, coordinates at the centres of pixels, evenly spaced."""
    for axis in ("y", "x"):
        there = axis in part.coords and part[axis].dims == (axis,) and part[axis].dtype.kind in "fiu"
        values = part[axis].values.astype("float64") if there else np.empty(0)
        steps = np.diff(values)
        # a tenth of a pixel: float32 rounds northings to half a metre
        if (
            not np.isfinite(values).all()
            or not values.size
            or (steps.size and np.ptp(steps) > 0.1 * abs(steps.mean()))
            or (steps == 0).any()
        ):
            remedy = "Give both, evenly spaced (for example with odc.geo or gdalwarp)."
            raise BadInput("images", f"the coordinate {axis} is missing or unevenly spaced. {remedy}")
        part = part.assign_coords({axis: values})
    order = {"y": slice(None, None, -1 if part.y.values[0] < part.y.values[-1] else 1)}
    order["x"] = slice(None, None, -1 if part.x.values[0] > part.x.values[-1] else 1)
    return part.isel(order).rio.write_crs(crs, inplace=True)  # else the array is copied


def _in_time(part: xr.DataArray, band: str) -> xr.DataArray:
    """Dates sorted."""
    if "time" not in part.coords or part.time.dtype.kind != "M" or not part.time.size or part.time.isnull().any():
        found = few(part.time.values[:3]) if "time" in part.coords else "no coordinate"
        raise BadInput("images", f"time holds no dates but {found}. Give it dates, in CF's or in numpy's way.")
    times = part.time.values.astype("datetime64[ns]")
    part = part.assign_coords(time=times)
    if (np.diff(times) < np.timedelta64(0)).any():
        part = part.isel(time=np.argsort(times, kind="stable"))
    return part
