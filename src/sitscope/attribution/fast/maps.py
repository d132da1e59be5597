"""What is each date's importance? Feature maps and gradients of a tile become maps of layers, and these one map."""

from collections.abc import Callable

from llvmlite import ir

from .lanes import Body
from .plan import Plan
from .product import Program, even, product


class Maps:
    """Writes the maps of one dimension."""

    def __init__(self, program: Program, plan: Plan, body: Body, space: ir.Value) -> None:
        self.program, self.plan, self.body, self.space = program, plan, body, space
        total = sum(plan.cells)
        self.alpha = program.room(max(block.filters for block in plan.blocks))
        self.raw = program.room(total)
        """L_t of all layers, one after another."""
        self.scaled = program.room(total)
        self.merged = program.room(plan.dates)
        self.starts = [sum(plan.cells[:i]) for i in range(len(plan.cells))]

    def letter(self, i: int, g: ir.Value, a: ir.Value) -> None:
        """Eqs. 3 and 4 for layer i from its gradient and activation, each (t, k)."""
        body, t, k = self.body, self.plan.blocks[i].t_map, self.plan.blocks[i].filters
        part = body.lanes.constant(1 / t)
        with body.loop(k) as j:
            (total,) = body.fold(
                t,
                [body.lanes.constant(0)],
                lambda s, sums: [body.b.fadd(sums[0], body.load(g, body.index(0, (s, k), (j, 1))))],
            )
            body.store(body.b.fmul(total, part), self.space, body.index(self.alpha, (j, 1)))
        self.weighted(i, a)

    def weighted(self, i: int, a: ir.Value) -> None:
        """Eq. 3 for layer i, once the weights of Eq. 4 are there."""
        body, k = self.body, self.plan.blocks[i].filters

        def add(row: ir.Value, rows: int) -> Callable[[ir.Value, list[ir.Value]], list[ir.Value]]:
            def step(j: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
                alpha = body.load(self.space, body.index(self.alpha, (j, 1)))
                at = [body.index(s * k, (row, k), (j, 1)) for s in range(rows)]
                return [body.fma(alpha, body.load(a, x), total) for x, total in zip(at, sums, strict=True)]

            return step

        self._cells(i, add)

    def element_wise(self, i: int, g: ir.Value, a: ir.Value) -> None:
        """L_t = sum_k g_t^k A_t^k for layer i."""
        body, k = self.body, self.plan.blocks[i].filters

        def add(row: ir.Value, rows: int) -> Callable[[ir.Value, list[ir.Value]], list[ir.Value]]:
            def step(j: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
                at = [body.index(s * k, (row, k), (j, 1)) for s in range(rows)]
                return [body.fma(body.load(g, x), body.load(a, x), total) for x, total in zip(at, sums, strict=True)]

            return step

        self._cells(i, add)

    def _cells(
        self, i: int, add: Callable[[ir.Value, int], Callable[[ir.Value, list[ir.Value]], list[ir.Value]]]
    ) -> None:
        """The cells of layer i, several at a time, each a sum over the filters; then scaled."""
        body, block = self.body, self.plan.blocks[i]
        start = self.raw + self.starts[i]
        for first, last, rows in even(block.t_map, 8):
            with body.loop(last, first, rows) as row:
                sums = body.fold(block.filters, [body.lanes.constant(0)] * rows, add(row, rows))
                for s, total in enumerate(sums):
                    body.store(total, self.space, body.index(start + s, (row, 1)))
        self._scale(i)

    def _scale(self, i: int) -> None:
        """Into [-1, 1] by the largest magnitude; a map of zeros stays zero."""
        body, raw, scaled = self.body, self.raw + self.starts[i], self.scaled + self.starts[i]

        def larger(t: ir.Value, most: list[ir.Value]) -> list[ir.Value]:
            size = body.call("fabs", body.load(self.space, body.index(raw, (t, 1))))
            return [body.b.select(body.larger(size, most[0]), size, most[0])]

        zero, one = body.lanes.constant(0), body.lanes.constant(1)
        (most,) = body.fold(self.plan.cells[i], [zero], larger)
        by = body.choose(">", most, zero, most, one)
        with body.loop(self.plan.cells[i]) as t:
            cell = body.load(self.space, body.index(raw, (t, 1)))
            body.store(body.b.fdiv(cell, by), self.space, body.index(scaled, (t, 1)))

    def merge(self, matrices: ir.Value) -> None:
        """Layers brought to the dates and averaged: a product with the matrices (dates, cells) of all layers."""
        body, layers = self.body, self.body.lanes.constant(len(self.plan.blocks))
        multiply = product(self.program, 1, 0, sum(self.plan.cells), self.plan.dates, 0)
        multiply(body, body.at(self.space, self.scaled), matrices, body.at(self.space, self.merged))
        with body.loop(self.plan.dates) as t:
            total = body.load(self.space, body.index(self.merged, (t, 1)))
            body.store(body.b.fdiv(total, layers), self.space, body.index(self.merged, (t, 1)))
