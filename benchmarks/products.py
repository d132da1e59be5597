"""How long do all GeoTIFFs of an atlas take, and how much memory?

python -m benchmarks.products [--side 4096] [--dims 2] [--folder FOLDER]

An atlas of random smooth maps is written to Zarr strip by strip, in the chunks of `sitscope map`; another process then
opens it and writes every map. The last line is JSON: pixels, seconds, peak_gb of that process, of which before_gb were
there once all was imported, and the size of what it wrote.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from rio_cogeo import cog_validate

from sitscope.classes.codebook import Codebook
from sitscope.cube.store import for_zarr
from sitscope.mapping.products import write_maps

CLASSES, DATES, STRIP, CHUNK = 16, 61, 512, 256


def book(dims: int) -> Codebook:
    """Sixteen clusters, each a class of its own."""
    names = tuple(f"crop {i:02}" for i in range(CLASSES))
    return Codebook(np.zeros((CLASSES, dims), np.float32), np.eye(CLASSES, dtype=np.int64), names, np.arange(CLASSES))


def synthetic(side: int, dims: int) -> xr.Dataset:
    """Fields of 32 x 32 pixels: codes alike within each, numbers with noise upon them. Lazy."""
    rows = da.arange(side, chunks=STRIP)[:, None] // 32  # type: ignore[no-untyped-call]
    field = (rows * 7919 + (np.arange(side) // 32)[None] * 104_729) % 9973
    rng = da.random.default_rng(0)  # type: ignore[no-untyped-call]
    noise = rng.normal(size=(dims, side, side), chunks=(1, STRIP, side)).astype("float32")
    numbers = (("dim", "y", "x"), (field / 9973 + 0.1 * noise).astype("float32"))
    code = ("y", "x"), (field % CLASSES + 1).astype("int16")
    days = np.datetime_as_string(np.datetime64("2017-01-03") + 6 * np.arange(DATES), unit="D").tolist()
    peak = ("dim", "y", "x"), da.stack([field % DATES + 1] * dims).astype("int16"), {"dates": days}
    confidence = ("y", "x"), (field % 100 / 100).astype("float32")
    names = {"class": code, "cluster": code, "embedding": numbers, "peak_date": peak, "peak_importance": numbers}
    axis = 10.0 * np.arange(side)
    coords = {"y": 4_000_000 - axis, "x": 500_000 + axis, "dim": np.arange(1, dims + 1)}
    return xr.Dataset(names | {"confidence": confidence}, coords).rio.write_crs("EPSG:32630")


def prepare(path: Path, side: int, dims: int) -> None:
    """The atlas in Zarr, strip by strip."""
    ready = for_zarr(synthetic(side, dims))
    for name in ready.data_vars:
        ready[name].encoding["chunks"] = tuple({"dim": 1}.get(str(axis), CHUNK) for axis in ready[name].dims)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        ready.to_zarr(path, zarr_format=3, consolidated=True)


def measure(path: Path, out: Path, dims: int) -> dict[str, float]:
    """In a process of its own, whose peak is then that of this alone."""
    before, start = peak_gb(), time.perf_counter()
    with xr.open_zarr(path) as maps:
        write_maps(maps, out, book(dims), progress=lambda done, total: None)
        pixels = maps.sizes["y"] * maps.sizes["x"]
    seconds = time.perf_counter() - start
    size = sum(file.stat().st_size for file in out.iterdir()) / 1e9
    found = {"pixels": pixels, "maps": len(list(out.glob("*.tif"))), "seconds": seconds, "size_gb": size}
    return found | {"peak_gb": peak_gb(), "before_gb": before}


def peak_gb() -> float:
    """Of this process since it began; getrusage's is that of the process it came from, where that is larger."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--dims", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where there is room; a temporary one if not given")
    parser.add_argument("--atlas", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.atlas:
        print(json.dumps(measure(asked.atlas, asked.atlas.parent / "maps", asked.dims)))
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        atlas = Path(folder) / "atlas.zarr"
        prepare(atlas, asked.side, asked.dims)
        command = [sys.executable, "-m", "benchmarks.products", "--atlas", str(atlas), "--dims", str(asked.dims)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        valid = [cog_validate(path, strict=True)[0] for path in (Path(folder) / "maps").glob("*.tif")]
    print(json.dumps({**found, "strict_cogs": sum(valid), "seconds_per_map": found["seconds"] / found["maps"]}))


if __name__ == "__main__":
    main()
