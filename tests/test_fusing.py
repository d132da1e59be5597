"""sitscope fuse, from real GeoTIFFs and a real Zarr cube on dates and grids of their own to the report."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sitscope import cli
from sitscope.autoencoder.fused import Fused
from sitscope.classes.codebook import Codebook
from sitscope.cube.ingest import ingest
from sitscope.errors import BadInput
from sitscope.fusing import fuse
from sitscope.fusion_plan import read_plan
from sitscope.settings import RunSettings
from two_sensors import OPTICAL_DATES, OPTICAL_PARTS, RADAR_DATES, RADAR_PARTS, fields, write_optical, write_radar

NETWORK = """
clusters = 3
[autoencoder]
filters = [8, 8]
kernels = [5, 3]
strides = [1, 1]
pooling = [2, 2]
hidden = [16]
epochs = 40
batch = 32
learning_rate = 0.01
patience = 40
"""


def sitscope(*arguments: Any) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sitscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """s1/ of GeoTIFFs, S2.zarr, fields.gpkg, fuse.toml."""
    folder = tmp_path_factory.mktemp("two")
    write_radar(folder / "s1")
    ingest(write_optical(folder / "s2"), folder / "S2.zarr")
    fields().to_file(folder / "fields.gpkg")
    (folder / "fuse.toml").write_text(NETWORK)
    return folder


@pytest.fixture(scope="module")
def fused(home: Path) -> Path:
    """A folder that the command wrote."""
    out = home / "FUSED"
    given = ["--sensor", f"s1={home / 's1'}", "--sensor", f"s2={home / 'S2.zarr'}", "--fields", home / "fields.gpkg"]
    assert sitscope("fuse", *given, "--settings", home / "fuse.toml", "--out", out) == 0
    return out


def test_the_folder_holds_what_it_says(fused: Path) -> None:
    names = {str(p.relative_to(fused)) for p in fused.rglob("*") if p.is_file()}
    assert names == {
        *("run.json", "scores.json", "confusion.csv", "samples.parquet", "report.html", "sensors.csv"),
        *("contributions.parquet", "letter.parquet", "margins.parquet"),
        *("model/weights.safetensors", "model/model.json", "model/codebook.json"),
        *(f"figures/{name}.{kind}" for name in ("confusion", "contributions", "losses") for kind in ("png", "svg")),
    }
    facts = json.loads((fused / "run.json").read_text())
    told = [(sensor["name"], sensor["dates"], sensor["pixel"]) for sensor in facts["sensors"]]
    assert told == [("s1", 12, "10 x 10"), ("s2", 9, "20 x 20")]
    table = pd.read_parquet(fused / "contributions.parquet")
    assert list(table) == ["class", "dim", "sensor", "band", "date", "contribution", "size", "share", "n"]
    for sensor, dates in (("s1", RADAR_DATES), ("s2", OPTICAL_DATES)):
        days = np.unique(table[table.sensor == sensor].date.to_numpy().astype("datetime64[D]"))
        np.testing.assert_array_equal(days, dates)


def test_the_model_embeds_as_the_samples_say_and_parts_what_one_sensor_could_not(fused: Path) -> None:
    model, book = Fused.load(fused / "model"), Codebook.load(fused / "model" / "codebook.json")
    assert [sensor.name for sensor in model.sensors] == ["s1", "s2"]
    samples = pd.read_parquet(fused / "samples.parquet")
    assert len(samples) == 384
    cluster = book.cluster(samples[["e1", "e2"]].to_numpy(np.float32))
    np.testing.assert_array_equal(cluster + 1, samples.cluster)
    assert json.loads((fused / "scores.json").read_text())["overall_accuracy"] > 0.95


def test_the_report_says_which_sensor_and_is_one_file(fused: Path) -> None:
    page = (fused / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#|https://doi.org)""", page)
    shares = pd.read_csv(fused / "sensors.csv")
    assert f"s1 moves it to {100 * shares[(shares.dim == 1) & (shares.sensor == 's1')].share.item():.0f} %" in page
    assert "contributions miss" not in page
    assert "on its own dates" in page


def test_each_class_is_told_by_the_sensor_that_parts_it(fused: Path) -> None:
    """Planted: Wheat differs in summer for the radar alone, Rapeseed in spring for the other alone."""
    table = pd.read_parquet(fused / "contributions.parquet")
    means = table.pivot_table(index=["sensor", "band", "date", "dim"], columns="class", values="contribution")
    for name, sensor, dates in (
        ("Wheat", "s1", RADAR_DATES[RADAR_PARTS]),
        ("Rapeseed", "s2", OPTICAL_DATES[OPTICAL_PARTS]),
    ):
        apart = (means[name] - means["Maize"]).abs().groupby(["sensor", "date"]).sum()
        there = apart[sensor]
        days = there.index.to_numpy().astype("datetime64[D]")
        assert there.sum() > 0.8 * apart.sum()
        assert there[np.isin(days, dates)].sum() > 0.8 * there.sum()


def test_stacked_sensors_need_common_dates_and_then_share_a_network(home: Path, tmp_path: Path) -> None:
    given = {"s1": home / "s1", "s2": home / "S2.zarr"}
    with pytest.raises(BadInput, match=r"^join: .*s1 has 12 and s2 9.*--every month"):
        fuse(given, home / "fields.gpkg", tmp_path / "NO", join="stacked")
    assert not list(tmp_path.iterdir())
    for name, images in (("s1", home / "s1"), ("s2", home / "s2")):
        ingest(images, tmp_path / f"{name}.zarr", every="month", start="2017-03-01", end="2017-08-31")
    network = {"epochs": 1, "filters": [8], "kernels": [3], "strides": [1], "pooling": [2]}
    settings = RunSettings(clusters=3, autoencoder=network)
    given = {name: tmp_path / f"{name}.zarr" for name in ("s1", "s2")}
    found = fuse(given, home / "fields.gpkg", tmp_path / "STACKED", settings, join="stacked")
    assert found.join == "stacked"
    model = Fused.load(tmp_path / "STACKED" / "model")
    assert model.network.encoder.shapes == ((4, 6),)
    assert "on their common dates" in (tmp_path / "STACKED" / "report.html").read_text()


def test_a_settings_file_says_how_each_sensor_is_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "each.toml").write_text(
        f'''
join = "branches"
balance = true
start = "2017-03-01"
fill = true
[sensors.s2]
images = "{home / "S2.zarr"}"
bands = ["B08"]
end = "2017-10-01"
[sensors.s1]
images = "{home / "s1"}"
orbit = "74"
'''
        + NETWORK.replace("clusters = 3\n", "").replace("epochs = 40", "epochs = 2")
    )
    plan = read_plan(home / "each.toml", {"end": None}, [], {})
    assert list(plan.sensors) == ["s2", "s1"]
    assert dict(plan.sensors["s2"].options)["bands"] == ("B08",)
    assert dict(plan.sensors["s1"].options)["start"] == "2017-03-01"
    assert (plan.balance, plan.settings.fill) == (True, True)
    out = home / "EACH"
    given = ["--settings", home / "each.toml", "--fields", home / "fields.gpkg"]
    assert sitscope("fuse", *given, "--out", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["sensor"] for row in told["shares"]} == {"s1", "s2"}
    assert told["scores"]["n_test"] > 0
    notes = json.loads((out / "run.json").read_text())["notes"]
    assert any("pixels of s1 are smaller than those of s2: of some 4 only" in note for note in notes)


def test_pixels_beside_a_sensor_are_told(home: Path, tmp_path: Path) -> None:
    write_optical(tmp_path / "s2", east=80.0)
    settings = read_plan(home / "fuse.toml", {"autoencoder": {"epochs": 1}}, ["s1=a"], {}).settings
    found = fuse({"s1": home / "s1", "s2": tmp_path / "s2"}, fields(), tmp_path / "OUT", settings)
    assert any("128 pixels of the fields lie beside the images of s2" in note for note in found.notes)
    assert found.scores.n_test < 256


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "sensors: there is no sensor"),
        (("--sensor", "HOME/s1"), "names no sensor with its images"),
        (("--sensor", "s1=HOME/s1", "--sensor", "s1=HOME/S2.zarr"), "sensor s1 is given twice"),
        (("--sensor", "s1=HOME/no"), "images: sensor s1: .*matches no file"),
        (("--sensor", "s1=HOME/s1", "--join", "woven"), "join is branches or stacked"),
        (("--sensor", "s1=HOME/s1", "--label", "owner"), "label: the fields have no column 'owner'"),
        (("--sensor", "s1=HOME/s1", "--start", "2019-01-01"), "sensor s1: nothing from 2019-01-01"),
        (("--settings", "[sensors.s1]\nbands = ['VV']"), "sensor s1 has no images"),
        (("--settings", "[sensors.s1]\nimage = 'HOME/s1'"), "'image', which is unknown. Known names: images, bands"),
        (("--settings", "sensors = 3"), "no table of tables"),
        (("--settings", "join = 3"), "join is 3"),
        (("--settings", "dims = 3"), "dims = 3.*Known names"),
    ],
)  # fmt: skip
def test_mistakes_are_told_and_leave_nothing(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    typed = [option.replace("HOME", str(home)) for option in options]
    if "--settings" in typed:
        file = tmp_path / "some.toml"
        file.write_text(typed[1])
        typed[1] = str(file)
    out = tmp_path / "OUT"
    assert sitscope("fuse", *typed, "--fields", home / "fields.gpkg", "--out", out) == 3
    assert re.search(said, capsys.readouterr().err, flags=re.DOTALL)
    assert not out.exists()
    assert not out.with_name("OUT.partial").exists()


def test_a_folder_that_holds_a_run_is_kept(home: Path, fused: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--sensor", f"s1={home / 's1'}", "--fields", home / "fields.gpkg", "--out", fused]
    assert sitscope("fuse", *given) == 3
    assert "already holds a run" in capsys.readouterr().err
    assert (fused / "report.html").exists()
