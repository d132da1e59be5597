"""What holds for every test, and for the examples in docstrings, which are tests too."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# before torch is loaded: tests run in two processes already, whose threads would only be in each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")
# a slow machine is no mistake
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _examples_write_elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        folder: Path = request.getfixturevalue("tmp_path")
        monkeypatch.chdir(folder)
