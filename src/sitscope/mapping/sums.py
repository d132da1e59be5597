"""What is the mean of millions of series, the same to the last bit however they are cut and in whatever order?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int64

FINE = 2.0**-20
"""Of the scale of a quantity: to whole multiples of this each value is rounded, and whole numbers add up exactly."""
SQUARE = 2.0**-20
"""Of the square of the scale, for squares."""
FAR = 2.0**12
"""Scales from which on a value is cut off: far enough that none ever is, near enough that no sum overflows."""
MOST = 1 << 18
"""Series that are summed at once: within these, sums of doubles are whole numbers below 2^53 and so exact."""

# n series, g groups, m quantities


@dataclass(frozen=True, eq=False)
class Sums:
    """Counts, sums and sums of squares by group, in whole multiples of the quantum of each quantity."""

    ids: Int64[np.ndarray, " g"]
    """Names of the groups, ascending."""
    count: Int64[np.ndarray, " g"]
    total: Int64[np.ndarray, "g m"]
    """In multiples of FINE of the scale."""
    square: Int64[np.ndarray, "g m"]
    """In multiples of SQUARE of the scale squared."""

    @classmethod
    def none(cls, quantities: int) -> "Sums":
        """Of no series."""
        empty = np.empty((0, quantities), np.int64)
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), empty, empty)

    def mean(self, scale: Float[np.ndarray, " m"]) -> Float[np.ndarray, "g m"]:
        """Means (g, m) in the units of the quantities."""
        return self.total / self.count[:, None] * (scale * FINE)

    def std(self, scale: Float[np.ndarray, " m"]) -> Float[np.ndarray, "g m"]:
        """Standard deviations (g, m) over the series of a group."""
        squares = self.square / self.count[:, None] * (scale**2 * SQUARE)
        return np.sqrt(np.maximum(0, squares - self.mean(scale) ** 2))

    def joined(self, group: Mapping[int, int]) -> "Sums":
        """Groups put together under new names; those without a new name are left out."""
        kept = [i for i, name in enumerate(self.ids.tolist()) if name in group]
        names = np.array([group[self.ids[i]] for i in kept], np.int64)
        return _grouped(names, self.count[kept], self.total[kept], self.square[kept])


def sums(group: Int[np.ndarray, " n"], values: Float[np.ndarray, "n m"], scale: Float[np.ndarray, " m"]) -> Sums:
    """Sums of values (n, m) by group (n,); at most MOST series.

    scale: a power of two near the size of each quantity. A value is rounded to the nearest whole multiple of its
    quantum, FINE of the scale, so that a mean is off by less than half of it, whatever the number of series.

    >>> found = sums(np.array([3, 1, 3]), np.array([[1.0], [5.0], [2.0]]), np.array([1.0]))
    >>> found.ids.tolist(), found.count.tolist(), found.mean(np.array([1.0])).tolist()
    ([1, 3], [1, 2], [[5.0], [1.5]])
    """
    assert len(group) <= MOST, "more series at once than doubles can hold exactly"
    if not len(group):
        return Sums.none(values.shape[1])
    ids, place = np.unique(group, return_inverse=True)
    count = np.bincount(place, minlength=len(ids))
    scaled = np.clip(values / scale, -FAR, FAR)
    chosen = np.zeros((len(ids), len(group)))
    chosen[place, np.arange(len(group))] = 1
    # sums of whole numbers below 2^53: any order of a product of matrices gives the same
    total = chosen @ np.rint(scaled / FINE)
    square = chosen @ np.rint(np.minimum(scaled**2, FAR) / SQUARE)
    return Sums(ids.astype(np.int64), count.astype(np.int64), total.astype(np.int64), square.astype(np.int64))


def merged(parts: Iterable[Sums], quantities: int) -> Sums:
    """All together. Whole numbers: no order of the parts can change a bit of it."""
    every = [Sums.none(quantities), *parts]
    ids, count, total, square = (
        np.concatenate([getattr(part, name) for part in every]) for name in ("ids", "count", "total", "square")
    )
    return _grouped(ids, count, total, square)


def _grouped(
    names: Int64[np.ndarray, " p"],
    count: Int64[np.ndarray, " p"],
    total: Int64[np.ndarray, "p m"],
    square: Int64[np.ndarray, "p m"],
) -> Sums:
    ids, place = np.unique(names, return_inverse=True)
    m = total.shape[1]
    found = Sums(ids, *(np.zeros((len(ids), *more), np.int64) for more in ((), (m,), (m,))))
    for name, values in (("count", count), ("total", total), ("square", square)):
        np.add.at(getattr(found, name), place, values)
    return found


def power_of_two(size: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """The power of two at or above each size; 1 for 0."""
    size = np.where(np.isfinite(size) & (size > 0), size, 1.0).astype(np.float64)
    return np.exp2(np.ceil(np.log2(size)))
