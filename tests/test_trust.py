"""Is a run's trust measured on what it kept, and does `sitscope evaluate` tell it?"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sitscope import cli, trust
from sitscope.attribution import fidelity
from sitscope.attribution.masking import standard
from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Settings
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import RunSettings, run
from sitscope.simulation.scene import simulate

QUICK = RunSettings(
    clusters=8,
    max_pixels=20,
    autoencoder=Settings(filters=(8, 8), kernels=(5, 3), strides=(1, 1), pooling=(2, 2), hidden=(16,), epochs=4),
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without figures, which take most of the time."""
    out = tmp_path_factory.mktemp("runs") / "RUN"
    scene = simulate(fields=60, field_px=8, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sitscope.job.show", lambda folder, talk: folder.findings())
        run(scene.cube, scene.fields, out, QUICK)
    return out


def on(ran: Path, series: int = 12) -> trust.Ground:
    return trust.ground(Fitted.load(ran / "model"), *RunFolder(ran).series(), series)


def sitscope(*arguments: Any) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sitscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def test_the_series_measured_on_are_test_series_of_all_classes(ran: Path) -> None:
    x, samples = RunFolder(ran).series()
    test = samples[samples.split == "test"]
    fitted, many = Fitted.load(ran / "model"), test.label.nunique()
    found = trust.ground(fitted, x, samples, many)
    z = fitted.z_scores(x)
    rows = [int((z == one).all((1, 2)).nonzero()[0, 0]) for one in found.x]
    assert samples.split.iloc[rows].eq("test").all()
    assert samples.label.iloc[rows].nunique() == many, "one of each class before a second of any"
    assert len(found.pool) == (samples.split == "train").sum()
    assert torch.equal(trust.ground(fitted, x, samples, many).x, found.x)
    assert not torch.equal(trust.ground(fitted, x, samples, many, seed=1).x, found.x)


def test_the_figures_of_a_run_are_those_of_removing_dates(ran: Path) -> None:
    """A slow twin: one masking, one series and one number of dates at a time."""
    here = on(ran, 6)
    found = trust.quick(here, draws=2)
    order = fidelity.order_of(trust.methods(here)["letter"](here.encoder, here.x))
    t = here.x.shape[2]
    halves = []
    for mask in standard(here.pool, 6, days=here.days, draws=2, seed=0).values():
        shift = torch.zeros(2)
        for i in range(6):
            for k, many in enumerate((t // 2, t)):
                removed = torch.zeros(1, t, dtype=torch.bool)
                removed[0, order[i, :many]] = True
                drawn = mask(here.x[i : i + 1], removed, torch.tensor([i]))[:, 0]
                moved = here.encoder(drawn) - here.encoder(here.x[i : i + 1])
                shift[k] += moved.square().sum(1).mean().detach() / 6
        halves.append(float(shift[0] / shift[1]))
    assert found["methods"]["letter"]["half"] == pytest.approx(np.mean(halves), rel=1e-4)
    assert found["methods"]["random"]["lift"] == {"value": 0, "low": 0, "high": 0}
    areas = {name: figures["nls_auc"] for name, figures in found["methods"].items()}
    assert found["path_over_letter"]["value"] == pytest.approx(areas["path"] - areas["letter"], abs=1e-6)
    assert found["methods"]["path"]["lift"]["value"] == pytest.approx(areas["path"] - areas["random"], abs=1e-6)
    assert 0 <= found["residual"] < 0.1


def test_every_run_keeps_its_figures_of_trust(ran: Path) -> None:
    found = json.loads((ran / "fidelity.json").read_text())
    assert found["series"] == 48
    assert set(found["methods"]) == {"path", "letter", "random"}
    assert RunFolder(ran).findings().fidelity == found


def test_the_table_has_every_method_metric_and_masking(ran: Path) -> None:
    seen: list[tuple[int, int]] = []
    here = on(ran, 4)
    found = trust.table(here, draws=1, progress=lambda done, total: seen.append((done, total)))
    assert list(found) == ["method", "metric", "baseline", "value", "low", "high"]
    whole = found[found.baseline == "all"].set_index("method").value
    assert set(whole.index) == set(trust.methods(here))
    assert whole["rounds"] > whole["path"] > whole["random"]
    assert set(found[found.metric == "efficiency"].baseline) == {"mean curve", "gap filling", "donor", "noise", "all"}
    assert set(found[found.metric == "faithfulness"].method) == set(whole.index) - {"rounds"}, "which has no dimensions"
    assert set(found[found.metric == "emprt"].method) == {"path", "letter"}
    residual = found[found.metric == "residual"]
    assert residual.method.tolist() == ["path"]
    assert residual.value.item() < 0.02
    assert (found.low <= found.high).all()
    assert seen[-1][0] == seen[-1][1], "what is announced is what is done"
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_explanations_of_random_weights_are_not_those_of_the_encoder(ran: Path) -> None:
    found = trust.table(on(ran, 8), ["path"], draws=1).set_index("metric")
    assert abs(found.loc["randomised", "value"]) < 0.3


def test_evaluate_writes_the_table_the_figure_and_the_report(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--series", "4", "--draws", "1", "--methods", "path,letter", "--seed", "1"]
    assert sitscope("evaluate", ran, *asked, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    table = pd.read_csv(ran / "evaluation.csv")
    assert (told["series"], told["draws"], told["seed"]) == (4, 1, 1)
    pd.testing.assert_frame_equal(pd.DataFrame(told["table"]), table)
    assert set(table.method) == {"path", "letter"}
    for name in ("figures/fidelity.png", "figures/fidelity.svg", "report.html"):
        assert (ran / name).exists()
    assert "Most efficient here is" in (ran / "report.html").read_text()


def test_evaluate_prints_a_table_that_can_be_read(
    ran: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitscope.job.show", lambda folder, talk: folder.findings())
    assert sitscope("evaluate", ran, "--series", "3", "--draws", "1", "--methods", "letter,random") == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert "Efficiency: 0 random orders, 1 greedy removal" in lines[0]
    row = next(line for line in lines if "the letter's Grad-SLAM" in line)
    table = pd.read_csv(ran / "evaluation.csv").set_index(["method", "metric", "baseline"]).value
    assert f"{table['letter', 'efficiency', 'all']:.2f}" in row
    assert f"{table['letter', 'efficiency', 'noise']:.2f}" in row
    assert f"table    {ran / 'evaluation.csv'}" in lines
    assert "sitscope: measuring trust" in said.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--series", "100000"], ["series: 100000 are asked for, the run keeps", "test series. Ask for 2 to"]),
        (["--series", "1"], ["series: 1 are asked for"]),
        (["--methods", "path,magic"], ["methods: there is no method 'magic'. The methods are path, rounds, letter"]),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    ran: Path, options: list[str], says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in ran.iterdir())
    assert sitscope("evaluate", ran, *options) == 3
    said = capsys.readouterr()
    assert said.out == ""
    for words in says:
        assert words in said.err
    assert sorted(path.name for path in ran.iterdir()) == before


def test_a_folder_without_a_run_or_without_its_series_is_refused(ran: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no run\. Name the folder of a finished run"):
        RunFolder(tmp_path).series()
    assert sitscope("evaluate", tmp_path) == 3
    old = tmp_path / "OLD"
    shutil.copytree(ran, old)
    shutil.rmtree(old / "series.zarr")
    with pytest.raises(BadInput, match=r"kept no series: series\.zarr is missing\. Run it again with --overwrite"):
        RunFolder(old).series()
    assert sitscope("evaluate", old) == 3
