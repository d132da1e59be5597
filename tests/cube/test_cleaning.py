"""What is taken out of a cube when asked: right by slow twins, and whatever the chunks."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from messy import COLUMNS, ROWS, radar, speckled
from sitscope.cube.borders import without_borders
from sitscope.cube.doubles import mosaicked
from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube
from sitscope.cube.source import Source
from sitscope.cube.speckle import despeckled, local_mean
from sitscope.errors import BadInput
from small_scenes import DATES, write_image, write_stack


def slow_mean(power: np.ndarray, window: int) -> np.ndarray:
    r, out = window // 2, np.full(power.shape, np.nan)
    for i, j in np.ndindex(*power.shape):
        near = power[max(0, i - r) : i + r + 1, max(0, j - r) : j + r + 1]
        if not np.isnan(near).all():
            out[i, j] = np.nanmean(near)
    return out


def slow_temporal(power: np.ndarray, window: int) -> np.ndarray:
    means, out = np.stack([slow_mean(image, window) for image in power]), np.full(power.shape, np.nan)
    for k, i, j in np.ndindex(*power.shape):
        there = [t for t in range(len(power)) if not np.isnan(power[t, i, j])]
        if k in there:
            out[k, i, j] = means[k, i, j] / len(there) * sum(power[t, i, j] / means[t, i, j] for t in there)
    return out


@pytest.mark.parametrize("window", [3, 7, 31])
def test_filters_are_as_defined(window: int) -> None:
    power = speckled(t=5)
    decibels = (10 * np.log10(power)).astype("float32")
    exact = 10 ** (decibels.astype("float64") / 10)
    np.testing.assert_allclose(local_mean(power[0], window), slow_mean(power[0], window), rtol=1e-12)
    temporal = despeckled(decibels, "temporal", window)
    np.testing.assert_allclose(temporal, 10 * np.log10(slow_temporal(exact, window)), rtol=1e-6)
    boxcar = despeckled(decibels, "boxcar", window)
    wanted = [np.where(np.isnan(image), np.nan, slow_mean(image, window)) for image in exact]
    np.testing.assert_allclose(boxcar, 10 * np.log10(np.stack(wanted)), rtol=1e-6)


def looks(power: np.ndarray) -> float:
    """Equivalent number of looks: mean squared over variance, in the even left half away from the edge."""
    even = power[:, 3:-3, : COLUMNS // 2 - 3]
    return float(np.mean(np.nanmean(even, axis=(1, 2)) ** 2 / np.nanvar(even, axis=(1, 2))))


def test_filters_raise_the_looks_and_keep_the_mean() -> None:
    power = speckled(t=30)
    before = looks(power)
    found = {
        how: 10 ** (despeckled((10 * np.log10(power)).astype("float32"), how, 5).astype("float64") / 10)
        for how in ("temporal", "boxcar")
    }
    assert 3 < before < 5.5
    assert looks(found["temporal"]) > 4 * before  # 25 pixels correlate with the window's, 30 dates do not
    assert looks(found["boxcar"]) > 4 * before
    left = np.s_[:, 3:-3, : COLUMNS // 2 - 3]
    for filtered in found.values():
        assert np.nanmean(filtered[left]) == pytest.approx(np.nanmean(power[left]), rel=0.03)
    # across the edge between the halves, the multi-image filter keeps what the boxcar smears
    edge = {how: np.nanmean(each[:, :, COLUMNS // 2]) for how, each in found.items()}
    assert abs(edge["temporal"] - 0.02) < abs(edge["boxcar"] - 0.02)


CHOICES: list[dict[str, Any]] = [
    {"speckle": "temporal", "window": 5},
    {"speckle": "boxcar", "window": 9},
    {"border_noise": -18, "border_pixels": 2},
    {"speckle": "temporal", "border_noise": -15.5, "border_pixels": 1, "doubles": "mosaic"},
]


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_whatever_the_chunks_the_cube_is_the_same(options: dict[str, Any]) -> None:
    power = speckled()
    power[:, :6, :5] = np.nan
    power[::2, 12:] *= 0.1
    times = [f"2020-01-{1 + i // 2:02d}T05:30:{25 * (i % 2):02d}" for i in range(12)] if "doubles" in options else None
    images = radar(power, times)
    whole = open_cube(images, chunks=64, **options)
    assert whole.sizes["time"] == (6 if "doubles" in options else 12)
    for chunks in (2, 5, {"y": 23, "x": 3}, {"y": 8, "x": 17}):
        part = open_cube(images, chunks=chunks, **options)
        assert part.chunks is not None
        np.testing.assert_array_equal(part.values, whole.values)
    piece = open_cube(images, chunks=6, **options)[:, :, 5:19, 3:9]
    np.testing.assert_array_equal(piece.values, whole.values[:, :, 5:19, 3:9])
    again = pickle.loads(pickle.dumps(piece))
    np.testing.assert_array_equal(again.values, piece.values)


def test_borders_go_and_a_dark_pixel_stays() -> None:
    image = np.full((1, 1, ROWS, COLUMNS), -12, "float32")
    image[..., :4] = -50
    image[..., 10, 10] = -50
    away = np.isnan(without_borders(image, -35, 2))[0, 0]
    assert away[:, :6].all()
    assert not away[:, 6:].any()
    np.testing.assert_array_equal(without_borders(image, None, 2), image)
    image[..., :4] = np.nan
    np.testing.assert_array_equal(np.isnan(without_borders(image, None, 2))[0, 0], away)


def test_slices_of_a_pass_are_refused_and_mosaicked_on_request() -> None:
    power = np.full((3, ROWS, COLUMNS), 0.1)
    power[0, 12:], power[1, :10], power[1, 10:] = 0, 0, 0.2  # zeros are nodata
    images = radar(power, ["2020-01-01T05:30:00", "2020-01-01T05:30:25", "2020-01-07T05:30:00"])
    with pytest.raises(BadInput, match=r"one pass, 2020-01-01T05:30:00 and 2020-01-01T05:30:25.*doubles='mosaic'"):
        open_cube(images)
    cube = open_cube(images, doubles="mosaic")
    assert cube.time.values.astype("datetime64[D]").astype(str).tolist() == ["2020-01-01", "2020-01-07"]
    np.testing.assert_allclose(cube[0, 0, :12].values, -10)
    np.testing.assert_allclose(cube[0, 0, 12:].values, 10 * np.log10(0.2), rtol=1e-6)


def test_a_mosaic_takes_the_first_pixel_that_has_all_bands() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 2, 4, 3)).astype("float32")
    values[rng.random(values.shape) < 0.4] = np.nan
    of = np.array([0, 0, 0, 1, 1])
    found = mosaicked(values, of)
    for p, i, j in np.ndindex(2, 4, 3):
        mine = [image[:, i, j] for image in values[of == p]]
        whole = [pixel for pixel in mine if not np.isnan(pixel).any()]
        np.testing.assert_array_equal(found[p, :, i, j], (whole or mine)[0])


def ndvi(mask: np.ndarray, name: str = "CLM") -> xr.Dataset:
    images = radar(np.random.default_rng(0).random((3, 4, 5)), units="").rename(VV="NDVI")
    return images.assign({name: (("time", "y", "x"), mask)})


@pytest.mark.parametrize("kind", ["bool", "uint8"])
def test_masked_pixels_are_missing(kind: str) -> None:
    clouds = np.random.default_rng(1).random((3, 4, 5)) < 0.4
    images = ndvi(clouds.astype(kind))
    cube = open_cube(images, mask="CLM", chunks=2)
    assert cube.band.values.tolist() == ["NDVI"]
    np.testing.assert_array_equal(np.isnan(cube.values[:, 0]), clouds)


def test_scene_classes_are_known_and_others_asked_for() -> None:
    classes = np.random.default_rng(1).integers(0, 12, (3, 4, 5)).astype("uint8")
    found = open_cube(ndvi(classes, "SCL"), mask="SCL")
    np.testing.assert_array_equal(np.isnan(found.values[:, 0]), np.isin(classes, (0, 1, 3, 8, 9, 10)))
    with pytest.raises(BadInput, match=r"mask_values.*not 0 and 1 alone.*mask_values="):
        open_cube(ndvi(classes, "QA"), mask="QA")
    found = open_cube(ndvi(classes, "QA"), mask="QA", mask_values=("4", "7"))
    np.testing.assert_array_equal(np.isnan(found.values[:, 0]), np.isin(classes, (4, 7)))
    with pytest.raises(BadInput, match="seems to say what is good"):
        open_cube(ndvi((classes > 5).astype("uint8"), "clear_sky"), mask="clear_sky")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"mask": "CLOUDS"}, "'CLOUDS' is neither a file nor among the bands: VV"),
    ({"mask_values": (1,)}, "values of no mask"),
    ({"doubles": "mean"}, "'mean' is no way"),
    ({"speckle": "lee"}, "'lee' is no filter. Give one of temporal, boxcar"),
    ({"window": 4}, "window of 4 has no middle pixel"),
    ({"border_pixels": -1}, "-1 pixels"),
]


@pytest.mark.parametrize(("options", "says"), REFUSED, ids=str)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        open_cube(radar(speckled()), **options)


def test_speckle_is_of_radar() -> None:
    with pytest.raises(BadInput, match="speckle is of radar bands, and these are CLM, NDVI"):
        open_cube(ndvi(np.zeros((3, 4, 5), "uint8")), speckle="boxcar")


def test_a_converted_cube_is_the_cleaned_one(tmp_path: Path) -> None:
    options: dict[str, Any] = {"speckle": "temporal", "window": 3, "border_noise": -17, "border_pixels": 1}
    images = radar(speckled())
    again = open_cube(ingest(images, tmp_path / "cube.zarr", **options))
    np.testing.assert_array_equal(again.values, open_cube(images, **options).values)


def test_a_mask_in_files_of_its_own_is_found_by_day(tmp_path: Path) -> None:
    write_stack(tmp_path / "images", bands=("VV",))
    clouds = np.random.default_rng(2).random((5, 8, 10)) < 0.3
    for date, cloud in zip(DATES, clouds, strict=True):
        write_image(tmp_path / "masks" / f"clouds_{date}.tif", cloud.astype("uint8"), nodata=255)
    found = open_cube(tmp_path / "images", mask=str(tmp_path / "masks"))
    np.testing.assert_array_equal(np.isnan(found.values[:, 0]), clouds)
    source = Source.of(tmp_path / "images", {"mask": str(tmp_path / "masks"), "mask_values": (1,)})
    assert source.open().equals(found)
    before = source.fingerprint()
    write_image(tmp_path / "masks" / f"clouds_{DATES[0]}.tif", clouds[1].astype("uint8"), nodata=0)
    assert source.fingerprint() != before
    (tmp_path / "masks" / f"clouds_{DATES[2]}.tif").unlink()
    with pytest.raises(BadInput, match=r"no mask for 1 of 5 dates: 2017-01-15"):
        open_cube(tmp_path / "images", mask=str(tmp_path / "masks"))
