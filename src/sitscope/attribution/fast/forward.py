"""How is a tile of series embedded? Each layer writes a buffer (t, k) of vectors, one series per lane.

What the way back needs is kept: the outputs of blocks, which cell won each pooling, and slopes that an output does not
tell.
"""

from dataclasses import dataclass, field

import numpy as np
from llvmlite import ir

from . import curves
from .lanes import I8, Body
from .plan import Block, Plan, Weights
from .product import Matrix, Program, panels, product


@dataclass
class Memory:
    """Where things lie in working memory, in vectors."""

    inputs: list[int] = field(default_factory=list)
    """Of each block: its input (cells with zeros at both ends, channels)."""
    outputs: list[int] = field(default_factory=list)
    """Of each block: its output (t_out, k), inside the next one's input."""
    convolved: list[int] = field(default_factory=list)
    """Of each block: the convolution (t_used, k); shared unless it is a feature map."""
    winners: list[int] = field(default_factory=list)
    """Of each block: which cell won the pooling (t_out, k), a byte per series."""
    slopes: list[int] = field(default_factory=list)
    """Of each block: f'(x) (t_out, k), where it is kept."""
    hidden: list[int] = field(default_factory=list)
    """Of each dense layer: its output; the last is the embedding."""
    steep: list[int] = field(default_factory=list)
    """Of each dense layer: f'(x), where it is kept."""


def memory(program: Program, plan: Plan) -> Memory:
    """Room for all that a forward pass leaves."""
    where = Memory()
    shared = program.room(max(block.t_used * block.filters for block in plan.blocks))
    for block in plan.blocks:
        rows = max(block.padding + block.t_in, (block.t_used - 1) * block.stride + block.width)
        where.inputs.append(program.room(rows * block.channels))
        out = block.t_out * block.filters
        kept = block.at_convolution
        where.convolved.append(program.room(block.t_used * block.filters) if kept else shared)
        where.winners.append(program.room(-(-out // program.lanes.bytes)) if block.pool > 1 else -1)
        where.slopes.append(program.room(out) if block.activation.kind == "gelu" else -1)
    following = zip(plan.blocks[1:], where.inputs[1:], strict=True)
    where.outputs = [start + block.padding * block.channels for block, start in following]
    where.outputs.append(program.room(plan.flat))
    for layer in plan.dense:
        where.hidden.append(program.room(layer.outputs))
        where.steep.append(program.room(layer.outputs) if layer.activation.kind == "gelu" else -1)
    return where


def write(program: Program, plan: Plan, where: Memory, body: Body, space: ir.Value, weights: ir.Value) -> None:
    """Write the forward pass of a tile whose series lie in the first block's input."""
    for i, block in enumerate(plan.blocks):
        depth, out = block.width * block.channels, block.filters
        convolve = product(program, block.t_used, block.stride * block.channels, depth, out, out, biased=True)
        at = program.weights(depth * out + out, _convolution(i, block.t_used, program.lanes.registers))
        convolve(body, body.at(space, where.inputs[i]), body.at(weights, at), body.at(space, where.convolved[i]))
        _pool_and_activate(block, i, where, body, space)
    below = where.outputs[-1]
    for i, layer in enumerate(plan.dense):
        multiply = product(program, 1, 0, layer.inputs, layer.outputs, 0, biased=True)
        at = program.weights((layer.inputs + 1) * layer.outputs, _dense(i, plan, program.lanes.registers))
        multiply(body, body.at(space, below), body.at(weights, at), body.at(space, where.hidden[i]))
        below = where.hidden[i]
        if layer.activation.kind != "none":
            with body.loop(layer.outputs) as j:
                x = body.load(space, body.index(below, (j, 1)))
                y, steep = curves.applied(body, layer.activation, x)
                body.store(y, space, body.index(below, (j, 1)))
                if steep is not None:
                    body.store(steep, space, body.index(where.steep[i], (j, 1)))


def _convolution(i: int, rows: int, registers: int) -> Matrix:
    def piece(weights: Weights) -> np.ndarray:
        weight, bias = weights.blocks[i]  # (k, c, width)
        matrix = weight.transpose(2, 1, 0).reshape(-1, len(bias))
        return np.concatenate([panels(matrix, rows, registers), bias])

    return piece


def _dense(i: int, plan: Plan, registers: int) -> Matrix:
    def piece(weights: Weights) -> np.ndarray:
        return np.concatenate([panels(dense_matrix(weights, i, plan).T, 1, registers), weights.dense[i][1]])

    return piece


def dense_matrix(weights: Weights, i: int, plan: Plan) -> np.ndarray:
    """Weight (outputs, inputs) of a dense layer; inputs of the first in our order, (t, k), not torch's (k, t)."""
    weight, block = weights.dense[i][0], plan.blocks[-1]
    if i:
        return weight
    return weight.reshape(-1, block.filters, block.t_out).transpose(0, 2, 1).reshape(len(weight), -1)


def _pool_and_activate(block: Block, i: int, where: Memory, body: Body, space: ir.Value) -> None:
    """From the convolution to the block's output, in the block's own order."""
    k, pooled_first = block.filters, block.pool_first or block.pool == 1
    with body.loop(block.t_out) as t, body.loop(k) as j:
        cells = [
            body.load(space, body.index(where.convolved[i] + c * k, (t, block.pool * k), (j, 1)))
            for c in range(block.pool)
        ]
        steeps: list[ir.Value | None] = [None] * block.pool
        if not pooled_first:
            cells, steeps = map(list, zip(*(curves.applied(body, block.activation, x) for x in cells), strict=True))
        best, steep, winner = _greatest(body, cells, steeps)
        if pooled_first:
            best, steep = curves.applied(body, block.activation, best)
        here = body.index(0, (t, k), (j, 1))
        body.store(best, space, body.b.add(here, body.index(where.outputs[i])))
        if winner is not None:
            body.b.store(winner, bytes_at(body, space, where.winners[i], here), align=1)
        if steep is not None:
            body.store(steep, space, body.b.add(here, body.index(where.slopes[i])))


def bytes_at(body: Body, space: ir.Value, start: int, index: ir.Value) -> ir.Value:
    """Address of a byte per series in working memory."""
    small = ir.VectorType(I8, body.lanes.width).as_pointer()
    return body.at(body.b.bitcast(body.at(space, start), small), index)


def _greatest(
    body: Body, cells: list[ir.Value], steeps: list[ir.Value | None]
) -> tuple[ir.Value, ir.Value | None, ir.Value | None]:
    """The greatest cell, its slope, and which it is: the first of equals, and NaN before all, as in torch."""
    small = ir.VectorType(I8, body.lanes.width)
    best, steep = cells[0], steeps[0]
    winner = ir.Constant(small, [0] * body.lanes.width)
    for c in range(1, len(cells)):
        wins = body.larger(cells[c], best)
        best = body.b.select(wins, cells[c], best)
        winner = body.b.select(wins, ir.Constant(small, [c] * body.lanes.width), winner)
        if steep is not None:
            steep = body.b.select(wins, steeps[c], steep)
    return best, steep, winner if len(cells) > 1 else None
