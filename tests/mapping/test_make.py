"""Maps of a scene: the same bytes whoever makes them, however it is cut, and whatever interrupts."""

import filecmp
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from distributed import Client, LocalCluster

from sitscope.applying import Machines, map_images
from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.cube.source import Source
from sitscope.errors import BadInput
from sitscope.mapping import make
from sitscope.mapping.atlas import atlas
from sitscope.mapping.drive import in_threads, on_cluster
from sitscope.mapping.methods import QUICK
from sitscope.mapping.plan import blocks
from sitscope.mapping.work import Job

from .conftest import Home

ALONE = Machines(workers=1)


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    files = [sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()) for root in (one, other)]
    return files[0] == files[1] and not any(filecmp.cmpfiles(one, other, files[0], shallow=False)[1:])


@pytest.fixture(scope="module")
def whole(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that can be asked for, by one process."""
    out = tmp_path_factory.mktemp("maps") / "WHOLE"
    return map_images(home.run, home.images, out, fields=home.fields, importance="all", machines=ALONE)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two Dask workers in their own processes."""
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=2, **options) as cluster, Client(cluster) as client:
        yield client


def test_a_map_is_what_atlas_says_of_the_same_pixels(home: Home, whole: Path) -> None:
    fitted, book = Fitted.load(home.run / "model"), Codebook.load(home.run / "model" / "codebook.json")
    expected = atlas(home.cube(), fitted, book)
    found = xr.open_zarr(whole / "atlas.zarr")
    assert found.rio.crs == expected.rio.crs
    for name, array in expected.data_vars.items():
        np.testing.assert_array_equal(found[name].values, array.values, err_msg=str(name))
        assert array.attrs.items() <= found[name].attrs.items()
    gaps = home.cube().isnull().any("band").mean("time")
    np.testing.assert_allclose(found.missing, gaps, atol=1e-6)
    assert float(found.confidence.min()) >= 0
    assert float(found.confidence.max()) <= 1


def test_the_run_itself_maps_as_the_map_does(home: Home, whole: Path) -> None:
    assert same(home.run / "atlas.zarr", whole / "atlas.zarr")
    assert same(home.run / "maps", whole / "maps")
    assert filecmp.cmp(home.run / "pixels.parquet", whole / "pixels.parquet", shallow=False)


@pytest.mark.parametrize("how", ["threads", "workers", "cluster"])
def test_whoever_does_it_the_bytes_are_the_same(
    how: str, home: Home, whole: Path, client: Client, tmp_path: Path
) -> None:
    machines = {
        "threads": None,
        "workers": Machines(workers=2),
        "cluster": Machines(scheduler=client.scheduler.address),
    }
    options: dict[str, Any] = {"fields": home.fields, "importance": "all", "machines": machines[how]}
    with pytest.MonkeyPatch.context() as patch:
        if how == "threads":
            patch.setattr("sitscope.applying.on_workers", in_threads)
        out = map_images(home.run, home.images, tmp_path / "MAP", **options)
    assert same(out, whole)


@pytest.mark.parametrize("shape", [(64, 64), (128, 64), (256, 256)])
def test_however_it_is_cut_the_bytes_are_the_same(
    shape: tuple[int, int], home: Home, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "cut", lambda cube, *_: blocks(cube.sizes["y"], cube.sizes["x"], 64, shape))
    options: dict[str, Any] = {"fields": home.fields, "importance": "all", "machines": ALONE}
    assert same(map_images(home.run, home.images, tmp_path / "MAP", **options), whole)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes", "distributed"])
def test_a_lazy_atlas_is_the_same_on_every_scheduler_and_for_every_chunk_size(
    scheduler: str, home: Home, client: Client
) -> None:
    fitted, book = Fitted.load(home.run / "model"), Codebook.load(home.run / "model" / "codebook.json")
    cube = home.cube().isel(y=slice(0, 70), x=slice(0, 70))
    expected = atlas(cube, fitted, book)
    get = client if scheduler == "distributed" else scheduler
    with dask.config.set(scheduler=get):
        for chunk in (70, 33, 16) if scheduler == "synchronous" else (33,):
            xr.testing.assert_identical(atlas(cube.chunk({"y": chunk, "x": chunk}), fitted, book).compute(), expected)


def test_profiles_are_means_over_the_pixels_of_the_map(home: Home, whole: Path) -> None:
    """A slow twin: all pixels of a class at once."""
    fitted, table = Fitted.load(home.run / "model"), pd.read_parquet(whole / "pixels.parquet")
    maps, cube = xr.open_zarr(whole / "atlas.zarr").load(), home.cube()
    classes = maps["class"].attrs["names"]
    by_class = table[table.by == "class"]
    assert by_class.n.groupby(by_class.name).first().sum() == int((maps["class"] > 0).sum())
    for name in by_class.name.unique():
        here = (maps["class"] == 1 + classes.index(name)).values
        x = cube.values[:, :, here].transpose(2, 1, 0)
        mine = by_class[(by_class.name == name) & (by_class.dim == 2)]
        assert (mine.n == len(x)).all()
        importance = QUICK["path"](fitted, x)[:, 1]
        np.testing.assert_allclose(mine.importance, importance.sum(axis=1).mean(axis=0, dtype=float), atol=1e-5)
        np.testing.assert_allclose(mine.importance_VH, importance[:, 1].mean(axis=0, dtype=float), atol=1e-5)
        np.testing.assert_allclose(mine.VV, x[:, 0].mean(axis=0, dtype=float), atol=1e-4)
        np.testing.assert_allclose(mine.VV_std, x[:, 0].std(axis=0, dtype=float), atol=1e-2)
        np.testing.assert_allclose(mine.embedding.iloc[0], maps.embedding.values[1, here].mean(dtype=float), atol=1e-5)
        np.testing.assert_allclose(mine.confidence.iloc[0], maps.confidence.values[here].mean(dtype=float), atol=1e-5)


def test_fields_say_what_all_their_pixels_say(home: Home, whole: Path) -> None:
    import geopandas as gpd
    from rasterio.features import geometry_mask

    from sitscope.cube.grid import Grid

    table, maps = gpd.read_parquet(whole / "fields.parquet"), xr.open_zarr(whole / "atlas.zarr").load()
    grid, cube = Grid.of(maps["class"]), home.cube()
    fitted = Fitted.load(home.run / "model")
    assert len(table) == 120
    assert {"crop", "predicted", "share", "e1", "e2", "confidence", "importance_1"} <= set(table)
    for row in table.iloc[::17].itertuples():
        inside = ~geometry_mask([row.geometry], (grid.height, grid.width), grid.transform)
        inside &= (maps["class"] > 0).values
        assert row.pixels == inside.sum()
        names = np.array(maps["class"].attrs["names"])[maps["class"].values[inside] - 1]
        assert row.share == pytest.approx((names == row.predicted).mean())
        assert row.e1 == pytest.approx(maps.embedding.values[0, inside].mean(dtype=float), abs=1e-5)
        importance = QUICK["path"](fitted, cube.values[:, :, inside].transpose(2, 1, 0)).sum(axis=2)[:, 0]
        np.testing.assert_allclose(row.importance_1, importance.mean(axis=0, dtype=float), atol=1e-5)
    shares = table[[c for c in table if c.startswith("share ")]].sum(axis=1)
    np.testing.assert_allclose(shares[table.pixels > 0], 1, atol=1e-6)


def test_importance_is_kept_in_bytes_of_a_window(home: Home, tmp_path: Path) -> None:
    out = map_images(home.run, home.images, tmp_path / "MAP", importance="70,3,20,20", machines=ALONE)
    kept = xr.open_zarr(out / "importance.zarr")
    stored = xr.open_zarr(out / "importance.zarr", mask_and_scale=False).importance
    assert stored.dtype == np.int8
    assert kept.importance.dims == ("dim", "time", "y", "x")
    assert (kept.sizes["y"], kept.sizes["x"]) == (min(128, home.cube().sizes["y"]) - 64, 64)
    part = home.cube().sel(y=kept.y, x=kept.x)
    whole = ~np.isnan(part.values).any(axis=(0, 1))
    x = part.values[:, :, whole].transpose(2, 1, 0)
    expected = QUICK["path"](Fitted.load(home.run / "model"), x).sum(axis=2)
    step = stored.attrs["scale_factor"]
    found = kept.importance.values[..., whole].transpose(2, 0, 1)
    inside = np.abs(expected) < 127 * step
    assert inside.mean() > 0.99
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.51 * step)
    assert np.isnan(kept.importance.values[..., ~whole]).all()


def test_a_map_that_stopped_goes_on_where_it_was(home: Home, whole: Path, tmp_path: Path) -> None:
    done: list[str] = []

    def told(stage: str, n: int, total: int) -> None:
        if stage == "mapping":
            done.append(f"{n}")
            if len(done) == 3:
                raise KeyboardInterrupt

    options: dict[str, Any] = {"fields": home.fields, "importance": "all", "machines": ALONE}
    out = tmp_path / "MAP"
    with pytest.raises(KeyboardInterrupt):
        map_images(home.run, home.images, out, talk=told, **options)
    marked = sorted((tmp_path / "MAP.partial" / "done").iterdir())
    assert len(marked) == 2
    for hidden in (".pixels.parquet.x1", "maps/.class.tif.x2"):  # what a kill leaves in the middle of a file
        (tmp_path / "MAP.partial" / hidden).mkdir(parents=True)
        (tmp_path / "MAP.partial" / hidden / "begun").write_text("begun")
    first: list[int] = []
    map_images(home.run, home.images, out, talk=lambda stage, n, total: first.append(n), **options)
    assert first[2] > 0  # after "reading images" begins and ends
    assert same(out, whole)
    with pytest.raises(BadInput, match="already holds a map"):
        map_images(home.run, home.images, out, **options)


def test_less_memory_later_cuts_only_what_is_left(
    home: Home, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(stage: str, n: int, total: int) -> None:
        if stage == "mapping" and n:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"fields": home.fields, "importance": "all", "machines": ALONE}
    with monkeypatch.context() as patch:
        patch.setattr(make, "cut", lambda cube, *_: blocks(cube.sizes["y"], cube.sizes["x"], 64, (64, 256)))
        with pytest.raises(KeyboardInterrupt):
            map_images(home.run, home.images, tmp_path / "MAP", talk=stop, **options)
    assert same(map_images(home.run, home.images, tmp_path / "MAP", **options), whole)


def test_a_cube_in_memory_is_mapped_too_and_never_taken_for_another(home: Home, whole: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"fields": home.fields, "importance": "all"}
    out = map_images(home.run, home.cube(), tmp_path / "MAP", **options)
    assert same(out / "atlas.zarr", whole / "atlas.zarr")
    assert json.loads((out / "map.json").read_text())["images"] is None


def test_a_killed_command_goes_on(home: Home, whole: Path, tmp_path: Path) -> None:
    """SIGKILL of the whole command as soon as a block is done; see benchmarks/kill.py for many moments."""
    out = tmp_path / "MAP"
    command = [sys.executable, "-m", "sitscope.cli", "map", home.run, "--images", home.images, "--out", out]
    command += ["--fields", home.fields, "--importance", "all", "--workers", "2"]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    done = tmp_path / "MAP.partial" / "done"
    while process.poll() is None and not (done.exists() and any(done.glob("*.npz"))):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    ended = subprocess.run([*map(str, command), "--resume"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert same(out, whole)


def test_a_worker_that_dies_is_replaced(home: Home, tmp_path: Path, whole: Path) -> None:
    killed: list[int] = []
    fitted, book = Fitted.load(home.run / "model"), Codebook.load(home.run / "model" / "codebook.json")
    job = Job(Source.of(home.images, {}), fitted, book, "path", tmp_path)
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=2, silence_logs=50, **options) as cluster:

        def told(done: int, total: int) -> None:
            if done and not killed:
                killed.append(next(iter(cluster.workers.values())).pid)
                os.kill(killed[0], signal.SIGKILL)

        work = on_cluster(cluster.scheduler_address)
        make.make_maps(job, {"images": "x"}, work, memory_gb=1.5, workers=2, progress=told)
    assert killed
    fields = ("embedding", "cluster", "class", "confidence", "peak_date", "peak_importance", "backscatter", "missing")
    for name in fields:
        assert same(tmp_path / "atlas.zarr" / name, whole / "atlas.zarr" / name)


def test_a_model_that_changed_under_a_job_is_noticed(home: Home, tmp_path: Path) -> None:
    import pickle
    import shutil

    shutil.copytree(home.run / "model", tmp_path / "model")
    fitted = Fitted.load(tmp_path / "model")
    travelling = pickle.dumps(fitted)
    assert len(travelling) < 1000
    text = (tmp_path / "model" / "model.json").read_text()
    (tmp_path / "model" / "model.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(BadInput, match="has changed since this work began"):
        pickle.loads(travelling)
    unsaved = replace(fitted, home=None)
    x = np.zeros((3, len(fitted.bands), len(fitted.dates)), np.float32)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(unsaved)).embed(x), fitted.embed(x))
