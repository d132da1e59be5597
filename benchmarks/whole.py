"""Does a whole scene go as fast as its pixels, on one process and on two, in memory that does not grow?

A Zarr cube of 61 dates of 2 bands, made by `ingest` from seasons of random phase and noise. Worker processes of one
thread each read it block by block with `open_cube`, embed and explain every pixel of a block with `over_pixels` and
`Fitted.embed_and_explain` (the default network), and write embedding, cluster, peak date and its importance into one
Zarr store by region; importance is summed by cluster on the way.

    python -m benchmarks.whole [side]    pixels along y and x, 2048 if not given; the last line is JSON

The scene is cut into parts of half a million series. Each is done by one worker alone, then by two at once, each every
other block of it, so that whatever else the machine does meets both alike. The start of the workers is not counted.

- two_process_speedup: wall-clock time of one / of two, the median over parts; speedup_of_sums: of all parts together.
- scaling_by_processor_time: twice the processor time of one / that of both together: what two take from each other,
  whatever other processes take from them.
- io_share: reading and writing / all wall-clock time of the worker alone; io_share_two: of both, when there are two.
- peak_gb: largest resident memory of a worker; imports_gb: before it opened the cube.
- growth: peak memory of the worker after all series / after the first half million - 1.
- series_per_second: of one process and of two, all parts together.
"""

import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import torch
import xarray as xr
from benchmarks.measuring import peak_gb, processor
from threadpoolctl import threadpool_limits

from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.training import fit
from sitscope.classes.codebook import Codebook, fit_codebook
from sitscope.cube.ingest import ingest
from sitscope.cube.over import over_pixels
from sitscope.cube.reading import open_cube
from sitscope.cube.store import for_zarr

DATES = np.datetime64("2017-01-03", "ns") + 6 * np.arange(61) * np.timedelta64(1, "D")
BANDS, CLUSTERS = ["VV", "VH"], 16
PART = 2**19
"""Series of a round."""

Block = dict[str, slice]
"""Where in y and x."""


def seasons(shape: tuple[int, ...], seed: int | tuple[int, ...]) -> np.ndarray:
    """dB (t, c, *shape): a wave through the year at random phase, and noise."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * rng.random(shape, np.float32)
    angle = np.linspace(0, 2 * np.pi, len(DATES), dtype=np.float32).reshape(-1, 1, *(1,) * len(shape))
    return -14 + 3 * np.sin(angle + phase) + rng.standard_normal((len(DATES), len(BANDS), *shape), np.float32)


def scene(side: int) -> xr.DataArray:
    """The cube to convert, made when it is read."""

    def made(block_info: Any = None) -> np.ndarray:
        where = block_info[None]
        return seasons(where["chunk-shape"][2:], tuple(where["chunk-location"][2:]))

    rows, columns = (tuple(min(step, side - i) for i in range(0, side, step)) for step in (128, 1024))
    values = da.map_blocks(made, chunks=((len(DATES),), (len(BANDS),), rows, columns), dtype="float32")
    place = {"y": 4_100_000 - 10.0 * np.arange(side), "x": 500_000 + 10.0 * np.arange(side)}
    array = xr.DataArray(values, {"time": DATES, "band": BANDS} | place, ("time", "band", "y", "x"), "backscatter")
    return array.assign_attrs(units="dB").rio.write_crs("EPSG:32630")


def model() -> tuple[Fitted, Codebook]:
    """The default network after an epoch: speed does not hang on what it learned."""
    x = seasons((1024,), 0).transpose(2, 1, 0)
    coords = {"time": DATES, "band": BANDS}
    series = xr.Dataset({"x": (("series", "band", "time"), x)}, coords, {"units": "dB"})
    fitted = fit(series, Settings(epochs=1))
    label = np.where(np.arange(len(x)) % 2, "oat", "rye")
    return fitted, fit_codebook(fitted.embed(x), label, clusters=CLUSTERS)


class Worker:
    """What explains blocks, in its own process."""

    def __init__(self, home: Path, book: Codebook) -> None:
        torch.set_num_threads(1)
        threadpool_limits(1)
        dask.config.set(scheduler="synchronous")
        self.book, self.maps = book, home / "maps.zarr"
        self.fitted = Fitted.load(home / "model")
        self.imports_gb = peak_gb()
        self.cube = open_cube(home / "CUBE.zarr")
        self.sums = np.zeros((CLUSTERS, self.fitted.settings.dims * len(DATES)))
        self.explained(np.zeros((512, len(BANDS), len(DATES)), np.float32))  # compiles

    def explained(self, x: np.ndarray) -> np.ndarray:
        """Embedding, cluster, peak date and importance there (n, 3 d + 1); importance summed by cluster."""
        embedding, importance = self.fitted.embed_and_explain(x)
        cluster = self.book.cluster(embedding)
        self.sums += np.eye(CLUSTERS, dtype=np.float32)[cluster].T @ importance.reshape(len(x), -1)
        peak = np.abs(importance).argmax(axis=2)
        strength = np.take_along_axis(importance, peak[:, :, None], axis=2)[:, :, 0]
        return np.hstack([embedding, cluster[:, None] + 1, peak + 1, strength]).astype(np.float32)

    def work(self, blocks: list[Block]) -> dict[str, float]:
        """Explain some blocks of the scene; what it took."""
        reading = writing = 0.0
        start, used = time.perf_counter(), time.process_time()
        for place in blocks:
            begun = time.perf_counter()
            block = self.cube.isel(place).load()
            reading += time.perf_counter() - begun
            found = over_pixels(self.explained, block, outputs=3 * self.fitted.settings.dims + 1)
            begun = time.perf_counter()
            self.write(found, place)
            writing += time.perf_counter() - begun
        return {
            "seconds": time.perf_counter() - start,
            "processor": time.process_time() - used,
            "io": reading + writing,
            "peak_gb": peak_gb(),
            "imports_gb": self.imports_gb,
        }

    def write(self, found: xr.DataArray, place: Block) -> None:
        """A block of the maps to its place in the store."""
        d = self.fitted.settings.dims
        maps = named(found.transpose("output", "y", "x"), d).drop_vars(["y", "x", "spatial_ref"], errors="ignore")
        maps.to_zarr(self.maps, region=place, consolidated=False)


def named(packed: xr.DataArray, d: int) -> xr.Dataset:
    """The maps that lie in (output, y, x)."""
    by_dim = packed.rename(output="dim")
    cluster, peak = packed[d].fillna(0).astype("int16"), by_dim[d + 1 : 2 * d + 1].fillna(0).astype("int16")
    return xr.Dataset(
        {"embedding": by_dim[:d], "cluster": cluster, "peak_date": peak, "peak_importance": by_dim[2 * d + 1 :]}
    )


def cut(cube: xr.DataArray) -> list[Block]:
    """The blocks of the cube, row by row."""
    rows, columns = (np.cumsum((0, *sizes)).tolist() for sizes in cube.chunks[2:])
    return [{"y": slice(*y), "x": slice(*x)} for y in itertools.pairwise(rows) for x in itertools.pairwise(columns)]


def serve(home: Path, book: Codebook, pipe: Connection) -> None:
    """A worker's life: parts of the scene in, what they took out."""
    worker = Worker(home, book)
    pipe.send(None)
    while (part := pipe.recv()) is not None:
        pipe.send(worker.work(part))


def prepare(home: Path, side: int) -> Codebook:
    """Cube, model and an empty store for the maps."""
    fitted, book = model()
    fitted.save(home / "model")
    start = time.perf_counter()
    cube = open_cube(ingest(scene(side), home / "CUBE.zarr"))
    print(f"cube made in {time.perf_counter() - start:.0f} s, blocks of {cube.chunksizes['y'][0]} x", end=" ")
    print(f"{cube.chunksizes['x'][0]} pixels", flush=True)
    empty = da.zeros((3 * Settings().dims + 1, side, side), chunks=(-1, cube.chunks[2], cube.chunks[3]))
    packed = xr.DataArray(empty.astype("float32"), {"y": cube.y, "x": cube.x}, ("output", "y", "x"))
    maps = for_zarr(named(packed, Settings().dims).assign_coords(spatial_ref=cube.spatial_ref))
    maps.to_zarr(home / "maps.zarr", compute=False, zarr_format=3, consolidated=False)
    return book


def rounds(home: Path, book: Codebook) -> tuple[list[dict[str, float]], list[list[dict[str, float]]]]:
    """Every part of the scene by one worker, then by two."""
    start, (pipes, processes) = multiprocessing.get_context("spawn"), ([], [])
    for _ in range(2):
        mine, theirs = start.Pipe()
        process = start.Process(target=serve, args=(home, book, theirs))
        process.start()
        pipes.append(mine)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    cube = open_cube(home / "CUBE.zarr")
    blocks = cut(cube)
    each = -(-PART // (cube.chunks[2][0] * cube.chunks[3][0]))
    alone, both = [], []
    for i in range(0, len(blocks), each):
        part = blocks[i : i + each]
        pipes[0].send(part)
        alone.append(pipes[0].recv())
        for j, pipe in enumerate(pipes):
            pipe.send(part[j::2])
        both.append([pipe.recv() for pipe in pipes])
        one, two = alone[-1]["seconds"], max(took["seconds"] for took in both[-1])
        series = sum((p["y"].stop - p["y"].start) * (p["x"].stop - p["x"].start) for p in part)
        print(f"  {series:>9,} series: one {one:.1f} s, two {two:.1f} s, {one / two:.2f} x", flush=True)
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send(None)
        process.join()
    return alone, both


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    print(f"{processor()}, {os.cpu_count()} processors, torch {torch.__version__}; {side**2:,} series")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        alone, both = rounds(home, prepare(home, side))
        maps = xr.open_zarr(home / "maps.zarr", consolidated=False)
        assert bool((maps.cluster > 0).all() & maps.embedding.notnull().all()), "a part of the scene was left out"
    one = [each["seconds"] for each in alone]
    two = [max(part["seconds"] for part in each) for each in both]
    shares = [sum(each["processor"] for each in parts) for parts in both]
    every = [*alone, *(part for parts in both for part in parts)]
    found = {
        "two_process_speedup": statistics.median(a / b for a, b in zip(one, two, strict=True)),
        "speedup_of_sums": sum(one) / sum(two),
        "scaling_by_processor_time": 2 * sum(each["processor"] for each in alone) / sum(shares),
        "io_share": sum(each["io"] for each in alone) / sum(one),
        "io_share_two": sum(p["io"] for parts in both for p in parts)
        / sum(p["seconds"] for parts in both for p in parts),
        "peak_gb": max(each["peak_gb"] for each in every),
        "imports_gb": alone[0]["imports_gb"],
        "growth": alone[-1]["peak_gb"] / alone[0]["peak_gb"] - 1,
        "series_per_second": side**2 / sum(one),
        "series_per_second_two": side**2 / sum(two),
        "series": side**2,
    }
    print(json.dumps({key: float(f"{value:.4g}") for key, value in found.items()}))


if __name__ == "__main__":
    main()
