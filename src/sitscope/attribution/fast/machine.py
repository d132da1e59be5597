"""Which processor is this, and how does it get its machine code? LLVM through llvmlite, a wheel: no compiler needed."""

import ctypes
import platform
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import llvmlite.binding as llvm

from .lanes import Lanes
from .plan import Plan
from .product import Program
from .tile import NAME, Task, write

_LOCK = Lock()


@dataclass(frozen=True)
class Processor:
    """What machine code is written for."""

    name: str
    features: str
    bytes: int
    """Of a vector register."""
    registers: int

    def lanes(self, double: bool) -> Lanes:
        return Lanes(self.bytes // (8 if double else 4), self.registers, double)


@lru_cache
def processor() -> Processor | None:
    """This one; None if it has no vectors with fused multiply-add that we know how to use."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    try:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this processor
        return None
    name, text = llvm.get_host_cpu_name(), features.flatten()
    if all(features.get(f"avx512{part}") for part in ("f", "dq", "bw", "vl")):
        # LLVM prefers half registers on some processors that have the whole ones
        return Processor(name, text + ",-prefer-256-bit", 64, 32)
    if features.get("avx2") and features.get("fma"):
        return Processor(name, text, 32, 16)
    return None


@dataclass(frozen=True)
class Machine:
    """A compiled task of a plan."""

    run: "ctypes._FuncPointer"
    program: Program
    engine: llvm.ExecutionEngine
    """Owns the code: it lives as long as this."""


def machine(plan: Plan, task: Task, double: bool, target: Processor) -> Machine:
    """Machine code for a plan, compiled once; other threads wait for it."""
    with _LOCK:
        return _machine(plan, task, double, target)


@lru_cache(maxsize=64)
def _machine(plan: Plan, task: Task, double: bool, target: Processor) -> Machine:
    program = write(plan, task, target.lanes(double))
    program.module.triple = llvm.get_process_triple()
    module = llvm.parse_assembly(str(program.module))
    module.verify()
    to = llvm.Target.from_default_triple().create_target_machine(target.name, target.features, opt=3)
    # our loops are written for the registers; LLVM's own rewriting of loops would only undo that
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    passes = llvm.create_pass_builder(to, options)
    passes.getModulePassManager().run(module, passes)
    engine = llvm.create_mcjit_compiler(module, to)
    engine.finalize_object()
    pointers = [ctypes.c_void_p] * 7
    run = ctypes.CFUNCTYPE(None, ctypes.c_int64, *pointers)(engine.get_function_address(NAME))
    return Machine(run, program, engine)
