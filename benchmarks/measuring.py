"""How is one way compared with another on a machine that others use too?

All sides take turns in every round, in one process on one processor; what counts is the median over rounds of the
ratio within a round, and each round has a product of matrices as yardstick. Each side runs at its best batch. Time is
the processor's for this process, which does not count while others have it.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sitscope.measuring import processor, sgemm

__all__ = ["Side", "alone", "peak_gb", "processor", "ratio", "rounds", "settle", "sgemm"]

BATCHES = (16, 64, 128, 256, 512, 1024)


@dataclass
class Side:
    """One way to do the work."""

    run: Callable[[Tensor], object]
    """Of series (n, c, t)."""
    batch: int = 0
    """Series at a time; chosen by `settle`."""

    def seconds(self, x: Tensor, at_least: float = 0.0) -> float:
        """Per series, over as many batches as take so many seconds."""
        part, calls = x[: self.batch], 0
        start = time.process_time()
        while not calls or time.process_time() - start < at_least:
            self.run(part)
            calls += 1
        return (time.process_time() - start) / calls / len(part)


def alone() -> None:
    """Keep this process to one processor and one thread."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def settle(side: Side, x: Tensor, patience: float = 1.0) -> None:
    """Find the side's best batch; none larger is tried once one takes longer than the patience, in seconds."""
    found: dict[int, float] = {}
    for batch in BATCHES:
        side.batch = batch
        found[batch] = side.seconds(x)
        if found[batch] * batch > patience:
            break
        found[batch] = min(side.seconds(x, 0.05) for _ in range(3))
    side.batch = min(found, key=lambda b: found[b])


def rounds(sides: dict[str, Side], x: Tensor, number: int, at_least: float = 0.1) -> dict[str, list[float]]:
    """Seconds per series of each side in each round, and of `sgemm` per floating-point operation."""
    taken: dict[str, list[float]] = {name: [] for name in (*sides, "sgemm")}
    for _ in range(number):
        taken["sgemm"].append(sgemm())
        for name, side in sides.items():
            taken[name].append(side.seconds(x, at_least))
    return taken


def ratio(taken: dict[str, list[float]], slow: str, quick: str) -> float:
    """How many times longer one side takes than another: the median over rounds."""
    return statistics.median(a / b for a, b in zip(taken[slow], taken[quick], strict=True))


def peak_gb() -> float:
    """Largest resident memory of this process, in GB of 2^30 bytes; Linux only."""
    with open("/proc/self/status") as lines:  # what getrusage says is also of the process that started this one
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20
