"""Fields become series, each pixel of one field, and no field is on both sides of a split."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import array_shapes, arrays
from shapely import Point, Polygon, box

from sitscope.cube.fields import field_of_pixels
from sitscope.cube.gaps import filled_in_time
from sitscope.cube.grid import Grid
from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.cube.splitting import split_by_field
from small_scenes import COLUMNS, NORTH, ROWS, WEST, decibels, four_fields


def scene(chunks: int | None = 3) -> xr.DataArray:
    """Five dates, VV and VH, 8 x 10 pixels."""
    coords = {
        "time": np.array(["2017-01-03", "2017-01-09", "2017-01-21", "2017-01-27", "2017-02-02"], "datetime64[ns]"),
        "band": ["VV", "VH"],
        "y": NORTH - 5 - 10.0 * np.arange(ROWS),
        "x": WEST + 5 + 10.0 * np.arange(COLUMNS),
    }
    cube = xr.DataArray(decibels(0, (5, 2, ROWS, COLUMNS)), coords, name="backscatter", attrs={"units": "dB"})
    cube = cube.rio.write_crs("EPSG:32630")
    return cube if chunks is None else cube.chunk({"y": chunks, "x": chunks})


def test_each_series_is_the_pixel_that_it_says() -> None:
    cube = scene()
    series = sample(cube, four_fields())
    assert dict(series.sizes) == {"series": 64, "band": 2, "time": 5}
    assert (series.x.dims, series.x.dtype) == (("series", "band", "time"), np.float32)
    assert series.attrs["units"] == "dB"
    values = cube.values
    for i in range(64):
        one = series.isel(series=i)
        np.testing.assert_array_equal(one.x, values[:, :, int(one.row), int(one.col)].T)
        assert str(one.label.item()) == ["Wheat", "Maize"][int(one.field) % 2]
        assert int(one.field) == 2 * (int(one.row) >= 4) + (int(one.col) >= 6)


def test_blocks_do_not_matter() -> None:
    xr.testing.assert_identical(sample(scene(3), four_fields()), sample(scene(None), four_fields()))


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "parquet"])
def test_any_vector_file_in_any_system_is_read(suffix: str, tmp_path: Path) -> None:
    path, elsewhere = tmp_path / f"fields.{suffix}", four_fields().to_crs("EPSG:4326")
    elsewhere.to_parquet(path) if suffix == "parquet" else elsewhere.to_file(path)
    xr.testing.assert_identical(sample(scene(), path), sample(scene(), four_fields()))


def test_labels_of_any_type_become_text() -> None:
    assert set(sample(scene(), four_fields([1, 2, 1, 2])).label.values) == {"1", "2"}
    assert set(sample(scene(), four_fields([1.0, 2.0, np.nan, 2.0])).label.values) == {"1", "2"}
    assert set(sample(scene(), four_fields(["a", "b", None, "  "])).label.values) == {"a", "b"}


def test_a_margin_is_in_metres_whatever_the_system() -> None:
    inner = sample(scene(), four_fields(), buffer=10)
    assert np.bincount(inner.field).tolist() == [4] * 4
    west, south, east, north = four_fields().to_crs("EPSG:4326").total_bounds
    coords = {"y": np.linspace(north, south, 60), "x": np.linspace(west, east, 60), "band": ["VV"]}
    degrees = xr.DataArray(decibels(0, (2, 1, 60, 60)), coords, ("time", "band", "y", "x"))
    degrees = degrees.assign_coords(time=scene().time[:2].values).rio.write_crs("EPSG:4326")
    shrunk = [sample(degrees, four_fields(), buffer=b).sizes["series"] for b in (0, 10)]
    assert 0.2 < shrunk[1] / shrunk[0] < 0.3


def test_small_fields_are_left_out_and_large_ones_capped() -> None:
    fields = four_fields()
    fields.loc[4] = ["Barley", 4, box(WEST + 41, NORTH - 9, WEST + 49, NORTH - 1)]
    assert np.bincount(sample(scene(), fields).field).tolist() == [16, 16, 16, 16, 1]
    series = sample(scene(), fields, min_pixels=2, max_pixels=3)
    assert np.bincount(series.field).tolist() == [3] * 4
    assert series.attrs["fields_left_out"] == 1


def test_draws_depend_on_the_seed_and_on_nothing_else() -> None:
    draws = [sample(scene(), four_fields(), max_pixels=5, unlabelled=7, seed=seed) for seed in (0, 0, 1)]
    xr.testing.assert_identical(draws[0], draws[1])
    assert not draws[0].row.equals(draws[2].row)


def test_unlabelled_pixels_come_from_outside_and_from_fields_without_a_label() -> None:
    series = sample(scene(), four_fields(["a", "b", None, "b"]), unlabelled=1000)
    nameless = series.isel(series=np.flatnonzero(series.label == ""))
    assert set(nameless.field.values) == {-1, 2}
    assert nameless.sizes["series"] == 16 + 16
    assert sample(scene(), four_fields(), unlabelled=5).sizes["series"] == 64 + 5
    # the margin of a field is not outside it
    margin = sample(scene(), four_fields(), buffer=10, unlabelled=1000)
    assert (margin.field == -1).sum() == 16


def test_a_pixel_in_two_fields_belongs_to_the_first() -> None:
    fields = gpd.GeoDataFrame({"crop": ["a", "b"]}, geometry=[box(WEST, NORTH - 40, WEST + 40, NORTH)] * 2, crs=32630)
    fields.loc[1, "geometry"] = box(WEST, NORTH - 40, WEST + 60, NORTH)
    assert np.bincount(sample(scene(), fields).field).tolist() == [16, 8]


def test_points_take_the_pixel_they_lie_in() -> None:
    points = gpd.GeoDataFrame({"crop": ["a", "b"]}, geometry=[Point(WEST + 1, NORTH - 1), Point(WEST + 29, NORTH - 71)])
    series = sample(scene(), points.set_crs("EPSG:32630"))
    assert (series.row.values.tolist(), series.col.values.tolist()) == ([0, 7], [0, 2])


CORNER = some.tuples(some.floats(-20, 120, width=32), some.floats(-20, 100, width=32))


@settings(max_examples=30)
@given(some.lists(some.lists(CORNER, min_size=3, max_size=3, unique=True), min_size=1, max_size=3))
def test_a_pixel_belongs_to_the_field_that_holds_its_centre(corners: list[list[tuple[float, float]]]) -> None:
    shapes = gpd.GeoSeries([Polygon([(WEST + x, NORTH - y) for x, y in each]) for each in corners], crs="EPSG:32630")
    owner = field_of_pixels(shapes, Grid.of(scene(None)))
    for row in range(ROWS):
        for column in range(COLUMNS):
            centre = Point(WEST + 10 * column + 5, NORTH - 10 * row - 5)
            if (shapes.boundary.distance(centre) < 1e-3).any():
                continue  # on the very boundary either answer is right
            holding = np.flatnonzero(shapes.contains(centre))
            assert owner[row, column] == (holding[0] if holding.size else -1)


def with_gaps() -> xr.DataArray:
    cube = scene(None)
    cube[1, 0, 0, 0] = np.nan  # field 0
    cube[0, 1, 0, 7] = np.nan  # field 1, its first date
    cube[:4, 0, 7, 0] = np.nan  # field 2, all but one
    return cube


def test_series_with_gaps_are_dropped_and_said_date_by_date() -> None:
    series = sample(with_gaps(), four_fields())
    assert (series.sizes["series"], series.attrs["dropped"]) == (61, 3)
    np.testing.assert_allclose(series.missing * 64, [2, 2, 1, 1, 0])
    assert not np.isnan(series.x).any()


def test_pixels_beside_the_images_are_dropped_and_no_date_is_blamed() -> None:
    cube = scene(None)
    cube[..., 4:6] = np.nan  # the columns between the fields
    series = sample(cube, four_fields(), unlabelled=10)
    assert (series.sizes["series"], series.attrs["dropped"]) == (64, 10)
    assert not series.missing.any()


def test_gaps_are_filled_in_time_on_request_and_marked() -> None:
    cube = with_gaps()
    series = sample(cube, four_fields(), fill=True)
    assert (series.sizes["series"], series.attrs["dropped"]) == (63, 1)  # a single value is no series
    first = series.isel(series=int(np.flatnonzero((series.row == 0) & (series.col == 0))[0]))
    before, after = float(cube[0, 0, 0, 0]), float(cube[2, 0, 0, 0])
    assert float(first.x[0, 1]) == pytest.approx(before + (after - before) * 6 / 18, rel=1e-6)  # 6 of 18 days
    assert first.filled.values.tolist() == [False, True, False, False, False]
    assert int(series.filled.sum()) == 2


def _filled_slowly(x: np.ndarray, days: np.ndarray) -> np.ndarray:
    """The definition: a loop over series and bands."""
    out = x.copy()
    for series in out.reshape(-1, x.shape[2]):
        here = ~np.isnan(series)
        if here.any():
            series[~here] = np.interp(days[~here], days[here], series[here])
    return out


@given(some.data())
def test_filling_is_linear_interpolation_with_flat_ends(data: some.DataObject) -> None:
    shape = data.draw(array_shapes(min_dims=3, max_dims=3, max_side=6))
    value = some.floats(-30, 5, width=32) | some.just(np.nan)
    x = data.draw(arrays("float32", shape, elements=value))
    steps = data.draw(some.lists(some.integers(1, 24), min_size=shape[2], max_size=shape[2]))
    days = np.cumsum(steps)
    times = np.datetime64("2017-01-01", "ns") + days * np.timedelta64(1, "D")
    np.testing.assert_allclose(filled_in_time(x, times), _filled_slowly(x, days), rtol=1e-5, atol=1e-5)


LABELS = some.lists(some.sampled_from(["", "Wheat", "Maize", "Cotton", "Rice"]), min_size=2, max_size=30)


@given(LABELS, some.floats(0.05, 0.95), some.integers(0, 5))
def test_no_field_straddles_the_split_and_every_class_that_can_is_on_both_sides(
    labels: list[str], test: float, seed: int
) -> None:
    fields = [i if label else -1 for i, label in enumerate(labels)]
    counts = {label: labels.count(label) for label in set(labels) - {""}}
    if max(counts.values(), default=0) < 2:
        return
    pixels = {"label": ("series", np.repeat(labels, 3)), "field": ("series", np.repeat(fields, 3))}
    train, held = split_by_field(xr.Dataset(pixels), test=test, seed=seed)
    assert train.sizes["series"] + held.sizes["series"] == 3 * len(labels)
    assert not set(train.field.values) & set(held.field.values)
    assert "" not in held.label.values
    assert set(held.label.values) == {label for label, n in counts.items() if n > 1}
    assert set(counts) <= set(train.label.values)
    assert train.attrs["only_in_train"] == sorted(label for label, n in counts.items() if n == 1)


def test_the_share_of_fields_tested_on_is_the_one_asked_for() -> None:
    labels = np.repeat(["Wheat", "Maize"], 20)
    series = xr.Dataset({"label": ("series", labels), "field": ("series", np.arange(40))})
    _, held = split_by_field(series, test=0.3)
    assert np.unique(held.label, return_counts=True)[1].tolist() == [6, 6]
    assert not split_by_field(series, test=0.3, seed=1)[1].field.equals(held.field)


def test_real_fields_become_series_and_two_sides(antwerp: Path) -> None:
    series = sample(open_cube(antwerp, start="2018-11-24"), antwerp / "fields.gpkg")
    assert dict(series.sizes) == {"series": 680, "band": 2, "time": 61}
    train, test = split_by_field(series, seed=0)
    assert train.attrs["only_in_train"] == ["Winter cereal", "Winter wheat"]
    assert set(test.label.values) == {"Maize", "Permanent grass crops", "Potatoes"}
