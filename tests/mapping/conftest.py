"""A small run and its images; and a model nobody trained, a scene mapped with it, and the folder that holds both."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Autoencoder, Settings
from sitscope.classes.codebook import Codebook
from sitscope.cube.item import write_item
from sitscope.cube.reading import open_cube
from sitscope.cube.store import write_zarr
from sitscope.job import run
from sitscope.mapping.atlas import atlas
from sitscope.mapping.products import write_maps
from sitscope.settings import RunSettings
from sitscope.simulation.scene import simulate, write_scene

TINY = Settings(filters=(4,), kernels=(5,), strides=(1,), pooling=(4,), hidden=(8,))


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


@pytest.fixture(scope="session")
def fitted() -> Fitted:
    torch.manual_seed(0)
    dates = np.arange("2017-01-03", "2018-01-03", 6, "datetime64[D]").astype("datetime64[ns]")[:61]
    bands, some = 2, np.float32
    return Fitted(
        network=Autoencoder(bands, len(dates), TINY).eval().requires_grad_(False),
        settings=TINY,
        mean=np.array([-12, -18], some),
        std=np.array([3, 4], some),
        curve=np.broadcast_to(np.array([[-12], [-18]], some), (bands, len(dates))).copy(),
        dates=dates,
        bands=("VV", "VH"),
        units="dB",
        losses={"train": [1.0], "validation": [1.0]},
        best_epoch=1,
        seed=0,
    )


@pytest.fixture(scope="session")
def book(fitted: Fitted) -> Codebook:
    centres = np.random.default_rng(0).normal(scale=0.2, size=(4, 2)).astype(np.float32)
    votes = np.array([[9, 0, 1], [0, 5, 0], [0, 0, 0], [1, 1, 7]])
    return Codebook(centres, votes, ("Maïs", "Sugar Beet", "Winter wheat"), np.array([0, 1, -1, 2]))


@pytest.fixture(scope="session")
def maps(fitted: Fitted, book: Codebook) -> xr.Dataset:
    cube = simulate(fields=48, field_px=6, seed=1).cube.assign_coords(time=fitted.dates)
    cube = cube.copy(deep=True)
    cube[3, :, :5, :7] = np.nan
    return atlas(cube, fitted, book).compute()


@pytest.fixture(scope="session")
def folder(fitted: Fitted, book: Codebook, maps: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a run leaves it, of which the maps tell."""
    place = tmp_path_factory.mktemp("mapped") / "RUN"
    fitted.save(place / "model")
    book.save(place / "model" / "codebook.json")
    write_zarr(maps, place / "atlas.zarr")
    with xr.open_zarr(place / "atlas.zarr") as lazy:
        write_maps(lazy, place / "maps", book)
    write_item(place)
    return place
