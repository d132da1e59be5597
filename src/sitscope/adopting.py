"""What is an embedding worth that somebody else computed, and which classes does it confuse?"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from sitscope.classes.codebook import Codebook, require_clusters
from sitscope.classes.components import principal_components
from sitscope.classes.parting import parting
from sitscope.classes.scores import Scores, score_embedding
from sitscope.cube.embeddings import blamed
from sitscope.cube.fields import fingerprint, shrunk
from sitscope.cube.names import iso
from sitscope.cube.sampling import sample
from sitscope.cube.source import Source, opened
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.facts import places, title, versions
from sitscope.folder import RunFolder
from sitscope.given import Given, How, notes, read_given
from sitscope.job import SAMPLES, Talk, by_clusters, clustered, described, field_rows, require_free, silent, stage
from sitscope.mapping.placing import Placing, cluster_table, field_means, map_embedding
from sitscope.settings import READING, RunSettings
from sitscope.showing.apart import Apart
from sitscope.showing.findings import Findings
from sitscope.showing.plates import plates
from sitscope.showing.report import write_figures, write_report
from sitscope.showing.story import Flow, flows

USED = {"label", "buffer", "min_pixels", "max_pixels", "unlabelled", "test", "clusters", "vote", "seed"}
"""Settings of a run that an embedding which is there already leaves to be chosen."""
LEAST = 0.1
"""Share of a class that becomes another from which on the images are asked about the two."""
PAIRS = 8
"""Pairs that they are asked about at most."""
FEW = 8
"""Principal components in which it is asked whether the embedding parts two classes: what few fields can tell."""
SHOWN = 3
"""Principal components on the map: red, green, blue."""


def adopt(
    embedding: Any,
    fields: Any,
    out: str | Path,
    settings: RunSettings | None = None,
    *,
    images: Any = None,
    overwrite: bool = False,
    talk: Talk = silent,
    **how: Unpack[How],
) -> Findings:
    """Cluster, vote, score, map and report an embedding that somebody else computed, into the folder `out`.

    Which dates made it is not known, since the encoder is not there. Where images are given as well, it is told on
    which dates they part the classes that the embedding confuses. With the embedding of a finished run and its
    settings, clusters, classes and scores are those of the run.

    Args:
        embedding: a raster (GeoTIFF, NetCDF, Zarr, xarray object (band, y, x)), or (n, d) without a place: an array,
            .npy, .npz, .parquet.
        fields: polygons for a raster; for an array, where it does not say itself, a table with a row for each
            embedding: its label and its field.
        settings: of a run; those that concern the embedding or, with images, the reading of these are used.
        images: whatever `open_cube` reads, on a grid of their own.
        how: dequantise, scale, offset, nodata, variable, date, columns: how stored numbers become the embedding.

    Raises BadInput for input that cannot be used, and for a folder that is not free.

    >>> rng = np.random.default_rng(0)
    >>> field = np.arange(80) // 4
    >>> known = pd.DataFrame({"crop": np.where(field % 2, "Wheat", "Maize"), "field": field})
    >>> embedding = rng.normal(size=(80, 64)) + 5 * (field % 2)[:, None]
    >>> adopt(embedding, known, "OUT").scores.overall_accuracy
    1.0
    """
    settings, out = settings or RunSettings(), Path(out)
    require_free(out, overwrite)
    with stage(talk, "reading the embedding"):
        given = read_given(embedding, fields, settings, how)
        train, test = split_by_field(given.series, test=settings.test, seed=settings.seed)
    require_clusters(settings.clusters or 1, len(train.label))
    source = None if images is None else Source.of(images, settings.model_dump(include=READING))
    if source is not None:
        if given.raster is None:
            remedy = "Give the embedding as a raster, or leave images out."
            raise BadInput("images", f"images are given beside an array, and nobody knows where its rows lie. {remedy}")
        opened(source)  # what cannot end well is refused before it begins
    facts = _facts(embedding, fields, given, test, settings, source, how, out)
    with stage(talk, "clustering"):
        book = clustered(train, settings, settings.clusters)
        scores = score_embedding(test.embedding.values, test.label.values, book)
        others = by_clusters(train, test, settings)
        samples = pd.concat([described(train, "train", book), described(test, "test", book)], ignore_index=True)
        samples = samples[samples.label != ""]
        kept = samples.sample(min(len(samples), SAMPLES), random_state=settings.seed)
    folder = RunFolder.begin(out, facts)
    try:
        folder.write_codebook(book)
        folder.write_scores(scores, others)
        folder.write_samples(kept)
        table = _counted(samples)
        if given.raster is not None:
            rows = field_rows(fields, given.raster, samples, settings.label)
            table = _map(folder, given.raster, rows, book, train, settings, talk)
        seen = () if source is None else _seen(folder, source, fields, given.series, scores, settings, talk)
        findings = _findings(facts, book, scores, kept, others)
        findings = replace(findings, fields=table, maps=_maps(folder.path), apart=seen)
        with stage(talk, "drawing the report"):
            drawn = list(plates(findings))
            write_figures(folder.path / "figures", findings, drawn)
            write_report(folder.path / "report.html", findings, drawn)
    except BaseException:
        folder.discard()  # nothing here takes long: it begins anew
        raise
    folder.finish(out)
    return replace(findings, maps=_maps(out))


def _counted(samples: pd.DataFrame) -> gpd.GeoDataFrame:
    """A row per field of an array, which lies nowhere: label and split."""
    return gpd.GeoDataFrame(samples.groupby("field")[["label", "split"]].first().reset_index())


def _map(
    folder: RunFolder,
    raster: xr.DataArray,
    rows: gpd.GeoDataFrame,
    book: Codebook,
    train: xr.Dataset,
    settings: RunSettings,
    talk: Talk,
) -> gpd.GeoDataFrame:
    """Every pixel, and what all pixels together say of clusters, classes and fields; the table of the fields."""
    placing = Placing(raster, book, principal_components(train.embedding.values, SHOWN), folder.path / "atlas.zarr")
    with blamed():
        clusters, found = map_embedding(placing, shrunk(rows.geometry, settings.buffer), partial(talk, "mapping"))
    folder.write_pixel_profiles(cluster_table(clusters, placing))
    table = field_means(rows, found, placing)
    folder.write_fields(table)
    with stage(talk, "writing maps"):
        folder.write_maps(book, partial(talk, "writing maps"))
    return table


def _seen(
    folder: RunFolder,
    source: Source,
    fields: Any,
    given: xr.Dataset,
    scores: Scores,
    settings: RunSettings,
    talk: Talk,
) -> tuple[Apart, ...]:
    """Where the images part the classes that the embedding confuses, those of most series first; parting.json."""
    e = given.embedding.values
    main = principal_components(e, FEW)(e)[:, :, None]
    mine = main, given.label.values.astype(str), given.field.values
    with stage(talk, "reading images"):
        options = {"label", "buffer", "min_pixels", "max_pixels", "fill", "seed"}
        series = sample(opened(source), fields, **settings.model_dump(include=options))
    known = set(series.label.values.tolist())
    confused = [flow for flow in flows(scores, LEAST) if {flow.truth, flow.predicted} <= known]
    first: dict[frozenset[str], Flow] = {}
    for flow in sorted(confused, key=lambda flow: -flow.series):
        first.setdefault(frozenset((flow.truth, flow.predicted)), flow)  # a pair is the same either way
    x, label, field = series.x.values, series.label.values.astype(str), series.field.values
    times, bands, units = series.time.values, tuple(map(str, series.band.values)), str(series.attrs["units"])
    pairs = []
    for i, flow in enumerate(list(first.values())[:PAIRS], start=1):
        found = parting(x, label, field, flow.truth, flow.predicted, seed=settings.seed)
        kept = parting(*mine, flow.truth, flow.predicted, seed=settings.seed)
        pairs.append(Apart(flow, found, kept, times, bands, units))
        talk("comparing classes", i, min(len(first), PAIRS))
    (folder.path / "parting.json").write_text(json.dumps([_plain(pair) for pair in pairs], indent=1))
    return tuple(pairs)


def _plain(pair: Apart) -> dict[str, Any]:
    """For programs: all that is said of a pair, numbers in the units of the images, null where nothing is known."""
    found = pair.parting
    facts: dict[str, Any] = {"truth": found.a, "predicted": found.b, "share": pair.flow.share, "said": pair.said()}
    facts |= {"fields": list(found.fields), "dates": [iso(date) for date in pair.dates]}
    facts |= {"parts": found.parts.tolist(), "excluded": found.excluded, "jm": found.jm.tolist()}
    kept = pair.embedded
    facts["embedded"] = {"jm": float(kept.jm[0]), "low": float(kept.jm_low[0]), "high": float(kept.jm_high[0])}
    for name in ("difference", "low", "high", "effect"):
        rows = getattr(found, name)
        known = [[float(v) if np.isfinite(v) else None for v in row] for row in rows]
        facts[name] = dict(zip(pair.bands, known, strict=True))
    return facts


def _maps(folder: Path) -> xr.Dataset | None:
    """As the figures know them, over the first component in place of an image; None for a table."""
    if not (folder / "atlas.zarr").exists():
        return None
    maps = xr.open_zarr(folder / "atlas.zarr", mask_and_scale=False)
    first = maps["components"].isel(dim=0, drop=True)
    first.attrs = {"band": "the first principal component", "units": "1"}
    return maps.assign(backscatter=first)


def _findings(
    facts: Mapping[str, Any],
    book: Codebook,
    scores: Scores,
    samples: pd.DataFrame,
    others: list[dict[str, float | int]],
) -> Findings:
    """All that the report shows, without dates."""
    return Findings(
        title=facts["title"],
        settings={name: facts[name] for name in ("data", "settings", "versions")},
        dates=np.array([], "datetime64[ns]"),
        bands=(),
        units="1",
        scores=scores,
        profiles=pd.DataFrame(columns=["class", "dim", "date", "importance", "n"]),
        votes=pd.DataFrame(book.votes, index=range(1, len(book.votes) + 1), columns=list(book.classes)),
        assigned=tuple(book.classes[i] if i >= 0 else "" for i in book.assigned),
        samples=samples,
        centres=book.centres,
        losses={},
        best_epoch=0,
        missing=np.array([]),
        notes=facts["notes"],
        by_clusters=others,
        origin={"name": facts["title"], "coding": facts["data"]["coding"]},
    )


# ---- run.json


def _facts(
    embedding: Any,
    fields: Any,
    given: Given,
    test: xr.Dataset,
    settings: RunSettings,
    source: Source | None,
    how: Mapping[str, Any],
    out: Path,
) -> dict[str, Any]:
    """run.json: title, fingerprint of the data, notes, settings, versions, places."""
    series, digest = given.series, hashlib.sha256()
    for name in ("embedding", "label", "field"):
        digest.update(np.ascontiguousarray(series[name].values).tobytes())
    held = not isinstance(embedding, str | Path | list | tuple)
    used = USED | (READING | {"fill"} if source is not None else set())
    return {
        "kind": "adopted",
        "title": f"{'array' if given.raster is None else 'raster'} in memory" if held else title(embedding),
        "data": {
            "embedding": "in memory" if held else str(embedding),
            "dimensions": series.sizes["dim"],
            "coding": given.coding,
            "sha256_of_series": digest.hexdigest(),
            "series": series.sizes["series"],
            "test_series": test.sizes["series"],
            "images": "none" if source is None else str(source.images) if source.portable else "cube in memory",
        },
        "missing": [],
        "notes": list(notes(given, test, how)),
        "settings": settings.model_dump(mode="json", include=used) | {k: v for k, v in how.items() if v is not None},
        "versions": versions(),
        "inputs": {
            "embedding": None if held else places(_absolute(embedding), out),
            "fields": places(str(Path(fields).absolute()), out) if isinstance(fields, str | Path) else None,
            "fields_sha256": None if given.raster is None else fingerprint(fields, settings.label),
            "images": None if source is None or not source.portable else places(source.images, out),
        },
    }


def _absolute(paths: Any) -> Any:
    return str(Path(paths).absolute()) if isinstance(paths, str | Path) else [_absolute(path) for path in paths]
