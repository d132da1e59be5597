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


def mapped(*options: Any) -> Callable[[Path, Path], list[Any]]:
    """A map of the run's own images, with these options."""

    def make(folder: Path, finished: Path) -> list[Any]:
        shutil.copytree(finished.parent / "scene", folder / "scene")
        out = [] if "--out" in options else ["--out", "FOLDER/MAP"]
        return with_run("map", "--images", "FOLDER/scene", *out, *options)(folder, finished)

    return make


MAPPED = [
    Command("a map by nobody", "workers", ("0 is too small", "more than 0"), mapped("--workers", 0)),
    Command("a map by fewer than nobody", "workers", ("-2 is too small",), mapped("--workers", -2)),
    Command("a map without memory", "memory", ("0 is too small", "more than 0"), mapped("--memory", 0)),
    Command(
        *("a map in too little memory", "memory", ("0.2 GB", "64 x 64 pixels", "GB or more")),
        mapped("--memory", 0.2, "--workers", 1),
    ),
    Command(
        *("a scheduler of nonsense", "scheduler", ("'nonsense'", "tcp://127.0.0.1:8786")),
        mapped("--scheduler", "nonsense"),
    ),
    Command(
        *("a scheduler that does not answer", "scheduler", ("tcp://127.0.0.1:9", "--workers")),
        mapped("--scheduler", "tcp://127.0.0.1:9"),
    ),
    Command(
        *("workers beside a scheduler", "workers", ("2 workers", "one of the two")),
        mapped("--workers", 2, "--scheduler", "tcp://127.0.0.1:9"),
    ),
    Command(
        *("a window beside the images", "importance", ("at row 90, column 0", "8 rows and 10 columns", "one within")),
        mapped("--importance", "90,0,4,4"),
    ),
    Command(
        *("a window of two numbers", "importance", ("'3,4' is no window", "0,0,512,512")), mapped("--importance", "3,4")
    ),
    Command("a window of words", "importance", ("'some' is no window", "or all"), mapped("--importance", "some")),
    Command("a window of nothing", "importance", ("0 x 4 pixels", "one within"), mapped("--importance", "0,0,0,4")),
    Command(
        *("a tolerance below nothing", "tolerance", ("-1 days are no tolerance", "Give 0")), mapped("--tolerance", -1)
    ),
    Command(
        *("a map among the maps of the run", "out", ("other things than a map",)), mapped("--out", "FOLDER/RUN/maps")
    ),
    Command(
        *("a map in the model of the run", "out", ("among the files of the run", "RUN/mapped")),
        mapped("--out", "FOLDER/RUN/model/MAP"),
    ),
    Command(
        *("a map in the place of a file of the run", "out", ("is a file",)), mapped("--out", "FOLDER/RUN/scores.json")
    ),
    Command("a map over the run itself", "out", ("other things than a map",), mapped("--out", "FOLDER/RUN")),
]

LATER = [
    Command(
        *("training that diverges", "settings", ("training diverged", "lower learning_rate")),
        with_settings(SHALLOW.replace("epochs = 1", "epochs = 40") + "learning_rate = 1000\n"),
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
        ("no whole run", "settings.clusters", "greater than 0"),
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
    *MAPPED,
]
