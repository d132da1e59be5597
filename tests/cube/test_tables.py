"""Embeddings without a place: arrays and tables of any kind hold the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sitscope.cube.tables import Rows, read_rows

E = np.random.default_rng(0).normal(size=(6, 12)).astype(np.float32)
LABEL = np.array(["Wheat", "Wheat", "Maize", "", "Maize", "Maize"])
FIELD = np.array([40, 40, 7, 7, 8, 8])
KNOWN = pd.DataFrame({"crop": LABEL, "field": FIELD})


def held(kind: str, folder: Path) -> tuple[Any, Any]:
    """(embedding, known) of this kind."""
    path = folder / f"E.{kind.split('-')[0]}"
    if kind == "array":
        return E, KNOWN
    if kind in ("npy-csv", "npy-parquet"):
        np.save(path, E)
        beside = folder / f"known.{kind.split('-')[1]}"
        KNOWN.to_csv(beside, index=False) if kind == "npy-csv" else KNOWN.to_parquet(beside)
        return path, beside
    if kind == "npz":
        np.savez_compressed(path, embedding=E, label=LABEL, field=FIELD)
    elif kind == "parquet-columns":
        columns = {f"e{i}": E[:, i - 1] for i in (12, 1, 3, 2, 4, 5, 6, 7, 8, 9, 10, 11)}
        pd.DataFrame(columns | {"row": range(6)} | dict(KNOWN)).to_parquet(path)
    else:
        rows = pa.array(E.tolist(), pa.list_(pa.float32(), 12) if kind == "parquet-fixed" else pa.list_(pa.float32()))
        pq.write_table(pa.table({"embedding": rows, "crop": LABEL, "field": FIELD}), path)
    return path, None


@pytest.mark.parametrize(
    "kind", ["array", "npy-csv", "npy-parquet", "npz", "parquet-columns", "parquet-lists", "parquet-fixed"]
)
def test_arrays_and_tables_hold_the_same(kind: str, tmp_path: Path) -> None:
    rows = read_rows(*held(kind, tmp_path))
    np.testing.assert_array_equal(rows.stored, E)
    assert rows.stored.dtype == np.float32
    assert rows.label.tolist() == LABEL.tolist()
    assert len(set(rows.field.tolist())) == 3
    assert (rows.field[1:] == rows.field[:-1]).tolist() == (FIELD[1:] == FIELD[:-1]).tolist()


def test_fields_keep_the_order_of_their_numbers() -> None:
    """Of which draws depend."""
    assert read_rows(E, KNOWN).field.tolist() == [2, 2, 0, 0, 1, 1]


def test_whole_numbers_stay_as_they_are_stored(tmp_path: Path) -> None:
    np.savez(tmp_path / "E.npz", embedding=(E * 40).astype(np.int8), label=LABEL, field=FIELD)
    rows: Rows = read_rows(tmp_path / "E.npz", None)
    assert rows.stored.dtype == np.int8


def test_the_columns_meant_are_chosen_by_how_they_begin(tmp_path: Path) -> None:
    table = {f"e{i}": E[:, i] for i in range(3)} | {f"band_{i}": E[:, i + 3] for i in range(2)}
    pd.DataFrame(table | dict(KNOWN)).to_parquet(tmp_path / "E.parquet")
    np.testing.assert_array_equal(read_rows(tmp_path / "E.parquet", None, columns="band").stored, E[:, 3:5])
