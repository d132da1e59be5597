"""What of lazy images does xarray ask for?"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int
from xarray.core import indexing

Read = Callable[
    [Int[np.ndarray, " t"], Int[np.ndarray, " h"], Int[np.ndarray, " w"]],
    Float32[np.ndarray, "t h w"],
]
"""(dates, rows, columns), numbers from 0 and at least one of each -> the values there."""


def asked(key: indexing.ExplicitIndexer, shape: tuple[int, ...], read: Read) -> np.ndarray:
    """The values that an indexer asks for of images (t, y, x); an axis of which one place is asked for is gone.

    >>> numbers = np.arange(24, dtype="float32").reshape(2, 3, 4)
    >>> key = indexing.OuterIndexer((1, slice(0, 2), np.array([3, 0])))
    >>> asked(key, numbers.shape, lambda t, y, x: numbers[np.ix_(t, y, x)]).tolist()
    [[15.0, 12.0], [19.0, 16.0]]
    """

    def outer(places: tuple[int | slice | np.ndarray, ...]) -> np.ndarray:
        axes = [np.arange(n)[place] for place, n in zip(places, shape, strict=True)]
        lacking = tuple(0 if np.ndim(axis) == 0 else slice(None) for axis in axes)
        axes = [np.atleast_1d(axis) for axis in axes]
        sizes = [axis.size for axis in axes]
        return np.asarray((read(*axes) if all(sizes) else np.empty(sizes, "float32"))[lacking])

    return indexing.explicit_indexing_adapter(key, shape, indexing.IndexingSupport.OUTER, outer)
