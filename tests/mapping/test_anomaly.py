"""What the model cannot reconstruct, mapped."""

import filecmp
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sitscope.applying import Machines, map_images
from sitscope.autoencoder.fitted import Fitted
from sitscope.mapping import make
from sitscope.mapping.plan import blocks

from .conftest import Home

ALONE = Machines(workers=1)


@pytest.fixture(scope="module")
def mapped(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("anomalies") / "MAP"
    return map_images(home.run, home.images, out, anomaly=True, machines=ALONE)


def test_an_anomaly_is_the_error_of_the_reconstruction_and_the_date_of_most_of_it(home: Home, mapped: Path) -> None:
    fitted, cube = Fitted.load(home.run / "model"), home.cube()
    found = xr.open_zarr(mapped / "atlas.zarr").load()
    known = ~np.isnan(cube.values).any(axis=(0, 1))
    x = cube.values[:, :, known].transpose(2, 1, 0)
    squared = (x - fitted.reconstruct(x)) ** 2
    np.testing.assert_allclose(found.anomaly.values[known], np.sqrt(squared.mean(axis=(1, 2))), rtol=1e-5)
    np.testing.assert_array_equal(found.anomaly_date.values[known], squared.mean(axis=1).argmax(axis=1) + 1)
    assert found.anomaly.attrs["units"] == "dB"
    assert np.isnan(found.anomaly.values[~known]).all()
    assert not found.anomaly_date.values[~known].any()


def test_a_pixel_of_another_season_is_an_anomaly_on_its_day(home: Home) -> None:
    fitted, cube = Fitted.load(home.run / "model"), home.cube()
    x = cube.values[:, :, ~np.isnan(cube.values).any(axis=(0, 1))].transpose(2, 1, 0)[:200].copy()
    usual, _ = fitted.anomaly(x)
    x[:, :, 30] += 12  # a flood, or a roof
    error, date = fitted.anomaly(x)
    assert (error > usual).all()
    assert (date == 30).mean() > 0.95


@pytest.mark.parametrize("shape", [(64, 64), (256, 256)])
def test_however_it_is_cut_the_bytes_are_the_same(
    shape: tuple[int, int], home: Home, mapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "cut", lambda cube, *_: blocks(cube.sizes["y"], cube.sizes["x"], 64, shape))
    out = map_images(home.run, home.images, tmp_path / "MAP", anomaly=True, machines=ALONE)
    files = sorted(str(p.relative_to(mapped)) for p in mapped.rglob("*") if p.is_file())
    assert not any(filecmp.cmpfiles(out, mapped, files, shallow=False)[1:])
    assert {"maps/anomaly.tif", "maps/anomaly_date.tif", "maps/anomaly_date.qml"} <= set(files)


def test_the_other_maps_do_not_change_and_nothing_more_is_there_unasked(home: Home, mapped: Path) -> None:
    plain, more = (xr.open_zarr(folder / "atlas.zarr").load() for folder in (home.run, mapped))
    assert set(more) - set(plain) == {"anomaly", "anomaly_date"}
    for name in plain.data_vars:
        np.testing.assert_array_equal(plain[name].values, more[name].values)
