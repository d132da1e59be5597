"""How do maps and fields reach QGIS, GDAL and the next program, whole or not at all?"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import xarray as xr
import zarr
from rasterio.shutil import copy

from sitscope.cube import styles
from sitscope.cube.grid import Grid

VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Even in brightness and safe for the colour-blind."""
TILE = 512
ROWS = 2048
"""Rows that are computed and written at once."""


def write_map(
    array: xr.DataArray,
    path: str | Path,
    *,
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, str] | None = None,
    ramp: Sequence[str] = VIRIDIS,
) -> None:
    """Write a map as a cloud-optimised GeoTIFF with its QGIS style (.qml) beside it.

    Args:
        array: (y, x) or (any, y, x) with a reference system, in memory or lazy.
        names: of whole numbers from 1 on, for maps of classes, clusters or dates; 0 is nodata. They lie in the tags
            and, where GDAL looks for them, in an .aux.xml.
        colours: "#rrggbb" of the same numbers; becomes the colour table.
        ramp: colours from low to high for maps of numbers, whose nodata is NaN. Three bands or more become red, green,
            blue, two magenta and green.

    >>> import rioxarray
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
    with _whole(path) as folder:
        plain, cog = folder / "plain.tif", folder / path.name
        if names is None or colours is None:
            limits = _write_plain(plain, bands, np.dtype("float32"))
            style = styles.pseudocolour(ramp, limits[0]) if len(bands) == 1 else styles.composite(limits)
        else:
            dtype = np.dtype("uint8" if max([*names, *colours]) < 256 else "uint16")
            _write_plain(plain, bands, dtype, names, colours)
            style = styles.paletted(colours, names)
            (folder / f"{path.name}.aux.xml").write_text(styles.categories(names, len(bands)), encoding="utf-8")
        resampling = "AVERAGE" if names is None else "NEAREST"
        options = {"COMPRESS": "DEFLATE", "BLOCKSIZE": TILE, "OVERVIEW_RESAMPLING": resampling, "BIGTIFF": "IF_SAFER"}
        copy(plain, cog, driver="COG", PREDICTOR="YES", **options)
        plain.unlink()
        (folder / f"{path.stem}.qml").write_text(style, encoding="utf-8")


def _write_plain(
    path: Path,
    bands: xr.DataArray,
    dtype: np.dtype[Any],
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, str] | None = None,
) -> list[styles.Limits]:
    """A tiled GeoTIFF, written some rows at a time; the 2nd and 98th percentile of each band."""
    grid, nodata = Grid.of(bands), np.nan if dtype.kind == "f" else 0
    profile = {"driver": "GTiff", "tiled": True, "count": len(bands), "dtype": dtype, "nodata": nodata}
    place = {"height": grid.height, "width": grid.width, "crs": grid.crs, "transform": grid.transform}
    seen: list[np.ndarray] = []
    step = max(1, min(grid.height, grid.width) // 256)  # a sample is enough for a stretch of colours
    with rasterio.open(path, "w", blockxsize=TILE, blockysize=TILE, BIGTIFF="IF_SAFER", **profile, **place) as target:
        _describe(target, bands, names, colours)
        for top in range(0, grid.height, ROWS):
            values = bands.isel(y=slice(top, top + ROWS)).values
            if dtype.kind == "u":
                values = np.nan_to_num(values, nan=0)
            seen.append(values[:, ::step, ::step].reshape(len(bands), -1))
            window = rasterio.windows.Window(0, top, grid.width, values.shape[1])
            target.write(values.astype(dtype), window=window)
    return [_limits(band) for band in np.concatenate(seen, axis=1)]


def _limits(values: np.ndarray) -> styles.Limits:
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [2, 98]) if finite.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1)


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


def write_zarr(dataset: xr.Dataset, path: str | Path) -> None:
    """Write maps as Zarr v3 with CF's grid mapping, for xarray.open_zarr(path) and .rio.crs. Lazy maps are computed."""
    path = Path(path)
    with _whole(path) as folder, warnings.catch_warnings():
        # Consolidated metadata is not yet in the specification, and readers are slow, and warn, without it.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        for_zarr(dataset).to_zarr(folder / path.name, zarr_format=3, consolidated=True)


def consolidate(path: str | Path) -> None:
    """Put what a store holds into one place, so that it opens at once however many arrays it has."""
    with warnings.catch_warnings():
        # Consolidated metadata is not yet in the specification, and readers are slow, and warn, without it.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        zarr.consolidate_metadata(path)


def for_zarr(dataset: xr.Dataset) -> xr.Dataset:
    """The same, ready for Zarr v3: encodings of other files dropped, CF's grid mapping said."""
    plain = dataset.drop_encoding()
    # Zarr v3 specifies text of any length, and not numpy's of a fixed one.
    for name in [name for name, array in plain.variables.items() if array.dtype.kind == "U"]:
        plain[name] = plain[name].astype(object)
    for name, array in plain.data_vars.items():
        if "spatial_ref" in plain.coords and {"y", "x"} <= set(array.dims):
            # as a coordinate too: else it is one only for those who open with decode_coords="all"
            plain[name].encoding.update(grid_mapping="spatial_ref", coordinates="spatial_ref")
    return plain.assign_attrs(Conventions="CF-1.11")


def write_fields(fields: gpd.GeoDataFrame, path: str | Path) -> None:
    """Write fields as GeoParquet 1.1, with the box around each, so that readers can skip what lies elsewhere."""
    path = Path(path)
    with _whole(path) as folder:
        fields.to_parquet(folder / path.name, index=False, schema_version="1.1.0", write_covering_bbox=True)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A hidden folder beside path; what is in it at the end takes its place under its own name, on failure nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
        folder = Path(name)
        yield folder
        # the map itself last: what lies beside it is there when it appears
        for member in sorted(folder.iterdir(), key=lambda each: each.name == path.name):
            final = path.parent / member.name
            if final.is_dir():
                shutil.rmtree(final)  # a folder, unlike a file, cannot be replaced in one step
            os.replace(member, final)
