"""Does a run come out the same when it is repeated?"""

import filecmp
import glob
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sitscope.cube.source import opened
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import Talk, require_free, run, silent
from sitscope.settings import RunSettings

COMPARED = (
    *("maps/*.tif", "atlas.zarr/*", "*.parquet", "series.zarr"),
    *("scores.json", "confusion.csv", "fidelity.json", "diagnosis.json", "model/*"),
)
"""All that a run found; not how it is drawn, nor what was asked of the run later."""

MOST_THREADS = 1024


@dataclass(frozen=True)
class Again:
    """What was found when a run was repeated."""

    out: Path
    """the run that was made now"""
    equal: tuple[str, ...]
    """files and arrays that are the same to the last byte"""
    different: tuple[str, ...]
    """those that are not, or that only one of the two runs has"""
    notes: tuple[str, ...]
    """what else is not as it was: versions, processor, times of files"""


def rerun(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    images: Any = None,
    fields: Any = None,
    overwrite: bool = False,
    talk: Talk = silent,
) -> Again:
    """Repeat a run as its run.json tells, into `out` (RUN-again if not given), and compare the two byte for byte.

    images, fields: where they lie now, if no longer where run.json says; they must still be the same data. Torch gets
    as many threads as it had, since sums in another order round another way. Raises BadInput for a folder that is no
    whole run, for a run on objects in memory, for images or fields that are gone, and for data whose SHA-256 is not
    that of the run: then nothing is written.

    >>> import tempfile
    >>> from sitscope.simulation.scene import simulate, write_scene
    >>> scene = simulate(fields=60, field_px=6, seed=0)
    >>> with tempfile.TemporaryDirectory() as there:
    ...     write_scene(scene, Path(there, "scene"))
    ...     settings = RunSettings(autoencoder={"epochs": 1})
    ...     _ = run(f"{there}/scene", f"{there}/scene/fields.gpkg", f"{there}/RUN", settings)
    ...     again = rerun(f"{there}/RUN")
    ...     again.out.name, "maps/class.tif" in again.equal, again.different
    ('RUN-again', True, ())
    """
    home = Path(folder)
    facts, settings = _told(home)
    place = home.with_name(f"{home.resolve().name}-again") if out is None else Path(out)
    if place.resolve() == home.resolve():
        raise BadInput("out", f"{place} is the run itself, with which the other is compared. Name another folder.")
    require_free(place, overwrite)
    known = facts["inputs"]
    given = _images(known, home) if images is None else images
    shapes = _found("fields", known["fields"], home) if fields is None else fields
    mask = _found("mask", known["mask"], home)
    notes: list[str] = []

    def accept(now: Mapping[str, Any]) -> None:
        _refuse_other_data(facts, now)
        notes.extend(_other(facts, now))

    opened.cache_clear()  # the images may have changed since this process saw them
    with _torch_threads(known["torch_threads"]):
        settings = settings.model_copy(update={"mask": mask})
        run(given, shapes, place, settings, overwrite=overwrite, talk=talk, accept=accept)
    return Again(place, *_compared(home, place), tuple(notes))


def _told(home: Path) -> tuple[dict[str, Any], RunSettings]:
    """run.json, and the settings in it; BadInput where the folder holds no whole run, or one that tells too little."""
    RunFolder(home).findings()
    facts = json.loads((home / "run.json").read_text())
    if not isinstance(facts.get("inputs"), dict):
        remedy = "Run it again with --overwrite."
        raise BadInput("run", f"{home} was made by an older sitscope, which did not write where its data lie. {remedy}")
    try:
        threads = facts["inputs"]["torch_threads"]
        if not (isinstance(threads, int) and 1 <= threads <= MOST_THREADS):
            raise ValueError(f"{threads!r} threads")
        for name in ("images", "fields", "mask"):
            place = facts["inputs"][name]
            if place is not None and not (isinstance(place, dict) and {"from_root", "from_run"} <= set(place)):
                raise ValueError(f"{name} {place!r}")
        if not {"sha256_of_series"} <= set(facts["data"]) or not isinstance(facts["versions"], dict):
            raise ValueError("no fingerprint of the data")
        return facts, RunSettings(**facts["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("run", f"{home / 'run.json'} is damaged ({error}). Run it again with --overwrite.") from error


def _images(known: Mapping[str, Any], home: Path) -> Any:
    if known["images"] is None:
        raise BadInput(
            "run",
            f"{home} was made from a cube in memory, which no other process has. Write the cube to a file "
            "(sitscope.ingest) and run on that, or give images that hold the same.",
        )
    return _found("images", known["images"], home)


def _found(what: str, place: Mapping[str, Any] | None, home: Path) -> Any:
    """Where the files lie now: where they lay, or as far from the run folder as they were."""
    if place is None:
        if what == "fields":
            remedy = "Write them to a file and say where: --fields."
            raise BadInput("run", f"{home} was made from fields in memory, which no other process has. {remedy}")
        return None
    from_root, from_run = place["from_root"], place["from_run"]
    if isinstance(from_root, list):
        pairs = zip(from_root, from_run, strict=True)
        return [_found(what, {"from_root": one, "from_run": other}, home) for one, other in pairs]
    moved = str(home.resolve() / from_run)
    for path in (from_root, moved):
        if not Path(from_root).is_absolute() or Path(path).exists() or glob.glob(path):
            return path
    remedy = f"Bring them back, or say where: --{what}." if what != "mask" else "Bring it back."
    raise BadInput(what, f"neither {from_root} nor {moved} is there any more. {remedy}")


def _refuse_other_data(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """What was learned from must be what it was, to the last bit."""
    pairs = {
        "fields": (then["inputs"].get("fields_sha256"), now["inputs"]["fields_sha256"]),
        "images": (then["data"]["sha256_of_series"], now["data"]["sha256_of_series"]),
    }
    for what, (before, after) in pairs.items():
        if before != after:
            which = "the shapes and labels" if what == "fields" else "the series in the fields"
            raise BadInput(
                what,
                f"{which} are others than those of the run: SHA-256 {after}, and then {before}. Give the data as they "
                f"were, or make a new run of these.{''.join(f' Also: {note}' for note in _other(then, now))}",
            )


def _other(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What may explain another result."""
    for name in sorted(set(then["versions"]) | set(now["versions"])):
        before, after = (facts["versions"].get(name, "none") for facts in (then, now))
        if before != after:
            yield f"{name} is {after}, and was {before}."
    before, after = (facts["inputs"].get("processor") for facts in (then, now))
    if before != after:
        yield f"the processor is {after}, and was {before}."
    if then["inputs"].get("images_stamp") != now["inputs"]["images_stamp"]:
        yield "names, sizes or times of the image files are not as they were."


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compared(one: Path, other: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of what is equal in both folders, and of what is not."""
    names = sorted({str(path.relative_to(run)) for run in (one, other) for part in COMPARED for path in run.glob(part)})
    same = {name: _same(one / name, other / name) for name in names}
    return tuple(name for name in names if same[name]), tuple(name for name in names if not same[name])


def _same(one: Path, other: Path) -> bool:
    """Two files of the same bytes, or two folders of the same such files."""
    files = [sorted(p.relative_to(top) for p in top.rglob("*") if p.is_file()) for top in (one, other)]
    if one.is_dir() and other.is_dir():
        return files[0] == files[1] and all(filecmp.cmp(one / f, other / f, shallow=False) for f in files[0])
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)
