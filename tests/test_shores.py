"""Two shores, one bridge: torch and xarray never meet below mapping, and importing sitscope loads neither."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sitscope

SOURCE = Path(sitscope.__file__).parent
TORCH_SHORE = ("attribution", "autoencoder")
XARRAY_SHORE = ("cube",)
FORBIDDEN = {
    "attribution": {"xarray", "rasterio", "geopandas", "rioxarray", "dask", "sitscope"},
    "autoencoder": {"xarray", "rasterio", "geopandas", "rioxarray", "dask"},
    "cube": {"torch"},
    "classes": {"torch", "xarray"},
    "showing": {"torch"},
}
ORDER = [
    "errors",
    "untrusted",
    "attribution",
    "autoencoder",
    "classes",
    "cube",
    "simulation",
    "showing",
    "mapping",
    "reasons",
    "settings",
    "fusion_plan",
    "stored",
    "tried",
    "folder",
]
ORDER += ["facts", "trust", "job", "fusing", "labelling", "applying", "trying", "baselines", "covering", "sweeping"]
ORDER += ["given", "adopting", "again", "measuring", "doctor", "terminal", "verbs", "cli"]


def imported(text: str) -> set[str]:
    """Modules that the source imports, anywhere in it, by their full names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def trespasses(folder: Path, forbidden: set[str]) -> list[str]:
    """Imports in the folder of what its shore must not know; its own package is its own."""
    return [
        f"{file.name}: {name}"
        for file in sorted(folder.rglob("*.py"))
        for name in sorted(imported(file.read_text()))
        if name.split(".")[0] in forbidden and not name.startswith(f"sitscope.{folder.name}.")
    ]


@pytest.mark.parametrize("shore", FORBIDDEN)
def test_neither_shore_imports_the_other(shore: str) -> None:
    assert trespasses(SOURCE / shore, FORBIDDEN[shore]) == []


def test_the_test_of_the_shores_can_fail(tmp_path: Path) -> None:
    shore = tmp_path / "cube"
    shore.mkdir()
    (shore / "reading.py").write_text("def f():\n    from torch.nn import Linear\n    import numpy\n")
    assert trespasses(shore, FORBIDDEN["cube"]) == ["reading.py: torch.nn.Linear"]


def test_imports_go_one_way() -> None:
    wrong = []
    for file in SOURCE.rglob("*.py"):
        home = file.relative_to(SOURCE).with_suffix("").parts[0]
        if home == "__init__":
            continue
        for name in imported(file.read_text()):
            parts = name.split(".")
            if parts[0] == "sitscope" and len(parts) > 1 and ORDER.index(parts[1]) > ORDER.index(home):
                wrong.append(f"{file.relative_to(SOURCE)} imports {name}")
    assert wrong == []


def test_files_stay_under_300_lines() -> None:
    root = SOURCE.parents[1]
    files = [f for place in ("src", "tests", "benchmarks") for f in (root / place).rglob("*.py")]
    assert {str(f): n for f in files if (n := f.read_text().count("\n")) > 300} == {}


def _loaded(code: str) -> set[str]:
    script = f"import sys; {code}; print(' '.join(m for m in ('torch', 'xarray', 'rasterio') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_importing_sitscope_loads_neither_torch_nor_xarray() -> None:
    assert _loaded("import sitscope, sitscope.cli") == set()


def test_attribution_is_usable_without_the_other_shore() -> None:
    assert _loaded("import sitscope.attribution.gradslam") == {"torch"}


def test_every_public_name_is_there() -> None:
    for name in sitscope.__all__:
        assert getattr(sitscope, name) is not None
    # a module of the same name would take the place of the function as soon as anything imports it
    assert set(sitscope.__all__) & {path.stem for path in SOURCE.iterdir()} == set()
    with pytest.raises(AttributeError, match=r"it has .*open_cube"):
        sitscope.nothing  # noqa: B018
