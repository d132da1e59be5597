"""What is an embedding that somebody else computed, and what is known of it?

n series, d dimensions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import xarray as xr
from jaxtyping import Float

from sitscope.cube import tables
from sitscope.cube.coding import decided, decoded
from sitscope.cube.embeddings import blamed, open_embedding
from sitscope.cube.grid import Grid
from sitscope.cube.names import few
from sitscope.cube.sampling import at_pixels, described, pixels_in_fields, refuse_one_class
from sitscope.errors import BadInput
from sitscope.settings import RunSettings

DOMINANT = 0.5
"""Share of the variance in one dimension from which on it is said aloud."""
OFTEN = 0.05
"""Share of embeddings that are one and the same from which on it is said aloud."""
LOOKED = 5000
"""Embeddings among which such are looked for."""
CREDIT = "The AlphaEarth Foundations Satellite Embedding dataset is produced by Google and Google DeepMind."
"""What its licence asks to be said."""


class How(TypedDict, total=False):
    """How the embedding is read; see `sitscope.cube.embeddings.open_embedding` and `sitscope.cube.tables.read_rows`."""

    dequantise: str | None
    scale: float | None
    offset: float | None
    nodata: float | None
    variable: str | None
    date: str | None
    columns: str | None


@dataclass(frozen=True, eq=False)
class Given:
    """An embedding with what is known of some of it."""

    series: xr.Dataset
    """embedding (series, dim), label, field and, of a raster, row and col."""
    raster: xr.DataArray | None
    """(band, y, x), lazy; None for a table."""
    coding: str
    """What stored numbers stand for, in a sentence."""


def read_given(embedding: Any, fields: Any, settings: RunSettings, how: Mapping[str, Any]) -> Given:
    """Read an embedding, a raster or a table, with the labels and fields of some of it. Raises BadInput."""
    if tables.meant(embedding):
        given = _of_table(embedding, fields, settings, how)
    else:
        given = _of_raster(embedding, fields, settings, how)
    _refuse_beyond(given, how)
    return given


def _of_raster(embedding: Any, fields: Any, settings: RunSettings, how: Mapping[str, Any]) -> Given:
    """The embedding of the pixels of the fields, drawn as `sample` draws."""
    if fields is None:
        raise BadInput("fields", "no fields are given, and a raster does not say what grows where. Give polygons.")
    options: dict[str, Any] = {name: value for name, value in how.items() if name != "columns"}
    if how.get("columns") is not None:
        raise BadInput("columns", f"{how['columns']!r} is asked for, and a raster has none. Leave columns out.")
    raster = open_embedding(embedding, **options)
    names = {"label", "buffer", "min_pixels", "max_pixels", "unlabelled", "seed"}
    with blamed():
        grid = Grid.of(raster)
        pixels, owner, labels, left_out = pixels_in_fields(grid, fields, **settings.model_dump(include=names))
        values = at_pixels(raster, pixels, grid.width).transpose("series", "band").compute().values
    series = xr.Dataset({"embedding": (("series", "dim"), values), **described(pixels, owner, labels)})
    series = _whole(series, settings.label).assign_attrs(fields_left_out=left_out)
    return Given(series, raster, str(raster.attrs["coding"]))


def _of_table(embedding: Any, fields: Any, settings: RunSettings, how: Mapping[str, Any]) -> Given:
    for name in ("variable", "date"):
        if how.get(name) is not None:
            raise BadInput(name, f"{how[name]!r} is asked for, and a table has no {name}. Leave {name} out.")
    rows = tables.read_rows(embedding, fields, label=settings.label, columns=how.get("columns"))
    asked: dict[str, Any] = {name: how.get(name) for name in ("dequantise", "scale", "offset", "nodata")}
    coding = decided(rows.stored.dtype, rows.stored.shape[1], None, **asked)
    values = decoded(rows.stored.T, coding).T
    series = xr.Dataset(
        {"embedding": (("series", "dim"), values), "label": ("series", rows.label), "field": ("series", rows.field)}
    )
    refuse_one_class(sorted(set(rows.label.tolist()) - {""}), settings.label, "stand beside the embeddings")
    return Given(_whole(series, settings.label).assign_attrs(fields_left_out=0), None, coding.said())


def _whole(series: xr.Dataset, label: str) -> xr.Dataset:
    """Those without a missing dimension; BadInput where none is, or where they are of one class."""
    missing = np.isnan(series.embedding.values)
    kept = ~missing.any(axis=1)
    n = len(kept)
    if not kept.any():
        by_dim = missing.mean(axis=0)
        worst = few((f"dimension {i + 1} ({by_dim[i]:.0%})" for i in np.argsort(-by_dim, kind="stable")[:4]), 4)
        raise BadInput(
            "embedding",
            f"none of {n:,} embeddings in the fields is whole: missing are {worst}. Give one that covers the fields, "
            "or say with nodata which number stands for nothing.",
        )
    found = series.isel(series=np.flatnonzero(kept))
    names = found.label.values.astype(str)
    fields = np.unique(found.field.values[names != ""], return_index=True)[1]
    refuse_one_class(names[names != ""][fields].tolist(), label, "have an embedding")
    part = int((missing.any(axis=1) & ~missing.all(axis=1)).sum())
    if not (np.ptp(found.embedding.values, axis=0) > 0).any():
        value = float(found.embedding.values[0, 0])
        remedy = "Give one of these fields, or say with nodata what stands for nothing."
        raise BadInput("embedding", f"all {len(names):,} embeddings are alike, {value:g} in dimension 1. {remedy}")
    return found.assign_attrs(dropped=n - int(kept.sum()), in_part=part)


def _refuse_beyond(given: Given, how: Mapping[str, Any]) -> None:
    """BadInput for whole numbers that AlphaEarth does not write."""
    most = float(np.abs(given.series.embedding.values).max())
    if how.get("dequantise") == "alphaearth" and most > 1:
        raise BadInput(
            "dequantise",
            f"values up to {most:.3g} come out, and AlphaEarth's lie between -1 and 1. The numbers are of another "
            "making: give scale and offset.",
        )


def notes(given: Given, test: xr.Dataset, how: Mapping[str, Any]) -> Iterator[str]:
    """What a reader should know before believing a figure."""
    series, n = given.series, given.series.sizes["series"]
    if how.get("dequantise") == "alphaearth":
        yield CREDIT
    if alone := test.attrs["only_in_train"]:
        yield f"Classes with a single field cannot be tested and are in training only: {', '.join(alone)}."
    if left_out := series.attrs["fields_left_out"]:
        yield f"{left_out} fields hold too few pixels and were left out."
    if dropped := series.attrs["dropped"]:
        part = f" ({series.attrs['in_part']:,} in some dimensions only)" if series.attrs["in_part"] else ""
        yield f"{dropped:,} of {n + dropped:,} embeddings are missing{part} and were left out."
    yield from _of_dimensions(series.embedding.values)
    names = sorted(set(series.label.values.astype(str).tolist()) - {""})
    alike = [" and ".join(each) for each in _alike(names)]
    if alike:
        yield f"Classes that differ only in case or blanks are taken for different ones: {few(alike)}."


def _of_dimensions(e: Float[np.ndarray, "n d"]) -> Iterator[str]:
    n, d = e.shape
    still = np.flatnonzero(np.ptp(e, axis=0) == 0)
    if still.size:
        which = few((i + 1 for i in still), 8)
        yield f"{still.size} of {d} dimensions are constant in the fields and say nothing: {which}."
    variance = e.var(axis=0, dtype=np.float64)
    share = variance / max(variance.sum(), 1e-300)
    if d > 2 and share.max() > DOMINANT:
        yield (
            f"Dimension {int(share.argmax()) + 1} has {share.max():.0%} of the variance of all {d}, so that clusters "
            "are mostly clusters of it. If its units mean nothing, scale the dimensions alike before."
        )
    some = e[:: -(-n // LOOKED)]
    first, count = np.unique(some, axis=0, return_counts=True)
    if count.max() > max(10, OFTEN * len(some)):
        value = first[count.argmax()]
        said = f"{value[0]:.4g} in all dimensions" if (value == value[0]).all() else f"{value[0]:.4g} in dimension 1"
        yield (
            f"{count.max() / len(some):.0%} of the embeddings are one and the same ({said}). If it stands for nothing, "
            "say so with nodata."
        )


def _alike(names: list[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault("".join(name.split()).casefold(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
