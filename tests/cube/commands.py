"""Mistakes with settings and options of a run: what is typed, and what must then be said."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mistakes import good
from small_scenes import write_image

SHALLOW = "[autoencoder]\nfilters = [4]\nkernels = [3]\nstrides = [1]\npooling = [2]\nepochs = 1\n"
"""A network for the five dates of the small scene."""


@dataclass(frozen=True)
class Command:
    """One mistake, typed in an empty folder."""

    name: str
    """as a test's id"""
    argument: str
    """which argument is to blame"""
    says: tuple[str, ...]
    """what the message must hold: the values found, then the remedy"""
    make: Callable[[Path, Path], list[Any]]
    """(empty folder, finished run on five dates) -> what is typed after sitscope"""
    before: bool = False
    """whether it can be seen before computing, in images, fields and options of a run"""


def with_options(*options: Any) -> Callable[[Path, Path], list[Any]]:
    """A run on good data with a network that suits it, and these options."""

    def make(folder: Path, _: Path) -> list[Any]:
        images, fields = good(folder / "scene")
        (folder / "shallow.toml").write_text(SHALLOW)
        typed = ["run", "--images", images, "--fields", fields, "--settings", folder / "shallow.toml"]
        given = [str(option).replace("FOLDER", str(folder)) for option in options]
        return [*typed, *([] if "--out" in options else ["--out", folder / "RUN"]), *given]

    return make


def with_settings(text: str | bytes) -> Callable[[Path, Path], list[Any]]:
    """A run on good data with these settings."""

    def make(folder: Path, _: Path) -> list[Any]:
        images, fields = good(folder / "scene")
        path = folder / "settings.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return ["run", "--images", images, "--fields", fields, "--settings", path, "--out", folder / "RUN"]

    return make


def mark(name: str) -> Callable[[Path], Any]:
    """Something of this name lies there already."""

    def made(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("{}")

    return made


def after(first: Callable[[Path], Any], make: Callable[[Path, Path], list[Any]]) -> Callable[[Path, Path], list[Any]]:
    """The same, once something else was done in the folder."""

    def both(folder: Path, finished: Path) -> list[Any]:
        first(folder)
        return make(folder, finished)

    return both


def constant_band(folder: Path, finished: Path) -> list[Any]:
    """One band of nothing but one value."""
    typed = with_options()(folder, finished)
    for image in (folder / "scene").glob("*VH.tif"):
        write_image(image, np.full((8, 10), -20.0, "float32"), tags={"units": "dB", "RELATIVE_ORBIT": "74"})
    return typed


SETTINGS = [
    Command("unknown setting", "settings", ("clusterz", "Known names: label, units"), with_settings("clusterz = 3")),
    Command(
        *("unknown setting of the network", "settings", ("autoencoder.dropout", "Known names: dims, filters")),
        with_settings("[autoencoder]\ndropout = 0.5"),
    ),
    Command("a share above 1", "settings", ("test = 1.5", "less than 1"), with_settings("test = 1.5")),
    Command("settings that are no TOML", "settings", ("is no TOML file that can be read",), with_settings("= 3")),
    Command("settings of bytes", "settings", ("is no TOML file", "Correct it"), with_settings(b"\xff\xfe\x00")),
    Command("a network that is a number", "settings", ("autoencoder",), with_settings("autoencoder = 3")),
    Command(
        *("even kernels", "settings", ("(4, 4, 4)", "must be odd with padding 'same'")),
        with_settings("[autoencoder]\nkernels = [4, 4, 4]"),
    ),
    Command(
        *("kernels and filters at odds", "settings", ("kernels has 3 entries and filters 2", "give one of each")),
        with_settings("[autoencoder]\nfilters = [4, 4]"),
    ),
    Command(
        *("unknown vote", "settings", ("vote = 'loudest'", "'majority' or 'one-to-one'")),
        with_settings('vote = "loudest"'),
    ),
    Command("text for a number", "settings", ("seed = 'seven'", "valid integer"), with_settings('seed = "seven"')),
    Command("no training", "settings", ("epochs = 0", "greater than 0"), with_settings("[autoencoder]\nepochs = 0")),
    Command("no settings file", "settings", ("nowhere.toml", "Correct it"), with_options("--settings", "nowhere.toml")),
    Command("a folder for settings", "settings", ("no TOML file",), with_options("--settings", "FOLDER/scene")),
]

OPTIONS = [
    Command("no dimensions", "dims", ("autoencoder.dims = 0", "greater than 0"), with_options("--dims", 0)),
    Command(
        *("more clusters than series", "clusters", ("99999 clusters cannot be made of 32 series", "or add fields")),
        with_options("--clusters", 99999),
    ),
    Command(
        *("start after end", "start", ("2019-01-01", "2018-01-01", "start first")),
        with_options("--start", "2019-01-01", "--end", "2018-01-01"),
    ),
    Command(
        *("a group of no class", "groups", ("no class 'Pepper'", "Maize and Wheat")),
        with_options("--group", "Maize, Pepper"),
    ),
    Command("unknown method", "method", ("'gradcam'", "'path' or 'letter'"), with_options("--method", "gradcam")),
    Command("dates too few", "settings", ("5 dates are too few", "leaves no cell", "fewer blocks"), with_settings("")),
    Command(*("no such mask", "mask", ("'clouds.tif'", "VH, VV", "Name one")), with_options("--mask", "clouds.tif")),
    Command(
        *("values of no mask", "mask_values", ("3", "8", "values of no mask", "Name it too")),
        with_options("--mask-values", "3,8"),
    ),
    Command("an even window", "window", ("6 has no middle", "Give 3, 5, 7"), with_options("--window", 6)),
    Command("unknown filter", "speckle", ("'lee'", "'temporal' or 'boxcar'"), with_options("--speckle", "lee")),
    Command("unknown way with doubles", "doubles", ("'mean'", "'mosaic'"), with_options("--doubles", "mean")),
    Command(
        "a margin of less than nothing", "border_pixels", ("-1", "or equal to 0"), with_options("--border-pixels", -1)
    ),
    Command("a band that never varies", "images", ("VH never varies", "-20", "Leave it out"), constant_band),
    Command(
        "out holds other things", "out", ("scene", "other things than a run"), with_options("--out", "FOLDER/scene")
    ),
    Command("out is a file", "out", ("is a file", "of its own"), with_options("--out", "FOLDER/shallow.toml")),
    Command("out lies in a file", "out", ("is a file", "elsewhere"), with_options("--out", "FOLDER/shallow.toml/RUN")),
    Command(
        *("out holds a run", "out", ("already holds a run", "--overwrite")),
        after(mark("RUN/run.json"), with_options()),
    ),
]
BEFORE = [Command(c.name, c.argument, c.says, c.make, before=True) for c in SETTINGS + OPTIONS]
