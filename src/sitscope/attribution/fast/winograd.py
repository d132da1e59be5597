"""How does a convolution need fewer multiplications? By Cook and Toom's, later Winograd's, minimal filtering.

m neighbouring cells of a convolution with r taps take m r products of matrices directly, and n = m + r - 1 here:

    y = V_m^T [ (V_r w) * (V_n^-T x) ],   V_s the powers 0 ... s - 1 of n - 1 points, and infinity as the last

x being n cells, * a product of filters at each point. Only the way back is computed so: it is linear. On the way
forward a rounding that differs more from the direct sum's would move more series over a kink of ReLU or max-pooling.

Source: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm

import numpy as np
from llvmlite import ir

from .lanes import Body

_POINTS = tuple(map(Fraction, ("0", "1", "-1", "1/2", "-2")))
"""Small, so that few digits are lost; six points with infinity."""
_MOST = len(_POINTS) + 1


@dataclass(frozen=True)
class Filtering:
    """How m cells at a time are computed from n = m + r - 1."""

    m: int
    n: int
    data: tuple[tuple[float, ...], ...]
    """(n, n): from cells to points."""
    taps: tuple[tuple[float, ...], ...]
    """(n, r): from taps to points."""
    back: tuple[tuple[float, ...], ...]
    """(m, n): from points to cells."""


@lru_cache
def filtering(m: int, r: int) -> Filtering:
    """The three matrices."""
    n = m + r - 1
    inverse = _inverse(_powers(n, n))
    scales = [lcm(*(inverse[j][i].denominator for j in range(n))) for i in range(n)]  # of rows of the transpose
    data = tuple(tuple(float(inverse[j][i] * scales[i]) for j in range(n)) for i in range(n))
    taps = tuple(tuple(float(v / scale) for v in row) for row, scale in zip(_powers(n, r), scales, strict=True))
    back = tuple(tuple(float(row[i]) for row in _powers(n, m)) for i in range(m))
    return Filtering(m, n, data, taps, back)


def best(rows: int, r: int, depth: int, columns: int) -> Filtering | None:
    """The filtering for so many cells, r taps of `depth` filters and so many columns; None if direct is cheaper."""

    def cost(m: int) -> float:
        tiles, n = -(-rows // m), m + r - 1
        transform = depth * (2 * n + n * n / 2) + columns * (n + m + n * m / 2)
        return tiles * (n * depth * columns + transform)

    m = min(range(2, _MOST - r + 2), key=cost, default=1)
    return filtering(m, r) if r > 1 and m > 1 and cost(m) < rows * r * depth * columns else None


def combined(body: Body, row: tuple[float, ...], values: list[ir.Value]) -> ir.Value:
    """Sum of factors times values."""
    total: ir.Value | None = None
    for factor, value in zip(row, values, strict=True):
        if factor == 0:
            continue
        if total is None:
            total = value if factor == 1 else body.b.fmul(body.lanes.constant(factor), value)
        elif abs(factor) == 1:
            total = body.b.fadd(total, value) if factor > 0 else body.b.fsub(total, value)
        else:
            total = body.fma(body.lanes.constant(factor), value, total)
    return total if total is not None else body.lanes.constant(0)


def at_points(how: Filtering, taps: np.ndarray) -> np.ndarray:
    """Matrices (r, depth, columns) of a kernel's taps -> at the points (n, depth, columns)."""
    return np.einsum("nr,rkc->nkc", np.array(how.taps), taps.astype(np.float64)).astype(taps.dtype)


def _powers(n: int, s: int) -> list[list[Fraction]]:
    rows = [[point**power for power in range(s)] for point in _POINTS[: n - 1]]
    return [*rows, [Fraction(int(power == s - 1)) for power in range(s)]]


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Exact, by Gauss and Jordan."""
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    for i in range(n):
        pivot = next(j for j in range(i, n) if rows[j][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(n):
            if j != i:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[n:] for row in rows]
