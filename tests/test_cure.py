"""Sweep and compare: what they leave, that it can be believed, and that a mistake ends them early."""

import shutil
import sys
from json import loads
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from sitscope import baselines, cli, covering, sweeping, trying
from sitscope.applying import Machines
from sitscope.autoencoder.network import Settings
from sitscope.classes.parting import parting
from sitscope.classes.scores import Scores
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import RunSettings, run
from sitscope.simulation.scene import simulate

TINY = Settings(filters=(8, 8), kernels=(5, 3), strides=(1, 1), pooling=(2, 2), hidden=(16,), epochs=3)
QUICK = RunSettings(clusters=8, max_pixels=12, autoencoder=TINY)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without figures, which take most of the time."""
    out = tmp_path_factory.mktemp("runs") / "RUN"
    scene = simulate(fields=90, field_px=6, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sitscope.job.show", lambda folder, talk: folder.findings())
        run(scene.cube, scene.fields, out, QUICK)
    return out


@pytest.fixture
def ran(made: Path, tmp_path: Path) -> Path:
    """The same, to write into."""
    return Path(shutil.copytree(made, tmp_path / "RUN"))


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read everything back, as the report does, and draw nothing."""
    for place in ("sweeping", "baselines"):
        monkeypatch.setattr(f"sitscope.{place}.show", lambda folder, talk: folder.findings())


def sitscope(*arguments: Any) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sitscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


# ---- sweep


def test_a_sweep_leaves_its_table_its_dates_and_a_chapter(
    ran: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # with figures and report
    assert sitscope("sweep", ran, "--dims", "2,3", "--seeds", 2, "--workers", 1) == 0
    said = capsys.readouterr().out
    table = pd.read_csv(ran / "sweep.csv")
    assert sorted(map(tuple, table[["dims", "clusters", "seed"]].to_numpy().tolist())) == [
        (d, k, s) for d in (2, 3) for k in (8, 32) for s in (0, 1)
    ]
    assert table[["overall_accuracy", "macro_recall"]].stack().between(0, 1).all()
    assert ("are recommended" in said) != ("are enough" in said)
    assert (ran / "figures" / "sweep.png").exists()
    page = (ran / "report.html").read_text()
    assert 'id="sweep"' in page
    assert "another training of the smallest size" in page
    assert "on at most 20,000 of the series" in page
    assert 'id="compare"' not in page


def test_the_first_split_of_a_sweep_is_that_of_the_run(made: Path) -> None:
    _, samples = RunFolder(made).series()
    _, test = split_by_field(trying.kept(made), test=QUICK.test, seed=QUICK.seed)
    assert set(test.field.values) == set(samples.field[samples.split == "test"])


def test_an_interrupted_sweep_keeps_what_is_trained_and_goes_on(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, trained = sweeping.Trainings.__call__, []

    def interrupted(self: Any, task: Any) -> Any:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(task)
        return real(self, task)

    asked = ("sweep", ran, "--dims", "2,3", "--seeds", "2", "--workers", "1")
    with monkeypatch.context() as patch:
        patch.setattr(sweeping.Trainings, "__call__", interrupted)
        assert sitscope(*asked) == 4
    model = next((ran / "sweep").glob("*/model.json"))
    model.write_text(model.read_text()[:100])  # killed while it wrote
    monkeypatch.setattr(sweeping.Trainings, "__call__", lambda self, task: trained.append(task) or real(self, task))
    assert sitscope(*asked) == 0
    assert len(trained) == 2 + 3
    first = pd.read_csv(ran / "sweep.csv")
    assert sitscope(*asked) == 0
    assert len(trained) == 5
    pd.testing.assert_frame_equal(pd.read_csv(ran / "sweep.csv"), first)


def test_workers_train_what_this_process_trains(ran: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(ran, tmp_path / "OTHER"))
    sweeping.sweep(ran, [2, 3], seeds=1, machines=Machines(workers=1))
    sweeping.sweep(other, [2, 3], seeds=1, machines=Machines(workers=2))
    weights = [sorted((p / "sweep").rglob("weights.safetensors")) for p in (ran, other)]
    assert len(weights[0]) == 2
    assert [p.read_bytes() for p in weights[0]] == [p.read_bytes() for p in weights[1]]
    assert (ran / "sweep.csv").read_bytes() == (other / "sweep.csv").read_bytes()


def planted(dates: tuple[tuple[int, ...], ...], label: np.ndarray, d: int = 1) -> covering.Learned:
    """An embedding whose dimension i looks at dates[i], and whose every rye is called oat."""
    confusion = np.array([[4, 0], [4, 0]])
    scores = Scores(("oat", "rye"), confusion, np.zeros(2, np.int64), 0.0, 0.0)
    importance = np.zeros((len(label), len(dates), 6))
    for i, where in enumerate(dates):
        importance[:, i, list(where)] = 1
    embedding = np.where(label == "rye", 1.0, 0.0)[:, None] * np.eye(1, len(dates))  # the margin is the first dimension
    return covering.Learned({2: scores}, embedding, importance)


def test_a_missed_date_is_covered_where_another_dimension_looks_at_it() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat(["oat", "rye"], 40)
    x = rng.normal(size=(80, 1, 6))
    x[40:, 0, [2, 4]] += 6
    data = {"x": (("series", "band", "time"), x), "label": ("series", label), "field": ("series", np.arange(80) // 2)}
    time = np.datetime64("2017-01-01", "ns") + np.arange(6) * np.timedelta64(6, "D")
    series = xr.Dataset(data, {"time": time})
    label = label[covering.shown(series, 0)]
    learned = {
        (1, 0): planted(((0, 4),), label), (1, 1): planted(((0, 2),), label),
        (2, 0): planted(((0,), (1, 2)), label), (2, 1): planted(((0,), (1,)), label),
    }  # fmt: skip
    table, dates = covering.compared(learned, series, 0)
    table = table.set_index(["dims", "seed"])
    assert table.missed.tolist() == [1, 1, 1, 1]  # of seed 0 date 2, of seed 1 date 4
    assert sorted(set(zip(dates.seed, dates.date, strict=True))) == [(0, time[2]), (1, time[4])]
    assert table.covered.to_dict() == {(1, 0): 1.0, (1, 1): 1.0, (2, 0): 1.0, (2, 1): 0.0}
    assert (dates[dates.dims == 2].by_margin == 0).all()


def test_what_an_embedding_looks_at_is_its_share_of_importance(made: Path) -> None:
    """A slow twin, one date and one dimension at a time."""
    series = trying.kept(made)
    label = series.label.values[covering.shown(series, 0)].astype(str)
    rng = np.random.default_rng(0)
    n, d, t = len(label), 3, len(series.time)
    found = covering.Learned({}, rng.normal(size=(n, d)), rng.normal(size=(n, d, t)) ** 3)
    a, b = pd.Series(series.label.values).value_counts().index[:2]
    apart = parting(series.x.values, series.label.values, series.field.values, a, b)
    weights = found.embedding[label == a].mean(0) - found.embedding[label == b].mean(0)
    both = np.zeros((d + 1, t))
    for name in (a, b):
        for i in np.flatnonzero(label == name):
            share = 1 / (2 * (label == name).sum())
            for date in range(t):
                for dim in range(d):
                    both[dim, date] += share * abs(found.importance[i, dim, date])
                both[d, date] += share * abs(sum(weights * found.importance[i, :, date]))
    looks = both >= both.sum(axis=1, keepdims=True) / t
    every, margin = covering.looks_at(apart, found, label)
    assert apart.parts.any()
    assert every.tolist() == (apart.parts & looks.any(axis=0)).tolist()
    assert margin.tolist() == (apart.parts & looks[d]).tolist()


# ---- compare


def test_a_comparison_leaves_its_table_and_a_chapter(
    ran: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert sitscope("compare", ran, "--splits", 2, "--workers", 1, "--json") == 0
    rows = pd.DataFrame(loads(capsys.readouterr().out)["table"])
    assert list(dict.fromkeys(rows.method)) == list(baselines.METHODS)
    pd.testing.assert_frame_equal(rows, pd.read_csv(ran / "compare.csv"))
    assert rows.test_series.groupby(rows.seed).nunique().eq(1).all()
    best = rows.groupby("method").macro_recall.mean()
    assert best["forest"] > best["raw"], "who is told the classes finds more of them"
    page = (ran / "report.html").read_text()
    assert 'id="compare"' in page
    assert "random forest" in page
    assert (ran / "figures" / "compare.png").exists()


def test_the_baselines_are_what_scikit_learn_makes_of_the_z_scores(made: Path) -> None:
    """A slow twin of PCA, clusters and vote."""
    series = trying.kept(made)
    settings = baselines.sized(QUICK, series, 3, 9)
    train, test = split_by_field(series, test=QUICK.test, seed=4)
    z = [
        (s.x.values - train.x.values.mean((0, 2))[:, None]) / train.x.values.std((0, 2))[:, None] for s in (train, test)
    ]
    flat = [values.reshape(len(values), -1) for values in z]
    components = PCA(3).fit(flat[0])
    clusters = KMeans(9, n_init=10, random_state=4).fit(components.transform(flat[0]))
    votes = pd.crosstab(clusters.labels_, train.label.values)
    predicted = votes.idxmax(axis=1).loc[clusters.predict(components.transform(flat[1]))].to_numpy()
    found = baselines.scores_of("pca", series, settings, 4)
    assert found.overall_accuracy == pytest.approx((predicted == test.label.values).mean(), abs=0.02)


def test_a_comparison_goes_on_and_keeps_sizes_apart(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baselines.compare(ran, ["pca", "raw"], splits=2, machines=Machines(workers=1))
    done: list[Any] = []
    real = baselines.Trials.__call__
    monkeypatch.setattr(baselines.Trials, "__call__", lambda self, task: done.append(task) or real(self, task))
    baselines.compare(ran, ["pca", "forest"], splits=2, machines=Machines(workers=1))
    assert {trial.method for trial in done} == {"forest"}
    found = baselines.compare(ran, ["pca"], splits=2, dims=1, clusters=4, machines=Machines(workers=1))
    assert {trial.method for trial in done[2:]} == {"pca"}
    assert set(found.dims) == {1}


# ---- mistakes


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("sweep", "--dims", "2"), "2 is too few to choose from"),
        (("sweep", "--dims", "0,2"), "0 is too small"),
        (("sweep", "--dims", "two,4"), "no list of whole numbers"),
        (("sweep", "--dims", "2,70000"), "70000 is too large"),
        (("sweep", "--seeds", "0"), "seeds: 0 is too small"),
        (("sweep", "--train-series", "1"), "train_series: 1 is too small"),
        (("sweep", "--clusters", "1"), "1 is too small. Give 2 or more"),
        (("sweep", "--clusters", "8,50000"), "50000 clusters cannot be made"),
        (("sweep", "--workers", "0"), "workers: 0 is too small"),
        (("compare", "--methods", "pca,svm"), "no method 'svm'. The methods are raw, pca"),
        (("compare", "--splits", "1"), "1 is too small. Give 2 or more"),
        (("compare", "--dims", "0"), "dims: 0 is too small"),
        (("compare", "--dims", "200"), "no 200 principal components"),
        (("compare", "--clusters", "50000"), "50000 clusters cannot be made"),
        (("compare", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"), "beside a scheduler"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(
    made: Path, asked: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(made.rglob("*"))
    assert sitscope(asked[0], made, *asked[1:]) == 3
    assert words in " ".join(capsys.readouterr().err.split())
    assert sorted(made.rglob("*")) == before


@pytest.mark.parametrize("verb", ["sweep", "compare"])
def test_a_run_without_series_is_refused(ran: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(ran / "series.zarr")
    assert sitscope(verb, ran) == 3
    assert "kept no series" in capsys.readouterr().err
    assert sitscope(verb, ran.parent) == 3
    assert "holds no run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sweep.csv", "dims,clusters\n2,8\n"),
        ("sweep.csv", "{}\n2,8,0,9,0.5,7.5,3,0,,,,\n"),
        ("sweep.csv", "{}\n2,8,0,9,0.5,0.5,3,0,,,,\n2,8,0,9,0.5,0.5,3,0,,,,\n"),
        ("compare.csv", "nothing"),
        ("sweep_dates.csv", "truth,predicted,date,dims,seed,covered,by_margin\nA,B,never,2,0,1,1\n"),
    ],
)
def test_a_spoiled_table_is_refused(ran: Path, name: str, text: str) -> None:
    from sitscope.tried import SWEEP

    (ran / name).write_text(text.replace("{}", ",".join(SWEEP)))
    with pytest.raises(BadInput, match="holds no whole run"):
        RunFolder(ran).findings()
