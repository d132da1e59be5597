"""A disk that is full, or must not be written, is told in words, and leaves what was there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import small_disks
from sitscope.errors import BadInput
from small_disks import WRITERS


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What small_disks.py found; skipped where this process may not mount a disk."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    place = tmp_path_factory.mktemp("disk")
    command = ["unshare", "-m", sys.executable, small_disks.__file__, str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_told_and_nothing_is_left_half_written(outcomes: dict[str, Any], name: str) -> None:
    said, left = outcomes["full"][name]["False"]
    assert re.match(r"out: .* cannot be written \(.*\), where .* MB are free\. Make room", said or "")
    assert left == []


@pytest.mark.parametrize("name", WRITERS)
def test_what_was_there_stays_when_there_is_no_room(outcomes: dict[str, Any], name: str) -> None:
    said, left = outcomes["full"][name]["True"]
    assert said
    assert left == [f"{name} as it was"]


def test_a_map_is_whole_or_refused_wherever_the_disk_ends(outcomes: dict[str, Any]) -> None:
    """GDAL closes a copy whose last bytes found no room without a word."""
    ends = outcomes["ends"]
    refused = ends.count("refused")
    assert ends == ["refused"] * refused + ["whole"] * (len(ends) - refused)
    assert 5 < refused < len(ends) - 5


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_must_not_be_written_is_told(tmp_path: Path, name: str) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    try:
        if root:  # who may write everywhere
            os.seteuid(65_534)
        with pytest.raises(BadInput, match=r"cannot be written \(Permission denied\)"):
            WRITERS[name](closed / "deep" / name)
    finally:
        if root:
            os.seteuid(0)
    assert list(closed.iterdir()) == []
