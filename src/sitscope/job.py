"""How does a folder of images and a file of fields become an explained map? The main job."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from sitscope import trust
from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import cells_left
from sitscope.autoencoder.training import fit
from sitscope.classes.codebook import Codebook, fit_codebook, majority, one_to_one, require_clusters
from sitscope.classes.scores import Scores, score_embedding
from sitscope.cube.fields import read_fields, shrunk
from sitscope.cube.grid import Grid
from sitscope.cube.sampling import sample
from sitscope.cube.source import Source, opened
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.facts import facts, inputs
from sitscope.folder import RunFolder
from sitscope.mapping.drive import in_threads
from sitscope.mapping.make import make_maps
from sitscope.mapping.pixels import field_table, pixel_profiles
from sitscope.mapping.plan import memory_each, processors
from sitscope.mapping.profiles import profiles
from sitscope.mapping.work import Job
from sitscope.reasons import diagnosed
from sitscope.settings import READING, RunSettings
from sitscope.showing.findings import Findings
from sitscope.showing.plates import plates
from sitscope.showing.report import write_figures, write_report
from sitscope.showing.story import require_classes

Talk = Callable[[str, int, int], None]
"""Told of progress: stage, steps done, steps in all."""

TRUSTED = 48
"""Test series on which every run measures how far its maps can be trusted."""

SAMPLES = 20_000
"""Most series kept in samples.parquet and series.zarr, for the scatter of embeddings and for evaluation."""

VOTES = {"majority": majority, "one-to-one": one_to_one}


def silent(stage: str, done: int, total: int) -> None:
    """Say nothing."""


def require_free(out: str | Path, overwrite: bool = False) -> None:
    """Raise BadInput where the folder already holds something, unless that is a run that may be replaced."""
    out = Path(out)
    above = next(parent for parent in out.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        why = "is a file" if above.is_file() else "is read-only"
        raise BadInput("out", f"{out} cannot be made: {above} {why}. Name a folder elsewhere.")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "run.json").exists():
        what = "is a file" if out.is_file() else "holds other things than a run"
        raise BadInput("out", f"{out} {what}. Name a folder of its own.")
    if not overwrite:
        raise BadInput("out", f"{out} already holds a run. Name another folder, or replace it with --overwrite.")


def run(
    images: Any,
    fields: Any,
    out: str | Path,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    talk: Talk = silent,
    accept: Callable[[dict[str, Any]], object] = lambda known: None,
) -> Findings:
    """The letter's whole chain on images and fields, into the folder `out`, with figures and report.

    images: whatever `open_cube` reads; fields: whatever `sample` reads. Works in `out` + ".partial", which becomes
    `out` when all is done; started again on the same data and settings after an interruption, it keeps the trained
    model found there. `accept` is called with what run.json will say before anything is written, and may raise. Raises
    BadInput for input that cannot be used, and for a folder that is not free.

    >>> from sitscope.simulation.scene import simulate
    >>> scene = simulate(fields=60, field_px=6, seed=0)
    >>> run(scene.cube, scene.fields, "RUN", RunSettings(autoencoder={"epochs": 1})).dims
    2
    """
    settings = settings or RunSettings()
    out = Path(out)
    require_free(out, overwrite)
    with stage(talk, "reading images"):
        source = Source.of(images, settings.model_dump(include=READING))
        cube = opened(source)
    with stage(talk, "sampling fields"):
        options = {"label", "buffer", "min_pixels", "max_pixels", "unlabelled", "fill", "seed"}
        series = sample(cube, fields, **settings.model_dump(include=options))
        train, test = split_by_field(series, test=settings.test, seed=settings.seed)
    cells_left(len(series.time), settings.autoencoder)  # what cannot end well is refused before it begins
    require_clusters(settings.clusters or 1, len(train.x))
    require_classes(settings.groups, sorted(set(train.label.values.tolist()) - {""}))
    known = facts(images, series, test, settings) | {"inputs": inputs(source, fields, settings.label, out)}
    accept(known)
    folder = RunFolder.begin(out, known)
    fitted = _trained(folder, train, settings, talk)
    with stage(talk, "clustering"):
        train, test = (s.assign(embedding=(("series", "dim"), fitted.embed(s.x))) for s in (train, test))
        book = clustered(train, settings, settings.clusters)
        folder.write_codebook(book)
        scores = _scores(test, book)
        folder.write_scores(scores, by_clusters(train, test, settings))
    with stage(talk, "explaining classes"):
        folder.write_profiles(profiles(test, fitted, book))
        samples = pd.concat([described(train, "train", book), described(test, "test", book)], ignore_index=True)
        samples = samples[samples.label != ""]  # its index still says where each one's values lie
        kept = samples.sample(min(len(samples), SAMPLES), random_state=settings.seed)
        folder.write_samples(kept)
        folder.write_series(np.concatenate([train.x.values, test.x.values])[kept.index], fitted)
    why = diagnosed(train, test, fitted, book, scores, settings.method, settings.seed, partial(talk, "finding reasons"))
    folder.write_diagnosis(why)
    _measure(folder, fitted, settings, talk)
    job = Job(source, fitted, book, settings.method, folder.path, settings.fill)
    _map(folder, job, field_rows(fields, cube, samples, settings.label), settings, talk)
    findings = show(folder, talk)
    folder.finish(out)
    return findings


def load_run(folder: str | Path) -> Findings:
    """What a finished run found. Raises BadInput where the folder holds no whole run."""
    return RunFolder(Path(folder)).findings()


def show(folder: RunFolder, talk: Talk = silent, groups: Sequence[Sequence[str]] | None = None) -> Findings:
    """Draw figures/ and report.html of a run folder from its files.

    groups: classes to draw together, instead of those named in the settings of the run.
    """
    findings = folder.findings()
    if groups is not None:
        findings = replace(findings, chosen=groups)
    with stage(talk, "drawing the report"):
        drawn = list(plates(findings))
        write_figures(folder.path / "figures", findings, drawn)
        write_report(folder.path / "report.html", findings, drawn)
    return findings


def evaluate(
    folder: RunFolder,
    methods: Sequence[str] | None = None,
    *,
    series: int = 32,
    draws: int = 16,
    seed: int = 0,
    talk: Talk = silent,
) -> pd.DataFrame:
    """Measure every method on test series of a finished run, write evaluation.csv, and draw figures and report anew.

    series: how many; draws: of the maskings that draw. The table: see `sitscope.trust.table`. Raises BadInput where
    the folder is no run or keeps no series, for more series than there are, and for an unknown method.
    """
    values, samples = folder.series()
    on = trust.ground(Fitted.load(folder.path / "model"), values, samples, series, seed)
    table = trust.table(on, methods, draws=draws, seed=seed, progress=partial(talk, "measuring trust"))
    folder.write_evaluation(table)
    show(folder, talk)
    return table


def _measure(folder: RunFolder, fitted: Fitted, settings: RunSettings, talk: Talk) -> None:
    """fidelity.json, from what the folder keeps."""
    values, samples = folder.series()
    series = min(TRUSTED, int((samples.split == "test").sum()))
    on = trust.ground(fitted, values, samples, series, settings.seed)
    figures = trust.quick(on, seed=settings.seed, progress=partial(talk, "measuring trust"))
    folder.write_fidelity(figures)


def _map(folder: RunFolder, job: Job, fields: gpd.GeoDataFrame, settings: RunSettings, talk: Talk) -> None:
    """Every pixel, and what all pixels together say of fields, clusters and classes."""
    threads = processors()
    made = make_maps(
        job,
        {"images": job.source.fingerprint()},
        in_threads(threads),
        memory_gb=memory_each(threads),
        workers=threads,
        shapes=shrunk(fields.geometry, settings.buffer),
        progress=partial(talk, "mapping"),
    )
    folder.write_pixel_profiles(pixel_profiles(made, job))
    folder.write_fields(field_table(fields, made, job))
    with stage(talk, "writing maps"):
        folder.write_maps(job.book, partial(talk, "writing maps"))
        folder.write_item()


def _trained(folder: RunFolder, train: xr.Dataset, settings: RunSettings, talk: Talk) -> Fitted:
    """The model that an interrupted run left, or a new one."""
    if there := folder.fitted():
        return there
    rng = np.random.default_rng(settings.seed)
    some = np.sort(rng.permutation(len(train.x))[: settings.train_series])
    try:
        fitted = fit(
            train.isel(series=some),
            settings.autoencoder,
            seed=settings.seed,
            progress=lambda epoch, epochs, train_loss, validation_loss: talk("training", epoch, epochs),
        )
    except BadInput:
        folder.discard()  # started again, it would end here again
        raise
    folder.write_model(fitted)
    return fitted


def clustered(train: xr.Dataset, settings: RunSettings, clusters: int | None) -> Codebook:
    """Clusters of the training embedding (series, dim), and the class of each."""
    vote = VOTES[settings.vote]
    return fit_codebook(train.embedding.values, train.label.values, clusters=clusters, assign=vote, seed=settings.seed)


def _scores(test: xr.Dataset, book: Codebook) -> Scores:
    return score_embedding(test.embedding.values, test.label.values, book)


def by_clusters(train: xr.Dataset, test: xr.Dataset, settings: RunSettings) -> list[dict[str, float | int]]:
    """How the scores move with the number of clusters: 1, 2, 4 and 8 times the classes."""
    classes = len(set(train.label.values.tolist()) - {""})
    rows = []
    for k in (classes * 2**i for i in range(4)):
        if k <= len(train.label):
            scores = _scores(test, clustered(train, settings, k))
            rows.append(
                {"clusters": k, "overall_accuracy": scores.overall_accuracy, "macro_recall": scores.macro_recall}
            )
    return rows


def described(series: xr.Dataset, split: str, book: Codebook) -> pd.DataFrame:
    """A row per series: label, prediction, cluster from 1, field, place, split, embedding."""
    cluster = book.cluster(series.embedding.values)
    names = np.array([*book.classes, ""])
    table = pd.DataFrame({name: series[name].values for name in ("label", "field", "row", "col") if name in series})
    table = table.assign(predicted=names[book.assigned[cluster]], cluster=cluster + 1, split=split)
    dims = [f"e{i}" for i in range(1, series.sizes["dim"] + 1)]
    return pd.concat([table, pd.DataFrame(series.embedding.values, columns=dims)], axis=1)


def field_rows(fields: Any, cube: xr.DataArray, samples: pd.DataFrame, label: str) -> gpd.GeoDataFrame:
    """A row per field, in the CRS of the cube: label, split, number of series sampled."""
    shapes, labels = read_fields(fields, label, Grid.of(cube))
    grouped = samples.groupby("field")
    table = pd.DataFrame({"split": grouped.split.first(), "series": grouped.size()})
    table = table.reindex(range(len(labels))).fillna({"split": "unused", "series": 0}).astype({"series": int})
    table.insert(0, "label", labels)
    found = gpd.GeoDataFrame(table, geometry=shapes.geometry.values, crs=shapes.crs)
    return found.rename_axis("field").reset_index()


@contextmanager
def stage(talk: Talk, name: str) -> Iterator[None]:
    """Tell of a stage when it begins and when it has ended."""
    talk(name, 0, 1)
    yield
    talk(name, 1, 1)
