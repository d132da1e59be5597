"""Spoiled files are refused in words, by every reader: a short turn of `python -m benchmarks.fuzz`."""

from pathlib import Path

import pytest
from benchmarks.fuzz import fuzz, once
from benchmarks.readers import READERS, Reader

from sitscope.errors import BadInput

TURNS = {"names": 200, "settings": 200, "marks of a map": 100, "run": 8, "model": 60}
"""Files of each reader; 12 of any other. Figures take too long, so reports are drawn in the long turn only."""


@pytest.mark.filterwarnings("ignore")  # of libraries, while examples are written
@pytest.mark.parametrize("name", [name for name in READERS if name != "report"])
def test_a_spoiled_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "example").mkdir()
    READERS[name].make(tmp_path / "example")
    for seed in range(TURNS.get(name, 12)):
        assert once(name, tmp_path / "example", seed, tmp_path / "work") is None, f"{name}, seed {seed}"


def test_what_breaks_a_reader_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(error: Exception) -> Reader:
        def raising(folder: Path) -> None:
            raise error

        return Reader(lambda folder: (folder / "a.txt").write_text("a"), raising, lambda folder, rng: None)

    (tmp_path / "example").mkdir()
    for error, what in (
        (OSError("disk"), "OSError in outside"),
        (BadInput("a", ""), "a refusal"),
        (BadInput("a", "b"), None),
    ):
        monkeypatch.setitem(READERS, "names", read(error))
        found = once("names", tmp_path / "example", 0, tmp_path / "work")
        assert (found[0] if found else None) == what or (found and what and found[0].startswith(what))


def test_the_long_turn_counts_files_and_time() -> None:
    found = fuzz("names", 0.3)
    assert found["executions"] > 10
    assert found["cpu_s"] >= 0.3
    assert found["crashes"] == {}
