"""What of a scene is done already? Marks on disk, so that a killed worker or a killed run loses nothing.

OUT.partial/ holds job.json (what is made, and how the scene is cut), atlas.zarr, with fields owner.zarr (the field of
each pixel), on request importance.zarr, and in done/ a file for each block that is whole: its sums.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Int

from sitscope.errors import BadInput
from sitscope.mapping.plan import Block
from sitscope.mapping.sums import Sums
from sitscope.untrusted import content

JOB, DONE, OWNER = "job.json", "done", "owner.zarr"
SUMS = ("clusters", "fields")
PARTS = ("ids", "count", "total", "square")


def left_over(folder: Path, facts: dict[str, Any]) -> list[Block] | None:
    """How an interrupted job of the same facts cut the scene; None where there is none.

    facts: of which "images" is the fingerprint of the images.
    """
    try:
        there = json.loads(content(folder / JOB))
    except (OSError, ValueError, RecursionError):
        return None
    same = isinstance(there, dict) and there.get("facts") == json.loads(json.dumps(facts))
    if not same or facts["images"] is None:  # nobody knows whether a cube in memory is the one it was
        return None
    return _blocks(there.get("blocks"))


def _blocks(edges: Any) -> list[Block] | None:
    """The blocks that were planned; None where somebody else wrote there."""
    if not isinstance(edges, list) or not edges:
        return None
    if any(not isinstance(e, list) or [type(n) for n in e] != [int] * 4 for e in edges):
        return None
    found = [Block(*each) for each in edges]
    return None if any(not 0 <= b.top < b.bottom < 2**31 or not 0 <= b.left < b.right < 2**31 for b in found) else found


def begin(folder: Path, facts: dict[str, Any], blocks: Sequence[Block]) -> None:
    """Write how the scene is cut: last of what is prepared, as the mark that blocks can be done."""
    (folder / DONE).mkdir(exist_ok=True)
    _whole(folder / JOB, json.dumps({"facts": facts, "blocks": [astuple(b) for b in blocks]}).encode())


def mark(folder: Path, block: Block, clusters: Sums, fields: Sums) -> None:
    """Say that a block is done, with its sums; whole or not at all."""
    path = _place(folder, block)
    arrays = {
        f"{of}_{part}": getattr(s, part) for of, s in zip(SUMS, (clusters, fields), strict=True) for part in PARTS
    }
    new = path.with_suffix(f".{os.getpid()}.new")
    with new.open("wb") as target:
        np.savez(target, **arrays)
    os.replace(new, path)


def remaining(folder: Path, blocks: Sequence[Block]) -> list[Block]:
    """Blocks without a mark."""
    return [block for block in blocks if not _place(folder, block).exists()]


def found(folder: Path, blocks: Sequence[Block]) -> Iterator[tuple[Sums, Sums]]:
    """The sums of each block, by cluster and by field, in the order of the blocks."""
    for block in blocks:
        try:
            clusters, fields = _sums(_place(folder, block))
        except Exception as error:  # noqa: BLE001 - numpy, zip and zlib each have their own for a damaged file
            why = str(error) or type(error).__name__
            remedy = "Remove it, and start again with the same options: this block is done anew."
            raise BadInput("out", f"{_place(folder, block)} is damaged ({why}). {remedy}") from None
        yield clusters, fields


def _sums(path: Path) -> tuple[Sums, Sums]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as there:
        if any(member.compress_type for member in there.zip.infolist()):  # ours are stored as they are
            raise ValueError("it is compressed")
        clusters, fields = (Sums(*(there[f"{of}_{part}"] for part in PARTS)) for of in SUMS)
    for each in (clusters, fields):
        g = each.ids.size
        if (
            each.ids.shape != (g,)
            or each.count.shape != (g,)
            or each.square.shape != each.total.shape
            or len(each.total) != g
        ):
            raise ValueError("its sums are of other shapes")
    return clusters, fields


def owner_of(folder: Path, block: Block) -> Int[np.ndarray, "h w"] | None:
    """The field of each pixel, -1 for none; None where no fields were given."""
    if not (folder / OWNER).exists():
        return None
    owner = zarr.open_array(folder / OWNER, mode="r")
    return np.asarray(owner[block.top : block.bottom, block.left : block.right])


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A disk that is full or may not be written becomes BadInput, which says that nothing is lost."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(
            "out",
            f"{folder} cannot be written ({why}). What is done is kept there: make room, or let it be written, and "
            "start again with the same options to go on.",
        ) from error


def sweep(folder: Path) -> None:
    """Take away what those who were killed had only begun to write.

    Zarr renames a chunk when it is whole; tables and GeoTIFFs begin in a hidden folder (`sitscope.cube.whole`).
    """
    for begun in folder.glob("*.zarr/**/*.partial"):
        begun.unlink(missing_ok=True)
    for hidden in (*folder.glob(".*"), *folder.glob("maps/.*")):
        if hidden.is_dir() and not hidden.is_symlink():
            shutil.rmtree(hidden, ignore_errors=True)


def clear(folder: Path) -> None:
    """Take away what only the work needed."""
    (folder / JOB).unlink(missing_ok=True)
    for name in (DONE, OWNER):
        shutil.rmtree(folder / name, ignore_errors=True)


def _place(folder: Path, block: Block) -> Path:
    return folder / DONE / f"{block.top}-{block.left}.npz"


def _whole(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, path)
