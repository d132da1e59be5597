"""How a scene is cut: whole chunks, every pixel once, within the memory."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as some

from sitscope.errors import BadInput
from sitscope.mapping.plan import COPIES, GB, IMPORTS_GB, Block, chunk_side, cut, memory_each


def _cube(height: int, width: int, chunks: tuple[int, int] = (128, 128), dates: int = 61) -> xr.DataArray:
    values = da.zeros((dates, 2, height, width), chunks=(-1, -1, *chunks), dtype="float32")
    return xr.DataArray(values, dims=("time", "band", "y", "x"))


@given(
    some.integers(1, 1500),
    some.integers(1, 1500),
    some.floats(0.75, 3),
    some.integers(1, 4),
    some.sampled_from([8, 61]),
)
def test_every_pixel_is_in_one_block_of_whole_chunks_that_fits(
    height: int, width: int, memory: float, workers: int, dates: int
) -> None:
    side = chunk_side(height, width)
    try:
        found = cut(_cube(height, width, dates=dates), memory, workers)
    except BadInput as error:
        if IMPORTS_GB + COPIES * 8 * dates * side**2 / GB <= memory:
            raise AssertionError("a chunk would have fitted") from error
        return
    hit = np.zeros((height, width), int)
    for block in found:
        hit[block.top : block.bottom, block.left : block.right] += 1
        assert block.top % side == block.left % side == 0
        assert block.bottom % side == 0 or block.bottom == height
        assert block.right % side == 0 or block.right == width
        assert IMPORTS_GB + COPIES * 8 * dates * block.pixels / GB <= memory
    assert (hit == 1).all()


def test_a_sentinel_tile_is_cut_for_a_laptop() -> None:
    found = cut(_cube(10_980, 10_980), 1.5, 2)
    assert len(found) > 200
    assert sum(block.pixels for block in found) == 10_980**2


def test_strips_are_read_as_wide_as_they_are() -> None:
    found = cut(_cube(1000, 900, (20, 900)), 1.5)
    assert {(block.left, block.right) for block in found} == {(0, 900)}


def test_too_little_memory_is_refused_with_what_would_do() -> None:
    with pytest.raises(BadInput, match=r"0.71 GB do not hold a block of 256 x 256 pixels of 61 dates and 2 bands"):
        cut(_cube(2000, 2000), 0.71)
    assert memory_each(2, 0.9) == 0.9
    assert 0 < memory_each(64) <= 1.5


def test_a_block_knows_its_place() -> None:
    assert Block(1, 2, 4, 6).pixels == 12
    assert Block(1, 2, 4, 6).place == {"y": slice(1, 4), "x": slice(2, 6)}
