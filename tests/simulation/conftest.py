"""One small scene for the tests that look at a scene."""

import pytest

from sitscope.simulation.scene import Scene, simulate


@pytest.fixture(scope="session")
def scene() -> Scene:
    return simulate(fields=120, field_px=10, seed=3)
