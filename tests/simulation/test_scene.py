"""A whole scene: repeatable, true to its fields, and written as a user would have it."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.errors import BadInput
from sitscope.simulation.crops import CROPS, DATES
from sitscope.simulation.scene import Scene, simulate, write_scene


@pytest.fixture(scope="module")
def folder(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "new"
    write_scene(scene, path)
    return path


def test_the_same_seed_gives_the_same_scene_and_another_seed_another(scene: Scene) -> None:
    again, other = simulate(fields=120, field_px=10, seed=3), simulate(fields=120, field_px=10, seed=4)
    xr.testing.assert_identical(scene.cube, again.cube)
    pd.testing.assert_frame_equal(scene.fields, again.fields)
    pd.testing.assert_frame_equal(scene.truth, again.truth)
    assert not np.allclose(scene.clean_db[:, :50], other.clean_db[:, :50])


def test_the_cube_has_the_canonical_shape(scene: Scene) -> None:
    assert scene.cube.dims == ("time", "band", "y", "x")
    assert (scene.cube.name, scene.cube.dtype, scene.cube.attrs) == ("backscatter", np.float32, {"units": "dB"})
    np.testing.assert_array_equal(scene.cube.time, DATES)
    assert scene.cube.band.values.tolist() == ["VV", "VH"]
    assert scene.cube.rio.crs == scene.fields.crs


def test_every_crop_has_fields(scene: Scene) -> None:
    assert set(scene.fields.crop) == {c.name for c in CROPS}
    assert len(scene.fields) == 120


def test_pixels_of_a_field_scatter_about_its_noise_free_series(scene: Scene) -> None:
    series = sample(scene.cube, scene.fields, buffer=20)
    apart = []
    for i in np.unique(series.field):
        pixels = 10 ** (series.x.values[series.field == i] / 10)  # (n, c, t)
        seen = 10 * np.log10(pixels.mean(axis=(0, 2)))
        apart.append(seen - 10 * np.log10((10 ** (scene.clean_db[:, i] / 10)).mean(axis=1)))
    assert np.abs(apart).max() < 1.2  # the texture of a small field
    np.testing.assert_allclose(np.mean(apart, axis=0), 0, atol=0.15)


def test_the_calendar_is_that_of_the_profiles(scene: Scene) -> None:
    cotton = np.flatnonzero(scene.calendar.crop == "Cotton")
    vh = scene.clean_db[1, cotton]  # (f, t)
    steepest = DATES[np.diff(vh, axis=1).argmin(axis=1)]
    late = (steepest - scene.calendar.clear.values[cotton]) / np.timedelta64(1, "D")
    assert np.median(np.abs(late)) < 4  # on some fields a rain on bare soil steps as steeply


def test_tracks_are_nodata_on_every_date(scene: Scene) -> None:
    missing = np.isnan(scene.cube.values)
    assert (missing == missing[0, 0]).all()
    assert 0.05 < 1 - sample(scene.cube, scene.fields).sizes["series"] / missing[0, 0].size < 0.6


def test_files_hold_what_the_scene_holds(folder: Path, scene: Scene) -> None:
    xr.testing.assert_identical(open_cube(folder).compute(), scene.cube)
    fields = gpd.read_file(folder / "fields.gpkg")
    assert fields.crs == scene.fields.crs
    assert fields.crop.tolist() == scene.fields.crop.tolist()
    assert fields.geometry.geom_equals_exact(scene.fields.geometry, 1e-6).all()


def test_each_image_says_what_it_is(folder: Path, scene: Scene) -> None:
    assert len(list(folder.glob("*.tif"))) == 122
    with rasterio.open(folder / "S1_20170103T063000_VH.tif") as image:
        assert image.crs == "EPSG:32629"
        assert np.isnan(image.nodata)
        assert (image.descriptions, image.units) == (("VH",), ("dB",))
        tags = image.tags()
        assert (tags["ACQUISITION_TIME"], tags["POLARISATION"]) == ("2017-01-03T06:30:00Z", "VH")
        assert (tags["units"], tags["RELATIVE_ORBIT"]) == ("dB", "154")
        assert image.compression.value == "DEFLATE"
        np.testing.assert_array_equal(image.read(1), scene.cube.values[0, 1])


def test_tables_of_the_truth_lie_beside_the_images(folder: Path) -> None:
    assert list(pd.read_csv(folder / "truth.csv").columns) == ["class_a", "class_b", "date", "jm"]
    by_class = pd.read_csv(folder / "truth_classes.csv")
    assert list(by_class.columns) == ["class", "date", "jm_mean", "jm_least", "nearest"]
    assert pd.read_csv(folder / "calendar.csv").clear.str.match(r"20\d\d-\d\d-\d\d$").all()


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    small = simulate(fields=48, field_px=4, progress=lambda done, total: seen.append((done, total)))
    write_scene(small, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 61) for i in range(1, 62)] + [(i, 122) for i in range(1, 123)]


@pytest.mark.parametrize(
    ("argument", "value", "remedy"),
    [
        ("fields", 47, "48 or more"),
        ("field_px", 2, "4 or more"),
        ("field_px", float("nan"), "4 or more"),
        ("enl", 0, "15 to 30"),
        ("seed", -1, "0 or more"),
    ],
)
def test_an_impossible_scene_is_refused(argument: str, value: float, remedy: str) -> None:
    with pytest.raises(BadInput, match=remedy) as error:
        simulate(**{"fields": 48, "field_px": 8, argument: value})
    assert error.value.argument == argument


def test_a_file_is_no_folder(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(BadInput, match="is a file"):
        write_scene(scene, tmp_path / "taken")
