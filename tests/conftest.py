"""Real data for tests: used where it is, skipped with the reason where it is not."""

from pathlib import Path

import pytest

REAL = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def antwerp() -> Path:
    """Sentinel-1 over fields near Antwerp: 80 acquisitions, one orbit, dB, with fields.gpkg."""
    return _real("antwerp_s1_2019")


@pytest.fixture(scope="session")
def antwerp_orbit_b() -> Path:
    """The same ground from the other orbit."""
    return _real("antwerp_s1_2019_orbit_b")


def _real(name: str) -> Path:
    folder = REAL / name
    if not folder.exists():
        pytest.skip(f"real data not here: {folder.name} is looked for in ../shared/data beside the checkout")
    return folder
