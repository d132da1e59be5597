"""How do maps and fields reach QGIS, GDAL and the next program, whole or not at all?"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import xarray as xr
from rasterio.errors import RasterioIOError
from rasterio.shutil import copy

from sitscope.cube import styles
from sitscope.cube.grid import Grid
from sitscope.cube.whole import gdal_writes, whole

VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Even in brightness and safe for the colour-blind."""
TILE = 512
WINDOW_BYTES = 1 << 26
"""Of float32 that are computed and written at once: 64 MB."""
CACHE_BYTES = 1 << 27
"""Of GDAL's cache, which would take a share of the machine's memory otherwise."""
Progress = Callable[[int, int], object]
"""Called with parts that are done, and all of them."""
Stretch = Callable[[np.ndarray], styles.Limits]
"""From some finite values of a band, any shape, to those at the ends of the colours."""


def percentiles(values: np.ndarray) -> styles.Limits:
    """From the 2nd to the 98th percentile.

    >>> percentiles(np.arange(101.0))
    (2.0, 98.0)
    """
    low, high = np.percentile(values, [2, 98]) if values.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1)


def around_zero(values: np.ndarray) -> styles.Limits:
    """As far below zero as above it: to the 98th percentile of sizes, so that a diverging ramp has its middle at zero.

    >>> around_zero(np.array([-4.0, 1.0, 4.0]))
    (-4.0, 4.0)
    """
    most = float(np.percentile(np.abs(values), 98)) if values.size else 0.0
    return (-most, most) if most > 0 else (-1.0, 1.0)


def shares(values: np.ndarray) -> styles.Limits:
    """From none to all, whatever is there.

    >>> shares(np.array([0.3, 0.4]))
    (0.0, 1.0)
    """
    return 0.0, 1.0


def write_map(
    array: xr.DataArray,
    path: str | Path,
    *,
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, str] | None = None,
    ramp: Sequence[str] = VIRIDIS,
    stretch: Stretch = percentiles,
    progress: Progress | None = None,
) -> None:
    """Write a map as a cloud-optimised GeoTIFF with its QGIS style (.qml) beside it.

    Memory: windows of 64 MB, however large the map; a lazy one is computed window by window, each pixel once.

    Args:
        array: (y, x) or (any, y, x) with a reference system, in memory or lazy.
        names: of whole numbers from 1 on, for maps of classes, clusters or dates; 0 is nodata. They lie in the tags
            and, where GDAL looks for them, in an .aux.xml.
        colours: "#rrggbb" of the same numbers; becomes the colour table.
        ramp: colours from low to high for maps of numbers, whose nodata is NaN. Three bands or more become red, green,
            blue, two magenta and green.
        stretch: which values the ends of the ramp stand for.
        progress: called with (windows done, windows), the copy with its overviews being the last.

    Raises BadInput where the place is full or must not be written; what was there under this name then still is.

    >>> import os, tempfile
    >>> coords = {"y": [15.0, 5.0], "x": [5.0, 15.0]}
    >>> crop = xr.DataArray([[1, 2], [0, 1]], coords, ("y", "x")).rio.write_crs("EPSG:32630")
    >>> style = {"names": {1: "Wheat", 2: "Maize"}, "colours": {1: "#e69f00", 2: "#009e73"}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_map(crop, f"{folder}/crop.tif", **style)
    ...     sorted(os.listdir(folder))
    ['crop.qml', 'crop.tif', 'crop.tif.aux.xml']
    """
    assert (names is None) == (colours is None), "names and colours come together"
    path = Path(path)
    bands = array if array.ndim == 3 else array.expand_dims("layer")
    bands = bands.transpose(..., "y", "x")
    kind = "float32" if names is None or colours is None else "uint8" if max([*names, *colours]) < 256 else "uint16"
    with whole(path) as folder, rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        plain, cog = folder / "plain.tif", folder / path.name
        seen = _write_plain(plain, bands, np.dtype(kind), names, colours, progress)
        if names is None or colours is None:
            limits = [stretch(band[np.isfinite(band)]) for band in seen]
            style = styles.pseudocolour(ramp, limits[0]) if len(bands) == 1 else styles.composite(limits)
        else:
            style = styles.paletted(colours, names)
            (folder / f"{path.name}.aux.xml").write_text(styles.categories(names, len(bands)), encoding="utf-8")
        _copy_optimised(plain, cog, "AVERAGE" if names is None else "NEAREST")
        plain.unlink()
        (folder / f"{path.stem}.qml").write_text(style, encoding="utf-8")
    if progress:
        progress(1, 1)


def _write_plain(
    path: Path,
    bands: xr.DataArray,
    dtype: np.dtype[Any],
    names: Mapping[int, str] | None,
    colours: Mapping[int, str] | None,
    progress: Progress | None,
) -> np.ndarray:
    """A tiled GeoTIFF, written window by window; a sample of each band's values, the same for all sizes of chunks."""
    grid, nodata = Grid.of(bands), np.nan if dtype.kind == "f" else 0
    profile = {"driver": "GTiff", "tiled": True, "count": len(bands), "dtype": dtype, "nodata": nodata}
    place = {"height": grid.height, "width": grid.width, "crs": grid.crs, "transform": grid.transform}
    step = max(1, min(grid.height, grid.width) // 256)  # a sample is enough for a stretch of colours
    seen = np.empty((len(bands), -(-grid.height // step), -(-grid.width // step)), np.float32)
    windows = list(_windows(bands))
    with _opened(path, **profile, **place) as target:
        _describe(target, bands, names, colours)
        for done, (rows, columns) in enumerate(windows, 1):
            values = bands.isel(y=rows, x=columns).values
            if dtype.kind == "u":
                values = np.nan_to_num(values, nan=0)
            first = [-each.start % step for each in (rows, columns)]  # the window's first pixel of the sample
            some = values[:, first[0] :: step, first[1] :: step]
            top, left = (-(-each.start // step) for each in (rows, columns))
            seen[:, top : top + some.shape[1], left : left + some.shape[2]] = some
            window = rasterio.windows.Window.from_slices(rows, columns)
            with gdal_writes(path):
                target.write(values.astype(dtype, copy=False), window=window)
            if progress:
                progress(done, len(windows) + 1)
    return seen


@contextmanager
def _opened(path: Path, **profile: Any) -> Iterator[Any]:
    """A raster being written: only what its own disk refuses is a mistake of the place, not what is read meanwhile."""
    with gdal_writes(path):
        target = rasterio.open(path, "w", blockxsize=TILE, blockysize=TILE, BIGTIFF="IF_SAFER", **profile)
    try:
        yield target
    finally:
        with gdal_writes(path):
            target.close()


def _windows(bands: xr.DataArray) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of windows that hold whole tiles, and whole chunks unless these are larger than a window."""
    height, width = bands.sizes["y"], bands.sizes["x"]
    pixels = max(TILE * TILE, WINDOW_BYTES // (4 * len(bands)))
    chunks = dict(zip(bands.dims, bands.chunks or (), strict=False))
    tall, wide = (math.lcm(TILE, chunks[axis][0]) if axis in chunks else TILE for axis in ("y", "x"))
    if tall * wide > pixels:
        tall, wide = TILE, TILE
    wide *= max(1, min(pixels // (tall * wide), -(-width // wide)))
    tall *= max(1, pixels // (tall * wide))
    for top in range(0, height, tall):
        for left in range(0, width, wide):
            yield slice(top, min(top + tall, height)), slice(left, min(left + wide, width))


def _copy_optimised(plain: Path, cog: Path, resampling: str) -> None:
    options = {"COMPRESS": "DEFLATE", "BLOCKSIZE": TILE, "OVERVIEW_RESAMPLING": resampling, "BIGTIFF": "IF_SAFER"}
    with gdal_writes(cog):
        copy(plain, cog, driver="COG", PREDICTOR="YES", **options)
        _require_same(plain, cog)


def _require_same(plain: Path, cog: Path) -> None:
    """Refuse a copy whose last bytes found no room: GDAL closes it without a word."""
    with rasterio.open(plain) as source, rasterio.open(cog) as made:
        for rows in (slice(top, min(top + TILE, source.height)) for top in range(0, source.height, TILE)):
            window = rasterio.windows.Window.from_slices(rows, slice(0, source.width))
            for band in source.indexes:  # bit for bit, for NaN is not equal to itself
                if source.read(band, window=window).tobytes() != made.read(band, window=window).tobytes():
                    raise RasterioIOError("the copy differs from what was written")
        levels = range(len(made.overviews(1)))
    for level in levels:
        with rasterio.open(cog, OVERVIEW_LEVEL=level) as overview:
            for _, window in overview.block_windows():
                overview.read(window=window)


def _describe(
    target: Any, bands: xr.DataArray, names: Mapping[int, str] | None, colours: Mapping[int, str] | None
) -> None:
    """Names of bands, units, names of classes and colour table."""
    axis = bands.dims[0]
    for index in range(1, len(bands) + 1):
        label = bands[axis].values[index - 1] if axis in bands.coords else ""
        target.set_band_description(index, f"{bands.name or 'map'} {label}".strip())
        target.update_tags(index, **{f"class_{value}": name for value, name in (names or {}).items()})
    target.update_tags(**{key: str(bands.attrs[key]) for key in ("long_name", "units") if key in bands.attrs})
    if colours and len(bands) == 1:  # a GeoTIFF has one table, and only where there is one band
        table = {value: (*(int(colour[i : i + 2], 16) for i in (1, 3, 5)), 255) for value, colour in colours.items()}
        target.write_colormap(1, table)


def write_fields(fields: gpd.GeoDataFrame, path: str | Path) -> None:
    """Write fields as GeoParquet 1.1, with the box around each, so that readers can skip what lies elsewhere."""
    path = Path(path)
    with whole(path) as folder:
        fields.to_parquet(folder / path.name, index=False, schema_version="1.1.0", write_covering_bbox=True)
