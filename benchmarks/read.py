"""How fast is a stack of images read, and what does it cost to convert it once?

61 dates of 2 bands as GeoTIFFs of a date and band each, tiled and deflated, in deflated strips and in strips as they
are, and the Zarr cube that `ingest` makes of each. All blocks of `open_cube` are read and thrown away, by dask's
threads, each way in a process of its own. The files were just written, so the system may hold them in memory: what is
measured is unpacking and sorting, not the disk.

    python -m benchmarks.read [side]    pixels along y and x, 2048 if not given; the last line is JSON

Keys: mpixel_per_s, million pixels (all dates and bands of each) per second of each way; peak_gb of memory, of each;
gb on disk; zarr_over_tiled, how many times faster the Zarr cube is than tiled GeoTIFFs; strips_over_tiled, seconds of
reading strips / of tiles.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from benchmarks.measuring import peak_gb, processor

from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube

DATES = np.datetime64("2017-01-03") + 6 * np.arange(61)
PLACE = Affine(10, 0, 500_000, 0, -10, 4_100_000)
LAYOUTS: dict[str, dict[str, Any]] = {
    "tiled, deflate": {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "predictor": 3},
    "strips, deflate": {"compress": "deflate", "predictor": 3},
    "strips": {},
}


def write_stack(folder: Path, side: int, profile: dict[str, Any]) -> None:
    """A wave through the year at random phase, with the noise of 20 looks: dB, nodata NaN."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 2 * np.pi, (side // 8 + 1, side // 8 + 1)).astype(np.float32)
    fields = np.kron(phase, np.ones((8, 8), np.float32))[:side, :side]
    shape = {"count": 1, "height": side, "width": side, "dtype": "float32", "nodata": np.nan, "crs": "EPSG:32630"}
    for i, date in enumerate(DATES):
        for band in ("VV", "VH"):
            values = -14 + 3 * np.sin(fields + i / 10) + rng.standard_normal((side, side), np.float32)
            path = folder / f"S1_{date}_{band}.tif"
            with rasterio.open(path, "w", driver="GTiff", transform=PLACE, **shape, **profile) as target:
                target.write(values, 1)
                target.update_tags(units="dB")


def read(images: str, chunks: int | None = None) -> None:
    """All blocks of the cube, one after the other for each of dask's threads."""
    cube = open_cube(images, chunks=chunks)
    ones = tuple((1,) * len(sizes) for sizes in cube.data.chunks)
    cube.data.map_blocks(lambda block: block[:1, :1, :1, :1].copy(), chunks=ones, dtype="float32").compute()


def convert(images: str, out: str) -> None:
    """What `sitscope ingest` does."""
    ingest(images, out, overwrite=True)


def _timed(way: Callable[..., None], arguments: tuple[Any, ...]) -> tuple[float, float]:
    start = time.perf_counter()
    way(*arguments)
    return time.perf_counter() - start, peak_gb()


def apart(way: Callable[..., None], *arguments: Any) -> tuple[float, float]:
    """Seconds and peak memory in GB, in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_timed, way, arguments).result()


def _gb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**30


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    print(f"{processor()}, {os.cpu_count()} processors; {side} x {side} pixels")
    speed, peak, size = {}, {}, {}
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for layout, profile in LAYOUTS.items():
            stack, cube = home / "stack", home / "CUBE.zarr"
            write_stack(stack, side, profile)
            size[layout] = _gb(stack)
            ways: dict[str, tuple[Any, ...]] = {layout: (read, str(stack))}
            if layout == "strips, deflate":
                ways[f"{layout}, in squares of 256"] = (read, str(stack), 256)
            ways[f"ingest of {layout}"] = (convert, str(stack), str(cube))
            ways[f"Zarr of {layout}"] = (read, str(cube))
            for way, asked in ways.items():
                seconds, peak[way] = apart(*asked)
                speed[way] = side**2 / 1e6 / seconds
                print(f"  {way:<36}{speed[way]:>7.2f} million pixels/s{peak[way]:>7.2f} GB", flush=True)
            size["Zarr"] = _gb(cube)
            for file in stack.iterdir():
                file.unlink()
            stack.rmdir()
    zarr = np.median([rate for way, rate in speed.items() if way.startswith("Zarr")])
    found = {
        "mpixel_per_s": speed,
        "peak_gb": peak,
        "gb": size,
        "zarr_over_tiled": float(zarr) / speed["tiled, deflate"],
        "strips_over_tiled": speed["tiled, deflate"] / speed["strips, deflate"],
    }
    print(json.dumps(found, default=float))


if __name__ == "__main__":
    main()
