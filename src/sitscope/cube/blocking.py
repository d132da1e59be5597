"""Which part of a raster of embeddings is read at once?"""

import numpy as np
import xarray as xr

BLOCK_BYTES = 1 << 26
"""Of float32 in a block: 64 MB."""
ROWS = 2048
"""Of a block at most."""


def block_side(dims: int, height: int, width: int) -> int:
    """Pixels along y and x of a chunk of the maps: of the raster alone, so that no memory changes it."""
    return 256 if max(height, width) >= 1024 and 4 * dims * 256**2 <= BLOCK_BYTES else 64


def block_shape(stored: xr.DataArray) -> dict[str, int]:
    """Rows and columns read at once: whole chunks of the maps and, where these fit, blocks of the file as it lies.

    A block of a file is unpacked whole whatever is asked of it, so narrow ones would unpack it again and again. Rows
    are a power of two of chunks, at most ROWS.
    """
    side, most = block_side(*stored.shape), BLOCK_BYTES // (4 * stored.sizes["band"])
    there = stored.encoding.get("preferred_chunks", {})
    y, x = (-(-min(there.get(axis, side), stored.sizes[axis]) // side) for axis in ("y", "x"))
    x = max(1, min(x, most // side**2))
    y = max(1, min(y, most // (x * side**2), ROWS // side))
    return {"y": side * 2 ** int(np.log2(y)), "x": side * x}
