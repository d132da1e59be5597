"""The doctor tells what is there and everything that is wrong, at once, before any computing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from shapely import Polygon, box

from sitscope.doctor import values
from sitscope.doctor.checkup import Checkup, examine
from sitscope.doctor.notebook import Notebook
from sitscope.errors import BadInput
from sitscope.settings import RunSettings
from sitscope.simulation.scene import Scene, simulate
from small_scenes import DATES, NORTH, WEST, decibels, four_fields, write_fields, write_image, write_stack

TAGS = {"units": "dB", "RELATIVE_ORBIT": "74"}


@pytest.fixture(scope="module")
def scene() -> Scene:
    return simulate(fields=60, field_px=8, seed=1)


def errors(found: Checkup) -> list[str]:
    return [f"{p.argument}: {p.message}" for p in found.problems if p.severity == "error"]


def warnings(found: Checkup) -> list[str]:
    return [f"{p.argument}: {p.message}" for p in found.problems if p.severity == "warning"]


def shallow(folder: Path) -> Path:
    """A network for five dates."""
    path = folder / "shallow.toml"
    path.write_text("[autoencoder]\nfilters = [4]\nkernels = [3]\nstrides = [1]\npooling = [2]\n")
    return path


def test_every_mistake_is_told_at_once_where_a_run_tells_the_first(tmp_path: Path) -> None:
    write_stack(tmp_path, dates=DATES[:3], tags={"RELATIVE_ORBIT": "74"})
    write_stack(tmp_path, dates=DATES[3:], tags={"RELATIVE_ORBIT": "147"})
    write_image(tmp_path / "dem.tif", decibels(), tags=TAGS)
    (tmp_path / "S1_20170202T063000_VV.tif").write_text("no TIFF")
    write_image(tmp_path / "S1_20170208T063000_VV.tif", decibels(), crs="EPSG:32631", tags=TAGS)
    write_image(tmp_path / "S1_20170214T063000_VH.tif", decibels(), tags=TAGS)
    fields = write_fields(tmp_path, four_fields())
    found = examine(tmp_path, fields, asked={"label": "crp", "buffer": 25.0, "start": "3 May"}, out=tmp_path)
    told = "\n".join(errors(found))
    for part in (
        "units: no tag or attribute says whether VV",
        "orbit: images of different orbits are mixed: 147 (2 dates), 74 (3 dates)",
        "label: the fields have no column 'crp'",
        "images: no date in the name, tags or band descriptions of 1 file(s): dem.tif",
        "S1_20170202T063000_VV.tif cannot be read as an image",
        "images: the images lie on different coordinate reference systems",
        "band VV is missing on 1 of 6 dates: 2017-02-14",
        "buffer: all 4 fields are too small",
        "start: '3 May'",
        "out: ",
        "settings: 5 dates are too few for this network",
    ):
        assert part in told
    assert not found.ready
    assert len(found.dates) == 5, "what can be read is looked at all the same"


def test_good_data_have_nothing_in_their_way(scene: Scene) -> None:
    found = examine(scene.cube, scene.fields)
    assert found.ready
    assert errors(found) == []
    assert not any(p.argument in ("images", "units", "border_noise") for p in found.problems), warnings(found)
    assert len(found.dates) == 61
    assert sum(row["fields"] for row in found.classes) == len(scene.fields)
    assert found.there["dates"].startswith("61, 2017-01-03T06:30:00 to 2017-12-29T06:30:00, usually every 6 days")
    assert "VV dB, VH dB" in found.there["bands and units"]
    assert "EPSG:" in found.there["grid"]
    assert json.loads(json.dumps(found.as_dict()))["ready"] is True


def test_the_share_of_nodata_of_each_date_is_that_of_the_pixels_in_fields(scene: Scene) -> None:
    """A slow twin: counted field by field."""
    cube = scene.cube.copy(deep=True)
    rng = np.random.default_rng(0)
    for date, share in ((3, 0.3), (10, 0.05), (20, 0.9)):
        cube.values[date, 0][rng.random(cube.shape[2:]) < share] = np.nan
    found = examine(cube, scene.fields, asked={"fill": True})
    from sitscope.cube.sampling import sample

    series = sample(cube, scene.fields, fill=True)
    np.testing.assert_allclose([row["missing"] for row in found.dates], series.missing.values, atol=6e-5)
    assert any("2 of 61 dates lack a fifth of the pixels or more: 2017-05-03" in w for w in warnings(found))
    told = warnings(examine(cube, scene.fields))
    assert any("fill: 93% of the series looked at have gaps and would be dropped" in w for w in told)


def test_of_a_large_cube_some_windows_are_looked_at_and_that_is_said(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = scene.cube.copy(deep=True)
    cube.values[7][:, np.random.default_rng(0).random(cube.shape[2:]) < 0.5] = np.nan
    whole = examine(cube, scene.fields, asked={"fill": True})
    monkeypatch.setattr(values, "SIDE", 12)
    monkeypatch.setattr(values, "BUDGET", 12 * 12 * 8 * 61 * 10)
    some = examine(cube, scene.fields, asked={"fill": True})
    pixels = int(some.there["looked at"].split()[0].replace(",", ""))
    assert pixels <= 12 * 12 * 10 < cube[0, 0].size
    assert "estimated" in some.there["looked at"]
    assert "estimated" not in whole.there["looked at"]
    assert some.dates[7]["missing"] == pytest.approx(whole.dates[7]["missing"], abs=0.1)
    cube.values[7] = np.nan
    assert any("images: of the" in w and "nothing but nodata" in w for w in warnings(examine(cube, scene.fields)))


def bowtie(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    shapes = frame.geometry.tolist()
    x, y = WEST, NORTH
    shapes[0] = Polygon([(x, y), (x + 40, y - 40), (x + 40, y), (x, y - 40)])
    return frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs))


def over(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    shapes = frame.geometry.tolist()
    shapes[1] = box(WEST + 20, NORTH - 40, WEST + 100, NORTH)
    return frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs))


def beside(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    more = frame.iloc[:1].set_geometry(frame.iloc[:1].translate(10_000))
    return gpd.GeoDataFrame(gpd.pd.concat([frame, more], ignore_index=True), crs=frame.crs)


def twice(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(gpd.pd.concat([frame, frame.iloc[:1]], ignore_index=True), crs=frame.crs)


def many(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    strips = [box(WEST + i, NORTH - 80, WEST + i + 1, NORTH) for i in range(50)]
    shapes = [*strips, *(box(WEST + x, NORTH - 80, WEST + x + 20, NORTH) for x in (55, 78))]
    return gpd.GeoDataFrame({"crop": ["Wheat"] * 50 + ["Maize"] * 2}, geometry=shapes, crs=frame.crs)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.assign(crop=["Wheat", "Maize", "Wheat", "Rye"]), "2 classes have a single field and cannot be"),
        (lambda f: f.assign(crop=["Wheat", "Maize", "wheat ", "Maize"]), "label: labels differ only by case or blanks"),
        (lambda f: f.assign(crop=["Wheat", "Maize", "Wheat", None]), "label: 1 of 4 fields have no label"),
        (lambda f: f.to_crs("EPSG:4326"), "fields: the fields are in EPSG:4326, the images in EPSG:32630"),
        (bowtie, "fields: 1 of 4 fields have an invalid shape (rows 0)"),
        (over, "fields: 1 pairs of fields overlap by more than a pixel (rows 0 and 1)"),
        (beside, "fields: 1 of 5 fields lie beside the images and are left out"),
        (twice, "fields: 1 fields have the shape of another (rows 4)"),
        (lambda f: f.set_geometry(f.centroid), "fields: 4 of 4 fields are no polygons but Point"),
        (lambda f: f.set_geometry(gpd.GeoSeries([None, *f.geometry[1:]], crs=f.crs)), "1 of 4 fields have no shape"),
    ],
)  # fmt: skip
def test_what_a_run_would_not_mind_in_the_fields_is_a_warning(
    change: Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame], says: str, tmp_path: Path
) -> None:
    write_stack(tmp_path)
    found = examine(tmp_path, change(four_fields()), settings_file=shallow(tmp_path))
    assert any(says in warning for warning in warnings(found)), found.problems


def test_unequal_classes_small_fields_and_few_series_are_warnings(tmp_path: Path) -> None:
    write_stack(tmp_path)
    found = examine(tmp_path, many(four_fields()), settings_file=shallow(tmp_path), asked={"clusters": 3})
    told = "\n".join(warnings(found))
    assert "min_pixels: 45 of 52 fields hold fewer than 1 pixels and are left out" in told
    assert found.classes[0] | {"pixels": 0} == {"class": "Wheat", "fields": 50, "too_small": 45, "pixels": 0}
    assert "clusters: " in told
    assert "fewer than 30 for each" in told


def test_very_unequal_classes_are_a_warning(tmp_path: Path) -> None:
    cube = xr.DataArray(
        np.random.default_rng(0).normal(-12, 2, (9, 1, 50, 50)).astype("float32"),
        {
            "time": np.arange("2020-01-01", "2020-01-10", dtype="datetime64[D]").astype("datetime64[ns]"),
            "band": ["VV"],
            "y": NORTH - 10 * np.arange(50.0),
            "x": WEST + 10 * np.arange(50.0),
        },
        ("time", "band", "y", "x"),
        attrs={"units": "dB"},
    ).rio.write_crs("EPSG:32630")
    shapes = [
        box(WEST + 50 * i, NORTH - 50 * j - 50, WEST + 50 * i + 50, NORTH - 50 * j) for i in range(9) for j in range(9)
    ]
    fields = gpd.GeoDataFrame({"crop": ["Rye"] * 2 + ["Oat"] * 79}, geometry=shapes, crs="EPSG:32630")
    found = examine(cube, fields)
    assert any("classes are very unequal: Oat has 79 fields, Rye 2" in w for w in warnings(found)), found.problems


def images(folder: Path, change: Callable[[np.ndarray, int], np.ndarray], **place: Any) -> Path:
    for i, date in enumerate(DATES):
        value = change(decibels(i), i)
        write_image(folder / f"S1_{date.replace('-', '')}T063000_VV.tif", value, tags=TAGS, **place)
    return folder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v, i: v - 40, "units: the median of VV is -52"),
        (lambda v, i: np.where(np.arange(10) < 3, np.float32(0), v), "images: 30.0% of the values of VV are exactly 0"),
        (
            lambda v, i: np.where(np.arange(10) < (3 if i == 2 else 0), np.float32(-48), v),
            "border_noise: dark patches below -35 dB, as at the borders of radar images, lie on 1 dates: 2017-01-15",
        ),
    ],
)
def test_values_that_no_backscatter_has_are_a_warning(
    change: Callable[[np.ndarray, int], np.ndarray], says: str, tmp_path: Path
) -> None:
    found = examine(images(tmp_path, change), four_fields(), settings_file=shallow(tmp_path))
    assert any(says in warning for warning in warnings(found)), found.problems
    good = examine(images(tmp_path, lambda v, i: v), four_fields(), settings_file=shallow(tmp_path))
    assert not any(says.partition(":")[0] + ":" in warning for warning in warnings(good)), good.problems


def test_border_noise_that_is_looked_after_is_none(tmp_path: Path) -> None:
    folder = images(tmp_path, lambda v, i: np.where(np.arange(10) < 3 * (i == 0), np.float32(-48), v))
    found = examine(folder, four_fields(), settings_file=shallow(tmp_path), asked={"border_noise": -35.0})
    assert not any("border_noise" in warning for warning in warnings(found))
    assert found.dates[0]["missing"] > 0.3


def test_gaps_in_the_calendar_are_a_warning(scene: Scene) -> None:
    kept = [i for i in range(61) if not 20 <= i < 26]
    told = warnings(examine(scene.cube.isel(time=kept), scene.fields))
    assert any("1 gaps beside a usual step of 6 days: 2017-04-27 to 2017-06-08 (42 days)" in w for w in told)
    assert not any("gaps beside" in warning for warning in warnings(examine(scene.cube, scene.fields)))


def test_memory_and_disk_that_will_not_do_are_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    memory, disk = namedtuple("memory", "available"), namedtuple("disk", "free")
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory(2**20))
    monkeypatch.setattr("shutil.disk_usage", lambda place: disk(1000))
    found = examine(scene.cube, scene.fields)
    assert any("memory: " in error and "GB do not hold a block" in error for error in errors(found))
    told = "\n".join(warnings(found))
    assert "out: maps take about" in told
    assert "max_pixels: the" in told


def test_the_same_of_many_files_is_told_once_and_counted() -> None:
    note = Notebook()
    for name in ("a.tif", "b.tif", "c.tif"):
        note.error(BadInput("images", f"{name} has no coordinate reference system. Copy it again."))
    note.error(BadInput("images", "a.tif has no coordinate reference system. Copy it again."))
    note.error(BadInput("units", "unknown."))
    note.warn("fields", "few.")
    assert [p.argument for p in note.told()] == ["images", "units", "fields"]
    assert note.told()[0].message.endswith("Copy it again. So it is with 2 more.")


def test_a_file_that_ends_too_early_is_found_in_a_large_cube_too(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mistakes import truncated

    folder, fields = truncated(tmp_path)
    monkeypatch.setattr(values, "BUDGET", 1)
    monkeypatch.setattr(values, "SIDE", 2)
    found = examine(folder, fields, settings_file=shallow(tmp_path))
    assert any("S1_20170115T063000_VV.tif cannot be read" in error for error in errors(found))
    assert len(found.dates) == 4


def test_settings_that_cannot_be_do_not_hide_the_rest(tmp_path: Path) -> None:
    write_stack(tmp_path, tags={})
    (tmp_path / "settings.toml").write_text("clusterz = 3")
    found = examine(tmp_path, write_fields(tmp_path), settings_file=tmp_path / "settings.toml")
    assert {"settings", "units"} <= {p.argument for p in found.problems if p.severity == "error"}
    found = examine(tmp_path, write_fields(tmp_path), asked={"autoencoder": {"dims": 0}, "units": "dB"})
    assert {p.argument for p in found.problems if p.severity == "error"} == {"dims", "settings"}
    assert RunSettings().units is None


def test_real_images_are_ready_and_their_two_orbits_together_are_not(antwerp: Path, antwerp_orbit_b: Path) -> None:
    found = examine(antwerp, antwerp / "fields.gpkg")
    assert found.ready, found.problems
    assert len(found.dates) == 80
    mixed = examine([antwerp, antwerp_orbit_b], antwerp / "fields.gpkg")
    assert [p.argument for p in mixed.problems if p.severity == "error"] == ["orbit"]
