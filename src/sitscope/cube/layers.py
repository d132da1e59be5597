"""Which layer of which GeoTIFF holds which band of which date?"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window
from xarray.backends import BackendArray
from xarray.core import indexing

from sitscope.cube import names
from sitscope.cube.grid import Grid, by_grid, one_grid
from sitscope.cube.lazily import asked
from sitscope.cube.names import few
from sitscope.cube.pictures import block_of, picture, require_measured
from sitscope.errors import BadInput, attempt


@dataclass(frozen=True)
class Layer:
    """One band of one acquisition, wherever it lies."""

    path: str
    """the file"""
    index: int
    """which of the file's layers, from 1"""
    band: str | None
    """its band, None where neither description nor name says it"""
    time: np.datetime64 | None
    """its acquisition, None where nothing says it"""
    units: str
    """as the tags have it; "" where they are silent"""
    orbit: tuple[str, str]
    """relative orbit and direction; "" where not said"""
    nodata: float | None
    """the number that stands for missing"""
    scale: tuple[float, float]
    """the stored number times the first plus the second is the value"""


@dataclass(frozen=True)
class File:
    """One file, of which only the header was read."""

    path: str
    """where it lies"""
    grid: Grid
    """where its pixels lie"""
    layers: list[Layer]
    """what it holds"""
    block: tuple[int, int]
    """rows and columns of the blocks it is stored in"""


def open_tiffs(paths: Sequence[str], bands: Sequence[str] | None) -> dict[str, xr.DataArray]:
    """One lazy (time, y, x) array per band, each with its own dates, from GeoTIFFs of any layout on one grid."""
    files = _read_all(paths, bands)
    attempt(lambda: one_grid((Path(file.path).name, file.grid) for file in files), files[0].grid)
    return _stacks(by_grid((file, file.grid) for file in files)[0][1])


def open_by_grid(paths: Sequence[str], bands: Sequence[str] | None) -> list[dict[str, xr.DataArray]]:
    """The same for each of the grids that the GeoTIFFs lie on, that of most files first."""
    return [_stacks(members) for _, members in by_grid((file, file.grid) for file in _read_all(paths, bands))]


def _read_all(paths: Sequence[str], bands: Sequence[str] | None) -> list[File]:
    files = [file for path in paths if (file := attempt(partial(_read_tags, path, bands), None))]
    return files or [_read_tags(paths[0], bands)]  # where none can be read, the first says why


def _stacks(files: Sequence[File]) -> dict[str, xr.DataArray]:
    layers = [layer for file in files for layer in file.layers]
    block = (max(file.block[0] for file in files), max(file.block[1] for file in files))
    attempt(lambda: _refuse_undated(layers), None)
    dated = [layer for layer in layers if layer.time is not None]
    if not dated:
        _refuse_undated(layers)
    return {band: _stacked(band, members, files[0].grid, block) for band, members in _by_band(dated).items()}


def grid_of(path: str) -> Grid:
    """The grid of one file."""
    return _read_tags(path, None, tags=False).grid


def _read_tags(path: str, bands: Sequence[str] | None, *, tags: bool = True) -> File:
    """What the header of a file says; its layers only where its tags are asked for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said in our own words below
            with picture(path) as source:
                grid = _grid(source)
                layers = [_layer(source, index) for index in source.indexes] if tags else []
                block = block_of(source)
    except BadInput:
        raise
    except Exception as error:  # noqa: BLE001 - GDAL, PROJ and tags of unknown letters each have their own
        raise BadInput("images", _unreadable(path, error)) from None
    unnamed = [replace(layer, band=layer.band or f"layer {layer.index}") for layer in layers]
    named = attempt(lambda: _named(layers, bands), unnamed) if tags else []
    return File(path, grid, named, block)


def _unreadable(path: str, error: Exception) -> str:
    return f"{path} cannot be read as an image ({error}). Copy it again, or leave it out."


def _grid(source: rasterio.DatasetReader) -> Grid:
    if source.crs is None:
        raise BadInput(
            "images",
            f"{source.name} has no coordinate reference system. Terrain-correct it if it is in radar geometry, "
            "copy it again if it was cut short, or write the system that it is in: gdal_edit -a_srs EPSG:....",
        )
    if source.transform.b or source.transform.d:
        raise BadInput("images", f"{source.name} is rotated against its axes. Bring it to a grid with gdalwarp.")
    if np.dtype(source.dtypes[0]).kind == "c":
        remedy = "Give calibrated backscatter, sigma0 or gamma0."
        raise BadInput("images", f"{source.name} holds complex numbers, as single-look products do. {remedy}")
    require_measured(source)
    return Grid(source.crs, source.transform, source.height, source.width)


def _layer(source: rasterio.DatasetReader, index: int) -> Layer:
    """What description, tags and name say, in this order."""
    stem, description = Path(source.name).stem, source.descriptions[index - 1] or ""
    tags = source.tags() | source.tags(index)
    here = names.date_in(description) or names.time_of(tags)
    return Layer(
        path=source.name,
        index=index,
        band=names.band_name(names.band_in_description(description) or names.band_in_name(stem)),
        time=attempt(partial(_agreed, here, names.date_in(stem), source.name), here),
        units=source.units[index - 1] or names.tag(tags, ("units", "unit")) or names.suffix_units(description),
        orbit=names.orbit_of(tags, stem),
        nodata=source.nodatavals[index - 1],
        scale=(source.scales[index - 1], source.offsets[index - 1]),
    )


def _agreed(tagged: np.datetime64 | None, named: np.datetime64 | None, path: str) -> np.datetime64 | None:
    """The tag's time, which has the hour; BadInput where the name tells another day."""
    if tagged is None or named is None:
        return named if tagged is None else tagged
    if abs(tagged - named) > np.timedelta64(36, "h") and not _monthly(named):
        message = f"{path} is of {names.iso(named)} by its name but of {names.iso(tagged)} by its tags. Correct one."
        raise BadInput("images", message)
    return tagged


def _monthly(time: np.datetime64) -> bool:
    return bool(time == time.astype("datetime64[M]"))


def _named(layers: list[Layer], bands: Sequence[str] | None) -> list[Layer]:
    """Names from the caller for layers of one file that have none, or that repeat the file's."""
    keys = {(layer.band, layer.time) for layer in layers}
    if all(layer.band for layer in layers) and len(keys) == len(layers):
        return layers
    if bands is not None and len(bands) == len(layers):
        given = [names.radar_band(band) or names.band_name(band) for band in bands]
        return [replace(layer, band=band) for layer, band in zip(layers, given, strict=True)]
    but = "" if bands is None else f", and {len(bands)} are given"
    example = few([f"'{band}'" for band in ("VV", "VH", "B3", "B4", "B5", "B6")[: len(layers)]], 6)
    raise BadInput(
        "bands",
        f"neither the name nor the descriptions of {layers[0].path} say which band its {len(layers)} layer(s) hold"
        f"{but}. Name one per layer, as in bands=[{example}].",
    )


def _refuse_undated(layers: Iterable[Layer]) -> None:
    undated = sorted({Path(layer.path).name for layer in layers if layer.time is None})
    if undated:
        raise BadInput(
            "images",
            f"no date in the name, tags or band descriptions of {len(undated)} file(s): {few(undated)}. Put the date "
            "into the names, as in S1_20170103T063000_VV.tif or ..._VV_2017-01-03.tif, or leave these files out.",
        )


def _by_band(layers: Iterable[Layer]) -> dict[str, list[Layer]]:
    """Layers in order of time, grouped by band."""
    bands: dict[str, list[Layer]] = {}
    for layer in sorted(layers, key=lambda each: (each.time, each.path)):
        bands.setdefault(layer.band or "", []).append(layer)
    return bands


def _stacked(band: str, layers: list[Layer], grid: Grid, block: tuple[int, int]) -> xr.DataArray:
    orbits = [layer.orbit for layer in layers]
    coords: dict[str, object] = {
        "time": np.array([layer.time for layer in layers], "datetime64[ns]"),
        "relative_orbit": ("time", np.array([relative for relative, _ in orbits], dtype=object)),
        "direction": ("time", np.array([direction for _, direction in orbits], dtype=object)),
        "named": ("time", np.array([Path(layer.path).name for layer in layers], dtype=object)),
    }
    stack = indexing.LazilyIndexedArray(Stack(tuple(layers), (grid.height, grid.width)))
    variable = xr.Variable(("time", "y", "x"), stack, {"units": sorted({layer.units for layer in layers})})
    array = xr.DataArray(variable, coords | grid.coords(), name=band).rio.write_crs(grid.crs, inplace=True)
    array.encoding["preferred_chunks"] = {"y": block[0], "x": block[1]}
    return array


class Stack(BackendArray):
    """Layers of one band in order of time, (t, y, x) float32, read where and when they are asked for."""

    def __init__(self, layers: tuple[Layer, ...], size: tuple[int, int]) -> None:
        self.layers = layers
        self.shape = (len(layers), *size)
        self.dtype = np.dtype("float32")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return asked(key, self.shape, self._read)

    def _read(self, times: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Window of the layers asked for: each file is opened once, and only the blocks under the window are read."""
        out = np.empty((times.size, rows.size, columns.size), "float32")
        window = Window(columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        within = np.ix_(rows - rows.min(), columns - columns.min())
        for path, positions in self._by_file(times).items():
            layers = [self.layers[times[position]] for position in positions]
            for position, values in zip(positions, _values(path, layers, window), strict=True):
                out[position] = values[within]
        return out

    def _by_file(self, times: np.ndarray) -> Mapping[str, list[int]]:
        files: dict[str, list[int]] = {}
        for position, time in enumerate(times):
            files.setdefault(self.layers[time].path, []).append(position)
        return files

    def __dask_tokenize__(self) -> tuple[object, ...]:
        changed = {
            layer.path: Path(layer.path).stat().st_mtime_ns for layer in self.layers if Path(layer.path).exists()
        }
        return ("sitscope.Stack", self.layers, self.shape, changed)


def _values(path: str, layers: list[Layer], window: Window) -> Iterable[np.ndarray]:
    """The window of these layers of one file, NaN where missing."""
    try:
        with picture(path) as source:
            stored = source.read([layer.index for layer in layers], window=window)
    except (RasterioError, OSError) as error:
        raise BadInput("images", _unreadable(path, error)) from None
    for layer, raw in zip(layers, stored, strict=True):
        values = raw.astype("float32")
        if layer.nodata is not None:
            values[raw == layer.nodata] = np.nan
        gain, offset = layer.scale
        yield values if (gain, offset) == (1.0, 0.0) else values * np.float32(gain) + np.float32(offset)
