"""The README keeps what it says."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import torch
import xarray as xr

from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Settings
from sitscope.settings import RunSettings
from sitscope.simulation.scene import simulate, write_scene

README = Path(__file__).parents[1] / "README.md"


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert "Settings(dims=2)" in first
    scene = simulate(fields=60, field_px=6, seed=0)
    write_scene(scene, tmp_path / "stack")
    (tmp_path / "stack" / "fields.gpkg").rename(tmp_path / "fields.gpkg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(first.replace("Settings(dims=2)", "Settings(dims=2, epochs=1)"), names)
    maps = names["maps"]
    assert isinstance(maps, xr.Dataset)
    assert maps["class"].shape == scene.cube.shape[2:]
    fitted: Fitted = names["fitted"]  # type: ignore[assignment]
    x = torch.cat(list(fitted._scaled(names["test"].x)))  # type: ignore[attr-defined]
    names = {"encoder": fitted.network.encoder, "x": x}
    exec(second, names)
    assert names["found"].merged.shape == (len(x), 2, 61)  # type: ignore[attr-defined]


def test_the_settings_of_the_readme_are_all_and_the_defaults() -> None:
    found = re.search(r"```toml\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert found
    assert RunSettings(**tomllib.loads(found[1])) == RunSettings()
    names = re.findall(r"^(?:# )?(\w+) = ", found[1], flags=re.MULTILINE)
    assert names == [n for n in RunSettings.model_fields if n != "autoencoder"] + list(Settings.model_fields)
    whole = re.sub(r"^# ", "", found[1], flags=re.MULTILINE)
    assert RunSettings(**tomllib.loads(whole)).units == "dB"


def test_the_tree_of_the_readme_is_the_tree() -> None:
    tree = re.search(r"```\nMakefile(.*?)```", README.read_text(), flags=re.DOTALL)
    assert tree
    named = Counter(re.findall(r"^ +(\w+\.py) ", tree[1], flags=re.MULTILINE))
    places = (README.parent / "src" / "sitscope", README.parent / "benchmarks")
    there = [p for place in places for p in place.rglob("*.py") if p.name != "__init__.py"]
    assert named == Counter(["__init__.py", *(p.name for p in there)])
