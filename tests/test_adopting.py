"""An embedding that somebody else computed: our own comes out as it was, and what is said without dates."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from sitscope.adopting import adopt
from sitscope.autoencoder.network import Settings
from sitscope.classes.codebook import Codebook
from sitscope.cube.reading import open_cube
from sitscope.job import run
from sitscope.settings import RunSettings
from sitscope.simulation.scene import simulate, write_scene

SMALL = RunSettings(
    clusters=8,
    max_pixels=20,
    buffer=10.0,
    seed=3,
    autoencoder=Settings(
        dims=3, filters=(8, 8), kernels=(5, 3), strides=(1, 1), pooling=(2, 2), hidden=(16,), epochs=4
    ),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene and a run on it."""
    folder = tmp_path_factory.mktemp("home")
    write_scene(simulate(fields=60, field_px=8, seed=1), folder / "scene")
    run(folder / "scene", folder / "scene" / "fields.gpkg", folder / "RUN", SMALL)
    return folder


@pytest.fixture(scope="module")
def adopted(home: Path) -> Path:
    """The embedding of that run, as if somebody else had computed it, with the images beside it."""
    out = home / "ADOPTED"
    embedding = home / "RUN" / "maps" / "embedding.tif"
    adopt(embedding, home / "scene" / "fields.gpkg", out, SMALL, images=home / "scene")
    return out


def same_table(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_the_embedding_of_a_run_gives_the_clusters_classes_and_scores_of_the_run(home: Path, adopted: Path) -> None:
    """The law, to the last bit: same draws, same split, same clusters."""
    ran, found = home / "RUN", adopted
    for name in ("scores.json", "confusion.csv", "model/codebook.json"):
        assert (found / name).read_bytes() == (ran / name).read_bytes(), name
    same_table(pd.read_parquet(found / "samples.parquet"), pd.read_parquet(ran / "samples.parquet"))
    ours, theirs = xr.open_zarr(found / "atlas.zarr"), xr.open_zarr(ran / "atlas.zarr")
    for name in ("cluster", "class", "confidence"):
        np.testing.assert_array_equal(ours[name].values, theirs[name].values, err_msg=name)
        assert ours[name].attrs == theirs[name].attrs
    for name in ("class", "cluster", "confidence"):
        assert (found / "maps" / f"{name}.tif").read_bytes() == (ran / "maps" / f"{name}.tif").read_bytes()
    ours, theirs = gpd.read_parquet(found / "fields.parquet"), gpd.read_parquet(ran / "fields.parquet")
    shared = [name for name in ours.columns if name != "geometry"]
    assert {"label", "split", "series", "pixels", "predicted", "share", "e1", "e2", "e3", "confidence"} <= set(shared)
    same_table(pd.DataFrame(ours[shared]), pd.DataFrame(theirs[shared]))
    pixels = pd.read_parquet(ran / "pixels.parquet").drop_duplicates(["by", "name", "dim"])
    columns = ["by", "name", "dim", "n", "embedding", "confidence"]
    same_table(pd.read_parquet(found / "pixels.parquet")[columns], pixels[columns].reset_index(drop=True))


def test_the_law_holds_for_the_table_of_the_run_too(home: Path, tmp_path: Path) -> None:
    """Where no series was left out of samples.parquet: the same clusters and scores from a table without places."""
    run_samples = pd.read_parquet(home / "RUN" / "samples.parquet").sort_values(["row", "col"])
    run_samples.to_parquet(tmp_path / "table.parquet")
    findings = adopt(tmp_path / "table.parquet", None, tmp_path / "OUT", SMALL)
    scores = json.loads((tmp_path / "OUT" / "scores.json").read_text())
    assert scores == json.loads((home / "RUN" / "scores.json").read_text())
    assert findings.maps is None
    assert not (tmp_path / "OUT" / "maps").exists()


def test_what_cannot_be_said_is_said_plainly(adopted: Path, home: Path, tmp_path: Path) -> None:
    report = (adopted / "report.html").read_text()
    assert "What cannot be said" in report
    assert "Which acquisitions it looks at" in report
    assert "there is no encoder to ask" in report
    assert "Where the images part them" in report
    for word in ("Grad-SLAM", "Importance says how strongly", "The training"):
        assert word not in report
    names = {path.name for path in (adopted / "figures").iterdir()}
    assert {f"{name}.png" for name in ("scene", "confusion", "embedding", "clusters", "apart")} <= names
    assert not {"importance_overview.png", "peak_dates.png", "losses.png"} & names
    facts = json.loads((adopted / "run.json").read_text())
    assert facts["kind"] == "adopted"
    assert facts["data"]["dimensions"] == 3
    assert "autoencoder" not in facts["settings"]


def test_the_images_say_where_confused_classes_differ(adopted: Path, home: Path) -> None:
    """A slow twin: the difference of means over fields, from the images again."""
    pairs = json.loads((adopted / "parting.json").read_text())
    scores = json.loads((adopted / "scores.json").read_text())
    assert pairs
    assert all(pair["share"] >= 0.1 for pair in pairs)
    names = list(scores["recall"])
    first = pairs[0]
    row = np.array(scores["confusion"])[names.index(first["truth"])]
    total = row.sum() + scores["unclassified"][names.index(first["truth"])]
    assert first["share"] == pytest.approx(row[names.index(first["predicted"])] / total)
    cube = open_cube(home / "scene").load()
    assert first["dates"] == [str(t)[:19].removesuffix("T00:00:00") for t in cube.time.values]
    assert set(first["difference"]) == {"VV", "VH"}
    assert any(any(pair["parts"]) for pair in pairs)
    assert len({frozenset((pair["truth"], pair["predicted"])) for pair in pairs}) == len(pairs)
    for pair in pairs:
        kept = pair["embedded"]
        assert 0 <= kept["low"] <= kept["jm"] <= kept["high"] <= 2
        assert ("it parts them" in pair["said"]) == (kept["jm"] >= 1 and kept["low"] > 0.2349)
    report = (adopted / "report.html").read_text()
    assert first["said"].replace("&", "&amp;") in report


def test_without_images_the_report_names_the_remedy(home: Path, tmp_path: Path) -> None:
    atlas = home / "RUN" / "atlas.zarr"
    adopt(atlas, home / "scene" / "fields.gpkg", tmp_path / "OUT", SMALL)
    assert (tmp_path / "OUT" / "scores.json").read_bytes() == (home / "RUN" / "scores.json").read_bytes()
    report = (tmp_path / "OUT" / "report.html").read_text()
    assert "given with --images" in report
    assert "Where the images part them" not in report


def test_maps_are_those_of_the_codebook_pixel_by_pixel(adopted: Path, home: Path) -> None:
    book = Codebook.load(adopted / "model" / "codebook.json")
    with rasterio.open(home / "RUN" / "maps" / "embedding.tif") as source:
        values = source.read()
    with rasterio.open(adopted / "maps" / "class.tif") as source:
        classes = source.read(1)
    with rasterio.open(adopted / "maps" / "components.tif") as source:
        components = source.read()
        assert source.count == 3
    known = np.argwhere(np.isfinite(values).all(axis=0))
    for row, col in known[:: len(known) // 11]:
        assert classes[row, col] == book.classify(values[:, row, col][None])[0] + 1
    missing = np.isnan(values).any(axis=0)
    assert missing.any()
    assert (classes[missing] == 0).all()
    assert np.isnan(components[:, missing]).all()
    spread = np.nanvar(components, axis=(1, 2))
    assert (np.diff(spread) < 0).all()
