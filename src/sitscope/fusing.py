"""How do the images of several sensors become one explained embedding? The job behind sitscope fuse."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sitscope.autoencoder.branches import Join, Sensor, checked
from sitscope.autoencoder.fused import Fused
from sitscope.autoencoder.sensors import fit_sensors
from sitscope.classes.codebook import Codebook, fit_codebook, require_clusters
from sitscope.classes.scores import Scores, score_embedding
from sitscope.cube.grid import Grid
from sitscope.cube.names import iso
from sitscope.cube.several import sample_sensors
from sitscope.cube.source import Source, opened
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.facts import facts
from sitscope.folder import RunFolder
from sitscope.job import VOTES, Talk, require_free, silent, stage
from sitscope.mapping import contributions
from sitscope.settings import READING, RunSettings
from sitscope.showing.fused import FusedFindings, fused_plates, write_fused_report
from sitscope.showing.story import flows
from sitscope.showing.style import save

MOST_PAIRS = 12
"""Of confused classes whose margins are told."""

LEAST_FLOW = 0.05
"""Share of a class's test series from which on it is confused with another."""


def fuse(
    sensors: Mapping[str, Any],
    fields: Any,
    out: str | Path,
    settings: RunSettings | None = None,
    *,
    join: Join = "branches",
    balance: bool = False,
    overwrite: bool = False,
    talk: Talk = silent,
) -> FusedFindings:
    """One embedding of several sensors, clustered, voted, scored and explained by sensor, band and date.

    sensors: by name, whatever `open_cube` reads, or a cube it gave; the first one's pixels are the series, and each
    keeps its own dates. fields: whatever `sample` reads. settings: of a run; options of reading hold for all sensors
    that are not opened yet. join: "branches" or "stacked"; balance: each sensor has the same share of the error.

    Writes into `out`: model/ (weights, scaling, clusters), scores.json, confusion.csv, samples.parquet,
    contributions.parquet (class, dim, sensor, band, date, contribution, size, share, n), letter.parquet,
    margins.parquet, sensors.csv (shares), figures/, report.html and run.json. Raises BadInput for input that cannot be
    used, and for a folder that is not free.

    >>> from sitscope.simulation.scene import simulate
    >>> scene = simulate(fields=60, field_px=6, seed=0)
    >>> two = {"early": scene.cube[:40], "late": scene.cube[30:]}
    >>> found = fuse(two, scene.fields, "FUSED", RunSettings(autoencoder={"epochs": 1}))
    >>> found.shares.groupby("dim").share.sum().round(6).tolist()
    [1.0, 1.0]
    """
    settings, out = settings or RunSettings(), Path(out)
    require_free(out, overwrite)
    read = settings.model_dump(include=READING)
    sources = {name: given if isinstance(given, Source) else Source.of(given, read) for name, given in sensors.items()}
    with stage(talk, "reading images"):
        cubes = {name: _opened(name, source) for name, source in sources.items()}
    with stage(talk, "sampling fields"):
        options = {"label", "buffer", "min_pixels", "max_pixels", "unlabelled", "fill", "seed"}
        series = sample_sensors(cubes, fields, **settings.model_dump(include=options))
        base = next(iter(series.values()))
        train, test = split_by_field(base, test=settings.test, seed=settings.seed)
    described = checked([_sensor(name, each) for name, each in series.items()], join, settings.autoencoder)
    require_clusters(settings.clusters or 1, len(train.x))
    known = _known(sources, series, cubes, test, settings, {"join": join, "balance": balance})
    folder = RunFolder.begin(out, known)
    values = {part: [each.x.sel(series=rows.series.values).values for each in series.values()]
              for part, rows in (("train", train), ("test", test))}  # fmt: skip
    try:
        fused = _trained(values["train"], described, train, settings, join, balance, talk)
    except BadInput:
        folder.discard()
        raise
    fused.save(folder.path / "model")
    with stage(talk, "clustering"):
        embedded = {part: fused.embed(x) for part, x in values.items()}
        book = fit_codebook(
            embedded["train"], train.label.values, clusters=settings.clusters, assign=VOTES[settings.vote],
            seed=settings.seed,
        )  # fmt: skip
        scores = score_embedding(embedded["test"], test.label.values, book)
        folder.write_codebook(book)
        folder.write_scores(scores, [])
        parts = [_described(rows, part, embedded[part], book) for part, rows in (("train", train), ("test", test))]
        folder.write_samples(pd.concat(parts, ignore_index=True))
    with stage(talk, "explaining classes"):
        found = contributions.contributed(
            values["test"], test.label.values, test.field.values, fused, seed=settings.seed
        )
        findings = _findings(folder, found, book, scores, fused, known)
    with stage(talk, "drawing the report"):
        drawn = fused_plates(findings)
        for plate in drawn:
            save(plate.figure, folder.path / "figures", plate.name)
        write_fused_report(folder.path / "report.html", findings, drawn)
    folder.finish(out)
    return findings


def _opened(name: str, source: Source) -> xr.DataArray:
    try:
        return opened(source)
    except BadInput as error:
        raise BadInput(error.argument, f"sensor {name}: {error.message}") from None


def _sensor(name: str, series: xr.Dataset) -> Sensor:
    return Sensor(name, tuple(map(str, series.band.values)), series.time.values, series.attrs["units"] or "1")


def _trained(
    x: Sequence[np.ndarray],
    sensors: tuple[Sensor, ...],
    train: xr.Dataset,
    settings: RunSettings,
    join: Join,
    balance: bool,
    talk: Talk,
) -> Fused:
    rng = np.random.default_rng(settings.seed)
    some = np.sort(rng.permutation(len(train.x))[: settings.train_series])
    return fit_sensors(
        [each[some] for each in x],
        sensors,
        settings.autoencoder,
        settings.seed,
        join=join,
        balance=balance,
        field=train.field.values[some],
        progress=lambda epoch, epochs, train_loss, validation_loss: talk("training", epoch, epochs),
    )


def _known(
    sources: Mapping[str, Source],
    series: Mapping[str, xr.Dataset],
    cubes: Mapping[str, xr.DataArray],
    test: xr.Dataset,
    settings: RunSettings,
    how: Mapping[str, Any],
) -> dict[str, Any]:
    """run.json: as a run's, and what is known of each sensor."""
    base = next(iter(series.values()))
    told = facts(list(sources), base, test, settings)
    digest = hashlib.sha256()
    for each in series.values():
        digest.update(np.ascontiguousarray(each.x.values).tobytes())
    told["data"] |= {"images": {name: _place(source) for name, source in sources.items()}}
    told["data"] |= {"sha256_of_series": digest.hexdigest(), "units": {k: v.attrs["units"] for k, v in series.items()}}
    told["title"] = " and ".join(series) + (f" over {told['data']['series']:,} pixels")
    told["settings"] |= dict(how)
    told["sensors"] = [_told(name, each, cubes[name]) for name, each in series.items()]
    for name, each in series.items():
        if outside := each.attrs["outside"]:
            told["notes"].append(f"{outside:,} pixels of the fields lie beside the images of {name} and were left out.")
        if "filled" in each and name != next(iter(series)):
            told["notes"].append(f"{float(each.filled.mean()):.1%} of the dates of {name} are filled linearly in time.")
    told["notes"] += _finer(cubes)
    del told["missing"]
    return told


def _place(source: Source) -> str | list[str]:
    if not source.portable:
        return "cube in memory"
    return source.images if isinstance(source.images, str) else list(source.images)


def _told(name: str, series: xr.Dataset, cube: xr.DataArray) -> dict[str, Any]:
    t = Grid.of(cube).transform
    return {
        "name": name,
        "bands": [str(band) for band in series.band.values],
        "units": series.attrs["units"],
        "dates": series.sizes["time"],
        "first": iso(series.time.values[0])[:10],
        "last": iso(series.time.values[-1])[:10],
        "pixel": f"{abs(t.a):g} x {abs(t.e):g}",
        "missing": float(series.missing.mean()),
    }


def _finer(cubes: Mapping[str, xr.DataArray]) -> list[str]:
    """Whether a sensor has smaller pixels than the first, where the two can be compared."""
    grids = {name: Grid.of(cube) for name, cube in cubes.items()}
    first, one = next(iter(grids.items()))
    area = {name: abs(grid.transform.a * grid.transform.e) for name, grid in grids.items()}
    return [
        f"The pixels of {name} are smaller than those of {first}: of some {area[first] / area[name]:.0f} only the one "
        f"under the centre is taken. Name {name} first to take all."
        for name, grid in grids.items()
        if grid.crs == one.crs and area[name] < 0.9 * area[first]
    ]


def _described(series: xr.Dataset, split: str, embedding: np.ndarray, book: Codebook) -> pd.DataFrame:
    """A row per series: label, prediction, cluster from 1, field, place, split, embedding."""
    cluster = book.cluster(embedding)
    table = pd.DataFrame({name: series[name].values for name in ("label", "field", "row", "col")})
    predicted = np.array([*book.classes, ""])[book.assigned[cluster]]
    table = table.assign(predicted=predicted, cluster=cluster + 1, split=split)
    return table.assign(**{f"e{i}": values for i, values in enumerate(embedding.T, start=1)})


def _findings(
    folder: RunFolder,
    found: contributions.Contributed,
    book: Codebook,
    scores: Scores,
    fused: Fused,
    known: Mapping[str, Any],
) -> FusedFindings:
    """The tables, written, and all that is shown."""
    pairs = dict.fromkeys(tuple(sorted((f.truth, f.predicted))) for f in flows(scores, least=LEAST_FLOW) if f.predicted)
    tables: dict[str, pd.DataFrame] = {
        "contributions": contributions.table(found),
        "letter": contributions.letter_table(found),
        "margins": contributions.margins(found, book, [(one, other) for one, other in pairs][:MOST_PAIRS]),
    }
    for name, table in tables.items():
        table.to_parquet(folder.path / f"{name}.parquet", index=False)
    shares = contributions.sensor_shares(found)
    shares.to_csv(folder.path / "sensors.csv", index=False)
    return FusedFindings(
        title=known["title"],
        sensors=known["sensors"],
        join=fused.join,
        balance=known["settings"]["balance"],
        scores=scores,
        clusters=len(book.centres),
        shares=shares,
        residual=float(np.median(found.residual)),
        losses=fused.losses,
        best_epoch=fused.best_epoch,
        notes=known["notes"],
        settings={key: known[key] for key in ("data", "settings", "versions")},
        **tables,
    )
