"""How are many series computed? A tile at a time, as many as there are lanes, in memory that stays in the cache."""

from dataclasses import dataclass
from typing import Literal

from llvmlite import ir

from . import forward
from .backward import Backward
from .lanes import I64, Body, Lanes
from .maps import Maps
from .plan import Plan
from .product import Program

Task = Literal["embed", "letter", "element_wise", "gradient"]
NAME = "series"


@dataclass(frozen=True)
class Outputs:
    """Arguments of the function, all pointers to scalars but the first, a number, and `space`, to vectors."""

    n: ir.Value
    x: ir.Value
    weights: ir.Value
    matrices: ir.Value
    space: ir.Value
    e: ir.Value
    answer: ir.Value
    """Importance (n, d, t) or gradient (n, d, c, t)."""
    maps: ir.Value
    """L_t (n, d, cells of all layers)."""


def write(plan: Plan, task: Task, lanes: Lanes) -> Program:
    """The function of a task: void(n, x, weights, matrices, space, e, answer, maps)."""
    program = Program(lanes)
    scalars, vectors = lanes.scalar.as_pointer(), lanes.vector.as_pointer()
    body = Body(program.module, NAME, lanes, [I64, *[scalars] * 3, vectors, *[scalars] * 3])
    out = Outputs(*body.function.args)
    where = forward.memory(program, plan)
    tiles = body.b.sdiv(body.b.add(out.n, I64(lanes.width - 1)), I64(lanes.width))
    with body.loop(tiles) as tile:
        first = body.index(0, (tile, lanes.width))
        many = body.least(I64(lanes.width), body.b.sub(out.n, first))
        _gather(body, plan, out, where.inputs[0], first, many)
        forward.write(program, plan, where, body, out.space, out.weights)
        _scatter(body, out.space, where.hidden[-1], out.e, (plan.dims, 1), first, many)
        if task != "embed":
            _explain(program, plan, task, where, body, out, first, many)
    body.b.ret_void()
    return program


def _explain(
    program: Program,
    plan: Plan,
    task: Task,
    where: forward.Memory,
    body: Body,
    out: Outputs,
    first: ir.Value,
    many: ir.Value,
) -> None:
    """All dimensions, a group at a time down to the last block and then one by one."""
    back = Backward(program, plan, where, body, out.space, out.weights)
    maps = Maps(program, plan, body, out.space) if task != "gradient" else None
    with body.loop(-(-plan.dims // back.group)) as number:
        start = body.index(0, (number, back.group))
        base = body.least(start, I64(plan.dims - back.group))  # the last group may begin inside the one before
        back.dense(base)
        with body.loop(body.least(body.index(back.group, (number, back.group)), I64(plan.dims)), start) as d:
            member = body.b.sub(d, base)
            g = body.at(out.space, body.index(back.rooms[0], (member, plan.flat)))
            row = body.index(0, (first, plan.dims), (d, 1))
            if maps is None:
                for i in range(len(plan.blocks) - 1, -1, -1):
                    back.block(i, g)
                    g = back.convolution(i)
                for c in range(plan.bands):
                    shape = (plan.bands * plan.dates, plan.dims)
                    answer = body.at(out.answer, c * plan.dates)
                    _scatter(body, out.space, back.below + c, answer, (plan.dates, plan.bands), row, many, shape)
            else:
                _layers(back, maps, task, g)
                maps.merge(out.matrices)
                total = sum(plan.cells)
                _scatter(body, out.space, maps.merged, out.answer, (plan.dates, 1), row, many, (plan.dates, plan.dims))
                _scatter(body, out.space, maps.raw, out.maps, (total, 1), row, many, (total, plan.dims))


def _layers(back: Backward, maps: Maps, task: Task, g: ir.Value) -> None:
    """The map of every layer, from the last to the first; nothing is computed below the first."""
    body, plan, where = back.body, back.plan, back.where
    take = maps.letter if task == "letter" else maps.element_wise
    for i in range(len(plan.blocks) - 1, -1, -1):
        if plan.blocks[i].at_convolution:
            take(i, back.block(i, g), body.at(back.space, where.convolved[i]))
        else:
            take(i, g, body.at(back.space, where.outputs[i]))
            if i:
                back.block(i, g)
        if i == 1 and task == "letter" and not plan.blocks[0].at_convolution:
            back.time_mean(i, body.at(back.space, maps.alpha))
            maps.weighted(0, body.at(back.space, where.outputs[0]))
            break
        if i:
            g = back.convolution(i)


def _gather(body: Body, plan: Plan, out: Outputs, room: int, first: ir.Value, many: ir.Value) -> None:
    """A tile of series (n, c, t) into (t, c) vectors; lanes without a series repeat the last one."""
    c, t, width = plan.bands, plan.dates, body.lanes.width
    to = body.scalars(body.at(out.space, room + plan.blocks[0].padding * c))
    with body.loop(width) as lane:
        series = body.b.add(first, body.least(lane, body.b.sub(many, I64(1))))
        with body.loop(c) as band, body.loop(t) as date:
            value = body.b.load(body.at(out.x, body.index(0, (series, c * t), (band, t), (date, 1))))
            body.b.store(value, body.at(to, body.index(0, (date, c * width), (band, width), (lane, 1))))


def _scatter(
    body: Body,
    space: ir.Value,
    room: int,
    to: ir.Value,
    shape: tuple[int, int],
    first: ir.Value,
    many: ir.Value,
    rows: tuple[int, int] | None = None,
) -> None:
    """Vectors room, room + step, ... of a tile into rows of an array, one row per series.

    `shape` is how many vectors and the step between them; `rows` the length of a row and the rows between two series.
    """
    count, step = shape
    length, apart = rows or (count, 1)
    source, width = body.scalars(body.at(space, room)), body.lanes.width
    with body.loop(many) as lane, body.loop(count) as i:
        value = body.b.load(body.at(source, body.index(0, (i, step * width), (lane, 1))))
        body.b.store(value, body.at(to, body.index(0, (first, length), (lane, apart * length), (i, 1))))
