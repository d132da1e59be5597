"""How is a loop over series written as machine code? One series in each lane of a vector register.

A thin layer over llvmlite.ir: indices, loops, loads and stores. Addresses count vectors unless they are of scalars.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from llvmlite import ir

I64, I32, I8 = ir.IntType(64), ir.IntType(32), ir.IntType(8)
Index: TypeAlias = ir.Value | int


@dataclass(frozen=True)
class Lanes:
    """A vector register: as many series as it holds."""

    width: int
    registers: int
    """How many the processor has."""
    double: bool

    @property
    def bytes(self) -> int:
        """Of one number."""
        return 8 if self.double else 4

    @property
    def scalar(self) -> ir.Type:
        return ir.DoubleType() if self.double else ir.FloatType()

    @property
    def vector(self) -> ir.VectorType:
        return ir.VectorType(self.scalar, self.width)

    @property
    def integers(self) -> ir.VectorType:
        """Integers as wide as the numbers."""
        return ir.VectorType(I64 if self.double else I32, self.width)

    def constant(self, value: float | int) -> ir.Constant:
        """The same number in every lane."""
        return ir.Constant(self.vector, [ir.Constant(self.scalar, float(value))] * self.width)


class Body:
    """A function while it is written."""

    def __init__(self, module: ir.Module, name: str, lanes: Lanes, arguments: Sequence[ir.Type]) -> None:
        self.lanes = lanes
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
        for argument in self.function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        self.b = ir.IRBuilder(self.function.append_basic_block())

    # ---- indices and loops

    def index(self, constant: int, *terms: tuple[Index, int]) -> ir.Value:
        """constant + sum of value x factor."""
        total: ir.Value | None = None
        for value, factor in terms:
            if isinstance(value, int):
                constant += value * factor
                continue
            part = value if factor == 1 else self.b.mul(value, I64(factor))
            total = part if total is None else self.b.add(total, part)
        if total is None:
            return I64(constant)
        return self.b.add(total, I64(constant)) if constant else total

    def least(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed("<", a, b), a, b)

    @contextmanager
    def loop(self, stop: Index, start: Index = 0, step: int = 1) -> Iterator[ir.Value]:
        """for i in range(start, stop, step), which runs at least once."""
        if isinstance(start, int) and isinstance(stop, int) and stop - start <= step:
            yield I64(start)
            return
        before, head = self.b.block, self.function.append_basic_block()
        self.b.branch(head)
        self.b.position_at_end(head)
        i = self.b.phi(I64)
        i.add_incoming(I64(start) if isinstance(start, int) else start, before)
        yield i
        onward = self.b.add(i, I64(step))
        i.add_incoming(onward, self.b.block)
        self._again(onward, stop, head)

    def fold(
        self, count: int, start: Sequence[ir.Value], step: Callable[[ir.Value, list[ir.Value]], list[ir.Value]]
    ) -> list[ir.Value]:
        """What `step` makes of `start` in `count` >= 1 steps, kept in registers."""
        before, head = self.b.block, self.function.append_basic_block()
        self.b.branch(head)
        self.b.position_at_end(head)
        i = self.b.phi(I64)
        i.add_incoming(I64(0), before)
        carried = [self.b.phi(value.type) for value in start]
        for phi, value in zip(carried, start, strict=True):
            phi.add_incoming(value, before)
        results = step(i, list(carried))
        onward = self.b.add(i, I64(1))
        i.add_incoming(onward, self.b.block)
        for phi, value in zip(carried, results, strict=True):
            phi.add_incoming(value, self.b.block)
        self._again(onward, count, head)
        return results

    def _again(self, i: ir.Value, stop: Index, head: ir.Block) -> None:
        after = self.function.append_basic_block()
        self.b.cbranch(self.b.icmp_signed("<", i, I64(stop) if isinstance(stop, int) else stop), head, after)
        self.b.position_at_end(after)

    # ---- memory

    def at(self, pointer: ir.Value, index: Index) -> ir.Value:
        """Address of an element."""
        return self.b.gep(pointer, [I64(index) if isinstance(index, int) else index])

    def load(self, pointer: ir.Value, index: Index = 0) -> ir.Value:
        """A vector."""
        loaded = self.b.load(self.at(pointer, index))
        loaded.align = self.lanes.bytes * self.lanes.width
        return loaded

    def store(self, value: ir.Value, pointer: ir.Value, index: Index = 0) -> None:
        """A vector."""
        stored = self.b.store(value, self.at(pointer, index))
        stored.align = self.lanes.bytes * self.lanes.width

    def spread(self, pointer: ir.Value, index: Index = 0) -> ir.Value:
        """A scalar of memory in every lane."""
        one = self.b.load(self.at(pointer, index))
        undefined = ir.Constant(self.lanes.vector, ir.Undefined)
        first = self.b.insert_element(undefined, one, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes.width), [0] * self.lanes.width)
        return self.b.shuffle_vector(first, undefined, zeros)

    def scalars(self, pointer: ir.Value) -> ir.Value:
        """The same memory as scalars, to reach single lanes."""
        return self.b.bitcast(pointer, self.lanes.scalar.as_pointer())

    # ---- numbers

    def call(self, name: str, *values: ir.Value) -> ir.Value:
        """An operation that LLVM knows for vectors, such as fma or fabs."""
        kind = f"{'f64' if self.lanes.double else 'f32'}"
        module, full = self.function.module, f"llvm.{name}.v{self.lanes.width}{kind}"
        if full not in module.globals:
            ir.Function(module, ir.FunctionType(self.lanes.vector, [self.lanes.vector] * len(values)), full)
        return self.b.call(module.globals[full], values)

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a b + c"""
        return self.call("fma", a, b, c)

    def choose(self, test: str, a: ir.Value, b: ir.Value, yes: ir.Value, no: ir.Value) -> ir.Value:
        """Lane by lane: yes where the comparison holds, which it does not for NaN."""
        return self.b.select(self.b.fcmp_ordered(test, a, b), yes, no)

    def larger(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """Lane by lane, whether a is to replace b as the greatest so far: NaN does, and stays, as in torch."""
        return self.b.or_(self.b.fcmp_ordered(">", a, b), self.b.fcmp_unordered("uno", a, a))
