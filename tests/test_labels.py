"""Labels checked from end to end: flipped fields come back, mistakes are told."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from typer.testing import CliRunner

from sitscope.autoencoder.per_class import Small, attributed, train
from sitscope.cli import app
from sitscope.errors import BadInput
from sitscope.job import run
from sitscope.labelling.checking import check_labels
from sitscope.labelling.judging import How, check
from sitscope.settings import RunSettings
from sitscope.simulation.crops import CROPS
from sitscope.simulation.scene import Scene, simulate

FOUR = tuple(c for c in CROPS if c.name in ("Cotton", "Sugar Beet", "Wheat", "Alfalfa"))
QUICK = How(repeats=1, network=Small(hidden=32, dims=4, steps=200))
SWAP = {"Cotton": "Sugar Beet", "Sugar Beet": "Cotton", "Wheat": "Cotton", "Alfalfa": "Sugar Beet"}


@pytest.fixture(scope="module")
def scene() -> Scene:
    return simulate(fields=100, field_px=7, crops=FOUR, seed=3)


@pytest.fixture(scope="module")
def flipped(scene: Scene) -> gpd.GeoDataFrame:
    """Every tenth field bears a wrong label; the true one is kept beside it."""
    fields = scene.fields.assign(true=scene.fields.crop)
    fields.loc[::10, "crop"] = fields.crop[::10].map(SWAP)
    return fields


@pytest.fixture(scope="module")
def checked(scene: Scene, flipped: gpd.GeoDataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("check") / "LABELS"
    check_labels(images=scene.cube, fields=flipped, out=out, how=QUICK)
    return out


def test_most_wrong_labels_are_found_with_their_class_and_hardly_a_right_one(checked: Path) -> None:
    table = gpd.read_parquet(checked / "labels.parquet")
    wrong = table.crop != table.true
    relabel = table.proposal == "relabel"
    right = relabel & wrong & (table.proposed == table.true)
    assert right.sum() >= 0.6 * wrong.sum()
    assert right.sum() >= 0.9 * relabel.sum()
    assert (table.proposal[~wrong] == "clean").mean() > 0.7
    assert table.place[right].eq("whole field").mean() > 0.8


def test_dates_that_betray_a_field_part_its_true_class_from_its_label(scene: Scene, checked: Path) -> None:
    table = gpd.read_parquet(checked / "labels.parquet")
    found = table[(table.proposal == "relabel") & (table.proposed == table.true)]
    agree = []
    for row in found.itertuples():
        pair = scene.truth[scene.truth.class_a.eq(row.crop) & scene.truth.class_b.eq(row.true)]
        jm = pair.set_index("date").jm.loc[scene.cube.time.values]
        agree.append(spearmanr(row.blame, jm).statistic)
    assert np.mean(agree) > 0.3


def test_what_is_written_says_the_same_everywhere(checked: Path) -> None:
    table = gpd.read_parquet(checked / "labels.parquet")
    for other in (gpd.read_file(checked / "labels.gpkg"), pd.read_csv(checked / "labels.csv", keep_default_na=False)):
        assert other.proposal.fillna("").tolist() == table.proposal.tolist()
        assert other.proposed.fillna("").tolist() == table.proposed.tolist()
    facts = json.loads((checked / "labels.json").read_text())
    assert facts["proposals"]["relabel"] == (table.proposal == "relabel").sum()
    page = (checked / "labels.html").read_text()
    assert page.count("<figure id=") == 2
    assert "http" not in page.replace("http://www.w3.org", "")
    judged = table[table.proposal != ""]
    assert judged.evidence.map(len).eq(61).all()
    # contributions to the margin and the classes' shares are all of it
    assert np.corrcoef(judged.evidence.map(sum), judged.margin)[0, 1] > 0.99


def test_a_finished_run_is_judged_by_the_series_it_kept(
    scene: Scene, flipped: gpd.GeoDataFrame, tmp_path: Path
) -> None:
    tiny = {"epochs": 1, "filters": (8,), "kernels": (5,), "strides": (1,), "pooling": (4,)}
    settings = RunSettings(max_pixels=20, autoencoder=tiny)
    run(scene.cube, flipped, tmp_path / "RUN", settings)
    found = CliRunner().invoke(app, ["check-labels", str(tmp_path / "RUN"), "--repeats", "1"], catch_exceptions=False)
    assert found.exit_code == 0
    assert "relabel" in found.stdout
    table = gpd.read_parquet(tmp_path / "RUN" / "labels" / "labels.parquet")
    wrong = flipped.crop != flipped.true
    assert (table.proposal == "relabel")[wrong].mean() > 0.5
    with pytest.raises(BadInput, match="already holds checked labels"):
        check_labels(tmp_path / "RUN")


def test_a_class_with_few_fields_is_left_out_aloud(scene: Scene) -> None:
    field = np.repeat(np.arange(40), 4)
    season = np.where(field < 19, 1, -1)[:, None, None] * np.sin(np.arange(12) / 2)
    label = np.repeat(["rye"] * 19 + ["oat"] * 19 + ["fig"] * 2, 4)
    found = check(season + np.random.default_rng(0).normal(0, 0.3, season.shape), field, label, how=QUICK)
    assert found.left_out == {"fig": 2}
    assert found.field.tolist() == list(range(38))


def test_mistakes_are_told(scene: Scene, tmp_path: Path) -> None:
    x, field = np.zeros((4, 1, 12)), np.arange(4)
    with pytest.raises(BadInput, match="fewer than two classes have 6 fields: oat 2, rye 2"):
        check(x, field, np.array(["rye", "rye", "oat", "oat"]))
    x = np.random.default_rng(0).normal(size=(24, 1, 12))
    x[3, 0, 2] = np.nan
    with pytest.raises(BadInput, match="1 of 24 series have missing values"):
        check(x, np.arange(24), np.repeat(["rye", "oat"], 12))
    with pytest.raises(BadInput, match="not both"):
        check_labels("RUN", scene.cube, scene.fields, tmp_path / "out")
    with pytest.raises(BadInput, match="have no labels"):
        check_labels(images=scene.cube)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"holds other things than checked labels \(thesis.txt\)"):
        check_labels(images=scene.cube, fields=scene.fields, out=tmp_path / "there")
    with pytest.raises(BadInput, match="holds no run"):
        check_labels(tmp_path / "nothing")


# ---- the autoencoders


def test_autoencoders_side_by_side_are_autoencoders_alone() -> None:
    z = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    network = train(z, np.arange(60) // 5, [np.arange(6), np.arange(6, 12)], Small(hidden=6, dims=2, steps=30))
    both = network(torch.as_tensor(z).expand(2, -1, -1))
    for i in range(2):
        encoder, decoder = network.alone(i)
        torch.testing.assert_close(decoder(encoder(torch.as_tensor(z))), both[i], atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(network.residual(i, z), z - both[i].detach().numpy(), atol=1e-5)


def test_a_trimmed_autoencoder_learns_the_majority() -> None:
    """Where a fifth of the fields is of another class, these are reconstructed worse than without trimming."""
    rng = np.random.default_rng(0)
    field = np.repeat(np.arange(60), 6)
    season = np.where(field[:, None] < 48, np.sin(np.arange(20) / 3), np.cos(np.arange(20) / 2))
    z = (season * rng.uniform(0.7, 1.3, 60)[field][:, None] + rng.normal(0, 0.3, season.shape)).astype(np.float32)
    settings = Small(hidden=4, dims=1, steps=80)
    ratio = {}
    for trim in (0.0, 0.4):
        residual = [train(z, field, [np.arange(60)], settings, trim=trim, seed=s).residual(0, z) for s in range(5)]
        error = np.mean([(each**2).mean(axis=1) for each in residual], axis=0)
        ratio[trim] = error[field >= 48].mean() / error[field < 48].mean()
    assert ratio[0.4] > 1.2 * ratio[0.0]


def test_blame_adds_up_to_the_error() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(30, 10)).astype(np.float32)
    network = train(z, np.arange(30) // 3, [np.arange(10)], Small(hidden=8, dims=2, steps=50))
    usual, variance = z.mean(axis=0), rng.uniform(0.5, 2, 10)
    found = attributed(network, 0, z, usual, variance)
    error = (network.residual(0, z) ** 2 / variance).mean(axis=1)
    start = (network.residual(0, usual[None]) ** 2 / variance).mean()
    np.testing.assert_allclose(found.sum(axis=1), error - start, rtol=0.03, atol=0.01)
