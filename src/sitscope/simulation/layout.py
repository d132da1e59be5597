"""Where do the fields lie?

Rows of rectangular fields between canals, as an irrigation scheme lays them out, turned against the grid of pixels.
Lengths in pixels; (u, v) run along and across the rows, (x, y) along the columns and rows of the image.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64, Int32, Int64

TURN = np.deg2rad(9.0)
"""The rows against the image."""
TRACK_PX = 1.0
"""Between two fields of a row."""
CANAL_PX = 2.5
"""Between two rows: canal and road."""
MARGIN_PX = 2.0
"""Around the whole."""


@dataclass(frozen=True)
class Layout:
    """Fields on a grid of pixels."""

    label: Int32[np.ndarray, "y x"]
    """The field whose ground holds the pixel's centre; -1 = track, canal, outside."""
    corners: Float64[np.ndarray, "f 4 2"]
    """(x, y) of each field's corners, pixels from the upper left corner of the image."""

    def polygons(self, left: float, top: float, pixel_m: float) -> list[shapely.Polygon]:
        """The fields on the ground; left, top: map coordinates of the image's corner, m."""
        xy = self.corners * [pixel_m, -pixel_m] + [left, top]
        return list(shapely.polygons(xy))


def lay_out(fields: int, field_px: float | int, rng: np.random.Generator) -> Layout:
    """Lay out that many fields, `field_px` pixels a side on average (twice as long as wide, sizes vary by half).

    >>> lay_out(7, 12.0, np.random.default_rng(0)).label.max()
    np.int32(6)
    """
    rows = max(1, round(float(np.sqrt(fields / 2))))
    in_row = np.full(rows, fields // rows) + (np.arange(rows) < fields % rows)
    length = float(in_row.max()) * (field_px / np.sqrt(2) + TRACK_PX)
    bottom = np.cumsum(field_px * np.sqrt(2) * rng.uniform(0.75, 1.25, rows) + CANAL_PX)
    top = np.concatenate([[0.0], bottom[:-1]])
    u0, u1 = (np.concatenate(x) for x in zip(*(_split(length, n, rng) for n in in_row.tolist()), strict=True))
    v0, v1 = np.repeat(top, in_row), np.repeat(bottom - CANAL_PX, in_row)
    uv = np.stack([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]).transpose(2, 0, 1)  # (f, 4, 2)
    corners = uv @ _rotation().T
    shift = MARGIN_PX - corners.min(axis=(0, 1))
    corners = corners + shift
    width, height = np.ceil(corners.max(axis=(0, 1)) + MARGIN_PX).astype(int)
    yx = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)  # (y, x, 2)
    u, v = np.moveaxis((yx - shift) @ _rotation(), -1, 0)
    return Layout(_locate(u, v, u0, u1, top, bottom - CANAL_PX, in_row), corners)


def _rotation() -> Float64[np.ndarray, "2 2"]:
    return np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])


def _split(
    length: float, fields: int, rng: np.random.Generator
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Cut a row into fields of unlike widths with tracks between: their left and right ends."""
    width = rng.uniform(0.6, 1.4, fields)
    right = np.cumsum(width / width.sum() * length)
    return np.concatenate([[0.0], right[:-1]]), right - TRACK_PX


def _locate(
    u: Float64[np.ndarray, "y x"],
    v: Float64[np.ndarray, "y x"],
    u0: Float64[np.ndarray, " f"],
    u1: Float64[np.ndarray, " f"],
    v0: Float64[np.ndarray, " r"],
    v1: Float64[np.ndarray, " r"],
    in_row: Int64[np.ndarray, " r"],
) -> Int32[np.ndarray, "y x"]:
    """The field at each point, -1 = none. One search finds it: the rows lie end to end on a single line."""
    row = np.clip(np.searchsorted(v0, v, side="right") - 1, 0, len(v0) - 1)
    span = u1.max() - u.min() + u.max() + 1  # longer than any u, so that rows do not run into each other
    start = u0 + span * np.repeat(np.arange(len(v0)), in_row)
    field = np.clip(np.searchsorted(start, u + span * row, side="right") - 1, 0, len(u0) - 1)
    first = np.cumsum(in_row) - in_row
    inside = (v >= v0[row]) & (v < v1[row]) & (u >= u0[field]) & (u < u1[field]) & (field >= first[row])
    return np.where(inside, field, -1).astype(np.int32)
