"""Is what lies in a run folder what a run writes? Whatever does not fit together is refused before it is shown.

m classes, k clusters, d dimensions, t dates.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pyproj import CRS

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.classes.verdicts import ClassVerdict, Diagnosis, Pair
from sitscope.cube.guarded import open_guarded
from sitscope.cube.vectors import MOST_PARTS, read_vector
from sitscope.settings import RunSettings
from sitscope.untrusted import content, parsed, require_memory

MOST_ROWS = 1_000_000
"""Of a table of a run: 100,000 fields and 20,000 series are usual."""

Share = Annotated[float, Field(ge=0, le=1)]
Whole = Annotated[int, Field(ge=0, lt=2**53)]
Measured = Annotated[float, Field(allow_inf_nan=True)]


class Facts(BaseModel):
    """run.json."""

    model_config = ConfigDict(frozen=True)

    title: str
    data: dict[str, JsonValue]
    settings: RunSettings
    versions: dict[str, str]
    missing: tuple[Share, ...]
    notes: tuple[str, ...]


class Clustered(BaseModel):
    """The scores with another number of clusters."""

    clusters: Whole
    overall_accuracy: Share
    macro_recall: Share


class StoredScores(BaseModel):
    """scores.json: what `Scores.from_dict` reads, whose other numbers follow from it."""

    model_config = ConfigDict(frozen=True)

    recall: dict[str, float | None]
    confusion: tuple[tuple[Whole, ...], ...]
    unclassified: tuple[Whole, ...]
    adjusted_rand_index: Measured
    normalised_mutual_information: Measured
    by_clusters: tuple[Clustered, ...]

    @model_validator(mode="after")
    def _of_one_size(self) -> "StoredScores":
        m = len(self.recall)
        if [len(row) for row in self.confusion] != [m] * m or len(self.unclassified) != m:
            raise ValueError(f"confusion and unclassified are not of {m} classes")
        if not sum(map(sum, self.confusion)) + sum(self.unclassified):
            raise ValueError("no test series is counted")
        return self


class Difference(BaseModel):
    """A figure with its interval."""

    value: Measured
    low: Measured
    high: Measured


class Removal(BaseModel):
    """What is known of one method."""

    half: Measured
    nls_auc: Measured
    lift: Difference
    by_masking: dict[str, Measured]


class Fidelity(BaseModel):
    """fidelity.json, as `sitscope.trust.quick` gives it."""

    model_config = ConfigDict(extra="allow")

    series: Whole
    residual: Measured
    methods: dict[str, Removal]
    path_over_letter: Difference

    @model_validator(mode="after")
    def _of_the_same_maskings(self) -> "Fidelity":
        lacking = {"path", "letter", "random"} - set(self.methods)
        if lacking or len({frozenset(each.by_masking) for each in self.methods.values()}) > 1:
            raise ValueError(f"methods lack {', '.join(sorted(lacking)) or 'maskings that others have'}")
        return self


class StoredDiagnosis(BaseModel):
    """diagnosis.json, as `RunFolder.write_diagnosis` writes it."""

    verdicts: Diagnosis


def diagnosis(path: Path, fitted: Fitted, classes: Sequence[str]) -> Diagnosis:
    """diagnosis.json: verdicts on the dates, bands and classes of a model."""
    found = parsed(StoredDiagnosis, content(path)).verdicts
    d, c, t = fitted.settings.dims, len(fitted.bands), len(fitted.dates)
    told: list[ClassVerdict | Pair] = [*found.classes, *found.pairs]
    names = {each.name for each in found.classes} | {n for pair in found.pairs for n in (pair.truth, pair.predicted)}
    bands = [each.difference for each in told]
    bands += [ends for pair in found.pairs for ends in (pair.low, pair.high, pair.effect) if ends is not None]
    dims = [looks for each in found.classes for looks in each.importance.values()]
    curves: list[Sequence[float]] = [each.parts for each in told]
    curves += [each.transitions for each in found.classes]
    for pair in found.pairs:
        curves += [pair.jm, pair.jm_low, pair.jm_high, pair.missed, pair.shared]
        curves += [*pair.importance.values(), *pair.margin.values()]
    curves += [row for table in (*bands, *dims) for row in table]
    if (
        names - set(classes)
        or any(found.method not in each.importance for each in told)
        or any(len(table) != size for tables, size in ((bands, c), (dims, d)) for table in tables)
        or any(len(curve) != t or not np.isfinite(curve).all() for curve in curves)
    ):
        raise ValueError(f"{path.name} is of other classes, bands or dates than the model")
    return found


# ---- tables

KINDS = {
    "text": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "whole": pa.types.is_integer,
    "number": lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind),
    "date": pa.types.is_timestamp,
}


def table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """A parquet file with these columns, each of its kind and without a gap; ValueError or OSError where it has not.

    Other columns of text and numbers come too. What else pandas once wrote into the file, names of types to be made
    again among it, is not looked at.
    """
    content(path, 4 << 30)  # regular
    limits = {"thrift_string_size_limit": 64 << 20, "thrift_container_size_limit": MOST_PARTS}
    with pq.ParquetFile(path, arrow_extensions_enabled=False, **limits) as file:
        rows, schema = file.metadata.num_rows, file.schema_arrow
        if rows > MOST_ROWS:
            raise ValueError(f"{path.name} has {rows:,} rows, and {MOST_ROWS:,} are the most")
        for name, kind in columns.items():
            there = schema.get_all_field_indices(name)
            if len(there) != 1 or not KINDS[kind](schema.field(there[0]).type):
                raise ValueError(f"{path.name} has no column {name!r} of the kind {kind}")
        plain = [each.name for each in schema if any(kind(each.type) for kind in KINDS.values())]
        once = [name for name in plain if len(schema.get_all_field_indices(name)) == 1]
        require_memory(8 * rows * len(once), "run", path.name, "Make the run again.")
        held = file.read(columns=once).replace_schema_metadata(None)
    held.validate(full=True)  # letters that are none, before somebody looks at them
    if any(held[name].null_count for name in columns):
        raise ValueError(f"{path.name} has gaps")
    return held.to_pandas()


def profiles(path: Path, settings: RunSettings, fitted: Fitted, classes: Sequence[str]) -> pd.DataFrame:
    """profiles.parquet: for each method every date of every dimension of some classes, each once."""
    spread = [name + end for name in ("importance", *fitted.bands) for end in ("", "_std", "_low", "_high")]
    plain = {"method": "text", "class": "text", "dim": "whole", "date": "date", "n": "whole", "n_fields": "whole"}
    found = table(path, plain | dict.fromkeys(spread, "number"))
    if not np.isfinite(found[spread].to_numpy(dtype=float)).all():
        raise ValueError(f"{path.name} holds numbers that are not finite")
    found["date"] = found["date"].astype("datetime64[ns]")
    keys = found[["method", "class", "dim", "date"]]
    whole = len(fitted.dates) * fitted.settings.dims
    if (
        set(found["method"]) - {"path", "letter"}
        or settings.method not in set(found["method"])
        or set(found["class"]) - set(classes)
        or not found["dim"].between(1, fitted.settings.dims).all()
        or not np.isin(found["date"].to_numpy(), fitted.dates).all()
        or keys.duplicated().any()
        or (keys.groupby(["method", "class"]).size() != whole).any()
        or found[["n", "n_fields"]].to_numpy().min() < 1
    ):
        raise ValueError(f"{path.name} does not hold every date and dimension of the model for its classes once")
    return found


def samples(path: Path, fitted: Fitted, book: Codebook) -> pd.DataFrame:
    """samples.parquet: series with label, prediction, cluster, place, split and embedding."""
    dims = [f"e{i}" for i in range(1, fitted.settings.dims + 1)]
    words = dict.fromkeys(("label", "predicted", "split"), "text")
    found = table(
        path, words | dict.fromkeys(("field", "row", "col", "cluster"), "whole") | dict.fromkeys(dims, "number")
    )
    names = {*book.classes, ""}
    if (
        not np.isfinite(found[dims].to_numpy(dtype=float)).all()
        or set(found["split"]) - {"train", "test"}
        or set(found["predicted"]) - names
        or not found["cluster"].between(1, len(book.centres)).all()
    ):
        raise ValueError(f"{path.name} does not hold series of the model and its clusters")
    return found


def fields(path: Path) -> gpd.GeoDataFrame:
    """fields.parquet: label and split of each, where it lies, and whatever else."""
    found = read_vector(path, "run")
    words = ("label", "split")
    if not isinstance(found, gpd.GeoDataFrame) or any(list(found.columns).count(name) != 1 for name in words):
        raise ValueError(f"{path.name} has no columns label and split")
    if not all(isinstance(word, str) for name in words for word in found[name]):
        raise ValueError(f"{path.name} has labels that are no text")
    return found


def evaluation(path: Path) -> pd.DataFrame:
    """evaluation.csv: a row for each figure of each method, every masking of efficiency for each."""
    content(path)
    words, numbers = ["method", "metric", "baseline"], ["value", "low", "high"]
    found = pd.read_csv(path, dtype=dict.fromkeys(words, str) | dict.fromkeys(numbers, float))
    if list(found.columns) != words + numbers or found[words].isna().to_numpy().any():
        raise ValueError(f"{path.name} has other columns than {', '.join(words + numbers)}")
    main = found[found["metric"] == "efficiency"]
    each = main.groupby("method")["baseline"].agg(lambda names: tuple(sorted(names)))
    if len(set(each)) != 1 or len(set(each.iloc[0])) < len(each.iloc[0]) or "all" not in each.iloc[0]:
        raise ValueError(f"{path.name} does not hold the same efficiencies of each method")
    if not np.isfinite(main[numbers].to_numpy()).all():
        raise ValueError(f"{path.name} holds efficiencies that are not finite")
    return found


# ---- stores


def maps(path: Path, fitted: Fitted, book: Codebook) -> xr.Dataset:
    """atlas.zarr, lazy; numbers that stand for nothing, as only a damaged map has them, are nodata."""
    if not path.is_dir():
        raise ValueError(f"{path.name} is missing")
    found = open_guarded(path, "run", mask_and_scale=False)
    days = [str(day) for day in fitted.dates.astype("datetime64[D]")]
    d, plane = fitted.settings.dims, ("y", "x")
    shapes = {"embedding": ("dim", *plane), "peak_date": ("dim", *plane), "class": plane, "cluster": plane}
    for name, dims in (shapes | {"backscatter": plane}).items():
        if name not in found or set(found[name].dims) != set(dims) or found[name].dtype.kind not in "fiu":
            raise ValueError(f"{path.name} has no map {name} ({', '.join(dims)})")
    if "dim" not in found.coords or found.dim.values.tolist() != list(range(1, d + 1)):
        raise ValueError(f"{path.name} is not of {d} dimensions")
    for axis in plane:
        steps = np.diff(found[axis].values.astype(float)) if axis in found.coords else np.zeros(1)
        if not found.sizes[axis] or not np.isfinite(steps).all() or (steps == 0).any():
            raise ValueError(f"{path.name} has no places along {axis}")
    text = found["spatial_ref"].attrs.get("crs_wkt") if "spatial_ref" in found.variables else None
    if text:
        CRS.from_wkt(str(text))
    if list(found["peak_date"].attrs.get("dates", ())) != days:
        raise ValueError(f"{path.name} is not of the dates of the model")
    found = found.chunk()
    for name, most in {"class": len(book.classes), "cluster": len(book.centres), "peak_date": len(days)}.items():
        found[name] = found[name].where((found[name] >= 0) & (found[name] <= most), 0)
    return found


def series(path: Path, fitted: Fitted, rows: int) -> np.ndarray:
    """series.zarr: x (n, c, t) of so many rows."""
    kept = open_guarded(path, "run")
    shape = (rows, len(fitted.bands), len(fitted.dates))
    if "x" not in kept or kept.x.shape != shape or kept.x.dtype.kind != "f":
        raise ValueError(f"{path.name} does not hold x of {shape}")
    values = np.asarray(kept.x.values)
    if not np.isfinite(values).all():
        raise ValueError(f"{path.name} holds numbers that are not finite")
    return values
