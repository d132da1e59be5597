"""A small run and its images, for all tests of maps."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import xarray as xr

from sitscope.autoencoder.network import Settings
from sitscope.cube.reading import open_cube
from sitscope.job import run
from sitscope.settings import RunSettings
from sitscope.simulation.scene import simulate, write_scene

SMALL = Settings(filters=(8, 8), kernels=(5, 3), strides=(1, 1), pooling=(2, 2), hidden=(16,), epochs=2)


@dataclass(frozen=True)
class Home:
    """Where a run and what it was made of lie."""

    images: Path
    fields: Path
    run: Path

    def cube(self) -> xr.DataArray:
        return open_cube(self.images).load()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    write_scene(simulate(fields=120, field_px=9, seed=2), folder / "scene")
    fields = folder / "scene" / "fields.gpkg"
    run(folder / "scene", fields, folder / "RUN", RunSettings(clusters=8, max_pixels=20, autoencoder=SMALL))
    return Home(folder / "scene", fields, folder / "RUN")
