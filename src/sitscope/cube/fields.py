"""Which pixels of the cube lie in which field?"""

import hashlib
from pathlib import Path
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from jaxtyping import Int
from rasterio.features import is_valid_geom, rasterize

from sitscope.cube.grid import Grid, name
from sitscope.cube.names import few
from sitscope.cube.vectors import read_vector
from sitscope.errors import BadInput
from sitscope.untrusted import printable, require_memory

Fields: TypeAlias = str | Path | gpd.GeoDataFrame

LONGEST_LABEL = 200
"""Characters of a class at most."""


def read_fields(fields: Fields, label: str, grid: Grid) -> tuple[gpd.GeoSeries, list[str]]:
    """Shapes in the cube's reference system and their labels ("" = none), in the file's order; or BadInput."""
    frame = _given(fields)
    labels = labels_of(frame, label)
    here = placed(frame, grid)
    refuse_apart(frame, here, grid)
    return here, labels


def read_shapes(fields: Fields, grid: Grid) -> gpd.GeoDataFrame:
    """Fields in the cube's reference system with whatever columns they have, in the file's order; or BadInput."""
    frame = _given(fields)
    here = placed(frame, grid)
    refuse_apart(frame, here, grid)
    return frame.set_geometry(here).reset_index(drop=True)


def fingerprint(fields: Fields, label: str) -> str:
    """SHA-256 of reference system, shapes and labels: of what a file says, whatever its bytes. Raises as the others."""
    frame = _given(fields)
    digest = hashlib.sha256(frame.crs.to_wkt().encode())
    labels = frame[label] if label in frame.columns else [None] * len(frame)
    for shape, value in zip(frame.geometry.to_wkb(), labels, strict=True):
        digest.update((shape or b"none") + _text(value).encode() + b"\n")
    return digest.hexdigest()


def labels_of(frame: gpd.GeoDataFrame, label: str) -> list[str]:
    """The label of each field, "" where it has none; BadInput where there is no such column."""
    others = [column for column in frame.columns if column != frame.geometry.name]
    if label not in others:
        raise BadInput("label", f"the fields have no column {label!r}, only: {few(others, 20)}. Name one of them.")
    if others.count(label) > 1:
        raise BadInput("label", f"the fields have {others.count(label)} columns {label!r}. Rename all but one.")
    return [_text(value) for value in frame[label]]


def _given(fields: Fields) -> gpd.GeoDataFrame:
    frame = given_fields(fields)
    refuse_nowhere(frame)
    return frame


def given_fields(fields: Fields) -> gpd.GeoDataFrame:
    """The fields of a vector file, or as given; BadInput where there are none."""
    frame = fields if isinstance(fields, gpd.GeoDataFrame) else read_vector(fields)
    if not isinstance(frame, gpd.GeoDataFrame) or frame.empty:
        found = f"{len(frame)} rows with the columns {few(frame.columns, 20)}"
        raise BadInput("fields", f"there is no field in it, but {found}. Give polygons, each with its class.")
    return frame


def refuse_nowhere(frame: gpd.GeoDataFrame) -> None:
    """BadInput where nobody knows where the fields lie."""
    if frame.crs is None:
        remedy = "Write it into the file (ogr2ogr -a_srs EPSG:....), or say it in Python: fields.set_crs('EPSG:....')."
        raise BadInput("fields", f"the fields have no coordinate reference system. {remedy}")


def placed(frame: gpd.GeoDataFrame, grid: Grid) -> gpd.GeoSeries:
    """The shapes in the cube's reference system; those that have no place there, nowhere finite, are missing."""
    try:
        here = frame.geometry.to_crs(grid.crs)
        where, of = shapely.get_coordinates(here.values, return_index=True)
    except Exception as error:  # noqa: BLE001 - PROJ and GEOS each have their own
        why = str(error) or type(error).__name__
        remedy = "Correct the reference system of the fields, or their shapes: ogr2ogr -makevalid."
        raise BadInput("fields", f"the fields cannot be brought to the images ({why}). {remedy}") from None
    here.iloc[np.unique(of[~np.isfinite(where).all(axis=1)])] = None
    return here


def _text(value: Any) -> str:
    """A label as text; 3.0, as a column of whole numbers with gaps holds them, is 3."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return ""
    whole = isinstance(value, float) and value.is_integer()
    return printable(str(int(value) if whole else value))[:LONGEST_LABEL]


def refuse_apart(original: gpd.GeoDataFrame, here: gpd.GeoSeries, grid: Grid) -> None:
    west, south, east, north = grid.bounds
    bounds = here.total_bounds
    if np.isfinite(bounds).all() and bounds[0] < east and bounds[2] > west and bounds[1] < north and bounds[3] > south:
        return
    extent = ", ".join(f"{value:.8g}" for value in original.total_bounds)
    images = ", ".join(f"{value:.8g}" for value in grid.bounds)
    raise BadInput(
        "fields",
        f"fields and images do not overlap (west, south, east, north): fields {extent} in {name(original.crs)}, "
        f"images {images} in {name(grid.crs)}. Check the reference system of the fields, or give the images of "
        "their place.",
    )


def shrunk(shapes: gpd.GeoSeries, metres: float | int) -> gpd.GeoSeries:
    """The fields less a margin along their boundary, where pixels mix; measured in metres whatever the system."""
    if not metres:
        return shapes
    crs = shapes.crs
    metric = crs.is_projected and crs.axis_info[0].unit_name == "metre"
    try:
        flat = shapes if metric else shapes.to_crs(shapes.estimate_utm_crs())
        return flat.make_valid().buffer(-metres).to_crs(crs)
    except Exception as error:  # noqa: BLE001 - PROJ and GEOS each have their own
        remedy = "Correct them (ogr2ogr -makevalid), or leave buffer out."
        raise BadInput("fields", f"the fields cannot be shrunk ({error or type(error).__name__}). {remedy}") from None


def field_of_pixels(shapes: gpd.GeoSeries, grid: Grid) -> Int[np.ndarray, "y x"]:
    """For each pixel the position of the field that holds its centre, the first where fields overlap, -1 for none."""
    what = f"the fields on {grid.height} x {grid.width} pixels"
    require_memory(8 * grid.height * grid.width, "images", what, "Cut the images to the fields: gdalwarp -te.")
    drawn = [(shape, i) for i, shape in enumerate(shapes) if shape is not None and is_valid_geom(shape)]
    if not drawn:
        return np.full((grid.height, grid.width), -1, "int32")
    size = (grid.height, grid.width)
    # the last one drawn wins, so the first field comes last
    return rasterize(drawn[::-1], out_shape=size, fill=-1, transform=grid.transform, dtype="int32")
