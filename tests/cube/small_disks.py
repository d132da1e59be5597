"""Writes to disks that are too small, mounted where no other process sees them: unshare -m python small_disks.py PLACE.

They go with this process, however it ends. Prints JSON: for each writer in which words it was refused and what is left,
for each size of disk whether the map is whole, refused or damaged.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr

from sitscope.cube.store import write_zarr
from sitscope.cube.writing import write_fields, write_map
from sitscope.errors import BadInput

sys.path.insert(0, str(Path(__file__).parent))
from small_scenes import NORTH, WEST, four_fields

SIDE = 600
SIZES = range(5500, 6700, 16)
"""In kB: the map needs some of the larger ones, and where they end GDAL says nothing on a stretch of 32 kB."""


def noise() -> xr.DataArray:
    """1.4 MB that cannot be packed."""
    values = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype("float32")
    coords = {"y": NORTH - 5 - 10.0 * np.arange(SIDE), "x": WEST + 5 + 10.0 * np.arange(SIDE)}
    return xr.DataArray(values, coords, ("y", "x"), name="map").rio.write_crs("EPSG:32630")


def wordy() -> list[str]:
    """600 kB for each of four fields, that cannot be packed much."""
    return [np.random.default_rng(i).bytes(300_000).hex() for i in range(4)]


WRITERS: dict[str, Callable[[Path], None]] = {
    "map.tif": lambda path: write_map(noise(), path),
    "atlas.zarr": lambda path: write_zarr(noise().to_dataset(name="map").chunk(), path),
    "fields.parquet": lambda path: write_fields(four_fields(wordy()), path),
}


def mount(place: Path, kilobytes: int) -> None:
    subprocess.run(["umount", str(place)], capture_output=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], check=True)


def refusal(write: Callable[[Path], None], path: Path) -> str | None:
    try:
        write(path)
    except BadInput as error:
        return str(error)
    return None


def on_a_full_disk(place: Path, name: str, there: bool) -> tuple[str | None, list[str]]:
    """What is said, and what is left; there: whether something was there under this name."""
    mount(place, 900)
    path = place / name
    if there and name.endswith("zarr"):
        (path / "old").mkdir(parents=True)
    elif there:
        path.write_text("old")
    said = refusal(WRITERS[name], path)
    old = path.exists() and (path.is_dir() or path.read_text() == "old")
    return said, [each.name + (" as it was" if old else "") for each in place.iterdir()]


def ends_at(place: Path, kilobytes: int) -> str:
    mount(place, kilobytes)
    if refusal(WRITERS["map.tif"], place / "map.tif"):
        return "refused" if not list(place.iterdir()) else "left behind"
    try:
        with rasterio.open(place / "map.tif") as source:
            same = np.array_equal(source.read(1), noise())
            return "whole" if same and np.isfinite(source.read(1, out_shape=(SIDE // 2,) * 2)).all() else "damaged"
    except rasterio.errors.RasterioIOError:
        return "damaged"


if __name__ == "__main__":
    disk = Path(sys.argv[1])
    full = {name: {str(there): on_a_full_disk(disk, name, there) for there in (False, True)} for name in WRITERS}
    print(json.dumps({"full": full, "ends": [ends_at(disk, size) for size in SIZES]}))
