"""Which method should be believed, on this encoder and these series? Every method under every masking, with intervals.

n series, c bands, t dates, m values explained, d embedding dimensions.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from . import fidelity
from .masking import Masking

Method = Callable[[nn.Module, Float[Tensor, "n c t"]], Float[Tensor, "n m t"]]
"""(encoder, series) -> importance of each date for each value explained."""

RANDOM_ORDERS = 4
"""Of each series: its own, so that fifty series have two hundred."""


@dataclass(frozen=True)
class Row:
    """One figure of the table."""

    method: str
    metric: str
    baseline: str
    """Name of the masking."""
    value: float
    low: float
    """95 % interval over series, by bootstrap."""
    high: float

    def as_dict(self) -> dict[str, str | float]:
        """For a table or JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Yardstick:
    """Chance and greedy removal under one masking: 0 and 1 of the efficiency."""

    mask: Masking
    chance: Float[Tensor, "n p"]
    """Shift along random orders, mean over them."""
    greedy: Float[Tensor, "n p"]
    """Shift along the greedy order."""

    @cached_property
    def areas(self) -> tuple[float, float]:
        """NLS-AUC of both."""
        return fidelity.nls_auc(self.chance), fidelity.nls_auc(self.greedy)

    def efficiency(self, shift: Float[Tensor, "n p"]) -> float:
        """Of an order with these shifts."""
        return fidelity.efficiency(fidelity.nls_auc(shift), *self.areas)

    def interval(self, shift: Float[Tensor, "n p"]) -> tuple[float, float]:
        """Of the efficiency; chance and greedy are drawn again with the series."""

        def of(rows: Int[Tensor, " n"]) -> float:
            curves = (shift[rows], self.chance[rows], self.greedy[rows])
            return fidelity.efficiency(*(fidelity.nls_auc(curve) for curve in curves))

        return fidelity.bootstrap(of, len(shift))


def yardstick(encoder: nn.Module, x: Float[Tensor, "n c t"], mask: Masking, seed: int = 0) -> Yardstick:
    """Measure chance and greedy removal under a masking: by far the longest part of an evaluation."""
    n, _, t = x.shape
    orders = fidelity.random_orders(n, t, RANDOM_ORDERS, seed).to(x.device)
    chance = torch.stack([fidelity.shifts(fidelity.along(encoder, x, order, mask)) for order in orders]).mean(0)
    greedy = fidelity.greedy_order(encoder, x, mask)
    return Yardstick(mask, chance, fidelity.shifts(fidelity.along(encoder, x, greedy, mask)))


def evaluate(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    methods: Mapping[str, Method],
    maskings: Mapping[str, Masking],
    *,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> list[Row]:
    """The table: method x metric x baseline.

    Metrics, of the order in which a method names the dates, for the embedding as a whole: `efficiency` (0 chance,
    1 greedy removal), `nls_auc`, `insertion_auc`, `degradation`, `cumulative_shift` (embedding units, over the first
    tenth of the dates). Under "all", efficiency is the mean over maskings. See `fidelity`.

    x: series, as the encoder takes them; some fifty say enough. maskings: see `masking.standard`. progress: called with
    steps done and in all.

    >>> from .gradslam import grad_slam
    >>> from .masking import standard
    >>> _ = torch.manual_seed(0)
    >>> encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(24, 2))
    >>> x = torch.randn(12, 2, 8)
    >>> rows = evaluate(encoder, x, {"letter": lambda f, s: grad_slam(f, s).merged}, standard(x, 12, draws=2))
    >>> sorted({row.metric for row in rows})
    ['cumulative_shift', 'degradation', 'efficiency', 'insertion_auc', 'nls_auc']
    """
    steps = len(maskings) * (1 + len(methods))
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, steps)

    orders = {name: fidelity.order_of(method(encoder, x)) for name, method in methods.items()}
    rows: list[Row] = []
    for baseline, mask in maskings.items():
        measure = yardstick(encoder, x, mask, seed)
        tell()
        for name, order in orders.items():
            rows += _rows(encoder, x, order, measure, name, baseline)
            tell()
    return rows + list(_means(rows))


def _rows(
    encoder: nn.Module, x: Float[Tensor, "n c t"], order: Int[Tensor, "n t"], measure: Yardstick, name: str, base: str
) -> Iterator[Row]:
    there = fidelity.along(encoder, x, order, measure.mask)
    shift, back = fidelity.shifts(there), fidelity.shifts(fidelity.along(encoder, x, order.flip(1), measure.mask))
    tenth = fidelity.cumulative_shift(there, max(1, x.shape[2] // 10))
    n = len(x)
    yield Row(name, "efficiency", base, measure.efficiency(shift), *measure.interval(shift))
    statistics: dict[str, fidelity.Statistic] = {
        "nls_auc": lambda rows: fidelity.nls_auc(shift[rows]),
        "insertion_auc": lambda rows: fidelity.insertion_auc(back[rows]),
        "degradation": lambda rows: fidelity.degradation(shift[rows], back[rows]),
        "cumulative_shift": lambda rows: float(tenth[rows].mean()),
    }
    for metric, of in statistics.items():
        yield Row(name, metric, base, of(torch.arange(n)), *fidelity.bootstrap(of, n))


def _means(rows: list[Row]) -> Iterator[Row]:
    """Efficiency over all maskings; the interval is the mean of theirs, which is wide rather than narrow."""
    for name in dict.fromkeys(row.method for row in rows):
        mine = [row for row in rows if row.method == name and row.metric == "efficiency"]
        value, low, high = (sum(getattr(row, k) for row in mine) / len(mine) for k in ("value", "low", "high"))
        yield Row(name, "efficiency", "all", value, low, high)
