"""Are the fields where the images are, and are there enough of each class?"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import xarray as xr
from jaxtyping import Bool, Int
from shapely import normalize

from sitscope.cube.fields import field_of_pixels, given_fields, labels_of, refuse_apart, refuse_nowhere, shrunk
from sitscope.cube.grid import Grid, name
from sitscope.cube.names import few
from sitscope.cube.sampling import kept_fields, labelled_pixels, refuse_below, refuse_one_class
from sitscope.cube.splitting import split_by_field
from sitscope.doctor.notebook import Notebook
from sitscope.settings import RunSettings

UNEQUAL = 20
"""Times as many fields as the rarest class has, from which on the difference is told."""


@dataclass(frozen=True)
class Drawn:
    """Fields on the grid of the images."""

    labels: list[str] | None
    """of each field; None where there is no such column"""
    owner: Int[np.ndarray, "y x"]
    """the field of each pixel, -1 for none"""
    kept: Bool[np.ndarray, " f"]
    """which fields have enough pixels"""
    pixels: Int[np.ndarray, " n"]
    """flat positions of the pixels that would be sampled, in order"""
    train: int
    """series to learn from; 0 where they cannot be split"""


def examine_fields(fields: Any, grid: Grid | None, settings: RunSettings, note: Notebook) -> tuple[Any, Drawn | None]:
    """The fields as read and as drawn; None for either where it cannot be."""
    numbers = {"buffer": (settings.buffer, 0), "min_pixels": (settings.min_pixels, 1)}
    note.tried(lambda: refuse_below(**numbers))
    frame = note.tried(lambda: given_fields(fields))
    if frame is None:
        return None, None
    labels = note.tried(lambda: labels_of(frame, settings.label))
    _warn_of_shapes(frame, note)
    if labels is not None:
        _warn_of_labels(labels, note)
    note.tried(lambda: refuse_nowhere(frame))
    if frame.crs is None or grid is None:
        if labels is not None:
            note.tried(lambda: refuse_one_class(sorted({x for x in labels if x}), settings.label, "are in the file"))
        return frame, None
    if frame.crs != grid.crs:
        there = f"{name(frame.crs)}, the images in {name(grid.crs)}"
        note.warn("fields", f"the fields are in {there}. They are brought to the images; nothing has to be done.")
    here = frame.geometry.to_crs(grid.crs)
    before = len(note.problems)
    note.tried(lambda: refuse_apart(frame, here, grid))
    if len(note.problems) > before:
        return frame, None
    _warn_of_overlap(here, grid, note)
    return frame, _drawn(here, labels, grid, settings, note)


def _drawn(
    here: gpd.GeoSeries, labels: list[str] | None, grid: Grid, settings: RunSettings, note: Notebook
) -> Drawn | None:
    owner = field_of_pixels(shrunk(here, settings.buffer), grid)
    f = len(here)
    kept = note.tried(lambda: kept_fields(owner, f, settings.min_pixels, settings.buffer))
    if kept is None:
        return None
    if left := int((~kept).sum()):
        note.warn("min_pixels", f"{left} of {f} fields hold fewer than {settings.min_pixels} pixels and are left out.")
    if labels is None:
        return Drawn(None, owner, kept, np.flatnonzero(owner.ravel() >= 0), 0)
    rng = np.random.default_rng(settings.seed)
    pixels = note.tried(lambda: labelled_pixels(owner, kept, labels, settings.label, settings.max_pixels, rng))
    if pixels is None:
        return Drawn(labels, owner, kept, np.flatnonzero(owner.ravel() >= 0), 0)
    pixels = np.sort(pixels)
    field = owner.ravel()[pixels].astype("int64")
    series = xr.Dataset({"label": ("series", np.array(labels)[field]), "field": ("series", field)})
    split = note.tried(lambda: split_by_field(series, test=settings.test, seed=settings.seed))
    _warn_of_classes(labels, kept, note)
    return Drawn(labels, owner, kept, pixels, 0 if split is None else split[0].sizes["series"])


def _warn_of_classes(labels: list[str], kept: Bool[np.ndarray, " f"], note: Notebook) -> None:
    counts = Counter(label for label, in_use in zip(labels, kept, strict=True) if label and in_use)
    if max(counts.values(), default=0) < 2:
        return  # an error already
    if alone := sorted(label for label, n in counts.items() if n == 1):
        what = f"{len(alone)} classes have a single field and cannot be tested: {few(alone, 6)}"
        note.warn("fields", f"{what}. Add fields of these, or take them out.")
    (most, n), (least, m) = counts.most_common()[0], counts.most_common()[-1]
    if n >= UNEQUAL * m:
        what = f"classes are very unequal: {most} has {n} fields, {least} {m}"
        note.warn("fields", f"{what}. Clusters go to what is frequent: read macro recall, not overall accuracy.")


def _warn_of_labels(labels: list[str], note: Notebook) -> None:
    ways: dict[str, set[str]] = {}
    for label in labels:
        ways.setdefault(" ".join(label.casefold().split()), set()).add(label)
    double = [sorted(names) for names in ways.values() if len(names) > 1]
    if double:
        found = few((" and ".join(repr(one) for one in names) for names in double), 4)
        note.warn("label", f"labels differ only by case or blanks, and count as classes of their own: {found}. Unite.")
    nameless = sum(not label for label in labels)
    if 0 < nameless < len(labels):
        note.warn("label", f"{nameless} of {len(labels)} fields have no label; they are not learned from.")


def _warn_of_shapes(frame: gpd.GeoDataFrame, note: Notebook) -> None:
    shapes = frame.geometry
    nothing = shapes.isna() | shapes.is_empty
    if nothing.any():
        note.warn("fields", f"{int(nothing.sum())} of {len(shapes)} fields have no shape (rows {_rows(nothing)}).")
    flat = ~nothing & ~shapes.geom_type.isin(["Polygon", "MultiPolygon"])
    if flat.any():
        kinds = ", ".join(sorted(set(shapes[flat].geom_type)))
        note.warn("fields", f"{int(flat.sum())} of {len(shapes)} fields are no polygons but {kinds}. Give polygons.")
    wrong = ~nothing & ~shapes.is_valid
    if wrong.any():
        note.warn(
            "fields",
            f"{int(wrong.sum())} of {len(shapes)} fields have an invalid shape (rows {_rows(wrong)}), such as a line "
            "that crosses itself; pixels may be missed. Repair them, as with make_valid().",
        )
    plain = gpd.GeoSeries(normalize(shapes[~nothing].values), index=shapes.index[~nothing]).to_wkb()
    again = plain[plain.duplicated()]
    if len(again):
        note.warn("fields", f"{len(again)} fields have the shape of another (rows {few(again.index, 5)}). Keep one.")


def _rows(which: Any) -> str:
    return few(map(str, np.flatnonzero(which)), 5)


def _warn_of_overlap(here: gpd.GeoSeries, grid: Grid, note: Notebook) -> None:
    """Fields on each other, by more than a pixel; and fields that lie beside the images."""
    shapes = here[~(here.isna() | here.is_empty)].make_valid()
    one, other = shapes.sindex.query(shapes.values, predicate="intersects")
    pairs = one < other
    one, other = one[pairs], other[pairs]
    shared = shapes.iloc[one].reset_index(drop=True).intersection(shapes.iloc[other].reset_index(drop=True)).area
    pixel = abs(grid.transform.a * grid.transform.e)
    on = np.flatnonzero(shared > pixel)
    if on.size:
        rows = few((f"{shapes.index[one[i]]} and {shapes.index[other[i]]}" for i in on), 4)
        what = f"{on.size} pairs of fields overlap by more than a pixel (rows {rows})"
        note.warn("fields", f"{what}. Their pixels go to the first of the file. Correct the shapes, or keep one.")
    beside = shapes.bounds
    west, south, east, north = grid.bounds
    out = (beside.maxx <= west) | (beside.minx >= east) | (beside.maxy <= south) | (beside.miny >= north)
    if out.any():
        note.warn("fields", f"{int(out.sum())} of {len(here)} fields lie beside the images and are left out.")


def classes_of(drawn: Drawn) -> list[dict[str, Any]]:
    """Fields and pixels of each class, the most frequent first."""
    if drawn.labels is None:
        return []
    pixels = np.bincount(drawn.owner[drawn.owner >= 0], minlength=len(drawn.labels))
    rows = []
    for label, n in Counter(label for label in drawn.labels if label).most_common():
        mine = np.array([each == label for each in drawn.labels])
        counts = {"class": label, "fields": n, "too_small": int((mine & ~drawn.kept).sum())}
        rows.append(counts | {"pixels": int(pixels[mine & drawn.kept].sum())})
    return rows
