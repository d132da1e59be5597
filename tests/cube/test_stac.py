"""A STAC collection is the same cube as its images, and what it points at is not trusted."""

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import xarray as xr
from affine import Affine

from sitscope.cube import catalog
from sitscope.cube.grid import Grid
from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube
from sitscope.cube.source import Source
from sitscope.errors import BadInput
from small_scenes import PIXEL, PLACE, decibels, write_image
from stac_api import serving
from stac_items import item_of, write_cog, write_items

SIZE = (70, 90)
DAYS = ("2017-01-03T06:30:00", "2017-01-15T06:30:01", "2017-01-27T06:30:02")


def season(folder: Path, **options: Any) -> list[dict[str, Any]]:
    """Three items of two bands, each named by its asset."""
    folder.mkdir(exist_ok=True)
    return [
        item_of(folder, f"S1_{i}", day, {"vv": decibels(i, SIZE), "vh": decibels(10 + i, SIZE)}, **options)
        for i, day in enumerate(DAYS)
    ]


def test_a_collection_of_items_is_the_cube_of_its_images(tmp_path: Path) -> None:
    cube = open_cube(write_items(tmp_path, season(tmp_path)))
    assert cube.band.values.tolist() == ["VV", "VH"]
    assert cube.orbit.values.tolist() == ["74"] * 3
    assert [str(time)[:19] for time in cube.time.values] == list(DAYS)
    assert Grid.of(cube) == Grid(cube.rio.crs, PLACE, *SIZE)
    for i in range(3):
        np.testing.assert_array_equal(cube[i, 0], decibels(i, SIZE))
        np.testing.assert_array_equal(cube[i, 1], decibels(10 + i, SIZE))
    np.testing.assert_array_equal(cube[1, :, 7:9, 3], cube.compute()[1, :, 7:9, 3])


def test_items_in_memory_a_single_one_and_a_static_catalog_are_read_too(tmp_path: Path) -> None:
    items = season(tmp_path)
    whole = open_cube(write_items(tmp_path, items)).compute()
    for item in items:
        (tmp_path / f"{item['id']}.json").write_text(json.dumps(item))
    links = [{"rel": "item", "href": f"./{item['id']}.json"} for item in items]
    (tmp_path / "collection.json").write_text(json.dumps({"type": "Collection", "links": links}))
    root = [{"rel": "child", "href": "collection.json"}, {"rel": "self", "href": "https://example.org/catalog.json"}]
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "links": root}))
    assert open_cube(tmp_path / "catalog.json").equals(whole)
    assert open_cube(tmp_path / "S1_0.json").equals(whole[:1])
    held = pystac.ItemCollection([pystac.Item.from_file(str(tmp_path / f"{item['id']}.json")) for item in items])
    assert open_cube(held).equals(whole)
    assert open_cube(list(held)).equals(whole)


def test_slices_of_one_pass_lie_side_by_side_and_other_passes_do_not(tmp_path: Path) -> None:
    north, south = decibels(1, SIZE), decibels(2, SIZE)
    north[60:] = np.nan  # the next slice begins within this one
    below = PLACE * Affine.translation(0, 60)
    items = [
        item_of(tmp_path, "north", "2017-01-03T23:59:50", {"vv": north}),
        item_of(tmp_path, "south", "2017-01-04T00:00:15", {"vv": south}, transform=below),
        item_of(tmp_path, "later", "2017-01-15T23:59:50", {"vv": decibels(3, SIZE)}),
    ]
    cube = open_cube(write_items(tmp_path, items))
    assert [str(time)[:10] for time in cube.time.values] == ["2017-01-03", "2017-01-15"]  # over midnight, one date
    assert cube.shape == (2, 1, 130, 90)
    np.testing.assert_array_equal(cube[0, 0, :60], north[:60])
    np.testing.assert_array_equal(cube[0, 0, 60:], south)
    assert np.isnan(cube[1, 0, 70:]).all()
    items.append(item_of(tmp_path, "evening", "2017-01-03T23:58:00", {"vv": north}, orbit=(8, "descending")))
    with pytest.raises(BadInput, match=r"orbits are mixed: 74 ascending \(2 dates\), 8 descending \(1 dates\)"):
        open_cube(write_items(tmp_path, items))
    assert open_cube(write_items(tmp_path, items), orbit="8").sizes["time"] == 1


def test_scale_offset_and_nodata_are_those_of_the_item(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(1, 5000, SIZE).astype("uint16")
    stored[:2] = 0
    first = {"scale": 0.0001, "offset": -0.1, "nodata": 0}
    items = [
        item_of(tmp_path, "a", DAYS[0], {"B04": stored}, said=first, nodata=None),
        item_of(tmp_path, "b", DAYS[1], {"B04": stored}, said=first | {"offset": 0}, nodata=None),
    ]
    cube = open_cube(write_items(tmp_path, items))
    wanted = np.where(stored == 0, np.nan, stored * np.float32(0.0001))
    np.testing.assert_allclose(cube[0, 0], wanted - 0.1, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cube[1, 0], wanted, rtol=1e-5, atol=1e-6)
    assert cube.attrs["units"] == "1"


def test_bands_are_named_by_asset_or_by_their_own_names(tmp_path: Path) -> None:
    item = item_of(tmp_path, "a", DAYS[0], {"red": decibels(1, SIZE)}, said={})
    item["assets"]["red"]["eo:bands"] = [{"name": "B04", "common_name": "red"}]
    write_image(tmp_path / "both.tif", np.stack([decibels(2, SIZE), decibels(3, SIZE)]))
    both = {"href": "both.tif", "type": "image/tiff", "eo:bands": [{"name": "VV"}, {"name": "VH"}]}
    item["assets"]["data"] = both | {"raster:bands": [{"unit": "dB"}, {"unit": "dB"}]}
    item["assets"]["thumbnail"] = {"href": "no.jpg", "type": "image/jpeg", "roles": ["thumbnail"]}
    path = write_items(tmp_path, [item])
    assert open_cube(path).band.values.tolist() == ["VV", "VH", "red"]
    np.testing.assert_array_equal(open_cube(path, bands=["VH", "B04"])[0], [decibels(3, SIZE), decibels(1, SIZE)])
    with pytest.raises(BadInput, match="no item has an image that holds B08"):
        open_cube(path, bands=["B08"])


def test_units_are_never_guessed(tmp_path: Path) -> None:
    power = 10 ** (decibels(1, SIZE) / 10)
    item = item_of(tmp_path, "a", DAYS[0], {"vv": power}, said={})
    with pytest.raises(BadInput, match=r"no tag or attribute says whether VV"):
        open_cube(write_items(tmp_path, [item]))
    known = write_items(tmp_path, [item | {"collection": "sentinel-1-rtc"}])
    np.testing.assert_allclose(open_cube(known)[0, 0], decibels(1, SIZE), atol=1e-4)


def test_items_on_several_grids_are_refused_or_brought_to_one(tmp_path: Path) -> None:
    items = season(tmp_path)
    far = Affine(PIXEL, 0, 223_000.0, 0, -PIXEL, 4_103_000.0)  # the same place in the zone to the east
    items.append(item_of(tmp_path, "east", "2017-02-08T06:30:00", {"vv": decibels(9, (400, 400))}, crs="EPSG:32631",
                         transform=far))  # fmt: skip
    path = write_items(tmp_path, items)
    with pytest.raises(BadInput, match=r"2 different grids: VV of S1_0.*EPSG:32630.*EPSG:32631.*--like most"):
        open_cube(path)
    cube = open_cube(path, bands=["VV"], grid={"like": "most"})
    assert Grid.of(cube) == Grid(cube.rio.crs, PLACE, *SIZE)
    np.testing.assert_array_equal(cube[0, 0], decibels(0, SIZE))  # not touched
    assert cube.sizes["time"] == 4


def test_what_items_point_at_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "stac"
    item = season(folder)[0]
    outside = write_cog(tmp_path / "outside.tif", decibels(0, SIZE))
    (folder / "link.tif").symlink_to(outside)
    (folder / "fake.tif").write_text(f"<VRTDataset><SourceFilename>{outside}</SourceFilename></VRTDataset>")
    for href, says in (
        ("../outside.tif", "outside the folder"),
        (str(outside), "outside the folder"),
        ("link.tif", "outside the folder"),
        ("file:///etc/passwd", "outside the folder"),
        ("/vsicurl/http://127.0.0.1/a.tif", r"Only files and http\(s\) are read"),
        ("s3://bucket/a.tif", r"Only files and http\(s\) are read"),
        ("/vsizip/a.zip/a.tif", r"Only files and http\(s\) are read"),
        ("fake.tif", "neither a GeoTIFF nor JPEG 2000"),
        ("gone.tif", "cannot be read"),
        ("", r"Only files and http\(s\) are read"),
    ):
        item["assets"]["vv"]["href"] = href
        with pytest.raises(BadInput, match=says):
            open_cube(write_items(folder, [item]))
        open_cube(write_items(folder, [item]), bands=["vh"])  # what is not asked for is not opened
    links = [{"rel": "item", "href": "../../etc/passwd"}]
    (folder / "catalog.json").write_text(json.dumps({"type": "Catalog", "links": links}))
    with pytest.raises(BadInput, match="a STAC link points at"):
        open_cube(folder / "catalog.json")
    item["assets"]["vv"]["href"] = str(outside)
    held = pystac.Item.from_dict(item)
    assert open_cube([held], bands=["vv"]).shape == (1, 1, *SIZE)  # who has items in memory has chosen them


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read as STAC"),
        ("[" * 100_000, "cannot be read as STAC"),
        ('{"type": "FeatureCollection", "features": []}', "no STAC item in"),
        ('{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": null}]}', "without assets"),
        ('{"type": "Polygon"}', "its type is 'Polygon'"),
        ('{"type": "Feature", "assets": {"a": {}}}', "no valid STAC"),
    ],
)
def test_files_that_are_no_items_are_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "items.json").write_text(text)
    with pytest.raises(BadInput, match=says):
        open_cube(tmp_path / "items.json")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[str]:
    """A STAC API on this machine, and its images."""
    with serving(tmp_path / "served", season(tmp_path / "served")) as address:
        yield address


def test_a_search_is_a_small_file_and_its_images_come_over_http(api: str, tmp_path: Path) -> None:
    search = tmp_path / "search.toml"
    search.write_text(f'api = "{api}"\ncollections = ["radar"]\ndatetime = "2017-01-01/2017-01-20"\n')
    cube = open_cube(search)
    assert cube.sizes["time"] == 2
    np.testing.assert_array_equal(cube[1, 1], decibels(11, SIZE))
    assert open_cube({"api": api, "collections": ["radar"]}).sizes["time"] == 3
    made = ingest(search, tmp_path / "CUBE.zarr")
    xr.testing.assert_identical(open_cube(made).load(), cube.load())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("api = ", "cannot be read as a search"),
        ("collections = ['a']", "names no api"),
        ("api = 'ftp://a'\ncollections = ['a']", "Give its address"),
        ("api = 'http://127.0.0.1:9'\n", "names no collections"),
        ("api = 'http://127.0.0.1:9'\ncollections = ['a']\nbox = 1", "a search knows no box"),
        ("api = 'http://127.0.0.1:9'\ncollections = ['a']", "the search of http://127.0.0.1:9 failed"),
    ],
)
def test_searches_that_cannot_be_are_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "search.toml").write_text(text)
    with pytest.raises(BadInput, match=says):
        open_cube(tmp_path / "search.toml")


def test_what_a_server_finds_may_not_point_at_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = season(tmp_path)[0]
    item["assets"]["vv"]["href"] = str(tmp_path / item["assets"]["vv"]["href"])
    monkeypatch.setattr(catalog, "_searched", lambda _: [pystac.Item.from_dict(item)])
    with pytest.raises(BadInput, match=r"has an address that is not read: no http\(s\)"):
        open_cube({"api": "http://127.0.0.1:9"}, bands=["vv"])


def test_another_process_opens_the_same_items(tmp_path: Path) -> None:
    items = season(tmp_path)
    path = write_items(tmp_path, items)
    source = Source.of(path, {"bands": ["VV"]})
    assert source.portable
    there = pickle.loads(pickle.dumps(source))
    assert there.open().equals(open_cube(path, bands=["VV"]))
    before = source.fingerprint()
    assert there.fingerprint() == before
    write_cog(tmp_path / "S1_0_vv.tif", decibels(99, (71, 90)))
    assert source.fingerprint() != before
    assert not Source.of([pystac.Item.from_dict(items[0])], {}).portable


def test_without_the_extra_it_says_which_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_items(tmp_path, season(tmp_path))
    monkeypatch.setitem(sys.modules, "pystac", None)
    monkeypatch.setattr(catalog, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install sitscope\[stac\]"):
        open_cube(path)
