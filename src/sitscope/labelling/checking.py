"""How do images and fields, or a finished run, become a list of labels that somebody should look at?"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from jaxtyping import Bool, Float, Int, Shaped

from sitscope.cube.fields import labels_of, read_shapes
from sitscope.cube.grid import Grid
from sitscope.cube.sampling import sample
from sitscope.cube.source import Source, opened
from sitscope.cube.styles import categorised
from sitscope.cube.whole import unwritable
from sitscope.cube.writing import write_fields
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import Talk, silent
from sitscope.labelling.judging import Checked, How, check
from sitscope.showing.labels import LOOKS, LabelFindings, write_label_report
from sitscope.showing.words import many, strongest_days

MOST_PIXELS = 100
"""Of a field that are looked at, drawn at random: more say nothing new of a field."""


@dataclass(frozen=True)
class Given:
    """The series of labelled fields, and the fields."""

    title: str
    x: Float[np.ndarray, "n c t"]
    field: Int[np.ndarray, " n"]
    label: Shaped[np.ndarray, " n"]
    at_edge: Bool[np.ndarray, " n"]
    dates: np.ndarray
    bands: tuple[str, ...]
    units: str
    fields: gpd.GeoDataFrame
    """All of them, with whatever columns they have; their labels in `column`."""
    column: str


def check_labels(
    run: str | Path | None = None,
    images: Any = None,
    fields: Any = None,
    out: str | Path | None = None,
    *,
    label: str = "crop",
    options: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    how: How | None = None,
    overwrite: bool = False,
    talk: Talk = silent,
) -> gpd.GeoDataFrame:
    """Judge the labels of fields and write what was found into a folder.

    Args:
        run: folder of a finished run, whose kept series are judged; or none of it, and images and fields.
        images: whatever `open_cube` reads.
        fields: whatever `sample` reads, with the column `label`.
        out: folder to write; RUN/labels for a run.
        options: of `open_cube`; sampling: of `sample`, such as fill, buffer, max_pixels (100 unless said).
        how: how labels are checked.
        overwrite: replace an earlier check.
        talk: told of progress.

    Writes labels.parquet (GeoParquet: every field with proposal, proposed class, confidence, dates, evidence by date),
    labels.gpkg with a style for QGIS, labels.csv, labels.json, figures/, labels.html. Raises BadInput for input that
    cannot be used and for a folder that is not free.

    >>> import tempfile
    >>> from sitscope.autoencoder.per_class import Small
    >>> from sitscope.simulation.scene import simulate
    >>> scene = simulate(fields=60, field_px=6, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     how = How(least=4, repeats=1, network=Small(8, 2, 30))
    ...     found = check_labels(images=scene.cube, fields=scene.fields, out=f"{folder}/labels", how=how)
    ...     sorted(path.name for path in Path(f"{folder}/labels").glob("labels.*"))
    ['labels.csv', 'labels.gpkg', 'labels.html', 'labels.json', 'labels.parquet', 'labels.qml']
    """
    if (run is None) == (images is None):
        raise BadInput("run", "name either the folder of a finished run, or --images and --fields, not both.")
    if run is None and (fields is None or out is None):
        raise BadInput("fields", "images alone have no labels: give --fields, --label, and --out for the result.")
    place = Path(out) if out is not None else Path(run or "") / "labels"
    _require_free(place, overwrite)
    talk("reading series", 0, 1)
    if run is not None:
        given = _of_run(RunFolder(Path(run)))
    else:
        given = _of_images(images, fields, label, options or {}, {"max_pixels": MOST_PIXELS} | dict(sampling or {}))
    talk("reading series", 1, 1)
    how = how or How()
    progress = partial(talk, "training per class")
    found = check(given.x, given.field, given.label, at_edge=given.at_edge, how=how, progress=progress)
    talk("writing labels", 0, 1)
    table = _table(given, found)
    try:
        _write(place, given, found, table, how)
    except OSError as error:
        raise unwritable(place, error.strerror or str(error)) from error
    talk("writing labels", 1, 1)
    return table


def _require_free(place: Path, overwrite: bool) -> None:
    if place.exists() and not place.is_dir():
        raise BadInput("out", f"{place} is a file. Name a folder.")
    there = sorted(path.name for path in place.iterdir()) if place.exists() else []
    if there and "labels.json" not in there:
        raise BadInput("out", f"{place} holds other things than checked labels ({there[0]}). Name a folder of its own.")
    if there and not overwrite:
        raise BadInput("out", f"{place} already holds checked labels. Name another, or replace them with --overwrite.")


def _of_run(folder: RunFolder) -> Given:
    x, samples = folder.series()
    findings = folder.findings()
    fitted, _ = folder.model()
    assert findings.maps is not None
    assert findings.fields is not None
    field = samples.field.to_numpy()
    return Given(
        title=findings.title,
        x=x,
        field=field,
        label=samples.label.to_numpy().astype(str),
        at_edge=_at_edge(findings.maps, findings.fields, field, samples.row.to_numpy(), samples.col.to_numpy()),
        dates=fitted.dates,
        bands=fitted.bands,
        units=fitted.units,
        fields=findings.fields[["label", "split", "geometry"]],
        column="label",
    )


def _of_images(images: Any, fields: Any, label: str, options: Mapping[str, Any], sampling: Mapping[str, Any]) -> Given:
    cube = opened(Source.of(images, options))
    shapes = read_shapes(fields, Grid.of(cube))
    series = sample(cube, shapes, label=label, **sampling)
    field = series.field.values
    return Given(
        title="cube in memory" if isinstance(images, xr.DataArray | xr.Dataset) else str(images),
        x=series.x.values,
        field=field,
        label=series.label.values.astype(str),
        at_edge=_at_edge(cube, shapes, field, series.row.values, series.col.values),
        dates=series.time.values,
        bands=tuple(map(str, series.band.values)),
        units=str(series.attrs["units"]),
        fields=shapes,
        column=label,
    )


def _at_edge(
    grid: xr.DataArray | xr.Dataset,
    shapes: gpd.GeoDataFrame,
    field: Int[np.ndarray, " n"],
    row: Int[np.ndarray, " n"],
    column: Int[np.ndarray, " n"],
) -> Bool[np.ndarray, " n"]:
    """Whether the centre of each pixel lies within a pixel of the boundary of its field."""
    y, x = grid.y.values.astype(float), grid.x.values.astype(float)
    pixel = max(abs(axis[1] - axis[0]) if len(axis) > 1 else 1.0 for axis in (y, x))
    near = np.zeros(len(field), bool)
    inside = np.flatnonzero(field >= 0)
    boundary = shapes.geometry.boundary.to_numpy()[field[inside]]
    near[inside] = shapely.distance(shapely.points(x[column[inside]], y[row[inside]]), boundary) < pixel
    return near


def _table(given: Given, found: Checked) -> gpd.GeoDataFrame:
    """A row per field, judged or not: its own columns, and what was found."""
    f = len(given.fields)
    labels = np.array(labels_of(given.fields, given.column), dtype=object)
    text = {name: np.full(f, "", dtype=object) for name in ("proposal", "proposed", "why", "dates", "place")}
    numbers = {name: np.full(f, np.nan) for name in ("confidence", "suspicion", "margin", "inside", "edge")}
    lists: dict[str, list[list[float]]] = {name: [[] for _ in range(f)] for name in ("evidence", "blame")}
    text["why"][:] = [_unjudged(label, found) for label in labels]
    at = found.field
    other = np.array(found.named(found.found.other), dtype=object)
    text["proposal"][at], text["place"][at] = found.proposal, found.where
    text["proposed"][at] = np.where((found.proposal != "clean") & (found.found.margin > 0), other, "")
    text["why"][at] = [_why(found, i) for i in range(len(at))]
    for i, place in enumerate(at.tolist()):
        lists["evidence"][place], lists["blame"][place] = found.evidence[i].tolist(), found.blame[i].tolist()
        if found.proposal[i] != "clean":
            text["dates"][place] = strongest_days(np.maximum(found.blame[i], 0), given.dates)
    numbers["confidence"][at], numbers["suspicion"][at] = found.confidence, found.found.score
    numbers["margin"][at], numbers["inside"][at], numbers["edge"][at] = found.found.margin, found.inside, found.edge
    columns = {"field": np.arange(f), "label": labels, **text, **numbers, **lists}
    own = given.fields.drop(
        columns=[n for n in given.fields.columns if n in columns and n != given.fields.geometry.name]
    )
    table = pd.concat([pd.DataFrame(columns), own.reset_index(drop=True)], axis=1)
    made = gpd.GeoDataFrame(table, geometry=given.fields.geometry.name, crs=given.fields.crs)
    return made if made.geometry.name == "geometry" else made.rename_geometry("geometry")


def _unjudged(label: str, found: Checked) -> str:
    if not label:
        return "no label"
    if label in found.left_out:
        return f"not judged: {label} has {many(found.left_out[label], 'field')}"
    return "not judged: no series without gaps"


def _why(found: Checked, i: int) -> str:
    """Why a field is to be looked at, or relabelled; nothing for a clean one."""
    if found.proposal[i] == "clean":
        return ""
    other = found.classes[found.found.other[i]]
    place = f" in {'the whole field' if found.where[i] == 'whole field' else found.where[i]}" if found.where[i] else ""
    place = place.replace("in edge", "along the edge").replace("in part", "in a part")
    if found.proposal[i] == "relabel":
        return f"looks like {other}{place}"
    if found.found.margin[i] > 0:
        return f"looks more like {other}{place}, but not surely"
    if found.where[i] in ("part of the field", "edge"):
        return f"looks like {other}{place}"
    return f"unlike most {found.classes[found.label[i]]}, and no other class fits"


def _write(place: Path, given: Given, found: Checked, table: gpd.GeoDataFrame, how: How) -> None:
    place.mkdir(parents=True, exist_ok=True)
    write_fields(table, place / "labels.parquet")
    plain = table.drop(columns=["evidence", "blame"])
    plain.drop(columns="geometry").to_csv(place / "labels.csv", index=False, float_format="%.4g")
    (place / "labels.gpkg").unlink(missing_ok=True)
    plain.to_file(place / "labels.gpkg", driver="GPKG", layer="labels")
    looks = {name: (look.colour, look.said) for name, look in LOOKS.items()}
    (place / "labels.qml").write_text(categorised("proposal", looks), encoding="utf-8")
    told = LabelFindings(
        title=given.title,
        dates=given.dates,
        bands=given.bands,
        units=given.units,
        table=table,
        classes=found.classes,
        left_out=found.left_out,
        separability=found.parted.separability,
        field=found.field,
        label=found.label,
        other=found.found.other,
        mean=found.mean,
        blame=found.blame,
    )
    write_label_report(place, told)
    counts = {name: int((table.proposal == name).sum()) for name in ("relabel", "look", "clean", "")}
    facts = {
        "title": given.title,
        "proposals": {name or "not judged": number for name, number in counts.items()},
        "classes": list(found.classes),
        "left_out": found.left_out,
        "otsu": asdict(found.parted),
        "how": asdict(how),
        "versions": {name: version(name) for name in ("sitscope", "torch", "numpy")},
    }
    (place / "labels.json").write_text(json.dumps(facts, indent=1))
