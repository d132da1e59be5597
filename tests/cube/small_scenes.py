"""Folders that a user might have, small: real GeoTIFFs with names and tags, and fields."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
from affine import Affine
from shapely import box

DATES = ("2017-01-03", "2017-01-09", "2017-01-15", "2017-01-21", "2017-01-27")
ROWS, COLUMNS, WEST, NORTH, PIXEL = 8, 10, 500_000.0, 4_100_000.0, 10.0
PLACE = Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH)


def write_image(
    path: Path,
    values: np.ndarray,
    *,
    tags: Mapping[str, str] | None = None,
    descriptions: Sequence[str] = (),
    crs: str | None = "EPSG:32630",
    transform: Affine = PLACE,
    nodata: float | None = np.nan,
    **profile: object,
) -> Path:
    """A GeoTIFF of (y, x) or (layer, y, x)."""
    layers = values[None] if values.ndim == 2 else values
    shape = dict(zip(("count", "height", "width"), layers.shape, strict=True))
    place = {"crs": crs, "transform": transform, "nodata": nodata, "dtype": layers.dtype}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **profile) as target:
        target.write(layers)
        target.update_tags(**(tags or {}))
        for index, description in enumerate(descriptions, 1):
            target.set_band_description(index, description)
    return path


def decibels(seed: int = 0, shape: tuple[int, ...] = (ROWS, COLUMNS)) -> np.ndarray:
    """What backscatter looks like in dB."""
    return np.random.default_rng(seed).normal(-12, 2, shape).astype("float32")


def write_stack(
    folder: Path,
    *,
    dates: Sequence[str] = DATES,
    bands: Sequence[str] = ("VV", "VH"),
    clock: str = "063000",
    tags: Mapping[str, str] | None = None,
    linear: bool = False,
) -> dict[tuple[str, str], np.ndarray]:
    """One GeoTIFF per date and band, named as the simulator does; what each holds, by (date, band)."""
    held = {}
    said = {"units": "linear" if linear else "dB", "RELATIVE_ORBIT": "74"} if tags is None else tags
    for i, date in enumerate(dates):
        for j, band in enumerate(bands):
            values = decibels(100 * j + i)
            values = (10 ** (values / 10)).astype("float32") if linear else values
            write_image(folder / f"S1_{date.replace('-', '')}T{clock}_{band}.tif", values, tags=said)
            held[date, band] = values
    return held


def four_fields(labels: Sequence[object] = ("Wheat", "Maize", "Wheat", "Maize")) -> gpd.GeoDataFrame:
    """Four fields of 4 x 4 pixels in the corners of the scene, two columns of pixels between them."""
    corners = [(WEST, NORTH - 40), (WEST + 60, NORTH - 40), (WEST, NORTH - 80), (WEST + 60, NORTH - 80)]
    shapes = [box(x, y, x + 40, y + 40) for x, y in corners]
    return gpd.GeoDataFrame({"crop": list(labels), "owner": range(4)}, geometry=shapes, crs="EPSG:32630")


def write_fields(folder: Path, fields: gpd.GeoDataFrame | None = None) -> Path:
    """fields.gpkg beside the images."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fields.gpkg"
    (four_fields() if fields is None else fields).to_file(path)
    return path
