"""A run leaves its reasons, reads them back, and looks for them where the embedding really looks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sitscope.attribution.targets import margin
from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.training import fit
from sitscope.classes.codebook import fit_codebook
from sitscope.classes.scores import score
from sitscope.cube.sampling import sample
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import run
from sitscope.mapping.looking import SERIES, margins, sizes, some_of
from sitscope.mapping.methods import NODES, path
from sitscope.reasons import PIXELS, diagnosed
from sitscope.settings import RunSettings
from sitscope.simulation.scene import Scene, simulate

TINY = Settings(filters=(4,), kernels=(3,), strides=(1,), pooling=(2,), hidden=(4,), epochs=1)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return simulate(fields=48, field_px=6, seed=1)


@pytest.fixture(scope="module")
def whole(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without figures, which take most of the time."""
    out = tmp_path_factory.mktemp("runs") / "RUN"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sitscope.job.show", lambda folder, talk: folder.findings())
        run(scene.cube, scene.fields, out, RunSettings(clusters=4, autoencoder=TINY))
    return out


@pytest.fixture
def ran(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "RUN"))


def test_a_run_keeps_a_verdict_on_every_class_and_reads_it_back(whole: Path) -> None:
    findings = RunFolder(whole).findings()
    found = findings.diagnosis
    assert found is not None
    tested = {name for name, n in zip(findings.scores.classes, findings.scores.confusion.sum(axis=1), strict=True) if n}
    assert {verdict.name for verdict in found.classes} == tested
    assert found.method == "path"
    for verdict in found.classes:
        assert verdict.fields >= 3
        for looks in verdict.importance.values():
            assert np.sum(looks) == pytest.approx(1, abs=1e-3)
    for pair in found.pairs:
        i, j = (findings.scores.classes.index(name) for name in (pair.truth, pair.predicted))
        assert pair.series == findings.scores.confusion[i, j]
        assert sum(pair.margin["path"]) == pytest.approx(1, abs=1e-3)
        assert not np.any(np.array(pair.missed) & ~np.array(pair.parts))
        assert not np.any(np.array(pair.shared) & np.array(pair.parts))
    assert json.loads((whole / "diagnosis.json").read_text(), parse_constant=pytest.fail)


def test_a_run_of_an_older_sitscope_still_opens(ran: Path) -> None:
    (ran / "diagnosis.json").unlink()
    assert RunFolder(ran).findings().diagnosis is None


WRONG: dict[str, Callable[[Any], object]] = {
    "a date less": lambda f: f["classes"][0]["parts"].pop(),
    "a band less": lambda f: f["pairs"][0]["difference"].pop(),
    "a dimension less": lambda f: f["classes"][0]["importance"]["path"].pop(),
    "another class": lambda f: f["pairs"][0].update(predicted="<script>"),
    "another method": lambda f: f.update(method="<script>"),
    "another kind": lambda f: f["pairs"][0].update(kind="<script>"),
    "numbers without end": lambda f: f["pairs"][0]["jm"].__setitem__(0, float("inf")),
    "no classes": lambda f: f.pop("classes"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_reasons_that_do_not_fit_the_model_are_refused(ran: Path, wrong: str) -> None:
    facts = json.loads((ran / "diagnosis.json").read_text())
    WRONG[wrong](facts["verdicts"])
    (ran / "diagnosis.json").write_text(json.dumps(facts))
    with pytest.raises(BadInput, match="holds no whole run"):
        RunFolder(ran).findings()


@pytest.fixture(scope="module")
def fitted(whole: Path) -> Fitted:
    return Fitted.load(whole / "model")


def test_the_margin_is_what_its_dimensions_contribute(whole: Path, fitted: Fitted) -> None:
    """The margin is linear in the embedding, and so are contributions; and they sum to what tells the two apart."""
    x = RunFolder(whole).series()[0]
    mine, others = x[:6], x[6:20]
    places = np.array([0.5, -1.0], np.float32), np.array([-0.2, 0.4], np.float32)
    found = margins(fitted, mine, others, places)["path"]
    start = others.mean(axis=0)
    dims = fitted.contributions(mine, reference=start, nodes=NODES).sum(axis=2).mean(axis=0)  # (d, t)
    np.testing.assert_allclose(found, 2 * (places[0] - places[1]) @ dims, atol=1e-5)
    why = margin(*map(torch.as_tensor, places))
    values = [why(torch.as_tensor(fitted.embed(s)), torch.as_tensor(s)).mean() for s in (mine, start[None])]
    np.testing.assert_allclose(found.sum(), float(values[0] - values[1]), rtol=0.02, atol=1e-4)


def test_sizes_are_of_every_series_alone_so_that_signs_do_not_cancel(whole: Path, fitted: Fitted) -> None:
    x = RunFolder(whole).series()[0][:5]
    found = sizes(fitted, x)
    each = [np.abs(path(fitted, x[[i]]).sum(axis=2))[0] for i in range(5)]
    np.testing.assert_allclose(found["path"], np.mean(each, axis=0), atol=1e-6)
    assert found["letter"].shape == (2, 61)


def test_a_class_is_looked_at_in_all_of_its_fields() -> None:
    field = np.repeat(np.arange(30), 50)
    label = np.where(field < 20, "rye", "oat")
    chosen = some_of(label, field, "rye")
    assert len(chosen) == SERIES
    assert set(np.bincount(field[chosen], minlength=30)[:20]) == {3, 4}
    assert (label[chosen] == "rye").all()


def test_the_method_of_the_run_decides_what_is_missed_and_large_fields_count_no_more(scene: Scene) -> None:
    series = sample(scene.cube, scene.fields, label="crop")
    train, test = split_by_field(series, test=0.3, seed=0)
    fitted = fit(train, TINY, seed=0)
    book = fit_codebook(fitted.embed(train.x.values), train.label.values, clusters=4, seed=0)
    assert np.bincount(train.field).max() > PIXELS
    scores = score(test, fitted, book)
    told: list[tuple[int, int]] = []
    letter = diagnosed(
        train, test, fitted, book, scores, "letter", progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (16, 16)
    along = diagnosed(train, test, fitted, book, scores)
    assert letter.method == "letter"
    for one, two in zip(letter.pairs, along.pairs, strict=True):
        assert one.parts == two.parts
        looks = np.array(one.importance["letter"])
        np.testing.assert_array_equal(one.missed, np.array(one.parts) & (looks * len(looks) < looks.sum()))
    assert diagnosed(train, test, fitted, book, scores) == along
