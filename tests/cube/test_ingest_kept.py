"""What is converted once is kept: through kill -9, a full disk and a folder that is read-only, byte for byte."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from sitscope.cube import ingest as ingesting
from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube
from small_scenes import PLACE, decibels, write_image, write_stack

OPTIONS = ("--crs", "EPSG:32629", "--resolution", "10", "--every", "month")
SLOW = """
import sys, time
from sitscope.cube import ingest, regrid
from sitscope.cli import main
ingest.BLOCK_BYTES = 64 * 300 * 4 * 6
ingest.SIDE, regrid.TILE = 32, 32
real, pause = ingest._write_mark, float(sys.argv[1])
def marked(partial, facts, rows):
    real(partial, facts, rows)
    print(rows, flush=True)
    time.sleep(pause)
ingest._write_mark = marked
sys.argv = ["sitscope", *sys.argv[2:]]
main()
"""


def write_season(folder: Path) -> Path:
    """Six dates of three months, the last two on a grid of their own."""
    for i in range(6):
        place = PLACE if i < 4 else PLACE * Affine.translation(2.5, 1.5)
        values = decibels(i, (300, 280))
        write_image(folder / f"S1_2017-0{1 + i // 2}-{10 + i}_VV.tif", values, tags={"units": "dB"}, transform=place)
    return folder


def command(stack: Path, out: Path, pause: float = 0.0, *more: str) -> list[str]:
    asked = ("ingest", "--images", str(stack), "--out", str(out), *OPTIONS, *more)
    return [sys.executable, "-c", SLOW, str(pause), *asked]


def bytes_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("moment", range(3))
def test_a_killed_conversion_goes_on_and_is_the_undisturbed_one_byte_for_byte(tmp_path: Path, moment: int) -> None:
    stack, out = write_season(tmp_path / "stack"), tmp_path / "CUBE.zarr"
    subprocess.run(command(stack, tmp_path / "WHOLE.zarr"), check=True, capture_output=True)
    running = subprocess.Popen(command(stack, out, 0.1), stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for _ in range(1 + 2 * moment):  # the mark of an empty cube, and rows of blocks
        running.stdout.readline()
    time.sleep(random.Random(moment).uniform(0, 0.2))
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    assert not out.exists()
    done = subprocess.run(command(stack, out), check=True, capture_output=True, text=True)
    again = [int(line) for line in done.stdout.splitlines() if line.isdigit()]
    assert again[0] >= 2 * moment  # no row that was marked is made again
    assert bytes_of(out) == bytes_of(tmp_path / "WHOLE.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CUBE.zarr", "WHOLE.zarr", "stack"]


def test_chunks_torn_when_it_was_killed_do_not_stay(tmp_path: Path) -> None:
    stack, out = write_season(tmp_path / "stack"), tmp_path / "CUBE.zarr"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(stack, out, grid={"like": "most"}, progress=stop)
    (tmp_path / "CUBE.zarr.partial" / "cube" / "VV" / "0.0.1.abc.partial").write_bytes(b"half")
    ingest(stack, out, grid={"like": "most"})
    assert not list(out.rglob("*.partial"))


def test_one_that_was_stopped_between_its_last_two_steps_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, out = write_season(tmp_path / "stack"), tmp_path / "CUBE.zarr"

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ingesting.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(stack, out, grid={"like": "most"})
    assert (tmp_path / "CUBE.zarr.partial").exists()
    assert ingest(stack, out, grid={"like": "most"}) == out
    assert not (tmp_path / "CUBE.zarr.partial").exists()


def test_other_options_start_anew(tmp_path: Path) -> None:
    stack, out = write_season(tmp_path / "stack"), tmp_path / "CUBE.zarr"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(stack, out, grid={"like": "most"}, every="month", progress=stop)
    made = ingest(stack, out, grid={"like": "most"}, every="59D")
    assert open_cube(made).equals(open_cube(ingest(stack, tmp_path / "B.zarr", grid={"like": "most"}, every="59D")))


def test_a_full_disk_is_told_and_what_is_done_is_kept(tmp_path: Path) -> None:
    stack, out = write_season(tmp_path / "stack"), tmp_path / "CUBE.zarr"
    # a limit on the size of files needs no privilege, and fails where a full disk does: in write
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # noqa: E731
    asked = [sys.executable, "-m", "sitscope.cli", "ingest", "--images", str(stack), "--out", str(out), *OPTIONS]
    done = subprocess.run(asked, preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 3
    assert f"{out} cannot be written: files may not be as large" in done.stderr
    assert "the same command goes on with what is done" in done.stderr
    assert not out.exists()
    assert (tmp_path / "CUBE.zarr.partial" / "done.json").exists()
    subprocess.run(asked, check=True, capture_output=True)
    assert open_cube(out).sizes["time"] == 3


@pytest.mark.parametrize("number", sorted(ingesting.FULL))
def test_every_reason_not_to_write_is_told(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stack, out = tmp_path / "stack", tmp_path / "CUBE.zarr"
    write_stack(stack)

    def refuses(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(ingesting, "_write_mark", refuses)
        with pytest.raises(ingesting.BadInput, match=rf"CUBE\.zarr cannot be written: {ingesting.FULL[number]}"):
            ingest(stack, out)
    assert open_cube(ingest(stack, out)).equals(open_cube(stack))


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="root may write everywhere but into Linux's /sys")
def test_a_folder_that_is_read_only_is_told(tmp_path: Path) -> None:
    write_stack(tmp_path / "stack")
    place = Path("/sys/kernel")
    if os.geteuid():
        place = tmp_path / "read_only"
        place.mkdir(mode=0o555)
    with pytest.raises(ingesting.BadInput, match="cannot be written"):
        ingest(tmp_path / "stack", place / "CUBE.zarr")


def test_gdal_opens_it_too(tmp_path: Path) -> None:
    stack, out = write_season(tmp_path / "stack"), tmp_path / "CUBE.zarr"
    ingest(stack, out, grid={"like": "most"}, every="month")
    with rasterio.open(f'ZARR:"{out}":/VV') as source:
        assert (source.count, source.shape, source.crs.to_epsg()) == (3, (300, 280), 32630)
        assert source.transform == PLACE
        assert np.isnan(source.nodata)
        np.testing.assert_array_equal(source.read(), open_cube(out).values[:, 0])
