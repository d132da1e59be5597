"""Two sensors over the same fields, small: radar every six days on 10 m, an optical one by months on 20 m.

Maize and Wheat differ in summer, for the radar alone; Maize and Rapeseed in spring, for the optical sensor alone.
"""

from pathlib import Path

import geopandas as gpd
import numpy as np
from affine import Affine
from shapely import box

from small_scenes import NORTH, WEST, write_image

SIDE, ACROSS, DOWN = 4, 6, 4
"""Pixels of 10 m along a field, and fields across and down."""
RADAR_DATES = np.arange("2017-03-01", "2017-09-09", 16, dtype="datetime64[D]")
OPTICAL_DATES = np.arange("2017-02", "2017-11", dtype="datetime64[M]").astype("datetime64[D]") + 14
RADAR_PARTS, OPTICAL_PARTS = slice(6, 9), slice(1, 4)
"""Which dates of each part the classes."""
CROPS = ("Maize", "Wheat", "Rapeseed")


def labels() -> list[str]:
    """Crop of each field, row by row from the north-west."""
    return [CROPS[i % 3] for i in range(ACROSS * DOWN)]


def fields() -> gpd.GeoDataFrame:
    """24 fields of 40 m, side by side."""
    side = 10 * SIDE
    shapes = [
        box(WEST + side * j, NORTH - side * (i + 1), WEST + side * (j + 1), NORTH - side * i)
        for i in range(DOWN)
        for j in range(ACROSS)
    ]
    return gpd.GeoDataFrame({"crop": labels()}, geometry=shapes, crs="EPSG:32630")


def write_radar(folder: Path) -> Path:
    """GeoTIFFs of VV and VH in dB."""
    rng = np.random.default_rng(0)
    crop = _crops(SIDE)
    for i, date in enumerate(RADAR_DATES):
        summer = 5.0 * (crop == "Wheat") if i in range(*RADAR_PARTS.indices(99)) else 0.0
        for band, level in (("VV", -11.0), ("VH", -18.0)):
            values = level + np.sin(i / 2) + summer + rng.normal(0, 0.4, crop.shape)
            name = f"S1_{str(date).replace('-', '')}T063000_{band}.tif"
            write_image(folder / name, values.astype("float32"), tags={"units": "dB", "RELATIVE_ORBIT": "74"})
    return folder


def write_optical(folder: Path, *, east: float = 0.0) -> Path:
    """GeoTIFFs of B04 and B08, so many metres further east."""
    rng = np.random.default_rng(1)
    crop = _crops(SIDE // 2)
    place = Affine(20, 0, WEST + east, 0, -20, NORTH)
    for i, date in enumerate(OPTICAL_DATES):
        spring = 0.3 * (crop == "Rapeseed") if i in range(*OPTICAL_PARTS.indices(99)) else 0.0
        for band, level in (("B04", 0.1), ("B08", 0.4)):
            values = level + 0.05 * np.cos(i / 2) + spring + rng.normal(0, 0.02, crop.shape)
            name = f"S2_{str(date).replace('-', '')}_{band}.tif"
            write_image(folder / name, values.astype("float32"), transform=place)
    return folder


def _crops(side: int) -> np.ndarray:
    """The crop of each pixel, fields of `side` pixels."""
    return np.array(labels()).reshape(DOWN, ACROSS).repeat(side, axis=0).repeat(side, axis=1)
