"""How is a convolution computed at the machine's limit? As a matrix product whose sums stay in registers.

Row i of the result is bias + sum_r X[i step + r] W[r], r < depth, where each X[.] is a vector of as many series as
there are lanes. A dense layer is one row; a convolution over buffers (t, k) has rows that overlap, since the cells it
sees at once lie one after another. A block of rows times columns is summed at a time: each vector read is used for
several columns and each weight for several rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from llvmlite import ir

from .lanes import Body, Lanes
from .plan import Weights

CHAIN = 128
"""Products added one after another before the sum is put aside: a long chain of roundings would be less exact than
torch, and move more series over the kinks of ReLU and max-pooling."""

Matrix = Callable[[Weights], np.ndarray]
"""Weights of a network -> the matrix (depth, columns), or the bias (columns,), of one product."""


@dataclass
class Program:
    """A function while it is written, with the memory and the weights that it will need."""

    lanes: Lanes
    module: ir.Module = field(default_factory=ir.Module)
    space: int = 0
    """Vectors of working memory so far."""
    size: int = 0
    """Numbers of packed weights so far."""
    pieces: list[Matrix] = field(default_factory=list)
    """How each part of the packed weights is made, in their order."""

    def room(self, vectors: int) -> int:
        """Where so many vectors of working memory lie, which nothing else uses."""
        self.space += vectors
        return self.space - vectors

    def weights(self, size: int, piece: Matrix) -> int:
        """Where a piece of so many packed weights lies."""
        self.pieces.append(piece)
        self.size += size
        return self.size - size

    def packed(self, weights: Weights) -> np.ndarray:
        """All pieces, one after another."""
        return np.concatenate([np.ravel(piece(weights)) for piece in self.pieces])


def product(
    program: Program, rows: int, step: int, depth: int, columns: int, onward: int, biased: bool = False
) -> Callable[[Body, ir.Value, ir.Value, ir.Value], None]:
    """Write the function of a product; what writes a call of it, from X, packed weights and result.

    `step` and `onward` are the vectors between two rows of X and of the result.
    """
    lanes = program.lanes
    pointers = [lanes.vector.as_pointer(), lanes.scalar.as_pointer(), lanes.vector.as_pointer()]
    body = Body(program.module, f"product{len(program.module.globals)}", lanes, pointers)
    body.function.linkage = "internal"
    body.function.attributes.add("noinline")
    x, w, y = body.function.args
    bias = body.at(w, depth * columns) if biased else None
    tall, wide = tiling(rows, columns, lanes.registers)
    for first, last, k in even(columns, wide):
        with body.loop(last, first, k) as column:
            panel = body.at(w, body.index(0, (column, depth)))
            begin = [body.spread(bias, body.index(j, (column, 1))) if bias else lanes.constant(0) for j in range(k)]
            for top, bottom, t in even(rows, tall):
                with body.loop(bottom, top, t) as row:
                    sums = _block(body, body.at(x, body.index(0, (row, step))), panel, (t, step, depth, k), begin)
                    for i in range(t):
                        for j in range(k):
                            body.store(sums[i * k + j], y, body.index(i * onward + j, (row, onward), (column, 1)))
    body.b.ret_void()

    def call(caller: Body, *arguments: ir.Value) -> None:
        caller.b.call(body.function, arguments)

    return call


def _block(
    body: Body, x: ir.Value, panel: ir.Value, shape: tuple[int, int, int, int], begin: list[ir.Value]
) -> list[ir.Value]:
    """The sums of t rows and k columns, kept in registers while r runs over the depth."""
    t, step, depth, k = shape

    def add(r: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
        rows = [body.load(x, body.index(i * step, (r, 1))) for i in range(t)]
        new = list(sums)
        for j in range(k):
            weight = body.spread(panel, body.index(j, (r, k)))
            for i in range(t):
                new[i * k + j] = body.fma(rows[i], weight, sums[i * k + j])
        return new

    totals = begin * t
    zeros = [body.lanes.constant(0)] * (t * k)
    for first, last, size in even(depth, CHAIN):

        def some(number: ir.Value, sums: list[ir.Value], first: int = first, size: int = size) -> list[ir.Value]:
            start = body.index(first, (number, size))
            part = body.fold(size, zeros, lambda r, each: add(body.b.add(start, r), each))
            return [body.b.fadd(total, one) for total, one in zip(sums, part, strict=True)]

        totals = body.fold((last - first) // size, totals, some)
    return totals


def tiling(rows: int, columns: int, registers: int) -> tuple[int, int]:
    """Rows and columns of a block: those that cost least.

    A step of a block of t rows and k columns adds t k products, or waits for the sums before, of which 8 are under way
    at once; and it reads t + k values, which is hidden behind the additions for most part: a quarter is a measured
    share.
    """

    def cost(tall: int, wide: int) -> float:
        return sum(
            (b - a) // t * ((d - c) // k) * (max(t * k, 8) + (t + k) / 4)
            for a, b, t in even(rows, tall)
            for c, d, k in even(columns, wide)
        )

    fitting = [
        (t, k)
        for t in range(1, min(rows, registers) + 1)
        for k in range(1, min(columns, registers) + 1)
        if t * k + t + 1 <= registers
    ]
    return min(fitting, key=lambda block: cost(*block))


def even(total: int, most: int) -> list[tuple[int, int, int]]:
    """Parts of at most so many, as alike as can be: (from, to, size of each part between them)."""
    if not total:
        return []
    parts = -(-total // most)
    small, larger = divmod(total, parts)
    border = larger * (small + 1)
    return [(a, b, s) for a, b, s in ((0, border, small + 1), (border, total, small)) if b > a]


def panels(matrix: np.ndarray, rows: int, registers: int) -> np.ndarray:
    """A matrix (depth, columns) in the order in which the product of so many rows reads it."""
    _, wide = tiling(rows, matrix.shape[1], registers)
    return np.concatenate(
        [
            matrix[:, c : c + size].ravel()
            for first, last, size in even(matrix.shape[1], wide)
            for c in range(first, last, size)
        ]
    )
