"""The command line: a user's mistake has exit code 3, says what to do, and leaves nothing half-written."""

import subprocess
import sys
from functools import partial
from importlib.metadata import version
from json import loads
from pathlib import Path
from typing import Any

import pytest

from mistakes import good
from sitscope import cli, measuring
from sitscope.cube.reading import open_cube
from small_scenes import write_stack


def sitscope(*arguments: Any) -> int:
    """Run the command in this process; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sitscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


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
    for verb in ("demo", "simulate", "ingest", "run", "report", "evaluate", "doctor", "rerun", "bench", "adopt"):
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
