"""Is anything lost when a worker, or the whole of a map, is killed at any moment?

A simulated scene is run once and mapped undisturbed; then `sitscope map` is started again and again with two workers in
their own processes, and at a random moment of its work one worker, or the command itself, is killed (SIGKILL). The
command goes on by itself in the first case, and is started again with --resume in the second.

    python -m benchmarks.kill [kills of each]    20 if not given; the last line is JSON

- kills: all of them; survived: after which every file of the map equals the undisturbed one byte for byte and no block
  that was marked as done was done again.
- in_time: kills that met the command at work, the others came when it had ended.
"""

import filecmp
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from sitscope.job import run
from sitscope.settings import RunSettings
from sitscope.simulation.scene import simulate, write_scene

SETTINGS = RunSettings(
    clusters=16,
    train_series=4000,
    autoencoder={"filters": (32, 64), "kernels": (7, 5), "strides": (1, 1), "pooling": (2, 2), "epochs": 2},
)
SEED = 0


def command(home: Path, out: Path) -> list[str]:
    """sitscope map, on small blocks so that many are in question."""
    options = ["--images", home / "scene", "--fields", home / "scene" / "fields.gpkg", "--out", out]
    options += ["--workers", 2, "--memory", 0.8, "--importance", "all", "--resume"]
    return [sys.executable, "-m", "sitscope.cli", "map", str(home / "RUN"), *map(str, options)]


def marks(out: Path) -> dict[str, int]:
    """When each block that is done was done."""
    return {path.name: path.stat().st_mtime_ns for path in out.with_name(f"{out.name}.partial").glob("done/*.npz")}


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    files = [sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()) for root in (one, other)]
    return files[0] == files[1] and not any(filecmp.cmpfiles(one, other, files[0], shallow=False)[1:])


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that distributed started for its workers."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
        return [child for child in below if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def begun(home: Path, out: Path) -> subprocess.Popen[str]:
    """The command, when it has workers."""
    process = subprocess.Popen(command(home, out), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while len(workers_of(process)) < 2 and process.poll() is None:
        time.sleep(0.05)
    return process


def killed(home: Path, out: Path, reference: Path, rng: random.Random, whole: bool, lasts: float) -> tuple[bool, bool]:
    """Whether the map survived, and whether the kill met it at work."""
    shutil.rmtree(out, ignore_errors=True)
    process = begun(home, out)
    time.sleep(rng.uniform(0.0, lasts))
    at_work = process.poll() is None
    before: dict[str, int] = {}
    if whole:
        process.kill()
        process.communicate()
        before = marks(out)
        if not out.exists():
            subprocess.run(command(home, out), check=True, capture_output=True)
    else:
        victims = workers_of(process)
        at_work = at_work and bool(victims)
        if victims:
            os.kill(rng.choice(victims).pid, signal.SIGKILL)
        _, said = process.communicate()
        if process.returncode:
            print(said, flush=True)
            return False, at_work
    kept = not before or all(untouched(out, name, when) for name, when in before.items())
    return kept and same(out, reference), at_work


def untouched(out: Path, name: str, when: int) -> bool:
    """Whether the chunk at the corner of a block is older than its mark: written before the kill, and never again."""
    top, left = (int(part) for part in name.removesuffix(".npz").split("-"))
    chunk = out / "atlas.zarr" / "class" / "c" / str(top // 64) / str(left // 64)
    return not chunk.exists() or chunk.stat().st_mtime_ns <= when


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        write_scene(simulate(fields=900, seed=SEED), home / "scene")
        run(home / "scene", home / "scene" / "fields.gpkg", home / "RUN", SETTINGS)
        process, start = begun(home, home / "UNDISTURBED"), time.perf_counter()
        process.communicate()
        lasts = time.perf_counter() - start
        print(f"an undisturbed map takes {lasts:.1f} s from the start of its workers", flush=True)
        survived, met = {}, 0
        for whole in (False, True):
            what = "the command" if whole else "a worker"
            survived[what] = 0
            for i in range(times):
                well, at_work = killed(home, home / "MAP", home / "UNDISTURBED", rng, whole, lasts)
                survived[what] += well
                met += at_work
                print(f"  {what} killed, {i + 1} of {times}: {'survived' if well else 'LOST'}", flush=True)
    found = {"kills": 2 * times, "survived": sum(survived.values()), "in_time": met}
    print(json.dumps(found | {f"survived_{what.split()[1]}": n for what, n in survived.items()}))


if __name__ == "__main__":
    main()
