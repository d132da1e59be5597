"""Files made wrong on purpose: a bit, a number, a name, a type, a size, each drawn from a seed."""

import copy
import io
import json
import math
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

WORDS = (
    *("", " ", "\x00", "\x01", "\t\n", "²", "٢٠١٧-٠١-٠٣", "2017-13-45", "20170103T996199_VV", "A2017000", "A2017999"),
    *("../../x", "/etc/passwd", "/vsicurl/http://127.0.0.1:9/x.tif", "/vsizip/x.zip", "http://127.0.0.1:9/", "PG:x"),
    *("<script>alert(1)</script>", "]]>", "&lol;", '"', "'", "{{7*7}}", "%s%n", "$\\frac{$", "nan", "NaN", "inf"),
    *("1e999", "9" * 5000, "-1", "EPSG:²", "EPSG:99999", "99999999999", "pickle", "|O", "<M8[ns]", ">f2", "é" * 300),
    *("2017-01-03", "1677-01-01", "2263-01-01", "NaT", "VV", "VH", "linear", "dB", "S1A_IW_GRDH", "none", "true"),
)
"""What has upset readers before."""

NUMBERS = (
    *(0, -1, 1, 2, 3, 255, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, -(10**30)),
    *(0.5, -0.0, 1e-320, 1e300, -1e308, math.nan, math.inf, -math.inf),
)
ALPHABET = "0123456789-_.:TtZ VHBbandsigmaS1xAasc²٢é/\\<>&\"'{}[]"


def spoiled_bytes(data: bytes, rng: Random) -> bytes:
    """Some bytes turned, cut out, put in, repeated or made extreme."""
    raw = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(raw) + 1) if rng.random() < 0.5 else rng.randrange(min(len(raw), 512) + 1)
        match rng.randrange(7):
            case 0 if raw:
                raw[at % len(raw)] ^= 1 << rng.randrange(8)
            case 1 if raw:
                raw[at % len(raw)] = rng.randrange(256)
            case 2:
                del raw[at : at + rng.choice((1, 4, 64, len(raw)))]
            case 3:
                raw[at:at] = rng.randbytes(rng.choice((1, 4, 64)))
            case 4:
                raw[at : at + 4] = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 10**6)).to_bytes(4, "little")
            case 5:
                raw[at : at + 8] = rng.choice((0, 2**63 - 1, 2**64 - 1, 10**12)).to_bytes(8, "little")
            case 6:
                raw[at:at] = raw[at : at + 32]
    return bytes(raw)


def spoiled_text(text: str, rng: Random) -> str:
    """Some characters or words exchanged for others."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(text) + 1)
        end = at + rng.choice((0, 0, 1, 4, 16))
        new = rng.choice(WORDS) if rng.random() < 0.6 else "".join(rng.choices(ALPHABET, k=rng.randrange(6)))
        text = text[:at] + new + text[end:]
    return text


def spoiled_json(plain: Any, rng: Random) -> Any:
    """A value somewhere inside exchanged, left out, repeated, renamed, or of another type."""
    root = [copy.deepcopy(plain)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        holder, key = rng.choice(_places(root))
        match rng.randrange(6):
            case 0 if len(root) and holder is not root:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(key, holder[key])
            case 2 if isinstance(holder, dict):
                holder[rng.choice(WORDS)] = holder.pop(key)
            case 3 if isinstance(holder[key], list) and len(holder[key]) > 1:
                rng.shuffle(holder[key])
            case _:
                holder[key] = _another(rng)
    return root[0]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Where a value can be exchanged; of long lists only the ends."""
    here: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        here = [(value, key) for key in value]
    elif isinstance(value, list):
        here = [(value, i) for i in range(len(value)) if i < 3 or i >= len(value) - 1]
    return here + [place for holder, key in here for place in _places(holder[key])]


def _another(rng: Random) -> Any:
    deep: list[Any] = []
    for _ in range(rng.choice((1, 5, 900))):
        deep = [deep]
    plain = (None, True, False, [], {}, deep, {"a": {"b": [1]}}, ["x"], [1, 2], [[1.0], [2.0, 3.0]], {"VV": 1})
    return rng.choice((rng.choice(plain), rng.choice(NUMBERS), rng.choice(WORDS)))


def spoil(path: Path, rng: Random) -> None:
    """Spoil a file in the way that its kind allows."""
    name = path.name
    shaped = rng.random() < 0.7
    if shaped and (path.suffix in (".json", ".geojson") or name in (".zarray", ".zgroup", ".zattrs", ".zmetadata")):
        try:
            path.write_text(json.dumps(spoiled_json(json.loads(path.read_text()), rng)))
        except (RecursionError, ValueError):  # our own spoiling went too deep
            path.write_text("[" * 100_000)
    elif shaped and path.suffix in (".toml", ".csv", ".vrt", ".kml", ".gml", ".txt", ".prj", ".cpg"):
        path.write_text(spoiled_text(path.read_text(errors="replace"), rng), errors="replace")
    elif shaped and path.suffix == ".parquet":
        path.write_bytes(spoiled_table(path, rng))
    else:
        path.write_bytes(spoiled_bytes(path.read_bytes(), rng))


def spoiled_table(path: Path, rng: Random) -> bytes:
    """A parquet file with a column less, of another type, of other values, or with fewer rows."""
    table = pq.read_table(path)
    column = rng.randrange(table.num_columns)
    name = table.column_names[column]
    match rng.randrange(7):
        case 0:
            table = table.drop_columns([name])
        case 1:
            names = list(table.column_names)
            names[column] = rng.choice((*WORDS[:40], *names))
            table = table.rename_columns(names)
        case 2:
            table = table.slice(0, rng.choice((0, 1, 2, len(table) // 2)))
        case 3:
            table = table.set_column(column, name, pa.nulls(len(table), rng.choice((pa.null(), pa.string()))))
        case 4:
            kinds = (pa.string(), pa.float32(), pa.int8(), pa.bool_(), pa.timestamp("s"), pa.binary(), pa.date32())
            try:
                table = table.set_column(column, name, table.column(column).cast(rng.choice(kinds), safe=False))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                table = table.set_column(column, name, pa.array([["a", "list"]] * len(table)))
        case 5:
            value = rng.choice(rng.choice((WORDS, NUMBERS)))
            try:
                table = table.set_column(column, name, pa.array([value] * len(table)))
            except (pa.ArrowInvalid, OverflowError):
                table = table.set_column(column, name, pa.array([{"a": 1}] * len(table)))
        case 6:
            meta = {key: spoiled_bytes(text, rng) for key, text in (table.schema.metadata or {}).items()}
            table = table.replace_schema_metadata(meta)
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()
