"""How does a finished run map other images: a whole tile, another place, another year?"""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.cube.fields import read_shapes
from sitscope.cube.grid import Grid
from sitscope.cube.source import Source, opened
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import Talk, silent
from sitscope.mapping import ledger
from sitscope.mapping.drive import Work, in_threads, on_cluster, on_workers, require_workers
from sitscope.mapping.make import make_maps
from sitscope.mapping.methods import QUICK
from sitscope.mapping.pixels import field_table, pixel_profiles
from sitscope.mapping.plan import Block, chunk_side, memory_each, processors
from sitscope.mapping.work import Job
from sitscope.settings import READING, RunSettings

SAMPLED = 256
"""Series of the run from which the step of kept importance is taken."""


@dataclass(frozen=True)
class Machines:
    """Who does the work."""

    workers: int | None = None
    """Processes on this machine; 1 is this one. As many as processors if not said."""
    scheduler: str | None = None
    """Address of a Dask scheduler, whose workers do the work in place of ours."""
    memory_gb: float | None = None
    """Of each worker."""

    def settled(self) -> tuple[Work, int, float]:
        """Who works, how many count, and the memory of each. Raises BadInput for numbers that cannot be."""
        for name, value in (("workers", self.workers), ("memory", self.memory_gb)):
            if value is not None and not value > 0:
                raise BadInput(name, f"{value:g} is too small. Give more than 0, or leave it out.")
        if self.scheduler is not None:
            if self.workers is not None:
                remedy = "Give one of the two: --workers starts some here."
                raise BadInput("workers", f"{self.workers} workers are asked for beside a scheduler. {remedy}")
            require_workers(self.scheduler)
            return on_cluster(self.scheduler), processors(), self.memory_gb or 1.5
        workers = self.workers or processors()
        memory = memory_each(workers, self.memory_gb)
        return (in_threads(1) if workers == 1 else on_workers(workers)), workers, memory


def map_images(
    run: str | Path,
    images: Any,
    out: str | Path | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    fields: Any = None,
    importance: str | None = None,
    tolerance: float | None = None,
    anomaly: bool = False,
    machines: Machines | None = None,
    resume: bool = True,
    overwrite: bool = False,
    talk: Talk = silent,
) -> Path:
    """Map images of any size with the model, clusters and classes of a finished run; the folder that was written.

    Args:
        run: folder of the run.
        images: whatever `open_cube` reads, of the model's dates and bands.
        out: folder to write; RUN/mapped/NAME, after the images, if not given. Until all is there, it is `out` +
            ".partial".
        options: of `open_cube` where they differ from the run's: units, bands, start, end, orbit.
        fields: polygons to sum over, any vector file or GeoDataFrame; they need no classes.
        importance: keep the importance of every date: "all", or "row,column,height,width" in pixels, which is widened
            to whole chunks. As large as the images would be in bytes.
        tolerance: days by which acquisitions of another year may lie off the day of the year of the model's dates; the
            images must be of the model's own dates if not given.
        anomaly: map what the model cannot reconstruct as well: its error, and the acquisition of the largest.
        machines: who works; processes of this machine if not said. An xarray object is mapped in this process.
        resume: go on where an interrupted map of the same images and model ended.
        overwrite: replace a map of this name.
        talk: told of progress.

    Whoever works and however the scene is cut, the maps and profiles are the same to the last bit. Raises BadInput for
    anything that cannot be used, and Unfinished where workers keep dying.

    >>> import tempfile
    >>> from sitscope.job import run
    >>> from sitscope.simulation.scene import simulate
    >>> scene = simulate(fields=60, field_px=6, seed=0)
    >>> tiny = {"epochs": 1, "filters": (8,), "kernels": (5,), "strides": (1,), "pooling": (2,)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = run(scene.cube, scene.fields, f"{folder}/RUN", RunSettings(autoencoder=tiny))
    ...     out = map_images(f"{folder}/RUN", scene.cube, f"{folder}/MAP", machines=Machines(workers=1))
    ...     sorted(path.name for path in out.iterdir())
    ['atlas.zarr', 'item.json', 'map.json', 'maps', 'pixels.parquet']
    """
    home = RunFolder(Path(run))
    settings, fitted, book = _of_run(home)
    work, workers, memory_gb = (machines or Machines()).settled()
    place = Path(out) if out is not None else home.path / "mapped" / _name(images)
    _require_free(place, overwrite)
    _require_apart(place, home.path)
    if tolerance is not None and not tolerance >= 0:
        raise BadInput("tolerance", f"{tolerance:g} days are no tolerance. Give 0 or more, or leave it out.")
    asked = {key: value for key, value in (options or {}).items() if value is not None}
    given = settings.model_dump(include=READING)
    if tolerance is not None:  # the run's years are not these
        given |= {"start": None, "end": None}
    source = Source.of(images, given | asked)
    if tolerance is not None:
        days = tuple(np.datetime_as_string(fitted.dates).tolist())
        source = replace(source, dates=days, tolerance=tolerance)
    if not source.portable:
        work, workers = in_threads(1), 1
    talk("reading images", 0, 1)
    notes = source.open_with_notes()[1] if source.dates else []
    cube = opened(source)
    talk("reading images", 1, 1)
    for note in notes:
        print(f"sitscope: {note}", file=sys.stderr)
    shapes = None if fields is None else read_shapes(fields, Grid.of(cube))
    window = None if importance is None else _window(importance, cube.sizes["y"], cube.sizes["x"])
    unfinished = place.with_name(f"{place.name}.partial")
    step = _step(home, fitted, settings.method) if window else 1.0
    job = Job(source, fitted, book, settings.method, unfinished.absolute(), settings.fill, window, step, anomaly)
    facts = _facts(home, job, images, shapes)
    if not resume:
        shutil.rmtree(unfinished, ignore_errors=True)
    made = make_maps(
        job,
        facts,
        work,
        memory_gb=memory_gb,
        workers=workers,
        shapes=None if shapes is None else shapes.geometry,
        progress=lambda done, total: talk("mapping", done, total),
    )
    with ledger.writing(unfinished):
        folder = RunFolder(unfinished)
        folder.write_pixel_profiles(pixel_profiles(made, job))
        if shapes is not None:
            folder.write_fields(field_table(shapes, made, job))
        talk("writing maps", 0, 1)
        folder.write_maps(book, partial(talk, "writing maps"))
        folder.write_item(home.path / "model", cube["acquired" if source.dates else "time"].values)
        (unfinished / "map.json").write_text(json.dumps(facts | {"notes": notes}, indent=1))
        folder.finish(place)
    talk("writing maps", 1, 1)
    opened.cache_clear()
    return place


def _of_run(home: RunFolder) -> tuple[RunSettings, Fitted, Codebook]:
    return home.facts().settings, *home.model()


def _name(images: Any) -> str:
    """After the images, for a folder."""
    if isinstance(images, str | Path):
        return Path(images).resolve().stem.replace("*", "") or "images"
    return Path(images[0]).stem if isinstance(images, list | tuple) and images else "cube"


def _require_free(place: Path, overwrite: bool) -> None:
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if not (place / "map.json").exists():
        what = "is a file" if place.is_file() else "holds other things than a map"
        raise BadInput("out", f"{place} {what}. Name a folder of its own.")
    if not overwrite:
        raise BadInput("out", f"{place} already holds a map. Name another folder, or replace it with --overwrite.")


def _require_apart(place: Path, run: Path) -> None:
    """Raise BadInput for a place among the run's own files, which others read."""
    inside, home = place.resolve(), run.resolve()
    if inside.is_relative_to(home) and inside.parent != home / "mapped":
        remedy = f"Name a folder elsewhere, or leave it out: the map then goes to {run / 'mapped'}."
        raise BadInput("out", f"{place} lies among the files of the run {run}. {remedy}")


def _window(asked: str, height: int, width: int) -> Block:
    """The pixels asked for, widened to whole chunks."""
    if asked == "all":
        return Block(0, 0, height, width)
    try:
        row, column, rows, columns = (int(number) for number in asked.split(","))
    except ValueError:
        remedy = "Write row,column,height,width in pixels, as in 0,0,512,512, or all."
        raise BadInput("importance", f"{asked!r} is no window. {remedy}") from None
    if row < 0 or column < 0 or rows < 1 or columns < 1 or row >= height or column >= width:
        raise BadInput(
            "importance",
            f"the window of {rows} x {columns} pixels at row {row}, column {column} does not lie in the images, which "
            f"have {height} rows and {width} columns. Choose one within.",
        )
    side = chunk_side(height, width)
    bottom, right = (-(-edge // side) * side for edge in (row + rows, column + columns))
    return Block(row // side * side, column // side * side, min(bottom, height), min(right, width))


def _step(home: RunFolder, fitted: Fitted, method: str) -> float:
    """Importance of 1 in 127 steps that reach a little beyond what the run's own series have."""
    x, _ = home.series()
    chosen = np.linspace(0, len(x) - 1, min(SAMPLED, len(x))).astype(int)
    largest = float(np.abs(QUICK[method](fitted, x[chosen]).sum(axis=2)).max())
    return 1 / 127 if method == "letter" else 1.5 * largest / 127


def _facts(home: RunFolder, job: Job, images: Any, shapes: gpd.GeoDataFrame | None) -> dict[str, Any]:
    """map.json: what must be the same for an interrupted map to go on, and what its reader should know."""
    model = [hashlib.sha256((home.path / "model" / name).read_bytes()) for name in ("model.json", "codebook.json")]
    return {
        "run": str(home.path.absolute()),
        "model": {"sha256": model[0].hexdigest(), "codebook_sha256": model[1].hexdigest()},
        "images": job.source.fingerprint(),
        "title": str(images) if job.source.portable else "cube in memory",
        "options": dict(job.source.options),
        "tolerance": job.source.tolerance if job.source.dates else None,
        "method": job.method,
        "fill": job.fill,
        "anomaly": job.anomaly,
        "importance": {"window": astuple(job.window), "step": job.step} if job.window else None,
        "fields": hashlib.sha256(shapes.to_wkb().to_csv().encode()).hexdigest() if shapes is not None else None,
        "versions": {name: version(name) for name in ("sitscope", "torch", "numpy", "zarr")},
    }
