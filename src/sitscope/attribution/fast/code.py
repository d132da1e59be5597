"""How is this encoder explained as fast as it embeds? With machine code for its shapes, and its weights packed for it.

n series, c bands, t dates, d embedding dimensions, t_layer cells of a layer. Code is written once for the shapes of a
network, weights are packed once for an encoder; threads share both, and have working memory of their own.
"""

from dataclasses import dataclass, field
from threading import local
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import alignment, merging
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
    _placed: dict[object, tuple[Tensor, dict[str, alignment.Placed]]] = field(default_factory=dict)
    """By upsampling and calendar: matrices and places of the cells."""
    _mine: local = field(default_factory=local)
    """Working memory of each thread."""

    def embed(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n d"]:
        """The encoder's embedding e."""
        return self._run("embed", x)[0]

    def grad_slam(
        self,
        x: Float[Tensor, "n c t"],
        alpha: Alpha = letter,
        *,
        upsample: merging.Upsample = alignment.receptive_field,
        dates: object = None,
    ) -> GradSlam:
        """What `gradslam.grad_slam` gives with its other choices left as they are.

        Raises ValueError when alpha or the series are others, and for dates that do not fit.
        """
        if alpha not in TASKS:
            raise ValueError(f"no machine code is written for alpha {alpha!r}: use gradslam.grad_slam.")
        columns, placed = self._placement(upsample, alignment.in_days(dates, self.plan.dates))
        e, merged, cells = self._run(TASKS[alpha], x, columns)
        maps = torch.split(cells, list(self.plan.cells), -1)
        names = [block.name for block in self.plan.blocks]
        tapped = {block.name: block.tapped for block in self.plan.blocks}
        return GradSlam(dict(zip(names, maps, strict=True)), merged, e, e, tapped, placed)

    def gradient(self, x: Float[Tensor, "n c t"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d c t"]]:
        """The embedding e, and de^d/dx of every dimension."""
        e, gradient, _ = self._run("gradient", x)
        return e, gradient

    def _placement(
        self, upsample: merging.Upsample, days: Float[Tensor, " t"]
    ) -> tuple[Tensor, dict[str, alignment.Placed]]:
        """The upsampling matrices of all layers, in the order in which the merging reads them; made once a calendar."""
        key = upsample, tuple(days.tolist())
        kept = self._placed.get(key)
        if kept is None:
            layers = layers_of(self.plan, days)
            together = torch.cat([upsample(layer) for layer in layers], 1).to(self.dtype)
            columns = torch.from_numpy(panels(together.T.numpy(), 1, self.target.registers))
            self._placed.clear()  # of the calendars of one encoder, one is used at a time
            kept = self._placed[key] = columns, {layer.name: alignment.placed(layer) for layer in layers}
        return kept

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


def layers_of(plan: Plan, days: Float[Tensor, " t"]) -> list[alignment.Layer]:
    """What an upsampling is told of each layer."""
    geometry, layers = alignment.Geometry.season(plan.dates), []
    for block in plan.blocks:
        geometry = geometry.through(block.width, block.stride, block.padding)
        pooled = geometry if block.pool == 1 else geometry.through(block.pool, block.pool)
        layers.append(alignment.Layer(block.name, block.t_map, days, geometry if block.at_convolution else pooled))
        geometry = pooled
    return layers
