"""A model folder that somebody else made is a model, or is refused; nothing is built from what does not fit."""

import hashlib
import json
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import xarray as xr

from sitscope.autoencoder import fitted as module
from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import MOST_WEIGHTS, Autoencoder, Settings, parameters, weights_in
from sitscope.autoencoder.training import fit
from sitscope.errors import BadInput


@pytest.fixture(scope="module")
def fitted(series: xr.Dataset, small: Settings) -> Fitted:
    return fit(series, small.model_copy(update={"epochs": 1}))


@pytest.fixture
def folder(fitted: Fitted, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model")


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    facts = json.loads((folder / "model.json").read_text())
    change(facts)
    (folder / "model.json").write_text(json.dumps(facts))


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "mean of another size": (lambda f: f["mean"].pop(), "not of 2 bands and 12 dates"),
    "curve of another size": (lambda f: f["curve"][0].pop(), "not of 2 bands and 12 dates"),
    "curve of another depth": (lambda f: f.update(curve=f["curve"][0]), "curve"),
    "mean that is no number": (lambda f: f.update(mean=[float("nan"), 0]), "mean.0"),
    "mean that float32 does not hold": (lambda f: f.update(mean=[1e300, 0]), "mean.0"),
    "std that is zero": (lambda f: f.update(std=[0, 1]), "std.0"),
    "dates twice": (lambda f: f["dates"].__setitem__(1, f["dates"][0]), "not in order, each once"),
    "dates out of order": (lambda f: f["dates"].reverse(), "not in order, each once"),
    "dates beyond all": (lambda f: f["dates"].__setitem__(11, "9999-01-01"), "is no date"),
    "dates that are none": (lambda f: f["dates"].__setitem__(0, "NaT"), "is no date"),
    "a day that is none": (lambda f: f["dates"].__setitem__(0, "2016-02-31"), "dates"),
    "bands twice": (lambda f: f.update(bands=["VV", "VV"]), "not names, each once"),
    "bands that are paths": (lambda f: f.update(bands=["VV", "../VH"]), "not names, each once"),
    "bands that command a terminal": (lambda f: f.update(bands=["VV", "\x1b[2J"]), "not names, each once"),
    "another best epoch": (lambda f: f.update(best_epoch=99), "best_epoch is 99"),
    "losses of other epochs": (lambda f: f["losses"]["train"].append(1.0), "one of each for every epoch"),
    "an unknown key": (lambda f: f.update(command="rm"), "command"),
    "an unknown setting": (lambda f: f["settings"].update(pickle="x"), "settings.pickle"),
    "a negative size": (lambda f: f["settings"].update(dims=-1), "settings.dims"),
    "another network": (lambda f: f["settings"].update(hidden=[17]), "size mismatch"),
    "a kernel without end": (lambda f: f["settings"].update(kernels=[10**30, 3]), "settings.kernels"),
    "no hash": (lambda f: f.update(sha256=None), "sha256"),
    "another hash": (lambda f: f.update(sha256="0" * 64), "not those that model.json names"),
    "nothing": (lambda f: f.clear(), "schema"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_together_is_no_model(folder: Path, wrong: str) -> None:
    change, said = WRONG[wrong]
    rewrite(folder, change)
    with pytest.raises(BadInput, match=f"^model: (?s:.)*{said}"):
        Fitted.load(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, "3", "null", "[]", '{"schema": 2, "schema": {}}', "\xff", "NaN"])
def test_a_page_that_is_no_model_is_told(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text, encoding="latin-1")
    with pytest.raises(BadInput, match=r"^model: "):
        Fitted.load(folder)


def test_a_network_that_no_memory_holds_is_never_made(folder: Path) -> None:
    huge = {"filters": [65_536, 65_536], "kernels": [9_999, 9_999], "hidden": [65_536]}
    rewrite(folder, lambda facts: facts["settings"].update(huge))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInput, match=r"would have .* weights for 12 dates, and 268,435,456 are the most"):
        Fitted.load(folder)
    # within the limit, and yet a gigabyte: the file is too small for it, so nothing is made
    large = {"filters": [1024, 1024], "kernels": [201, 201], "hidden": [16]}
    rewrite(folder, lambda facts: facts["settings"].update(large))
    likewise = Settings(**large, strides=(1, 1), pooling=(2, 2))
    assert 2e8 < weights_in(2, 12, likewise) < MOST_WEIGHTS
    with pytest.raises(BadInput, match="size mismatch"):
        Fitted.load(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_a_run_with_settings_for_such_a_network_is_told_before_training(series: xr.Dataset) -> None:
    with pytest.raises(BadInput, match=r"settings: this network would have .* Ask for\s+fewer filters"):
        fit(series, Settings(hidden=(65_536, 65_536)))


def test_the_weights_are_counted_without_the_network() -> None:
    for settings in (Settings(), Settings(dims=5, hidden=(), filters=(3,), kernels=(5,), strides=(2,), pooling=(1,))):
        assert weights_in(3, 40, settings) == parameters(Autoencoder(3, 40, settings))


@pytest.mark.parametrize("how", ["nan", "double", "more", "fewer", "header", "pickle"])
def test_weights_that_are_none_are_refused_though_their_hash_fits(folder: Path, how: str) -> None:
    path = folder / "weights.safetensors"
    weights = safetensors.torch.load(path.read_bytes())
    first = next(iter(weights))
    match how:
        case "nan":
            weights[first][0] = torch.nan
        case "double":
            weights[first] = weights[first].double()
        case "more":
            weights["more"] = torch.zeros(1)
        case "fewer":
            del weights[first]
    raw = safetensors.torch.save(weights)
    if how == "header":
        raw = (2**40).to_bytes(8, "little") + raw[8:]
    if how == "pickle":
        torch.save(weights, path)
        raw = path.read_bytes()
    path.write_bytes(raw)
    rewrite(folder, lambda facts: facts.update(sha256=hashlib.sha256(raw).hexdigest()))
    with pytest.raises(BadInput, match="holds no model that can be read"):
        Fitted.load(folder)


def test_neither_pipes_nor_files_without_end_are_read(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    with weights.open("r+b") as file:
        file.truncate(1 << 40)  # sparse: nothing is on the disk
    with pytest.raises(BadInput, match="more than the"):
        Fitted.load(folder)
    weights.unlink()
    os.mkfifo(weights)
    with pytest.raises(BadInput, match="is no regular file"):
        Fitted.load(folder)


def test_loading_draws_no_random_numbers(folder: Path, fitted: Fitted) -> None:
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    found = Fitted.load(folder)
    assert torch.rand(1) == first
    x = np.zeros((1, 2, 12), np.float32)
    np.testing.assert_array_equal(found.embed(x), fitted.embed(x))


def test_nothing_reads_pickles() -> None:
    source = Path(module.__file__).parents[1]
    for path in source.rglob("*.py"):
        text = path.read_text()
        for word in ("torch.load(", "pickle.load", "allow_pickle=True", "joblib", "yaml.load(", "eval(", "exec("):
            assert word not in re.sub(r"\.eval\(|safetensors\.torch\.load\(", "", text), f"{path.name}: {word}"
