"""What does an embedding dimension change with? The gradient on its way back through the layers, tile by tile.

The layers are linear apart from activations and poolings, whose choices the forward pass has left in memory; so the way
back is again matrix products: with a dense layer's weights, and with a convolution's turned around.
"""

from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from . import curves, winograd
from .forward import Memory, bytes_at, dense_matrix
from .lanes import Body
from .plan import Block, Plan, Weights
from .product import Matrix, Program, panels, product


@dataclass(frozen=True)
class Phase:
    """The cells u = first, first + stride, ... of a convolution's input, which the same taps of its kernel reach."""

    first: int
    rows: int
    taps: tuple[int, ...]
    """Of the kernel, in the order in which the convolution's cells lie."""
    start: int
    """The convolution's cell that the first tap belongs to; it may lie before the first or after the last."""


def phases(block: Block) -> list[Phase]:
    """Cell u gets what cells t' of the convolution give through taps q: stride t' + q - padding = u."""
    found = []
    for q in range(min(block.stride, block.padding + block.t_in)):
        taps = tuple(range(q, block.width, block.stride))[::-1]
        j = max(0, -(-(block.padding - q) // block.stride))
        first = q - block.padding + block.stride * j
        rows = len(range(first, block.t_in, block.stride))
        if rows:
            found.append(Phase(first, rows, taps, j - len(taps) + 1))
    return found


def filtered(block: Block, phase: Phase) -> winograd.Filtering | None:
    """How the cells of a phase are computed with fewer multiplications; None: directly."""
    return winograd.best(phase.rows, len(phase.taps), block.filters, block.channels)


def margins(block: Block) -> tuple[int, int]:
    """Cells of zeros before and after the gradient at a convolution, so that every phase finds its cells."""
    before = after = 0
    for phase in phases(block):
        if phase.taps:
            how = filtered(block, phase)
            rows = -(-phase.rows // how.m) * how.m if how else phase.rows
            before = max(before, -phase.start)
            after = max(after, phase.start + rows - 1 + len(phase.taps) - block.t_used)
    return before, after


class Backward:
    """Writes the way back from a group of dimensions, step by step."""

    def __init__(
        self, program: Program, plan: Plan, where: Memory, body: Body, space: ir.Value, weights: ir.Value
    ) -> None:
        self.program, self.plan, self.where, self.body = program, plan, where, body
        self.space, self.weights = space, weights
        # dimensions that share each weight they read; more than 4 leave the cache, and a last group repeats some
        self.group = min(range(1, min(4, plan.dims) + 1), key=lambda g: (-(-plan.dims // g)) * (g + 0.5))
        self.rooms = [program.room(self.group * layer.inputs) for layer in plan.dense]
        self.margins = [margins(block) for block in plan.blocks]
        self.convolved = [
            program.room((left + block.t_used + right) * block.filters)
            for block, (left, right) in zip(plan.blocks, self.margins, strict=True)
        ]
        # a filtering may compute a few cells past the last
        self.below = program.room(max((block.t_in + 4 * block.stride) * block.channels for block in plan.blocks))

    def dense(self, base: ir.Value) -> None:
        """From dimensions base, base + 1, ... to the output of the last block: `group` times (t, k)."""
        body, last = self.body, len(self.plan.dense) - 1
        width = self.plan.dense[last].inputs
        at = self.program.weights(
            width * self.plan.dims, lambda weights: dense_matrix(weights, last, self.plan).ravel()
        )
        with body.loop(self.group) as r, body.loop(width) as j:
            seed = body.spread(self.weights, body.index(at, (base, width), (r, width), (j, 1)))
            body.store(seed, self.space, body.index(self.rooms[last], (r, width), (j, 1)))
        for i in range(last, -1, -1):
            if i < last:
                self._dense_product(i)
            if i:
                self._dense_activation(i)

    def _dense_product(self, i: int) -> None:
        """From the outputs of dense layer i to its inputs."""
        layer, rows, registers = self.plan.dense[i], self.group, self.program.lanes.registers
        multiply = product(self.program, rows, layer.outputs, layer.outputs, layer.inputs, layer.inputs)
        at = self.program.weights(
            layer.outputs * layer.inputs,
            lambda weights: panels(dense_matrix(weights, i, self.plan), rows, registers),
        )
        above, here = (self.body.at(self.space, self.rooms[place]) for place in (i + 1, i))
        multiply(self.body, above, self.body.at(self.weights, at), here)

    def _dense_activation(self, i: int) -> None:
        """Through the activation before dense layer i."""
        body, layer, width = self.body, self.plan.dense[i - 1], self.plan.dense[i].inputs
        if layer.activation.kind == "none":
            return
        with body.loop(width) as j:
            y = body.load(self.space, body.index(self.where.hidden[i - 1], (j, 1)))
            steep = None
            if self.where.steep[i - 1] >= 0:
                steep = body.load(self.space, body.index(self.where.steep[i - 1], (j, 1)))
            with body.loop(self.group) as r:
                at = body.index(self.rooms[i], (r, width), (j, 1))
                g = curves.backward(body, layer.activation, body.load(self.space, at), y, steep)
                body.store(g, self.space, at)

    def block(self, i: int, g: ir.Value) -> ir.Value:
        """From the output of block i (t_out, k) to its convolution (t_used, k), which it returns."""
        body, block, k = self.body, self.plan.blocks[i], self.plan.blocks[i].filters
        left = self.margins[i][0]
        with body.loop(block.t_out) as t, body.loop(k) as j:
            here = body.index(0, (t, k), (j, 1))
            y = body.load(self.space, body.b.add(here, body.index(self.where.outputs[i])))
            steep = None
            if self.where.slopes[i] >= 0:
                steep = body.load(self.space, body.b.add(here, body.index(self.where.slopes[i])))
            value = curves.backward(body, block.activation, body.load(g, here), y, steep)
            winner = (
                body.b.load(bytes_at(body, self.space, self.where.winners[i], here), align=1)
                if block.pool > 1
                else None
            )
            for c in range(block.pool):
                there = body.index(self.convolved[i] + (left + c) * k, (t, block.pool * k), (j, 1))
                share = value
                if winner is not None:
                    cell = ir.Constant(winner.type, [c] * body.lanes.width)
                    share = body.b.select(body.b.icmp_unsigned("==", winner, cell), value, body.lanes.constant(0))
                body.store(share, self.space, there)
        return body.at(self.space, self.convolved[i] + left * k)

    def convolution(self, i: int) -> ir.Value:
        """From the convolution of block i to its input (t_in, c), which it returns."""
        body, block, k = self.body, self.plan.blocks[i], self.plan.blocks[i].filters
        registers = self.program.lanes.registers
        for phase in phases(block):
            how = filtered(block, phase)
            if how is not None:
                self._filtering(i, phase, how)
                continue
            depth, c = len(phase.taps) * k, block.channels
            multiply = product(self.program, phase.rows, k, depth, c, block.stride * c)
            at = self.program.weights(depth * c, _turned(i, phase, registers)) if depth else 0
            from_cell = self.margins[i][0] + phase.start if depth else 0
            multiply(
                body,
                body.at(self.space, self.convolved[i] + from_cell * k),
                body.at(self.weights, at),
                body.at(self.space, self.below + phase.first * c),
            )
        return body.at(self.space, self.below)

    def _filtering(self, i: int, phase: Phase, how: winograd.Filtering) -> None:
        """The same for one phase, some cells at a time from a product at each point."""
        body, block = self.body, self.plan.blocks[i]
        k, c, tiles = block.filters, block.channels, -(-phase.rows // how.m)
        points, products = self.program.room(how.n * tiles * k), self.program.room(how.n * tiles * c)
        source = self.convolved[i] + (self.margins[i][0] + phase.start) * k
        with body.loop(tiles) as tile, body.loop(k) as j:
            cells = [body.load(self.space, body.index(source + a * k, (tile, how.m * k), (j, 1))) for a in range(how.n)]
            for p, row in enumerate(how.data):
                at = body.index(points + p * tiles * k, (tile, k), (j, 1))
                body.store(winograd.combined(body, row, cells), self.space, at)
        multiply = product(self.program, tiles, k, k, c, c)
        weights = self.program.weights(how.n * k * c, _at_points(i, phase, how, tiles, self.program.lanes.registers))
        with body.loop(how.n) as point:
            multiply(
                body,
                body.at(self.space, body.index(points, (point, tiles * k))),
                body.at(self.weights, body.index(weights, (point, k * c))),
                body.at(self.space, body.index(products, (point, tiles * c))),
            )
        with body.loop(tiles) as tile, body.loop(c) as j:
            values = [
                body.load(self.space, body.index(products + p * tiles * c, (tile, c), (j, 1))) for p in range(how.n)
            ]
            for a, row in enumerate(how.back):
                cell = self.below + (phase.first + a * block.stride) * c
                at = body.index(cell, (tile, how.m * block.stride * c), (j, 1))
                body.store(winograd.combined(body, row, values), self.space, at)

    def time_mean(self, i: int, mean: ir.Value) -> None:
        """From the convolution of block i to the mean over time of the gradient at its input (c,), into `mean`.

        (1/t) sum_u sum_q W_q g_(u + padding - q) = sum_q W_q S_q / t, where S_q sums the cells that tap q carries
        inside: one product of one row in place of t rows.
        """
        body, block, k = self.body, self.plan.blocks[i], self.plan.blocks[i].filters
        sums = self.program.room(block.width * k)
        ranges = [_inside(block, q) for q in range(block.width)]
        g = body.at(self.space, self.convolved[i] + self.margins[i][0] * k)
        with body.loop(k) as j:
            total = body.lanes.constant(0)
            low, high = ranges[0]
            if high > low:
                total = body.fold(
                    high - low,
                    [total],
                    lambda t, s: [body.b.fadd(s[0], body.load(g, body.index(low * k, (t, k), (j, 1))))],
                )[0]
            for q, (start, stop) in enumerate(ranges):
                for t in range(start, low):
                    total = body.b.fadd(total, body.load(g, body.index(t * k, (j, 1))))
                for t in range(stop, high):
                    total = body.b.fsub(total, body.load(g, body.index(t * k, (j, 1))))
                low, high = start, stop
                body.store(total, self.space, body.index(sums + q * k, (j, 1)))
        depth, registers = block.width * k, self.program.lanes.registers
        multiply = product(self.program, 1, 0, depth, block.channels, 0)
        at = self.program.weights(depth * block.channels, _summed(i, block.t_in, registers))
        multiply(body, body.at(self.space, sums), body.at(self.weights, at), mean)


def _inside(block: Block, q: int) -> tuple[int, int]:
    """Cells t' of a convolution for which tap q reads a cell of the input and no zero of its padding."""
    low = -(-(block.padding - q) // block.stride)
    high = (block.t_in - 1 + block.padding - q) // block.stride + 1
    return min(max(low, 0), block.t_used), min(max(high, 0), block.t_used)


def _turned(i: int, phase: Phase, registers: int) -> Matrix:
    def piece(weights: Weights) -> np.ndarray:
        weight = weights.blocks[i][0]  # (k, c, width)
        matrix = np.concatenate([weight[:, :, q] for q in phase.taps])
        return panels(matrix, phase.rows, registers)

    return piece


def _at_points(i: int, phase: Phase, how: winograd.Filtering, tiles: int, registers: int) -> Matrix:
    def piece(weights: Weights) -> np.ndarray:
        taps = np.stack([weights.blocks[i][0][:, :, q] for q in phase.taps])  # (r, k, c)
        return np.concatenate([panels(matrix, tiles, registers) for matrix in winograd.at_points(how, taps)])

    return piece


def _summed(i: int, cells: int, registers: int) -> Matrix:
    def piece(weights: Weights) -> np.ndarray:
        weight = weights.blocks[i][0]  # (k, c, width)
        return panels(np.concatenate(list(weight.transpose(2, 0, 1))) / cells, 1, registers)

    return piece
