"""Every map of an atlas opens in GDAL and QGIS with its values, colours and names, or is not there at all."""

import shutil
from pathlib import Path
from xml.etree import ElementTree as xml

import numpy as np
import pytest
import rasterio
import xarray as xr
from rio_cogeo import cog_validate

from sitscope.classes.codebook import Codebook
from sitscope.folder import RunFolder
from sitscope.mapping.products import write_maps
from sitscope.showing.colours import class_colours

NAMES = ["class", "cluster", "confidence", "embedding", "peak_date_1", "peak_date_2"]
NAMES += ["peak_importance_1", "peak_importance_2"]


@pytest.mark.filterwarnings("ignore:Use `@` matmul")  # of rioxarray's
def test_every_map_is_a_strict_cog_with_its_values(folder: Path, maps: xr.Dataset) -> None:
    assert sorted(path.stem for path in (folder / "maps").glob("*.tif")) == NAMES
    for path in (folder / "maps").glob("*.tif"):
        assert cog_validate(path, strict=True) == (True, [], []), path.name
        assert path.with_suffix(".qml").exists()
        name, _, dim = path.stem.rpartition("_")
        map_ = maps[path.stem] if path.stem in maps else maps[name].sel(dim=int(dim))
        with rasterio.open(path) as source:
            np.testing.assert_array_equal(source.read().squeeze(), map_.values)
            assert source.crs == maps.rio.crs
            assert source.transform.almost_equals(maps.rio.transform(recalc=True))


def renderer(path: Path) -> xml.Element:
    found = xml.parse(path).getroot().find("./pipe/rasterrenderer")
    assert found is not None
    return found


def test_clusters_are_named_after_their_class(folder: Path, book: Codebook) -> None:
    entries = renderer(folder / "maps" / "cluster.qml").iter("paletteEntry")
    assert [each.get("label") for each in entries] == ["1: Maïs", "2: Sugar Beet", "3: no class", "4: Winter wheat"]
    entries = renderer(folder / "maps" / "class.qml").iter("paletteEntry")
    colours = class_colours(book.classes)
    assert {each.get("label"): each.get("color") for each in entries} == colours


def test_importance_is_grey_at_zero_and_confidence_runs_from_0_to_1(folder: Path, maps: xr.Dataset) -> None:
    found = renderer(folder / "maps" / "peak_importance_1.qml")
    low, high = (float(found.get(f"classification{end}", "")) for end in ("Min", "Max"))
    assert low == -high
    assert high == pytest.approx(np.nanpercentile(np.abs(maps.peak_importance.sel(dim=1)), 98), rel=0.05)
    items = [(float(each.get("value", "")), each.get("color")) for each in found.iter("item")]
    assert (items[0][1], items[4], items[8][1]) == ("#0b3c8c", (0.0, "#dcdad7"), "#8c0a25")
    found = renderer(folder / "maps" / "confidence.qml")
    assert (found.get("classificationMin"), found.get("classificationMax")) == ("0", "1")


def test_maps_of_any_chunks_are_the_same_bytes(
    tmp_path: Path, maps: xr.Dataset, book: Codebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeat = {"y": np.arange(700) % maps.sizes["y"], "x": np.arange(900) % maps.sizes["x"]}
    y, x = 4_000_000 - 10.0 * np.arange(700), 500_000 + 10.0 * np.arange(900)
    large = maps.isel(repeat).assign_coords(y=y, x=x)
    monkeypatch.setattr("sitscope.cube.writing.WINDOW_BYTES", 4 * 512 * 512)  # several windows each
    write_maps(large, tmp_path / "whole", book)
    write_maps(large.chunk({"y": 256, "x": 300, "dim": 1}), tmp_path / "chunked", book)
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "chunked").iterdir())
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "chunked" / name).read_bytes(), name


def test_progress_is_told_to_the_end_and_an_atlas_without_confidence_is_fine(
    tmp_path: Path, maps: xr.Dataset, book: Codebook
) -> None:
    told: list[tuple[int, int]] = []
    write_maps(maps.drop_vars("confidence"), tmp_path, book, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (700, 700)
    assert len({done for done, _ in told}) >= 14
    assert not (tmp_path / "confidence.tif").exists()


def test_each_chunk_is_computed_once(tmp_path: Path, maps: xr.Dataset, book: Codebook) -> None:
    computed: list[tuple[int, ...]] = []

    def watched(block: np.ndarray) -> np.ndarray:
        if block.size:  # dask asks for the type of nothing first
            computed.append(block.shape)
        return block

    lazy = maps.chunk({"y": 16, "x": 20, "dim": 1})
    once = xr.apply_ufunc(watched, lazy["embedding"], dask="parallelized", output_dtypes=["float32"])
    write_maps(lazy.assign(embedding=once.assign_attrs(maps.embedding.attrs)), tmp_path, book)
    assert len(computed) - computed.count((1, 1, 1)) <= once.data.npartitions


def test_a_map_that_is_there_is_replaced(tmp_path: Path, maps: xr.Dataset, book: Codebook) -> None:
    for name in ("class.tif", "class.qml"):
        (tmp_path / name).write_text("old")
    write_maps(maps, tmp_path, book)
    assert cog_validate(tmp_path / "class.tif", strict=True)[0]
    assert (tmp_path / "class.qml").read_text().startswith("<qgis")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_marks_of_what_is_done_stay_until_the_folder_has_its_name(folder: Path, book: Codebook, tmp_path: Path) -> None:
    """A disk may be full when the GeoTIFFs are written: the blocks that were mapped are not lost."""
    unfinished = shutil.copytree(folder, tmp_path / "RUN.partial")
    (unfinished / "done").mkdir()
    RunFolder(unfinished).write_maps(book)
    assert (unfinished / "done").exists()
    RunFolder(unfinished).finish(tmp_path / "RUN")
    assert sorted(path.name for path in (tmp_path / "RUN").iterdir()) == ["atlas.zarr", "item.json", "maps", "model"]
