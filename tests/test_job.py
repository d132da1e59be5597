"""The main job, from GeoTIFFs on disk to the report: what it leaves, and that it can be believed."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Settings
from sitscope.classes.codebook import Codebook
from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import RunSettings, load_run, run, show
from sitscope.mapping.methods import PEAK_NODES
from sitscope.mapping.profiles import confusion, prediction, profiles
from sitscope.simulation.scene import Scene, simulate, write_scene

QUICK = RunSettings(
    clusters=8,
    max_pixels=20,
    autoencoder=Settings(filters=(8, 8), kernels=(5, 3), strides=(1, 1), pooling=(2, 2), hidden=(16,), epochs=4),
)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return simulate(fields=60, field_px=8, seed=1)


@pytest.fixture(scope="module")
def images(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(scene, folder)
    return folder


@pytest.fixture(scope="module")
def ran(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "RUN"
    run(images, images / "fields.gpkg", out, QUICK)
    return out


def test_the_run_folder_holds_what_the_next_command_needs(ran: Path) -> None:
    names = {str(p.relative_to(ran)) for p in ran.rglob("*") if p.is_file() and "atlas.zarr" not in p.parts}
    assert {
        "run.json",
        "scores.json",
        "confusion.csv",
        "profiles.parquet",
        "samples.parquet",
        "fields.parquet",
    } <= names
    assert {"fidelity.json", "series.zarr/zarr.json"} <= names
    assert {"report.html", "model/weights.safetensors", "model/model.json", "model/codebook.json"} <= names
    assert "item.json" in names
    for name in ("class", "cluster", "confidence", "embedding", "peak_date_1", "peak_date_2", "peak_importance_1"):
        assert {f"maps/{name}.tif", f"maps/{name}.qml"} <= names
    assert {
        f"figures/{f}.{e}" for f in ("scene", "confusion", "embedding", "clusters", "losses") for e in ("png", "svg")
    } <= names
    assert not ran.with_name("RUN.partial").exists()


def test_the_scores_are_those_of_the_confusion_matrix(ran: Path) -> None:
    scores = json.loads((ran / "scores.json").read_text())
    table = pd.read_csv(ran / "confusion.csv", index_col="truth")
    counts = table.drop(columns="no class").to_numpy()
    assert scores["n_test"] == table.to_numpy().sum()
    assert scores["overall_accuracy"] == pytest.approx(np.trace(counts) / scores["n_test"])
    assert scores["classes_never_predicted"] == [
        c for c, n in zip(table.index, counts.sum(axis=0), strict=True) if n == 0
    ]
    assert set(scores["recall"]) == set(table.index)
    assert {"kappa", "macro_recall", "by_clusters"} <= set(scores)


def test_the_series_kept_are_those_of_the_samples(ran: Path, images: Path) -> None:
    """A slow twin: each row's values again from the images, and its embedding from the model."""
    kept, samples = xr.open_zarr(ran / "series.zarr"), pd.read_parquet(ran / "samples.parquet")
    assert kept.x.dims == ("series", "band", "time")
    assert kept.x.attrs["units"] == "dB"
    assert kept.attrs["Conventions"].startswith("CF-")
    cube, fitted = open_cube(images).load(), Fitted.load(ran / "model")
    assert (kept.time.values == fitted.dates).all()
    assert tuple(kept.band.values) == fitted.bands
    assert len(kept.x) == len(samples)
    assert set(samples.split) == {"train", "test"}
    assert (samples.label != "").all()
    for i in range(0, len(samples), 97):
        row = samples.iloc[i]
        np.testing.assert_array_equal(kept.x.values[i], cube.values[:, :, row.row, row.col].T)
        np.testing.assert_allclose(fitted.embed(kept.x.values[i : i + 1])[0], [row.e1, row.e2], atol=1e-4)


def test_the_profiles_have_a_row_for_each_method_class_dimension_and_date(ran: Path) -> None:
    both = pd.read_parquet(ran / "profiles.parquet")
    assert set(both.method) == {"path", "letter"}
    assert not both.duplicated(["method", "class", "dim", "date"]).any()
    path, letter = (both[both.method == method] for method in ("path", "letter"))
    np.testing.assert_allclose(path.importance_VV + path.importance_VH, path.importance, atol=1e-6)
    assert letter.importance_VV.isna().all()
    assert (path.VV.values == letter.VV.values).all()
    assert letter.importance.abs().max() <= 1
    for table in (path, letter):
        assert len(table) == table["class"].nunique() * 2 * 61
    table = both
    assert {"class", "dim", "date", "importance", "importance_low", "importance_high", "VV", "VH"} <= set(table)
    assert (table.importance_low <= table.importance).all()
    assert (table.importance <= table.importance_high).all()
    assert table.VV.between(-25, 0).all()


def test_the_maps_say_what_the_model_says_pixel_by_pixel(ran: Path, images: Path) -> None:
    """A slow twin: single pixels through the loaded model."""
    fitted, book = Fitted.load(ran / "model"), Codebook.load(ran / "model" / "codebook.json")
    cube = open_cube(images).load()
    with rasterio.open(ran / "maps" / "class.tif") as source:
        classes = source.read(1)
        assert source.crs.to_epsg() == cube.rio.crs.to_epsg()
    with rasterio.open(ran / "maps" / "peak_date_2.tif") as source:
        peak = source.read(1)
    atlas = xr.open_zarr(ran / "atlas.zarr")
    known = np.argwhere(~np.isnan(cube.values).any(axis=(0, 1)))
    for row, col in known[:: len(known) // 7]:
        x = cube.values[:, :, row, col].T[None]
        embedding = fitted.embed(x)
        np.testing.assert_allclose(atlas.embedding.values[:, row, col], embedding[0], atol=1e-5)
        assert classes[row, col] == book.classify(embedding)[0] + 1
        assert peak[row, col] == np.abs(fitted.contributions(x, nodes=PEAK_NODES)[0, 1].sum(0)).argmax() + 1
    missing = np.isnan(cube.values).any(axis=(0, 1))
    assert missing.any()
    assert (classes[missing] == 0).all()
    assert np.isnan(atlas.embedding.values[:, missing]).all()


def test_the_fields_say_what_was_found_in_them(ran: Path, scene: Scene) -> None:
    fields = gpd.read_parquet(ran / "fields.parquet")
    assert len(fields) == len(scene.fields)
    assert fields.label.tolist() == scene.fields.crop.tolist()
    assert set(fields.split) <= {"train", "test", "unused"}
    used = fields[fields.split != "unused"]
    assert used.share.between(0, 1).all()
    assert used[["e1", "e2"]].notna().all(axis=None)


def test_a_run_is_the_same_again_for_the_same_seed(
    ran: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "AGAIN"
    with monkeypatch.context() as patch:
        patch.setattr("sitscope.job.show", lambda folder, talk: folder.findings())  # figures take most of the time
        run(images, images / "fields.gpkg", again, QUICK)
    for name in ("profiles.parquet", "model/weights.safetensors", "confusion.csv", "maps/class.tif", "item.json"):
        assert (again / name).read_bytes() == (ran / name).read_bytes(), name


def interrupted(images: Path, out: Path, settings: RunSettings, at: str) -> list[str]:
    """Stop a run where it calls `sitscope.job.<at>`; the stages that it came through."""
    stages: list[str] = []

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"sitscope.job.{at}", stop)
        with pytest.raises(KeyboardInterrupt):
            run(images, images / "fields.gpkg", out, settings, talk=lambda stage, done, total: stages.append(stage))
    return stages


def test_an_interrupted_run_goes_on_with_its_model(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "RUN"
    assert "training" in interrupted(images, out, QUICK, at="score_embedding")
    assert not out.exists()
    stages: list[str] = []
    run(images, images / "fields.gpkg", out, QUICK, talk=lambda stage, done, total: stages.append(stage))
    assert "training" not in stages
    assert (out / "report.html").exists()
    assert not out.with_name("RUN.partial").exists()


def test_the_letters_method_is_shown_where_it_is_asked(scene: Scene, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"method": "letter"})
    findings = run(scene.cube, scene.fields, tmp_path / "RUN", settings)
    assert findings.letter is None
    assert findings.profiles.importance.abs().max() > 0.5, "each map was divided by its largest size"
    fitted, atlas = Fitted.load(tmp_path / "RUN" / "model"), xr.open_zarr(tmp_path / "RUN" / "atlas.zarr")
    row, col = np.argwhere(~np.isnan(scene.cube.values).any(axis=(0, 1)))[100]
    importance = fitted.explain(scene.cube.values[:, :, row, col].T[None])[0]
    assert (atlas.peak_date.values[:, row, col] == np.abs(importance).argmax(axis=1) + 1).all()
    report = (tmp_path / "RUN" / "report.html").read_text()
    assert "This page shows the letter&#39;s Grad-SLAM, as was asked." in report
    assert "_VV_letter" not in report


def test_other_settings_do_not_go_on_with_the_model_left_there(images: Path, tmp_path: Path) -> None:
    interrupted(images, tmp_path / "RUN", QUICK, at="profiles")
    other = QUICK.model_copy(update={"seed": 1})
    assert "training" in interrupted(images, tmp_path / "RUN", other, at="profiles")


def test_a_report_can_be_drawn_from_the_folder_alone(ran: Path) -> None:
    findings = load_run(ran)
    assert findings.scores.n_test > 0
    assert findings.dims == 2
    show(RunFolder(ran), groups=[["Cotton", "Pepper"]])
    assert (ran / "figures" / "profile_chosen_1_VV.png").exists()
    assert "Chosen: Cotton and Pepper" in (ran / "report.html").read_text()
    with pytest.raises(BadInput, match="holds no whole run"):
        load_run(ran / "maps")


def test_gaps_are_filled_on_the_map_too_when_asked(scene: Scene, tmp_path: Path) -> None:
    cube = scene.cube.copy(deep=True)
    cube[20:23] = np.nan
    with pytest.raises(BadInput, match="fill"):
        run(cube, scene.fields, tmp_path / "REFUSED", QUICK)
    run(cube, scene.fields, tmp_path / "RUN", QUICK.model_copy(update={"fill": True}))
    known = ~np.isnan(scene.cube.values).any(axis=(0, 1))
    assert (xr.open_zarr(tmp_path / "RUN" / "atlas.zarr")["class"].values[known] > 0).mean() > 0.95
    assert "filled linearly in time" in (tmp_path / "RUN" / "report.html").read_text()


def test_profiles_equal_a_loop_and_can_be_grouped_by_prediction_or_both(ran: Path, images: Path) -> None:
    fitted, book = Fitted.load(ran / "model"), Codebook.load(ran / "model" / "codebook.json")
    series = sample(open_cube(images), images / "fields.gpkg", max_pixels=6)
    _, test = split_by_field(series)
    x, label, field = test.x.values, test.label.values.astype(str), test.field.values
    importance = fitted.explain(x)
    both = profiles(test, fitted, book)
    table = both[both.method == "letter"].set_index(["class", "dim", "date"]).sort_index()
    mine = label == "Cotton"
    row = table.loc[("Cotton", 2, fitted.dates[30])]
    assert row.importance == pytest.approx(importance[mine, 1, 30].mean(), abs=1e-6)
    assert row.VH_std == pytest.approx(x[mine, 1, 30].std(), rel=1e-5)
    means = np.array([x[mine & (field == f), 0, 30].mean() for f in np.unique(field[mine])])
    half = 2.0 * means.std(ddof=1) / np.sqrt(len(means))  # Student's quantile is above 1.96 for any number of fields
    assert row.VV_high - row.VV > 0.95 * half
    assert row.n_fields == len(means)
    given = np.array([*book.classes, "no class"])[book.classify(fitted.embed(x))]
    assert row.n_explained == mine.sum()
    path = both[both.method == "path"].set_index(["class", "dim", "date"]).sort_index()
    slow = fitted.contributions(x[mine], nodes=64)[:, 1].sum(1).mean(0)
    np.testing.assert_allclose(path.loc[("Cotton", 2)].importance, slow, atol=0.02 * np.abs(slow).max())
    few = profiles(test, fitted, book, most=3)
    assert few.n_explained.max() == 3
    assert few.n.max() == both.n.max()
    assert set(profiles(test, fitted, book, by=prediction)["class"]) == set(given)
    both = profiles(test, fitted, book, by=confusion)
    assert set(both["class"]) == {f"{a} as {b}" for a, b in zip(label, given, strict=True)}


def test_real_images_of_antwerp_run_from_end_to_end(antwerp: Path, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"start": "2018-11-24", "clusters": 5})
    findings = run(antwerp, antwerp / "fields.gpkg", tmp_path / "RUN", settings)
    assert (len(findings.dates), findings.bands, findings.units) == (61, ("VV", "VH"), "dB")
    assert (tmp_path / "RUN" / "report.html").stat().st_size > 100_000
