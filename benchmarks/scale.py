"""Is a scene of any size mapped in memory that does not grow, and twice as fast by two workers?

A Zarr cube of 61 dates of 2 bands, generated block by block, is embedded, clustered, classified and explained by
`make_maps` (the default network and method, two nodes) on a Dask cluster of worker processes with one thread each.

    python -m benchmarks.scale [side] [method] [part]    the last line is JSON

side: pixels along y and x, 4096 if not given; method: path or letter; part: memory, speed or both.

- peak_gb: largest resident memory of a worker on the large scene; imports_gb: when it has loaded sitscope.
- growth: peak memory on the large scene / on one of 1,024 x 1,024 - 1, workers of their own for each.
- two_worker_speedup: time of one worker / of two for the same scene of 1,024 x 1,024, which has 16 blocks, median of
  rounds, after a warm-up.
- over_vs_memory: pixels per second of `over_pixels` on the Zarr cube / on the same pixels in memory, in one process,
  median of rounds.
- pixels_per_second: of two workers on the large scene.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import numpy as np
import torch
import xarray as xr
from benchmarks.measuring import peak_gb, processor
from benchmarks.whole import model, scene
from distributed import Client, LocalCluster

from sitscope.autoencoder.fitted import Fitted
from sitscope.cube.ingest import ingest
from sitscope.cube.over import over_pixels
from sitscope.cube.reading import open_cube
from sitscope.cube.source import Source
from sitscope.mapping.atlas import outputs, pixel_rows
from sitscope.mapping.drive import ENVIRONMENT, on_cluster
from sitscope.mapping.make import make_maps
from sitscope.mapping.methods import QUICK
from sitscope.mapping.work import Job

SMALL, ROUNDS, MEMORY_GB = 1024, 3, 1.5
PAIR, WARM, PAIRS = 1024, 512, 2
"""A scene of 16 blocks for one worker and for two, another that warms them up, and how often they take turns."""
STRIP = 512, 256
"""Rows and columns of what is read and explained by turns."""


@contextmanager
def workers(n: int) -> Iterator[Client]:
    """Processes of their own, as `sitscope map --workers` has them."""
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": ENVIRONMENT}),
        LocalCluster(n_workers=n, silence_logs=50, **options) as cluster,
        Client(cluster) as client,
    ):
        yield client


def mapped(client: Client, job: Job, count: int) -> float:
    """Seconds for all maps of a scene."""
    shutil.rmtree(job.folder, ignore_errors=True)
    address = client.scheduler.address
    start = time.perf_counter()
    make_maps(job, {"images": None}, on_cluster(address), memory_gb=MEMORY_GB, workers=count, progress=told)
    return time.perf_counter() - start


def told(done: int, total: int) -> None:
    """A sign of life every tenth of the way."""
    if done and (10 * done // total) > (10 * (done - told.last) // total):  # type: ignore[attr-defined]
        print(f"    {done:,} of {total:,} pixels", flush=True)
    told.last = 2**16  # type: ignore[attr-defined]


told.last = 2**16  # type: ignore[attr-defined]


def cube_of(side: int, home: Path) -> Path:
    """The scene as a Zarr cube."""
    start = time.perf_counter()
    path = ingest(scene(side), home / f"cube{side}.zarr")
    print(f"cube of {side} x {side} made in {time.perf_counter() - start:.0f} s", flush=True)
    return path


def peaks(side: int, job: Job) -> tuple[float, float, float]:
    """Peak GB of the workers before and after a scene, and pixels per second."""
    with workers(2) as client:
        before = max(client.run(peak_of_worker).values())
        seconds = mapped(client, job, 2)
        after = max(client.run(peak_gb).values())
    print(f"  {side} x {side}: {seconds:.0f} s, {after:.3f} GB", flush=True)
    return before, after, side**2 / seconds


def peak_of_worker() -> float:
    """Of a worker that has imported what it needs."""
    from sitscope.mapping import work  # noqa: F401

    return peak_gb()


def speedup(warm: Job, job: Job) -> float:
    """One worker's time / that of two, by turns."""
    ratios = []
    with workers(1) as alone, workers(2) as both:
        for each in (warm, *[job] * PAIRS):
            one, two = mapped(alone, each, 2), mapped(both, each, 2)
            print(f"  one worker {one:.1f} s, two {two:.1f} s{' (warm-up)' if each is warm else ''}", flush=True)
            ratios.append(one / two)
    return statistics.median(ratios[1:])


def over_and_memory(path: Path, job: Job) -> float:
    """Speed of the bridge on Zarr / in memory, by turns."""
    torch.set_num_threads(1)
    cube = open_cube(path, chunks={"y": 256, "x": 256}).isel(y=slice(STRIP[0]), x=slice(STRIP[1]))

    def rows(x: np.ndarray) -> np.ndarray:
        return pixel_rows(x, job.fitted, job.book, QUICK[job.method])[0]

    loaded, ratios = cube.compute(), []
    for i in range(ROUNDS + 1):
        start = time.process_time()
        over_pixels(rows, loaded, outputs=outputs(job.fitted))
        memory = time.process_time() - start
        start = time.process_time()
        over_pixels(rows, cube, outputs=outputs(job.fitted)).compute(scheduler="synchronous")
        zarr = time.process_time() - start
        print(f"  in memory {memory:.1f} s, from Zarr {zarr:.1f} s{'' if i else ' (warm-up)'}", flush=True)
        ratios.append(memory / zarr)
    return statistics.median(ratios[1:])


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    method = sys.argv[2] if len(sys.argv) > 2 else "path"
    part = sys.argv[3] if len(sys.argv) > 3 else "both"
    print(f"{processor()}, {os.cpu_count()} processors, torch {torch.__version__}; {side**2:,} pixels, {method}")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        fitted, book = model()
        fitted = Fitted.load(fitted.save(home / "model"))
        jobs = {
            size: Job(Source.of(cube_of(size, home), {}), fitted, book, method, home / f"map{size}")
            for size in dict.fromkeys([SMALL] + [WARM, PAIR] * (part != "memory") + [side] * (part != "speed"))
        }
        found = {}
        if part != "memory":
            found["over_vs_memory"] = over_and_memory(home / f"cube{SMALL}.zarr", jobs[SMALL])
            found["two_worker_speedup"] = speedup(jobs[WARM], jobs[PAIR])
        if part != "speed":
            _, small, _ = peaks(SMALL, jobs[SMALL])
            found["imports_gb"], found["peak_gb"], found["pixels_per_second"] = peaks(side, jobs[side])
            maps = xr.open_zarr(home / f"map{side}" / "atlas.zarr", consolidated=False)
            assert bool((maps.cluster > 0).all()), "a part of the scene was left out"
            found |= {"growth": found["peak_gb"] / small - 1, "pixels": side**2}
    print(json.dumps({key: float(f"{value:.4g}") for key, value in found.items()}))


if __name__ == "__main__":
    main()
