"""How is speckle made less before anything is learned from it?

h rows, w columns, t dates. All of it is computed in linear power, where speckle is unbiased, and from fixed sums of
shifted images, so that a pixel's value does not depend on the block in which it is computed.
"""

import numpy as np
from jaxtyping import Float

FILTERS = ("temporal", "boxcar")


def despeckled(decibels: Float[np.ndarray, "t h w"], how: str, window: int) -> Float[np.ndarray, "t h w"]:
    """One band of one block in dB, filtered in linear power; what is missing stays missing.

    "boxcar": the mean over `window` x `window` pixels. "temporal": the multi-image filter of Quegan and Yu (2001),
    their Eq. 14 with equal weights, J_k = <I_k> / N sum_i I_i / <I_i>, with <I> that mean and N the dates on which the
    pixel is there: resolution is kept, and the noise of N dates is averaged.

    >>> flat = np.full((2, 3, 3), -10, "float32")
    >>> despeckled(flat, "temporal", 3)[0, 1].tolist()
    [-10.0, -10.0, -10.0]
    """
    means = np.empty(decibels.shape)  # float64: sums of many dates are compared to the last bit
    ratios, dates = np.zeros(decibels.shape[1:]), np.zeros(decibels.shape[1:])
    for k, image in enumerate(decibels):
        power = 10 ** (image.astype("float64") / 10)
        means[k] = local_mean(power, window)
        there = ~np.isnan(power)
        ratios += np.where(there, power / np.where(there, means[k], 1.0), 0.0)
        dates += there
    if how == "temporal":
        means *= ratios / np.maximum(dates, 1)
    means[np.isnan(decibels)] = np.nan
    # exactly no power at all cannot be: each value was a power of ten
    return (10 * np.log10(means)).astype("float32")


def local_mean(power: Float[np.ndarray, "h w"], window: int) -> Float[np.ndarray, "h w"]:
    """Mean of the values that are there within `window` x `window` pixels around each; NaN where none is."""
    there = ~np.isnan(power)
    total = _box(np.where(there, power, 0.0), window)
    count = _box(there.astype("float64"), window)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _box(values: Float[np.ndarray, "h w"], window: int) -> Float[np.ndarray, "h w"]:
    """Sums over the window, zero outside: always in the same order, which running sums would not keep."""
    radius = window // 2
    for axis in (0, 1):
        width = [(radius, radius) if each == axis else (0, 0) for each in (0, 1)]
        padded, n = np.pad(values, width), values.shape[axis]
        values = np.zeros_like(values)
        for first in range(window):
            part = slice(first, first + n)
            values = values + (padded[part] if axis == 0 else padded[:, part])
    return values
