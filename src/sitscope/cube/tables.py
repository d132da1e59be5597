"""How is an embedding read that lies in a table and not on a map?

n embeddings, d dimensions.
"""

import re
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int, Shaped

from sitscope.cube.names import few
from sitscope.errors import BadInput
from sitscope.untrusted import content, printable, require_memory

SUFFIXES = (".npy", ".npz", ".parquet")
MOST_ROWS = 10_000_000
MOST_PARTS = 1_000_000
"""Of the description of a parquet file."""
HEADER = 10_000
"""Characters of what a .npy says of itself, at most."""
REMEDY = "Give an .npz with embedding (n, d), label (n,) and field (n,), or a .parquet with a row for each."


@dataclass(frozen=True, eq=False)
class Rows:
    """Embeddings with what is known of each."""

    stored: Shaped[np.ndarray, "n d"]
    """As they are stored."""
    names: tuple[str, ...]
    """Of the dimensions."""
    label: Shaped[np.ndarray, " n"]
    """Text, "" for none."""
    field: Int[np.ndarray, " n"]
    """From 0: those of one field are nearly copies of each other, and stay on one side of the split."""


def meant(embedding: Any) -> bool:
    """Whether it is an array or a table, and no raster."""
    if isinstance(embedding, str | Path):
        return Path(embedding).suffix.lower() in SUFFIXES
    return isinstance(embedding, np.ndarray)


def read_rows(embedding: Any, known: Any, *, label: str = "crop", columns: str | None = None) -> Rows:
    """Read embeddings with their labels and fields.

    Args:
        embedding: (n, d), an array or its .npy; an .npz that also holds label and field; a .parquet with a row for each
            embedding, a column of lists or columns that differ by a number (e1, e2 ...), label and field.
        known: where these do not say: a table with a row for each embedding, a data frame, .csv or .parquet.
        label: the column that names the class; one called label is taken where it is not there.
        columns: how the columns of the embedding begin, where several might be meant.

    Raises BadInput where anything lacks, is of another length or of objects that would have to run to be read, and for
    a field with two labels.

    >>> known = pd.DataFrame({"crop": ["Wheat", "Wheat", "Maize"], "field": [7, 7, 9]})
    >>> read_rows(np.zeros((3, 64)), known).field.tolist()
    [0, 0, 1]
    """
    if isinstance(embedding, np.ndarray):
        held: Mapping[str, Any] = {"embedding": embedding}
    else:
        path = Path(embedding)
        if not path.is_file():
            raise BadInput("embedding", f"{path} is no file. {REMEDY}")
        held = _arrays(path) if path.suffix.lower() != ".parquet" else _table(path, "embedding")
    stored, names = _embedding(held, columns)
    about = held if known is None else _known(known, len(stored))
    text = _column(about, (label, "label"), "label", len(stored))
    ids = _column(about, ("field",), "fields", len(stored))
    if lacking := int(pd.isna(ids).sum()):
        raise BadInput("fields", f"{lacking} of {len(ids)} embeddings have no field. Give each one, or leave them out.")
    labels = np.array([_text(value) for value in text])
    field = np.unique(ids.astype(str) if ids.dtype.kind in "OUS" else ids, return_inverse=True)[1]
    _refuse_two_labels(labels, field, ids)
    return Rows(stored, names, labels, field.astype(np.int64))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """What numpy wrote; nothing that would have to run to be read."""
    try:
        if path.suffix.lower() == ".npy":
            require_memory(3 * path.stat().st_size, "embedding", path.name, "Give a part of it.")
            return {"embedding": np.load(path, allow_pickle=False, max_header_size=HEADER)}
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(each.file_size for each in packed.infolist())
        require_memory(3 * unpacked, "embedding", f"{path.name}, unpacked,", "Give a part of it.")
        with np.load(path, allow_pickle=False, max_header_size=HEADER) as there:
            return {name: there[name] for name in there.files}
    except BadInput:
        raise
    except Exception as error:  # noqa: BLE001 - numpy, zip and zlib each have their own for a damaged file
        why = (str(error) or type(error).__name__).partition("\n")[0]
        remedy = "Text is saved as label.astype(str), numbers as they are."
        raise BadInput("embedding", f"{path} cannot be read by numpy ({why}). {remedy}") from None


def _table(path: Path, argument: str) -> dict[str, Any]:
    """Columns of a parquet file: numbers, text and lists of numbers."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise OSError("it is no regular file")
        limits = {"thrift_string_size_limit": 64 << 20, "thrift_container_size_limit": MOST_PARTS}
        with pq.ParquetFile(path, arrow_extensions_enabled=False, **limits) as file:
            rows, schema = file.metadata.num_rows, file.schema_arrow
            plain = [each.name for each in schema if _readable(each.type)]
            once = [name for name in plain if len(schema.get_all_field_indices(name)) == 1]
            size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
            if rows > MOST_ROWS:
                raise ValueError(f"it has {rows:,} rows, and {MOST_ROWS:,} are the most")
            require_memory(3 * max(size, 8 * rows * len(once)), argument, path.name, "Give a part of it.")
            held = file.read(columns=once).replace_schema_metadata(None)
        held.validate(full=True)
        return {name: _values(held[name], name) for name in once}
    except BadInput:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        raise BadInput(argument, f"{path} cannot be read as a table ({error}). {REMEDY}") from None


def _readable(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    inner = kind.value_type if lists else kind
    number = pa.types.is_integer(inner) or pa.types.is_floating(inner)
    return number or (not lists and (pa.types.is_string(inner) or pa.types.is_large_string(inner)))


def _values(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """(n,), or (n, d) for lists of one length."""
    if not pa.types.is_nested(column.type):
        return np.asarray(column.to_pandas())
    whole = column.combine_chunks()
    lengths = set(whole.value_lengths().to_pylist()) if len(whole) else {0}
    if len(lengths) > 1 or None in lengths:
        raise ValueError(f"the lists of {name} have different lengths")
    return np.asarray(whole.flatten().to_numpy(zero_copy_only=False)).reshape(len(whole), -1)


def _embedding(held: Mapping[str, Any], columns: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The array of two axes, or the columns that differ by a number."""
    flat = {name: np.asarray(values) for name, values in held.items()}
    deep = {name: values for name, values in flat.items() if values.ndim == 2}
    groups = _numbered(flat)
    found = {name: values for name, values in {**groups, **deep}.items() if columns in (None, name)}
    chosen = found.get("embedding") if columns is None and "embedding" in found else None
    if chosen is None and len(found) == 1:
        chosen = next(iter(found.values()))
    if chosen is None:
        there = few((f"{name} {values.shape}" for name, values in {**flat, **groups}.items()), 12)
        what = f"nothing called {columns!r}" if columns else "no embedding" if not found else "several embeddings"
        remedy = f"Say which, as in columns='{next(iter(found))}'." if len(found) > 1 else REMEDY
        raise BadInput("columns" if columns else "embedding", f"there is {what} among {there}. {remedy}")
    if chosen.dtype.kind not in "fiu" or not chosen.size:
        message = f"the embedding is {chosen.shape} of {chosen.dtype}, and (n, d) of numbers is needed. {REMEDY}"
        raise BadInput("embedding", message)
    return chosen, tuple(str(i + 1) for i in range(chosen.shape[1]))


def _numbered(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of numbers whose names differ by a number alone, put together: e1, e2 ... are e."""
    members: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name, values in columns.items():
        parts = re.fullmatch(r"(.*?)_?([0-9]{1,6})", name)
        if parts and values.ndim == 1 and values.dtype.kind in "fiu":
            members[parts[1]].append((int(parts[2]), name))
    return {
        prefix: np.column_stack([columns[name] for _, name in sorted(each)]) for prefix, each in members.items() if each
    }


def _known(known: Any, rows: int) -> Mapping[str, Any]:
    """A table beside the embedding, row by row."""
    if isinstance(known, pd.DataFrame):
        table: Mapping[str, Any] = {str(name): known[name].to_numpy() for name in known.columns}
    elif isinstance(known, Mapping):
        table = known
    elif isinstance(known, str | Path) and Path(known).suffix.lower() in (".csv", ".parquet"):
        table = _table(Path(known), "fields") if Path(known).suffix.lower() == ".parquet" else _csv(Path(known))
    else:
        remedy = "Give a .csv or .parquet with a row for each embedding, its label and its field."
        raise BadInput("fields", f"{known} is no table, and an embedding without a place has no polygons. {remedy}")
    counts = {name: len(values) for name, values in table.items()}
    other = next((name for name, n in counts.items() if n != rows), None)
    if other is not None:
        remedy = "Give a row for each embedding, in the same order."
        raise BadInput("fields", f"{counts[other]} rows of {other} stand beside {rows} embeddings. {remedy}")
    return table


def _csv(path: Path) -> dict[str, np.ndarray]:
    try:
        content(path)
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' own for what it cannot part into columns is a ValueError
        raise BadInput("fields", f"{path} cannot be read as a table ({error}). Give a .csv with a header.") from None
    return {str(name): table[name].to_numpy() for name in table.columns}


def _column(held: Mapping[str, Any], names: Sequence[str], argument: str, rows: int) -> np.ndarray:
    name = next((name for name in names if name in held), None)
    if name is None:
        needed = "which class each embedding is of" if argument == "label" else "which field each embedding is of"
        what = " or ".join(f"{each!r}" for each in dict.fromkeys(names))
        remedy = "Fields keep neighbours on one side of the split: np.arange(n) says that all are far apart."
        remedy = "Name the column with label, or add it." if argument == "label" else remedy
        raise BadInput(argument, f"nothing says {needed}: no {what} among {few(held, 20)}. {remedy}")
    values = np.asarray(held[name])
    if values.shape != (rows,):
        remedy = "Give one for each embedding, in the same order."
        raise BadInput(argument, f"{name} is of {values.shape}, and there are {rows} embeddings. {remedy}")
    return values


def _text(value: Any) -> str:
    """A label as text; 3.0 is 3, as in `sitscope.cube.fields`."""
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return ""
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return printable(str(int(value) if whole else value))[:200]


def _refuse_two_labels(
    label: Shaped[np.ndarray, " n"], field: Int[np.ndarray, " n"], ids: Shaped[np.ndarray, " n"]
) -> None:
    """BadInput where the embeddings of a field are of several classes: nobody could say on which side it lies."""
    pairs = pd.DataFrame({"field": field, "label": label})[label != ""].drop_duplicates()
    twice = pairs[pairs.duplicated("field")]
    if len(twice):
        first = int(twice["field"].iloc[0])
        names = few(sorted(pairs["label"][pairs["field"] == first]))
        n = twice["field"].nunique()
        remedy = "Give a field one label, or its parts fields of their own."
        which = ids[np.flatnonzero(field == first)[0]]
        raise BadInput("label", f"{n} fields have several labels, the first is {which}: {names}. {remedy}")
