"""Where on the calendar does each cell of a layer lie? At the centre of the dates it sees, and never beyond them.

A cell of a layer sees a window of the layer before, and so on down to the series. Through a chain of convolutions and
pooling the cells' receptive fields are alike and evenly spaced: `Geometry` follows them, `receptive_field` is the
plug-in `upsample` of `grad_slam` that places them. `graph` finds the geometry of any encoder by itself.

t dates, t_layer cells of a layer.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Geometry:
    """The receptive fields of a layer's cells, in acquisitions counted from 0; begin with `Geometry.season`."""

    centre: float
    """Where the field of the first cell is centred; less than 0 if padding puts more than half of it before."""
    step: int
    """From one centre to the next."""
    width: int
    """Acquisitions from the first to the last of a field that the season does not cut off."""
    sees: Bool[Tensor, "t_layer t"]
    """Which dates each cell sees: what is left of its field inside the season, holes of dilation left out."""

    @classmethod
    def season(cls, t: int) -> "Geometry":
        """The series itself: each cell is one of t dates."""
        return cls(0.0, 1, 1, torch.eye(t, dtype=torch.bool))

    def through(
        self, kernel: int = 1, stride: int = 1, padding: int = 0, dilation: int = 1, cells: int | None = None
    ) -> "Geometry":
        """What the cells of a convolution or pooling over these cells see.

            centre' = centre + step (dilation (kernel - 1) / 2 - padding)
            width'  = width + step dilation (kernel - 1),  step' = step stride

        Padding is that before the first cell; less than 0 leaves cells out. How many cells come out is told by `cells`,
        or else as if there were as much padding at the end and the floor were taken.

        >>> layer = Geometry.season(61)
        >>> for _ in range(3):
        ...     layer = layer.through(kernel=5, stride=2)
        >>> layer.centre, layer.step, layer.width, len(layer.sees)
        (14.0, 8, 29, 5)
        """
        span = dilation * (kernel - 1)
        before = len(self.sees)
        if cells is None:
            cells = (before + 2 * padding - span - 1) // stride + 1
        sees = torch.zeros(cells, self.sees.shape[1], dtype=torch.bool)
        for i in range(kernel):
            seen = torch.arange(cells) * stride - padding + dilation * i
            real = (seen >= 0) & (seen < before)  # padding sees no date
            sees[real] |= self.sees[seen[real]]
        return Geometry(
            self.centre + self.step * (span / 2 - padding), self.step * stride, self.width + self.step * span, sees
        )

    def united(self, other: "Geometry") -> "Geometry":
        """What cells see that are made of two branches, cell by cell: the hull of both. Raises for other steps."""
        if self.step != other.step and len(self.sees) > 1:
            raise ValueError(f"two branches meet whose cells are {self.step} and {other.step} acquisitions apart")
        first = min(self.centre - (self.width - 1) / 2, other.centre - (other.width - 1) / 2)
        last = max(self.centre + (self.width - 1) / 2, other.centre + (other.width - 1) / 2)
        return Geometry((first + last) / 2, self.step, round(last - first) + 1, self.sees | other.sees)


@dataclass(frozen=True)
class Layer:
    """What an upsampling is told of a layer."""

    name: str
    cells: int
    days: Float[Tensor, " t"]
    """The dates, in days from any beginning; evenly spaced by 1 where the caller gave none."""
    geometry: Geometry | None = None
    unknown: str = ""
    """Why there is no geometry."""


@dataclass(frozen=True)
class Placed:
    """Where the cells of a layer lie. Acquisitions are counted from 0."""

    centre: Float[Tensor, " t_layer"]
    """Centre of the receptive field in acquisitions: of the whole field, though the season may cut it off, so that
    padding can push it out of the season."""
    first: Int[Tensor, " t_layer"]
    """First acquisition of the receptive field, of those that the layer sees."""
    last: Int[Tensor, " t_layer"]
    """Last acquisition of the receptive field, likewise; -1 of a cell that sees padding only."""
    centre_days: Float[Tensor, " t_layer"]
    """The centre in days, on the scale of the dates: in proportion between two acquisitions, and beyond them."""
    width_days: Float[Tensor, " t_layer"]
    """Days from the first to the last acquisition of the field: how uncertain the place is."""
    matrix: Float[Tensor, "t t_layer"]
    """The placement: a map (n, d, t_layer) lies on the dates as `map @ matrix.T`. Each row sums to 1, or to 0 where no
    cell sees the date."""


def receptive_field(layer: Layer) -> Float[Tensor, "t t_layer"]:
    """Each cell at the centre of its receptive field, on the true dates; the default upsampling of `grad_slam`.

    Between two centres a date takes from both cells in proportion to its distance in days; before the first and after
    the last centre it takes that cell's value. A cell gives nothing to a date outside its receptive field (from its
    first to its last date, whatever dilation leaves out in between), and a date that no cell sees gets nothing. Raises
    ValueError, with the remedy, where the geometry is unknown.

    >>> pairs = Geometry.season(5).through(kernel=2, stride=2)  # the last date is left over
    >>> receptive_field(Layer("pool", 2, torch.arange(5.0), pairs)).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    """
    return placed(layer).matrix


def placed(layer: Layer) -> Placed:
    """Where a layer's cells lie on its dates. Raises ValueError, with the remedy, where the geometry is unknown."""
    if layer.geometry is None:
        raise ValueError(
            f"layer {layer.name!r}: where its cells lie on the dates is unknown: {layer.unknown}. Use "
            "upsample=merging.linear, which spreads the cells evenly over the season, or an upsampling of your own, or "
            "leave this layer out of layers."
        )
    geometry, t = layer.geometry, len(layer.days)
    days, sees = layer.days.double().cpu(), geometry.sees
    seen = torch.arange(t)[sees.any(0)]
    centre = geometry.centre + geometry.step * torch.arange(layer.cells, dtype=torch.float64)
    reach = (geometry.width - 1) / 2
    first = (centre - reach).long().clamp(min=int(seen[0]) if len(seen) else t)
    last = (centre + reach).long().clamp(max=int(seen[-1]) if len(seen) else -1).where(sees.any(1), -1)
    before = centre.floor().long().clamp(0, t - 1)
    gaps = torch.cat([days.diff(), days.diff()[-1:] if t > 1 else days.new_ones(1)])
    centre_days = days[before] + (centre - before) * gaps[before]
    width_days = (days[last] - days[first.clamp(max=t - 1)]).where(last >= first, 0)
    return Placed(centre, first, last, centre_days, width_days, _matrix(centre_days, first, last, sees, days))


def _matrix(
    centre: Float[Tensor, " t_layer"],
    first: Int[Tensor, " t_layer"],
    last: Int[Tensor, " t_layer"],
    sees: Bool[Tensor, "t_layer t"],
    days: Float[Tensor, " t"],
) -> Float[Tensor, "t t_layer"]:
    matrix = days.new_zeros(len(days), len(centre))
    real = sees.any(1)  # the others see padding only
    if not real.any():
        return matrix
    dates = torch.arange(len(days))[:, None]
    inside = (dates >= first[real]) & (dates <= last[real]) & sees.any(0)[:, None]
    matrix[:, real] = _between(days, centre[real]) * inside
    total = matrix.sum(1, keepdim=True)
    return matrix / total.where(total > 0, 1)


def _between(days: Float[Tensor, " t"], centre: Float[Tensor, " m"]) -> Float[Tensor, "t m"]:
    """Weights of linear interpolation between centres, constant beyond.

    Of centres before the first date, or after the last, only the nearest would be heard: the others share its place.
    """
    early, late = centre[centre <= days[0]], centre[centre >= days[-1]]
    at = centre.clamp(early.max() if len(early) else days[0], late.min() if len(late) else days[-1])
    knots, cell, shared = torch.unique(at, return_inverse=True, return_counts=True)
    if len(knots) == 1:
        return days.new_ones(len(days), 1)[:, cell] / shared[cell]
    after = torch.searchsorted(knots, days).clamp(1, len(knots) - 1)
    share = ((days - knots[after - 1]) / (knots[after] - knots[after - 1])).clamp(0, 1)
    weights = days.new_zeros(len(days), len(knots))
    weights.scatter_(1, after[:, None], share[:, None])
    weights.scatter_(1, after[:, None] - 1, 1 - share[:, None])
    return weights[:, cell] / shared[cell]


def in_days(dates: Any, t: int) -> Float[Tensor, " t"]:
    """Dates as days, float64: 0, 1, ..., t - 1 for None. Raises TypeError or ValueError for what is no calendar of t.

    >>> in_days(np.array(["2017-05-01", "2017-05-07", "2017-05-19"], "datetime64[D]"), 3).tolist()
    [0.0, 6.0, 18.0]
    """
    if dates is None:
        return torch.arange(t, dtype=torch.float64)
    values = dates.detach().cpu().numpy() if isinstance(dates, Tensor) else np.asarray(dates)
    if values.dtype.kind == "M":
        values = (values - values[:1]) / np.timedelta64(1, "D")
    if values.dtype.kind not in "iuf":
        raise TypeError(
            f"dates are {values.dtype}, neither days nor datetime64. Convert them with "
            "numpy.array(dates, dtype='datetime64[D]')."
        )
    if values.shape != (t,):
        raise ValueError(f"dates have shape {values.shape}, but x has {t} dates. Give one date for each.")
    steps = np.diff(values.astype(np.float64))
    if not np.isfinite(values).all() or not (steps > 0).all():
        i = int(np.argmin(np.append(steps > 0, False)))
        raise ValueError(
            f"dates must increase and none may be missing, but dates {i} and {i + 1} do not. "
            "Sort the series by date, each date once."
            if i + 1 < t
            else "dates have one that is missing or infinite. Fill it in."
        )
    return torch.from_numpy(values.astype(np.float64))
