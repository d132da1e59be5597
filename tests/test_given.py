"""What is given with an embedding, and what is said of it before anything is believed."""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from shapely import box

from sitscope import cli
from sitscope.adopting import adopt
from sitscope.cube.splitting import split_by_field
from sitscope.given import CREDIT, notes, read_given
from sitscope.settings import RunSettings

N, D = 400, 6
FIELD = np.arange(N) // 10
LABEL = np.array(["Wheat", "Maize", "Rye", "Oat"])[FIELD % 4]
KNOWN = pd.DataFrame({"crop": LABEL, "field": FIELD})
SETTINGS = RunSettings(clusters=4)


def embedding(seed: int = 0, d: int = D) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(N, d)) + 6 * rng.normal(size=(4, d))[FIELD % 4]).astype(np.float32)


def said(e: np.ndarray, known: pd.DataFrame = KNOWN, **how: Any) -> str:
    given = read_given(e, known, SETTINGS, how)
    return " ".join(notes(given, split_by_field(given.series)[1], how))


def test_an_ordinary_embedding_gives_nothing_to_say() -> None:
    assert said(embedding()) == ""


def test_constant_dimensions_are_named() -> None:
    e = embedding()
    e[:, [1, 4]] = 3
    assert "2 of 6 dimensions are constant in the fields and say nothing: 2, 5." in said(e)


def test_a_dimension_that_outweighs_all_others_is_named() -> None:
    e = embedding()
    e[:, 2] *= 100
    assert "Dimension 3 has 100% of the variance of all 6" in said(e)


def test_one_embedding_again_and_again_is_doubted() -> None:
    e = embedding()
    e[:80] = 0
    assert "20% of the embeddings are one and the same (0 in all dimensions)" in said(e)


def test_missing_embeddings_are_counted_and_left_out() -> None:
    e = embedding()
    e[3], e[5, 2], e[9, 0] = np.nan, np.nan, np.inf
    assert "3 of 400 embeddings are missing (2 in some dimensions only)" in said(e)
    assert read_given(e, KNOWN, SETTINGS, {}).series.sizes["series"] == N - 3


def test_classes_that_differ_only_in_case_are_named() -> None:
    known = KNOWN.assign(crop=np.where(FIELD == 4, "wheat ", LABEL))
    assert "taken for different ones: Wheat and wheat." in said(embedding(), known)


def test_alphaearth_is_credited_as_its_licence_asks() -> None:
    e = np.clip(embedding() * 10, -127, 127).astype(np.int8)
    e[0] = -128
    text = said(e, dequantise="alphaearth")
    assert CREDIT in text
    assert "1 of 400 embeddings are missing and were left out." in text


@pytest.mark.parametrize("d", [1, 128])
def test_any_dimension_is_clustered_scored_and_drawn(d: int, tmp_path: Path) -> None:
    known = KNOWN.rename(columns={"crop": "label"})
    findings = adopt(embedding(d=d), known, tmp_path / "OUT", SETTINGS)
    assert findings.dims == d
    assert findings.scores.overall_accuracy > (0.3 if d == 1 else 0.99)
    assert (tmp_path / "OUT" / "figures" / "embedding.png").stat().st_size > 10_000
    assert f"embedding of {d} dimension" in (tmp_path / "OUT" / "report.html").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["OUT"]


def test_scale_and_offset_change_no_cluster_and_no_score(tmp_path: Path) -> None:
    """A law of k-means: what is stretched alike in all directions stays near what it was near to."""
    e = np.clip(embedding() * 10, -127, 127).astype(np.int8)
    plain = adopt(e, KNOWN, tmp_path / "A", SETTINGS, scale=1.0)
    scaled = adopt(e, KNOWN, tmp_path / "B", SETTINGS, scale=0.25, offset=8.0)
    assert (plain.scores.confusion == scaled.scores.confusion).all()
    assert (plain.samples.cluster.values == scaled.samples.cluster.values).all()
    np.testing.assert_allclose(scaled.centres, plain.centres * 0.25 + 8, rtol=1e-5)


@pytest.fixture
def degrees(tmp_path: Path) -> tuple[Path, Path]:
    """AlphaEarth's int8 in degrees, rows from the south, a strip masked; fields in metres, in another zone's system."""
    west, south, step = -5.9, 37.2, 0.0001
    rows, columns = 80, 120
    shapes = [
        box(west + 0.001 * i, south + 0.002 * j, west + 0.001 * (i + 1), south + 0.002 * (j + 1))
        for j in range(4)
        for i in range(12)
    ]
    names = np.array(["Wheat", "Maize", "Rye"])[np.arange(48) % 3]
    fields = gpd.GeoDataFrame({"crop": names}, geometry=shapes, crs="EPSG:4326").to_crs("EPSG:32630")
    fields.to_file(tmp_path / "fields.gpkg")
    rng = np.random.default_rng(0)
    kind = (np.arange(48) % 3).reshape(4, 12).repeat(20, axis=0).repeat(10, axis=1)
    e = rng.normal(size=(3, 64))[kind] + 0.4 * rng.normal(size=(rows, columns, 64))
    e /= np.linalg.norm(e, axis=2, keepdims=True)
    v = np.clip(np.rint(np.sign(e) * np.sqrt(np.abs(e)) * 127.5), -127, 127).astype(np.int8)
    v[:6] = -128
    place = {"crs": "EPSG:4326", "transform": Affine(step, 0, west, 0, step, south)}
    path = tmp_path / "AEF.tif"
    shape = {"count": 64, "height": rows, "width": columns, "dtype": "int8", "nodata": -128}
    with rasterio.open(path, "w", driver="GTiff", tiled=True, blockxsize=64, blockysize=64, **shape, **place) as target:
        target.write(v.transpose(2, 0, 1))
    return path, tmp_path / "fields.gpkg"


def test_alphaearth_in_degrees_and_fields_in_metres(degrees: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "OUT"
    findings = adopt(*degrees, out, RunSettings(clusters=3, min_pixels=40), dequantise="alphaearth")
    assert findings.scores.overall_accuracy > 0.98  # edges: a field bends a little between the systems
    fields = gpd.read_parquet(out / "fields.parquet")
    assert fields.crs.to_epsg() == 4326
    assert (fields.predicted[fields.pixels > 0] == fields.label[fields.pixels > 0]).all()
    norm = np.sqrt((fields[[f"e{i}" for i in range(1, 65)]] ** 2).sum(axis=1))
    assert norm[fields.pixels > 0].between(0.5, 1).all()  # a mean of vectors of length 1
    with rasterio.open(out / "maps" / "class.tif") as source:
        assert source.transform.e < 0
        assert source.crs.to_epsg() == 4326
        classes = source.read(1)
    assert (classes[-6:] == 0).all()
    assert (classes[:-6] > 0).all()
    facts = json.loads((out / "run.json").read_text())
    assert CREDIT in facts["notes"]
    assert facts["settings"]["dequantise"] == "alphaearth"
    assert facts["inputs"]["embedding"]["from_run"] == "../AEF.tif"


def test_the_report_of_an_array_counts_its_fields(tmp_path: Path) -> None:
    adopt(embedding(), KNOWN, tmp_path / "OUT", SETTINGS)
    report = (tmp_path / "OUT" / "report.html").read_text()
    assert "40 fields of 4 classes were used: 28 for training and 12 for the test" in report
    assert "A series is one row." in report
    assert "The embedding (array in memory) has 6 dimensions." in report


def test_the_command_prints_scores_for_programs_and_places_for_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "E.npz", embedding=embedding(), label=LABEL, field=FIELD)
    typed = ["sitscope", "adopt", "--embedding", str(tmp_path / "E.npz"), "--clusters", "4", "--out"]
    monkeypatch.setattr("sys.argv", [*typed, str(tmp_path / "A"), "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    printed = capsys.readouterr()
    assert json.loads(printed.out)["n_test"] == 120
    monkeypatch.setattr("sys.argv", [*typed, str(tmp_path / "B")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    assert "on 120 test series" in printed.err
    assert printed.out.split() == [
        "report",
        str(tmp_path / "B" / "report.html"),
        "figures",
        str(tmp_path / "B/figures"),
    ]
