"""How is a scene cut, so that a block of it fits into the memory there is?"""

import itertools
import math
import os
from dataclasses import dataclass

import psutil
import xarray as xr

from sitscope.errors import BadInput

GB = 2**30
IMPORTS_GB = 0.7
"""Of a process that has loaded all that it needs and explained its first series."""
COPIES = 4
"""Of a block of the images in memory at once: as read, as float32, pixel by pixel, and what comes out of it."""
MOST = 1 << 17
"""Pixels of a block at most: more saves nothing, and what is lost when a worker dies grows."""


@dataclass(frozen=True)
class Block:
    """A rectangle of pixels."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def place(self) -> dict[str, slice]:
        """Where in y and x."""
        return {"y": slice(self.top, self.bottom), "x": slice(self.left, self.right)}

    @property
    def pixels(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)


def chunk_side(height: int, width: int) -> int:
    """Pixels along y and x of a chunk of the maps: of the scene alone, so that no memory changes what is stored."""
    return 256 if max(height, width) >= 1024 else 64


def memory_each(workers: int, asked_gb: float | None = None) -> float:
    """GB that a worker may take: as asked, or of what is free now four fifths shared by all, at most 1.5."""
    if asked_gb is not None:
        return asked_gb
    return min(1.5, 0.8 * psutil.virtual_memory().available / GB / max(1, workers))


def cut(cube: xr.DataArray, memory_gb: float, workers: int = 1) -> list[Block]:
    """Blocks, row by row, each whole chunks of the maps, within the memory of one worker.

    As wide as the images where they are stored in strips, else square. Raises BadInput where not even a chunk fits.
    """
    height, width = cube.sizes["y"], cube.sizes["x"]
    side = chunk_side(height, width)
    series_bytes = 4 * cube.sizes["time"] * cube.sizes["band"]
    pixels = int((memory_gb - IMPORTS_GB) * GB / (COPIES * series_bytes))
    if pixels < side**2:
        need = math.ceil((IMPORTS_GB + COPIES * series_bytes * side**2 / GB) * 10) / 10
        raise BadInput(
            "memory",
            f"{memory_gb:.2g} GB do not hold a block of {side} x {side} pixels of {cube.sizes['time']} dates and "
            f"{cube.sizes['band']} bands beside the program. Give each worker {need:g} GB or more, or ask for fewer "
            "workers.",
        )
    # several blocks for each worker, so that none waits long for the last
    shared = math.ceil(height * width / (4 * max(1, workers)))
    return blocks(height, width, side, _shape(cube, side, max(side**2, min(pixels, MOST, shared))))


def blocks(height: int, width: int, side: int, shape: tuple[int, int]) -> list[Block]:
    """A scene in blocks of this shape, whole chunks; ragged at the lower and right edge."""
    assert not any(size % side for size in shape), "a chunk must be written by one worker alone"
    rows, columns = (_edges(size, step) for size, step in zip((height, width), shape, strict=True))
    return [Block(y, x, y2, x2) for (y, y2), (x, x2) in itertools.product(rows, columns)]


def _edges(size: int, step: int) -> list[tuple[int, int]]:
    return [(start, min(start + step, size)) for start in range(0, size, step)]


def _shape(cube: xr.DataArray, side: int, pixels: int) -> tuple[int, int]:
    width = math.ceil(cube.sizes["x"] / side) * side
    strips = cube.chunksizes.get("x", (cube.sizes["x"],))[0] == cube.sizes["x"]
    if strips and width * side <= pixels:
        return pixels // width // side * side, width
    across = max(1, math.isqrt(pixels) // side) * side
    return max(1, pixels // across // side) * side, across


def processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pixels_in(blocks: list[Block]) -> int:
    """All of them."""
    return sum(block.pixels for block in blocks)
