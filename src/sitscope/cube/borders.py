"""Where do the dark margins of Sentinel-1's ground range products begin?

t dates, c bands, h rows, w columns.
"""

import numpy as np
from jaxtyping import Bool, Float

REACH = 2
"""Pixels around one that tell whether it lies in a dark patch: one to shrink patches by, one to grow them again."""


def without_borders(
    decibels: Float[np.ndarray, "t c h w"], below: float | int | None, pixels: int
) -> Float[np.ndarray, "t c h w"]:
    """The same without margins: patches that are darker than `below` dB in any band, or missing, and `pixels` around.

    A patch holds at least 3 x 3 such pixels, with what lies outside the image counted in: a single dark pixel is
    speckle or a puddle and stays. Without `below`, only what lies near missing pixels goes.

    >>> image = np.full((1, 1, 4, 6), -12, "float32")
    >>> image[..., :3] = -45
    >>> np.isnan(without_borders(image, -35, 1))[0, 0, 0].tolist()
    [True, True, True, True, False, False]
    """
    dark: np.ndarray = np.isnan(decibels) if below is None else ~(decibels >= below)
    away = np.stack([_margin(image, pixels) for image in np.asarray(dark.any(axis=1))])
    return np.where(away[:, None], np.float32(np.nan), decibels)


def _margin(dark: Bool[np.ndarray, "h w"], pixels: int) -> Bool[np.ndarray, "h w"]:
    """Patches: dark pixels that a dark square of 3 x 3 covers; and as many pixels around them as said."""
    centres = ~_grown(~dark, 1)  # outside is no light
    return _grown(_grown(centres, 1), pixels)


def _grown(where: Bool[np.ndarray, "h w"], pixels: int) -> Bool[np.ndarray, "h w"]:
    """With all pixels within so many rows and columns."""
    for axis in (0, 1):
        padded = np.pad(where, [(pixels, pixels) if each == axis else (0, 0) for each in (0, 1)])
        n = where.shape[axis]
        parts = [padded.take(range(first, first + n), axis=axis) for first in range(2 * pixels + 1)]
        where = np.logical_or.reduce(parts)
    return where
