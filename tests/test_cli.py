"""The command line: a user's mistake has exit code 3, says what to do, and leaves nothing half-written."""

import subprocess
import sys
import tomllib
from functools import partial
from importlib.metadata import version
from json import loads
from pathlib import Path
from typing import Any

import pytest

from mistakes import MISTAKES, Mistake, good
from sitscope import cli, measuring
from sitscope.cube.reading import open_cube
from small_scenes import write_stack

SHALLOW = "[autoencoder]\nfilters = [4]\nkernels = [3]\nstrides = [1]\npooling = [2]\n"
"""A network for the five dates of the small scene."""


def sitscope(*arguments: Any) -> int:
    """Run the command in this process; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sitscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def settings_file(folder: Path, options: dict[str, Any]) -> Path:
    """The options as TOML, which writes these plain values as JSON does but for true."""
    lines = [
        f"{k} = {str(v).lower() if isinstance(v, bool) else list(v) if isinstance(v, tuple) else repr(v)}"
        for k, v in options.items()
    ]
    path = folder.parent / f"{folder.name}.toml"
    path.write_text("\n".join(lines))
    tomllib.loads(path.read_text())
    return path


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_ends_with_code_3_and_its_remedy(
    mistake: Mistake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    images, fields = mistake.make(scene)
    given = [a for name in (images if isinstance(images, list) else [images]) for a in ("--images", name)]
    settings = settings_file(scene, mistake.options)
    code = sitscope("run", *given, "--fields", fields, "--settings", settings, "--out", tmp_path / "RUN")
    said = capsys.readouterr()
    assert code == 3, said.err
    assert mistake.argument in said.err
    assert said.out == ""
    assert not (tmp_path / "RUN").exists()
    assert not (tmp_path / "RUN.partial").exists()
    if "settings: " not in said.err:  # refused before the images were looked at
        for words in mistake.says:
            assert cli._as_options(words) in said.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--settings", "shallow.toml", "--clusters", "99999"],
            ["clusters: 99999 clusters cannot be made of", "or add fields"],
        ),
        (["--label", "crp"], ["label: the fields have no column 'crp', only: crop", "Name one of them"]),
        (["--dims", "0"], ["sitscope: dims: autoencoder.dims = 0", "greater than 0"]),
        (["--settings", "nowhere.toml"], ["settings: nowhere.toml is no TOML file", "Correct it"]),
        ([], ["5 dates are too few for this network", "leaves no cell", "fewer blocks"]),
        (["--start", "2019-01-01", "--end", "2018-01-01"], ["start", "2019-01-01"]),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: list[str], says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    images, fields = good(scene)
    (tmp_path / "shallow.toml").write_text(SHALLOW)
    options = [str(tmp_path / o) if o == "shallow.toml" else o for o in options]
    assert sitscope("run", "--images", images, "--fields", fields, "--out", tmp_path / "RUN", *options) == 3
    said = capsys.readouterr().err
    for words in says:
        assert words in said
    assert list(tmp_path.glob("RUN*")) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clusterz = 3", ["clusterz", "Extra inputs are not permitted", "Known names: label, units"]),
        ("[autoencoder]\ndropout = 0.5", ["autoencoder.dropout", "Known names: dims, filters"]),
        ("test = 1.5", ["test = 1.5", "less than 1"]),
        ("= 3", ["is no TOML file that can be read"]),
        ("autoencoder = 3", ["autoencoder"]),
        ("[autoencoder]\nkernels = [4, 4, 4]", ["must be odd with padding 'same'"]),
        ('vote = "loudest"', ["vote = 'loudest'", "'majority' or 'one-to-one'"]),
    ],
)
def test_settings_that_cannot_be_are_refused(
    text: str, says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.toml").write_text(text)
    code = sitscope(
        "run",
        "--images",
        tmp_path,
        "--fields",
        "f",
        "--settings",
        tmp_path / "settings.toml",
        "--out",
        tmp_path / "RUN",
    )
    said = capsys.readouterr().err
    assert code == 3, said
    for words in ["settings: ", *says]:
        assert words in said


def test_a_folder_that_holds_something_is_never_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    images, fields = good(scene)
    before = sorted(p.name for p in scene.iterdir())
    assert sitscope("run", "--images", images, "--fields", fields, "--out", scene, "--overwrite") == 3
    assert "holds other things than a run" in capsys.readouterr().err
    assert sorted(p.name for p in scene.iterdir()) == before
    (tmp_path / "RUN").mkdir()
    (tmp_path / "RUN" / "run.json").write_text("{}")
    assert sitscope("run", "--images", images, "--fields", fields, "--out", tmp_path / "RUN") == 3
    assert "already holds a run. Name another folder, or replace it with --overwrite" in capsys.readouterr().err


def test_a_report_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sitscope("report", tmp_path) == 3
    assert "holds no whole run" in capsys.readouterr().err


def test_only_classes_that_there_are_can_be_shown_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    images, fields = good(scene)
    (tmp_path / "shallow.toml").write_text(SHALLOW)
    given = ["--images", images, "--fields", fields, "--out", tmp_path / "RUN", "--settings", tmp_path / "shallow.toml"]
    assert sitscope("run", *given, "--group", "Maize, Pepper") == 3
    assert "groups: there is no class 'Pepper'. The classes are" in capsys.readouterr().err
    assert list(tmp_path.glob("RUN*")) == []


def test_too_few_fields_cannot_be_simulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sitscope("simulate", "--fields", "3", "--out", tmp_path / "scene") == 3
    assert "fields" in capsys.readouterr().err
    assert not (tmp_path / "scene").exists()


def test_a_wrong_option_has_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert sitscope("run", "--no-such-option") == 2
    assert "no-such-option" in capsys.readouterr().err.lower()


def test_our_own_mistake_has_code_1_and_its_traceback_only_with_debug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("sitscope.job.show", broken)
    monkeypatch.setenv("SITSCOPE_DEBUG", "")
    assert sitscope("report", tmp_path) == 1
    said = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: ours" in said
    assert "Traceback" not in said
    assert sitscope("--debug", "report", tmp_path) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_has_code_4_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sitscope.job.show", stopped)
    assert sitscope("report", tmp_path) == 4
    assert "Start it again" in capsys.readouterr().err


def test_ingest_prints_the_cube_that_takes_the_place_of_the_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stack(tmp_path / "stack")
    out = tmp_path / "CUBE.zarr"
    assert sitscope("ingest", "--images", tmp_path / "stack", "--bands", "VH", "--out", out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert open_cube(out).identical(open_cube(tmp_path / "stack", bands=["VH"]))
    assert sitscope("ingest", "--images", tmp_path / "stack", "--out", out) == 3
    assert "is there already. Name another place, or replace it with --overwrite" in capsys.readouterr().err
    assert sitscope("ingest", "--images", tmp_path / "stack", "--out", out, "--overwrite") == 0
    assert open_cube(out).band.values.tolist() == ["VV", "VH"]


def test_ingest_brings_images_to_a_grid_and_composes_months(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_stack(tmp_path / "stack")
    given = ("ingest", "--images", tmp_path / "stack", "--out", tmp_path / "CUBE.zarr")
    assert sitscope(*given, "--resolution", "20", "--every", "month") == 0
    cube = open_cube(tmp_path / "CUBE.zarr")
    assert (cube.sizes["time"], float(cube.x[1] - cube.x[0])) == (1, 20.0)
    for wrong, says in (
        (("--every", "fortnight"), "every: 'fortnight' is no period"),
        (("--bbox", "1,2,three,4"), "bbox: '1,2,three,4' is no box"),
        (("--like", "most", "--crs", "EPSG:32630"), "like: most has a crs"),
    ):
        assert sitscope(*given, "--overwrite", *wrong) == 3
        assert says in capsys.readouterr().err


def test_ingest_says_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_stack(tmp_path / "stack", tags={})
    assert sitscope("ingest", "--images", tmp_path / "stack", "--out", tmp_path / "CUBE.zarr") == 3
    assert "Say which: --units dB or --units linear" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["stack"]


def test_an_interrupted_ingest_has_code_4_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    write_stack(tmp_path / "stack")
    given = ("ingest", "--images", tmp_path / "stack", "--out", tmp_path / "CUBE.zarr")
    with monkeypatch.context() as patch:
        patch.setattr("xarray.Dataset.to_zarr", stopped)
        assert sitscope(*given) == 4
    assert "Start it again with the same options" in capsys.readouterr().err
    assert not (tmp_path / "CUBE.zarr").exists()
    assert sitscope(*given) == 0


def test_bench_compares_this_machine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    quick = partial(measuring.measure, rounds=1, seconds=0.0)
    monkeypatch.setattr(measuring, "measure", quick)
    assert sitscope("bench", "--json") == 0
    found = loads(capsys.readouterr().out)
    assert set(found) == {"processor", "instructions", "embed", "explain", "general", "sgemm_gflops"}
    assert found["explain"] > 0
    assert sitscope("bench") == 0
    assert "the reference machine (23,100 series/s, docs/speed.md)" in capsys.readouterr().out


def test_help_teaches_every_verb() -> None:
    done = subprocess.run([sys.executable, "-m", "sitscope.cli", "--help"], capture_output=True, text=True, check=True)
    for verb in ("demo", "simulate", "ingest", "run", "report", "evaluate", "bench"):
        assert verb in done.stdout


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert sitscope("--version") == 0
    assert capsys.readouterr().out == f"sitscope {version('sitscope')}\n"


def test_the_stack_of_the_mistakes_is_read_by_glob_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    write_stack(scene)
    assert sitscope("run", "--images", f"{scene}/*.tif", "--fields", "no.gpkg", "--out", tmp_path / "RUN") == 3
    assert "no.gpkg does not exist" in capsys.readouterr().err
