"""A run folder, settings and names that somebody else made: refused where they do not fit, and harmless where shown."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sitscope import cli
from sitscope.autoencoder.network import Settings
from sitscope.errors import LONGEST, BadInput
from sitscope.folder import RunFolder
from sitscope.job import run
from sitscope.mapping import drive, ledger
from sitscope.mapping.plan import Block
from sitscope.mapping.sums import sums
from sitscope.mapping.work import Job
from sitscope.settings import RunSettings, read_settings
from sitscope.simulation.scene import simulate
from sitscope.untrusted import content, require_own

TINY = Settings(filters=(4,), kernels=(3,), strides=(1,), pooling=(2,), hidden=(4,), epochs=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without figures, which take most of the time."""
    out = tmp_path_factory.mktemp("runs") / "RUN"
    scene = simulate(fields=48, field_px=4, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sitscope.job.show", lambda folder, talk: folder.findings())
        run(scene.cube, scene.fields, out, RunSettings(max_pixels=4, clusters=4, autoencoder=TINY))
    return out


@pytest.fixture
def ran(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "RUN"))


def rewrite(path: Path, change: Callable[[Any], object]) -> None:
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def test_the_run_that_the_mistakes_start_from_is_whole(ran: Path) -> None:
    x, samples = RunFolder(ran).series()
    assert len(x) == len(samples)
    assert RunFolder(ran).findings().dims == 2


# file -> what is changed in it
JSON: dict[str, tuple[str, Callable[[Any], object]]] = {
    "settings of another program": ("run.json", lambda f: f["settings"].update(shell="rm")),
    "settings that cannot be": ("run.json", lambda f: f["settings"].update(method="pickle")),
    "nested settings of another program": ("run.json", lambda f: f["settings"]["autoencoder"].update(x=1)),
    "other dates": ("run.json", lambda f: f["missing"].pop()),
    "a share above one": ("run.json", lambda f: f["missing"].__setitem__(0, 2.0)),
    "no title": ("run.json", lambda f: f.pop("title")),
    "groups of numbers": ("run.json", lambda f: f["settings"].update(groups=[[1]])),
    "a confusion of another size": ("scores.json", lambda f: f["confusion"].pop()),
    "counts below zero": ("scores.json", lambda f: f["confusion"][0].__setitem__(0, -1)),
    "nothing counted": (
        "scores.json",
        lambda f: f.update(confusion=[[0] * len(f["recall"])] * len(f["recall"]), unclassified=[0] * len(f["recall"])),
    ),
    "other classes": ("scores.json", lambda f: f["recall"].update(Rye=1.0)),
    "clusters that are words": ("scores.json", lambda f: f["by_clusters"][0].update(clusters="many")),
    "fidelity of no method": ("fidelity.json", lambda f: f["methods"].pop("random")),
    "fidelity of other maskings": ("fidelity.json", lambda f: f["methods"]["path"]["by_masking"].pop("noise")),
    "fidelity in words": ("fidelity.json", lambda f: f["methods"]["path"].update(half="most")),
}  # fmt: skip


@pytest.mark.parametrize("wrong", JSON)
def test_what_does_not_fit_together_is_no_run(ran: Path, wrong: str) -> None:
    name, change = JSON[wrong]
    rewrite(ran / name, change)
    with pytest.raises(BadInput, match="holds no whole run"):
        RunFolder(ran).findings()


TABLES: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "a column less": ("profiles", lambda t: t.drop(columns="importance")),
    "numbers in words": ("profiles", lambda t: t.assign(importance="large")),
    "numbers without end": ("profiles", lambda t: t.assign(importance=np.inf)),
    "a date less": ("profiles", lambda t: t[t.date != t.date.iloc[0]]),
    "rows twice": ("profiles", lambda t: pd.concat([t, t.iloc[:1]])),
    "another dimension": ("profiles", lambda t: t.assign(dim=t.dim + 1)),
    "another class": ("profiles", lambda t: t.assign(**{"class": "<script>"})),
    "another method": ("profiles", lambda t: t.assign(method="<script>")),
    "no rows": ("profiles", lambda t: t.iloc[:0]),
    "another cluster": ("samples", lambda t: t.assign(cluster=99)),
    "a gap": ("samples", lambda t: t.assign(label=t.label.where(t.index != 0))),
    "another embedding": ("samples", lambda t: t.drop(columns="e2")),
    "another split": ("samples", lambda t: t.assign(split="both")),
    "fewer rows": ("samples", lambda t: t.iloc[1:]),
    "labels in numbers": ("fields", lambda t: t.assign(label=1)),
}  # fmt: skip


@pytest.mark.parametrize("wrong", TABLES)
def test_tables_that_do_not_fit_the_model_are_no_run(ran: Path, wrong: str) -> None:
    import geopandas as gpd

    name, change = TABLES[wrong]
    path = ran / f"{name}.parquet"
    change(gpd.read_parquet(path) if name == "fields" else pd.read_parquet(path)).to_parquet(path)
    with pytest.raises(BadInput, match="holds no whole run"):
        RunFolder(ran).findings(), RunFolder(ran).series()


def test_types_that_a_table_asks_to_be_made_are_not_made(ran: Path) -> None:
    """pandas writes names of types into the file, and makes them again when it reads."""
    path = ran / "samples.parquet"
    table = pq.read_table(path)
    named = {"columns": [{"name": "e1", "pandas_type": "object", "numpy_type": "category"}], "index_columns": ["e1"]}
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(named)}), path)
    assert list(RunFolder(ran).findings().samples.columns) == table.column_names
    pq.write_table(table.replace_schema_metadata({"pandas": "}"}), path)
    assert len(RunFolder(ran).findings().samples) == len(table)


def test_a_table_of_a_hundred_million_rows_is_not_made(ran: Path) -> None:
    path = ran / "samples.parquet"
    pq.write_table(pa.table({"label": pa.array(np.zeros(100_000_000, np.int8))}), path)
    with pytest.raises(BadInput, match="100,000,000 rows"):
        RunFolder(ran).findings()


def test_clusters_of_another_model_are_refused(ran: Path) -> None:
    rewrite(ran / "model" / "codebook.json", lambda f: f.update(centres=[[0.0]] * len(f["centres"])))
    with pytest.raises(BadInput, match="are of 1 dimensions, the model embeds in 2"):
        RunFolder(ran).findings()


@pytest.mark.parametrize("name", ["report.html", "figures", "evaluation.csv", "model", "mapped"])
def test_nothing_is_written_through_a_link(
    ran: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever draws the report of a folder that somebody else made must not overwrite files of their own."""
    victim = ran.parent / "mine"
    if name in ("figures", "mapped"):
        victim.mkdir()
    elif name == "model":
        shutil.move(ran / "model", victim)
    else:
        victim.write_text("mine")
    (ran / name).symlink_to(victim)
    for read in (RunFolder(ran).findings, RunFolder(ran).series, RunFolder(ran).facts):
        with pytest.raises(BadInput, match=r"is a link that leads out of the folder\. Put a copy in its place"):
            read()
    monkeypatch.setattr(sys, "argv", ["sitscope", "report", str(ran)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == cli.BAD_INPUT
    assert "leads out of the folder" in capsys.readouterr().err
    assert not victim.is_file() or victim.read_text() == "mine"


@pytest.mark.parametrize("said", ['{"title": "x', "[" * 100_000, "\x00"])
def test_a_run_json_that_is_none_is_refused_by_whoever_reads_it(ran: Path, said: str) -> None:
    """The first was found by fuzzing: the series were asked for before run.json had been looked at."""
    (ran / "run.json").write_text(said)
    for read in (RunFolder(ran).findings, RunFolder(ran).facts, RunFolder(ran).series):
        with pytest.raises(BadInput, match="holds no whole run"):
            read()


def test_links_within_a_folder_and_to_it_are_followed(ran: Path) -> None:
    (ran / "again").symlink_to(ran / "model")
    link = ran.parent / "LINK"
    link.symlink_to(ran)
    assert RunFolder(link).findings().dims == 2
    os.mkfifo(ran / "pipe")
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        require_own(ran, "run")


def test_what_an_interrupted_run_left_is_begun_anew_where_it_is_no_run(tmp_path: Path) -> None:
    partial = tmp_path / "RUN.partial"
    for said in ("[]", "3", "[" * 100_000, "null"):
        partial.mkdir()
        (partial / "run.json").write_text(said)
        (partial / "old").write_text("")
        facts = {"settings": {}, "data": {}, "versions": {}}
        assert not (RunFolder.begin(tmp_path / "RUN", facts).path / "old").exists()
        shutil.rmtree(partial)


@pytest.mark.parametrize(
    "blocks", [None, 3, [], [1], [[0, 0, 1]], [[0, 0, "a", 1]], [[0, 0, -1, 5]], [[0, 0, 1, 2**40]]]
)
def test_a_plan_of_a_map_that_is_none_is_made_anew(tmp_path: Path, blocks: Any) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"facts": {"images": "a"}, "blocks": blocks}))
    assert ledger.left_over(tmp_path, {"images": "a"}) is None


def test_a_damaged_mark_of_a_map_is_told(tmp_path: Path) -> None:
    block = Block(0, 0, 64, 64)
    part = sums(np.array([1, 2]), np.ones((2, 3)), np.ones(3))
    ledger.begin(tmp_path, {"images": "a"}, [block])
    ledger.mark(tmp_path, block, part, part)
    (path,) = (tmp_path / "done").iterdir()
    whole = path.read_bytes()
    arrays = dict(np.load(path))
    for spoiled in (whole[:-30], b"", b"PK", whole.replace(b"clusters_ids", b"clusters_idx")):
        path.write_bytes(spoiled)
        with pytest.raises(BadInput, match=r"0-0\.npz is damaged .* Remove it, and start again"):
            list(ledger.found(tmp_path, [block]))
    np.savez_compressed(path, **arrays)
    with pytest.raises(BadInput, match="is compressed"):
        list(ledger.found(tmp_path, [block]))
    np.savez(path, **arrays | {"fields_ids": np.array([{"an": "object"}])})
    with pytest.raises(BadInput, match="is damaged"):
        list(ledger.found(tmp_path, [block]))


TOML = {
    "an unknown key": "shell = 'rm'",
    "an unknown key within": "[autoencoder]\nshell = 'rm'",
    "a number without end": "buffer = inf",
    "a number that is none": "[autoencoder]\nlearning_rate = nan",
    "a seed below zero": "seed = -1",
    "a seed of forty digits": "seed = 1" + "0" * 40,
    "a number of five thousand digits": "seed = " + "9" * 5000,
    "widths without end": "[autoencoder]\nhidden = [999999999999]",
    "layers without end": f"[autoencoder]\nhidden = [{'1,' * 1000}]",
    "lists in lists without end": "groups = " + "[" * 100_000,
    "names in names without end": f"{'a.' * 5_000}a = 1",
    "no text": "label = '\x00'",
    "a file of two megabytes": "#" * (2 << 20),
}


@pytest.mark.parametrize("what", TOML)
def test_settings_of_somebody_else_are_told_in_a_few_words(tmp_path: Path, what: str) -> None:
    (tmp_path / "settings.toml").write_text(TOML[what])
    with pytest.raises(BadInput) as caught:
        read_settings(tmp_path / "settings.toml", {})
    assert caught.value.argument == "settings"
    assert len(str(caught.value)) < 1200


def test_a_refusal_is_short_and_commands_no_terminal() -> None:
    error = BadInput("images", "x\x1b]0;title\x07" + "y" * 10_000_000 + " Remedy.")
    assert len(error.message) < LONGEST + 100
    assert error.message.endswith("Remedy.")
    assert "\x1b" not in str(error)


def test_only_regular_files_of_a_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="101 bytes, more than the 100"):
        content(tmp_path / "large", 100)
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="is no regular file"):
            content(path)


def test_workers_of_this_machine_listen_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: set[str] = set()

    def heard_of(client: Any, *_: Any) -> list[Any]:
        client.run(abs, 1)  # both are there
        for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
            listening = (each for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN)
            heard.update(each.laddr.ip for each in listening)
        return []

    monkeypatch.setattr(drive, "_on", heard_of)
    assert list(drive.on_workers(2)([], object.__new__(Job))) == []
    assert heard == {"127.0.0.1"}
