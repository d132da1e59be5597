"""Mistakes with the folders that runs leave, and with all verbs but run: what is typed, and what must then be said."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from commands import SHALLOW, Command, after, mark, with_settings
from mistakes import good
from small_scenes import write_image


def with_run(verb: str, *options: Any, damage: Callable[[Path], Any] = lambda run: None) -> Callable[..., list[Any]]:
    """A verb on a copy of the finished run, to which something was done."""

    def make(folder: Path, finished: Path) -> list[Any]:
        shutil.copytree(finished, folder / "RUN")
        damage(folder / "RUN")
        return [verb, folder / "RUN", *(str(option).replace("FOLDER", str(folder)) for option in options)]

    return make


def with_stack(
    verb: str, *options: Any, before: Callable[[Path], Any] = lambda folder: None
) -> Callable[..., list[Any]]:
    """A verb on good images."""

    def make(folder: Path, _: Path) -> list[Any]:
        images, _ = good(folder / "scene")
        before(folder)
        return [verb, "--images", images, *(str(option).replace("FOLDER", str(folder)) for option in options)]

    return make


def told(**changes: Any) -> Callable[[Path], Any]:
    """A run whose run.json says something else in these parts."""

    def damage(run: Path) -> None:
        facts = json.loads((run / "run.json").read_text())
        for part, change in changes.items():
            facts[part] = {**facts[part], **change}
        (run / "run.json").write_text(json.dumps(facts))

    return damage


def cut_short(name: str) -> Callable[[Path], Any]:
    """A run of which this file ends in the middle."""
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[: (run / name).stat().st_size // 2])


def gone(name: str) -> Callable[[Path], Any]:
    """A run without this file or folder."""
    return lambda run: shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()


def old(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    del facts["inputs"]
    (run / "run.json").write_text(json.dumps(facts))


def other_pixels(folder: Path, finished: Path) -> list[Any]:
    """The run's own images, one of which was changed since; the run is told of them."""
    shutil.copytree(finished.parent / "scene", folder / "scene")
    typed = with_run("rerun", "--images", "FOLDER/scene", "--fields", "FOLDER/scene/fields.gpkg")(folder, finished)
    image = sorted((folder / "scene").glob("*VV.tif"))[0]
    write_image(image, np.full((8, 10), -9.0, "float32"), tags={"units": "dB", "RELATIVE_ORBIT": "74"})
    return typed


def other_labels(folder: Path, finished: Path) -> list[Any]:
    shutil.copytree(finished.parent / "scene", folder / "scene")
    fields = gpd.read_file(folder / "scene" / "fields.gpkg")
    fields.assign(crop=["Maize", "Wheat", "Wheat", "Maize"]).to_file(folder / "scene" / "fields.gpkg")
    return with_run("rerun", "--fields", "FOLDER/scene/fields.gpkg")(folder, finished)


LATER = [
    Command(
        *("training that diverges", "settings", ("training diverged", "lower learning_rate")),
        with_settings(SHALLOW + "learning_rate = 1000.0\n"),
    ),
    Command("report of no run", "run", ("no whole run", "finished run"), lambda folder, _: ["report", folder]),
    Command("report of damaged scores", "run", ("no whole run",), with_run("report", damage=cut_short("scores.json"))),
    Command("report of a damaged run.json", "run", ("no whole run",), with_run("report", damage=cut_short("run.json"))),
    Command(
        "report of damaged tables", "run", ("no whole run",), with_run("report", damage=cut_short("samples.parquet"))
    ),
    Command("report without maps", "run", ("no whole run",), with_run("report", damage=gone("atlas.zarr"))),
    Command(
        "report of a damaged model",
        "model",
        ("the weights in", "Copy it again"),
        with_run("report", damage=cut_short("model/weights.safetensors")),
    ),
    Command(
        "report without clusters",
        "model",
        ("codebook.json", "whole run"),
        with_run("report", damage=gone("model/codebook.json")),
    ),
    Command(
        "report of no class",
        "groups",
        ("no class 'Pepper'", "Maize and Wheat"),
        with_run("report", "--group", "Maize,Pepper"),
    ),
    Command("evaluation of no run", "run", ("holds no run", "finished run"), lambda folder, _: ["evaluate", folder]),
    Command(
        "evaluation of an old run",
        "run",
        ("older sitscope", "--overwrite"),
        with_run("evaluate", damage=gone("series.zarr")),
    ),
    Command("more test series than there are", "series", ("9999", "32"), with_run("evaluate", "--series", 9999)),
    Command("no test series", "series", ("0",), with_run("evaluate", "--series", 0)),
    Command("evaluation by no method", "methods", ("'lime'", "path"), with_run("evaluate", "--methods", "lime")),
    Command(
        "ingest of nothing",
        "images",
        ("matches no file",),
        lambda f, _: ["ingest", "--images", f / "no", "--out", f / "C.zarr"],
    ),
    Command("ingest into a file", "out", ("is a file",), with_stack("ingest", "--out", "FOLDER/scene/fields.gpkg")),
    Command(
        "ingest among the images",
        "out",
        ("in the folder of the images", "beside it"),
        with_stack("ingest", "--out", "FOLDER/scene/C.zarr"),
    ),
    Command(
        "ingest of unknown units",
        "units",
        ("'watt'", "--units dB or --units linear"),
        with_stack("ingest", "--units", "watt", "--out", "FOLDER/C.zarr"),
    ),
    Command(
        "ingest into what is there",
        "out",
        ("is there already", "--overwrite"),
        with_stack("ingest", "--out", "FOLDER/C.zarr", before=mark("C.zarr/zarr.json")),
    ),
    Command("rerun of no run", "run", ("no whole run", "finished run"), lambda folder, _: ["rerun", folder]),
    Command("rerun of an old run", "run", ("older sitscope", "--overwrite"), with_run("rerun", damage=old)),
    Command(
        "rerun of a cube in memory",
        "run",
        ("a cube in memory", "give images"),
        with_run("rerun", damage=told(inputs={"images": None})),
    ),
    Command(
        "rerun of fields in memory",
        "run",
        ("fields in memory", "--fields"),
        with_run("rerun", damage=told(inputs={"fields": None})),
    ),
    Command(
        "rerun without its images",
        "images",
        ("/no/stack", "Bring them back", "--images"),
        with_run("rerun", damage=told(inputs={"images": {"from_root": "/no/stack", "from_run": "../no"}})),
    ),
    Command(
        "rerun into itself",
        "out",
        ("is the run itself", "another folder"),
        with_run("rerun", "--out", "FOLDER/RUN", "--overwrite"),
    ),
    Command("rerun of other images", "images", ("SHA-256", "as they were"), other_pixels),
    Command("rerun of other fields", "fields", ("SHA-256", "as they were"), other_labels),
    Command(
        "rerun of impossible settings",
        "run",
        ("settings.clusters", "Name the folder of a finished run"),
        with_run("rerun", damage=told(settings={"clusters": -1})),
    ),
    Command(
        "doctor of nothing",
        "images",
        ("matches no file",),
        lambda f, _: ["doctor", "--images", f / "no", "--fields", f / "no.gpkg"],
    ),
    Command(
        "a scene of too few fields", "fields", ("3",), lambda f, _: ["simulate", "--fields", 3, "--out", f / "scene"]
    ),
    Command(
        "a demo where another run lies",
        "out",
        ("--overwrite",),
        after(mark("demo/run/run.json"), lambda f, _: ["demo", "--out", f / "demo"]),
    ),
]
