"""How is this encoder explained as fast as it embeds? With machine code for its shapes, and its weights packed for it.

n series, c bands, t dates, d embedding dimensions, t_layer cells of a layer. Code is written once for the shapes of a
network, weights are packed once for an encoder; threads share both, and have working memory of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import local
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import merging
from ..gradslam import Alpha, GradSlam, element_wise, letter
from . import plan as plans
from .machine import Machine, Processor, machine, processor
from .plan import NotServed, Plan, Weights
from .product import panels
from .tile import Task

TASKS: dict[Alpha, Task] = {letter: "letter", element_wise: "element_wise"}
"""The plug-ins `alpha` of `grad_slam` that machine code is written for."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """Machine code and packed weights of one encoder. Threads may use it at the same time."""

    plan: Plan
    dtype: torch.dtype
    weights: Weights
    """A copy: what the encoder had when it was packed."""
    target: Processor
    _ready: dict[Task, tuple[Machine, Tensor]] = field(default_factory=dict)
    """By task: code and packed weights, once it was asked for."""
    _mine: local = field(default_factory=local)
    """Working memory of each thread."""

    def embed(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n d"]:
        """The encoder's embedding e."""
        return self._run("embed", x)[0]

    def grad_slam(
        self,
        x: Float[Tensor, "n c t"],
        alpha: Alpha = letter,
        matrices: Sequence[Float[Tensor, "t _"]] | None = None,
    ) -> GradSlam:
        """What `gradslam.grad_slam` gives with its other choices left as they are.

        Args:
            x: series, of the encoder's dtype.
            alpha: `gradslam.letter` or `gradslam.element_wise`.
            matrices: by layer, how its cells are brought to the dates: (t, t_layer). None: `merging.linear`.

        Raises ValueError when alpha, the series or the matrices are others.
        """
        if alpha not in TASKS:
            raise ValueError(f"no machine code is written for alpha {alpha!r}: use gradslam.grad_slam.")
        e, merged, cells = self._run(TASKS[alpha], x, self._linear if matrices is None else self._columns(matrices))
        maps = torch.split(cells, list(self.plan.cells), -1)
        names = [block.name for block in self.plan.blocks]
        tapped = {block.name: block.tapped for block in self.plan.blocks}
        return GradSlam(dict(zip(names, maps, strict=True)), merged, e, tapped)

    def gradient(self, x: Float[Tensor, "n c t"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d c t"]]:
        """The embedding e, and de^d/dx of every dimension."""
        e, gradient, _ = self._run("gradient", x)
        return e, gradient

    @cached_property
    def _linear(self) -> Tensor:
        return self._columns(upsampling(self.plan, merging.linear))

    def _columns(self, matrices: Sequence[Float[Tensor, "t _"]]) -> Tensor:
        """The matrices of all layers, in the order in which the merging reads them."""
        wanted = [(self.plan.dates, cells) for cells in self.plan.cells]
        if [tuple(matrix.shape) for matrix in matrices] != wanted:
            raise ValueError(f"matrices have shapes {[tuple(m.shape) for m in matrices]}, the layers want {wanted}.")
        together = torch.cat(list(matrices), 1).to(self.dtype)
        return torch.from_numpy(panels(together.T.numpy(), 1, self.target.registers))

    def _run(self, task: Task, x: Tensor, matrix: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding, answer and maps of a task."""
        plan = self.plan
        if x.ndim != 3 or x.shape[1:] != (plan.bands, plan.dates) or x.dtype != self.dtype or x.device.type != "cpu":
            raise ValueError(
                f"x is {x.dtype} {tuple(x.shape)} on {x.device}, the encoder was compiled for {self.dtype} "
                f"(n, {plan.bands}, {plan.dates}) on the CPU."
            )
        x, n = x.detach().contiguous(), len(x)
        code, weights = self._code(task)
        e = x.new_empty((n, plan.dims))
        explained = task in TASKS.values()
        inner = (plan.dates,) if explained else (plan.bands, plan.dates)
        answer = x.new_empty((n, plan.dims, *inner) if task != "embed" else 0)
        maps = x.new_empty((n, plan.dims, sum(plan.cells)) if explained else 0)
        if n:
            arrays = (x, weights, maps if matrix is None else matrix, self._space(task, code), e, answer, maps)
            code.run(n, *(array.data_ptr() for array in arrays))
        return e, answer, maps

    def _code(self, task: Task) -> tuple[Machine, Tensor]:
        if task not in self._ready:
            code = machine(self.plan, task, self.dtype == torch.float64, self.target)
            self._ready[task] = code, torch.from_numpy(code.program.packed(self.weights))
        return self._ready[task]

    def _space(self, task: Task, code: Machine) -> Tensor:
        """Working memory of this thread, made once: zeros around the series stay zeros."""
        if not hasattr(self._mine, task):
            numbers = code.program.space * code.program.lanes.width
            setattr(self._mine, task, torch.zeros(numbers + 16, dtype=self.dtype))
        space: Tensor = getattr(self._mine, task)
        return space[(-space.data_ptr() % 64) // space.element_size() :]


_PREPARED: "WeakKeyDictionary[nn.Module, Compiled]" = WeakKeyDictionary()


def prepared(encoder: nn.Module, dates: int) -> Compiled | None:
    """The fast path of an encoder, from what is kept where its weights are still the same; see `fast.compiled`."""
    target, dtype = processor(), plans.served(encoder)
    if target is None or dtype is None:
        return None
    try:
        plan, layers = plans.read(encoder, dates)
    except NotServed:
        return None
    now = plans.weights(layers, plan)
    kept = _PREPARED.get(encoder)
    if kept is None or kept.plan != plan or kept.dtype != dtype or not plans.same(kept.weights, now):
        kept = _PREPARED[encoder] = Compiled(plan, dtype, plans.copy(now), target)
    return kept


def upsampling(plan: Plan, rule: merging.Upsample) -> list[Float[Tensor, "t _"]]:
    """By layer: the matrix (t, t_layer) of a rule that is linear in the cells, such as `merging.linear`."""
    return [
        rule(torch.eye(block.t_map, dtype=torch.float64)[None], plan.dates, block.name)[0].T for block in plan.blocks
    ]
