"""A user's mistake is answered with the argument, what was found, and what to do; the doctor sees it before."""

import json
import sys
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from adopted import ADOPTED
from commands import BEFORE, SHALLOW, Command
from folders import LATER
from mistakes import MISTAKES, Mistake, good
from sitscope import cli
from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.job import run
from sitscope.settings import RunSettings
from sitscope.terminal import as_options

OPENING = {"units", "bands", "start", "end", "orbit"}
ROWS: list[Mistake | Command] = [*MISTAKES, *BEFORE, *LATER, *ADOPTED]


def _whole_way(images: Any, fields: Path, options: dict[str, Any]) -> None:
    opening = {name: value for name, value in options.items() if name in OPENING}
    sampling = {name: value for name, value in options.items() if name not in OPENING | {"test"}}
    series = sample(open_cube(images, **opening), fields, **sampling)
    split_by_field(series, test=options.get("test", 0.3))


def sitscope(*arguments: Any) -> int:
    """Run the command in this process; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sitscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the small scene, which lies beside it."""
    folder = tmp_path_factory.mktemp("finished")
    images, fields = good(folder / "scene")
    run(images, fields, folder / "RUN", RunSettings(**tomllib.loads(SHALLOW)))
    return folder / "RUN"


def typed(row: Mistake | Command, folder: Path, finished: Path) -> list[Any]:
    """What stands after sitscope on the command line, once all that it needs lies in the folder."""
    if isinstance(row, Command):
        return row.make(folder, finished)
    (folder / "scene").mkdir()
    images, fields = row.make(folder / "scene")
    given = [a for name in (images if isinstance(images, list) else [images]) for a in ("--images", name)]
    lines = [f"{k} = {str(v).lower() if isinstance(v, bool) else repr(v)}\n" for k, v in row.options.items()]
    (folder / "settings.toml").write_text("".join(lines) + SHALLOW)
    options = ["--settings", folder / "settings.toml", "--out", folder / "RUN"]
    return ["run", *given, "--fields", fields, *options]


def listing(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder, to the byte."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def refused_by_settings(row: Mistake | Command, said: str) -> bool:
    """An impossible number in a settings file is refused before anything else, in pydantic's words."""
    return isinstance(row, Mistake) and "settings: " in said


def test_there_are_enough_mistakes_each_of_its_own_name() -> None:
    assert len(ROWS) >= 60
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_answered_with_argument_findings_and_remedy(mistake: Mistake, tmp_path: Path) -> None:
    images, fields = mistake.make(tmp_path)
    with pytest.raises(BadInput) as caught:
        _whole_way(images, fields, mistake.options)
    assert caught.value.argument == mistake.argument, caught.value
    for words in mistake.says:
        assert words in caught.value.message


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_mistake_ends_with_code_3_and_its_remedy_and_leaves_nothing(
    row: Mistake | Command, tmp_path: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = typed(row, tmp_path, finished)
    before = listing(tmp_path)
    code = sitscope(*command)
    said = capsys.readouterr()
    words = said.out if command[0] == "doctor" else said.err
    assert code == 3, words
    assert row.argument in words
    assert command[0] == "doctor" or said.out == ""
    assert listing(tmp_path) == before
    if not refused_by_settings(row, words):
        for each in row.says:
            assert as_options(each) in words


@pytest.fixture(scope="module")
def seen(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """The errors that the doctor finds for each mistake that can be seen before computing."""
    found = {}
    for row in ROWS:
        if row.before:
            folder = tmp_path_factory.mktemp("doctor")
            verb, *options = typed(row, folder, finished)
            assert verb == "run", "what is seen before computing is seen before a run"
            before = listing(folder)
            with redirect_stdout(StringIO()) as told, redirect_stderr(StringIO()) as errors:
                code = sitscope("doctor", *options, "--json")
            assert listing(folder) == before, "the doctor leaves nothing"
            assert code in (0, 3), f"{row.name}: {errors.getvalue()}"
            report = json.loads(told.getvalue())
            assert report["ready"] == (code == 0)
            found[row.name] = [problem for problem in report["problems"] if problem["severity"] == "error"]
    return found


def test_the_doctor_finds_what_can_be_seen_before_computing(seen: dict[str, list[dict[str, str]]]) -> None:
    asked = [row for row in ROWS if row.before]
    missed = {row.name: seen[row.name] for row in asked if not any(_is(row, problem) for problem in seen[row.name])}
    assert 1 - len(missed) / len(asked) >= 0.95, missed


def _is(row: Mistake | Command, problem: dict[str, str]) -> bool:
    if refused_by_settings(row, f"{problem['argument']}: "):
        return row.argument in problem["message"]
    words = (each in problem["message"] for each in row.says)
    return problem["argument"] == row.argument and all(words)


def test_what_the_mistakes_start_from_is_no_mistake(
    tmp_path: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _whole_way(*good(tmp_path), {})
    from commands import with_options

    (tmp_path / "typed").mkdir()
    options = with_options()(tmp_path / "typed", finished)[1:]
    assert sitscope("doctor", *options, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ready"]
    assert [problem for problem in found["problems"] if problem["severity"] == "error"] == []


def test_two_orbits_of_real_images_are_refused(antwerp: Path, antwerp_orbit_b: Path) -> None:
    with pytest.raises(BadInput, match=r"orbit: .*A \(80 dates\), B \(77 dates\).*orbit='A'"):
        open_cube([antwerp, antwerp_orbit_b])
    assert open_cube([antwerp, antwerp_orbit_b], orbit="B").sizes["time"] == 77
