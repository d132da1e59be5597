"""Which network turns the series of several sensors, each on its own dates, into one embedding, and back?

n series, c bands and t dates of a sensor, d embedding dimensions, p values of all sensors together. To a network, and
to every method of explaining, a series is one row of values (1, p): sensor by sensor, band by band, date by date.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sitscope.autoencoder.network import ACTIVATIONS, Settings, cells_left, convolutions, dense, refuse_huge, weights_of
from sitscope.errors import BadInput
from sitscope.untrusted import printable

Join = Literal["branches", "stacked"]
"""One branch of convolutions for each sensor; or one for all of them, whose bands are stacked on common dates."""


@dataclass(frozen=True, eq=False)
class Sensor:
    """What one sensor measures, and when."""

    name: str
    """Such as s1; each sensor has its own."""
    bands: tuple[str, ...]
    dates: np.ndarray
    """datetime64 (t,), its own acquisitions, increasing."""
    units: str = "1"
    """Of its bands: dB for backscatter, 1 for anything else."""

    @property
    def shape(self) -> tuple[int, int]:
        """Bands and dates."""
        return len(self.bands), len(self.dates)

    @property
    def values(self) -> int:
        """How many values a series has."""
        return len(self.bands) * len(self.dates)


def checked(sensors: Sequence[Sensor], join: Join, settings: Settings) -> tuple[Sensor, ...]:
    """The sensors, their dates in nanoseconds; BadInput for what no network can be made for.

    >>> vv = Sensor("s1", ("VV",), np.arange("2017-01-03", "2017-03-04", 6, dtype="datetime64[D]"))
    >>> checked([vv, vv], "branches", Settings())
    Traceback (most recent call last):
    sitscope.errors.BadInput: sensors: two sensors are called s1. Give each its own name.
    """
    if not sensors:
        raise BadInput("sensors", "there is no sensor. Give one or more, each with its series.")
    if not settings.filters:
        raise BadInput("settings", "each sensor has convolutions, and filters has none. Give one or more.")
    found = tuple(_one(sensor) for sensor in sensors)
    names = [sensor.name for sensor in found]
    if double := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise BadInput("sensors", f"two sensors are called {double}. Give each its own name.")
    if join == "stacked":
        _require_common(found)
    for sensor in found:
        try:
            cells_left(len(sensor.dates), settings)
        except BadInput as error:
            raise BadInput(error.argument, f"sensor {sensor.name}: {error.message}") from None
    return found


def _one(sensor: Sensor) -> Sensor:
    name, bands = sensor.name, tuple(map(str, sensor.bands))
    if not name or name != printable(name) or "/" in name:
        raise BadInput("sensors", f"{name!r} is no name of a sensor. Take letters and digits, such as s1.")
    if not bands or len(set(bands)) < len(bands):
        raise BadInput("sensors", f"sensor {name} has the bands {', '.join(bands) or 'none'}. Name each band once.")
    dates = np.asarray(sensor.dates)
    if dates.ndim != 1 or not dates.size or dates.dtype.kind != "M":
        what = f"{dates.dtype} of shape {dates.shape}"
        raise BadInput("sensors", f"sensor {name} has no dates but {what}. Give an array of datetime64, one a date.")
    dates = dates.astype("datetime64[ns]")
    if np.isnat(dates).any():
        raise BadInput("sensors", f"sensor {name}: {np.isnat(dates).sum()} of {dates.size} dates are missing.")
    wrong = np.flatnonzero(np.diff(dates) <= np.timedelta64(0))
    if wrong.size:
        one, other = dates[wrong[0] : wrong[0] + 2].astype("datetime64[s]")
        raise BadInput("sensors", f"sensor {name}: {other} comes after {one}. Sort series by date, each date once.")
    return Sensor(name, bands, dates, sensor.units)


def _require_common(sensors: Sequence[Sensor]) -> None:
    first, *others = sensors
    for other in others:
        mine, theirs = (each.dates.astype("datetime64[D]") for each in (first, other))
        if len(mine) != len(theirs) or (mine != theirs).any():
            odd = np.setxor1d(mine, theirs)
            where = f"the first that only one of them has is {odd[0]}" if odd.size else "a day has several"
            raise BadInput(
                "join",
                f"bands can be stacked on common dates only; {first.name} has {len(mine)} and {other.name} "
                f"{len(theirs)}, and {where}. Take a branch for each sensor (join = branches), or compose the "
                "images of both by month (sitscope ingest --every month).",
            )


def branch_shapes(sensors: Sequence[Sensor], join: Join) -> list[tuple[int, int]]:
    """Bands and dates of each branch."""
    if join == "branches":
        return [sensor.shape for sensor in sensors]
    return [(sum(len(sensor.bands) for sensor in sensors), len(sensors[0].dates))]


class BranchedEncoder(nn.Module):
    """Convolutions for each branch, whose cells the dense layers see together: rows of values (n, 1, p) -> (n, d)."""

    def __init__(self, shapes: Sequence[tuple[int, int]], settings: Settings) -> None:
        super().__init__()
        self.shapes = tuple(shapes)
        self.branches = nn.ModuleList(nn.Sequential(convolutions(bands, settings)) for bands, _ in shapes)
        cells = sum(cells_left(dates, settings) for _, dates in shapes)
        widths = (settings.filters[-1] * cells, *settings.hidden, settings.dims)
        self.head = nn.Sequential(dense(widths, ACTIVATIONS[settings.activation]))

    def forward(self, x: Float[Tensor, "n 1 p"]) -> Float[Tensor, "n d"]:
        """The embedding of scaled series of all sensors."""
        return self.head(torch.cat(self.seen(x), 1))

    def seen(self, x: Float[Tensor, "n 1 p"]) -> list[Tensor]:
        """What each branch gives to the dense layers: (n, filters times cells)."""
        return [branch(part) for branch, part in zip(self.branches, self.parts(x), strict=True)]

    def parts(self, x: Float[Tensor, "n 1 p"]) -> list[Tensor]:
        """The series (n, c, t) of each branch."""
        rows = torch.split(x[:, 0], [bands * dates for bands, dates in self.shapes], dim=1)
        return [row.reshape(-1, *shape) for row, shape in zip(rows, self.shapes, strict=True)]


class OneBranch(nn.Module):
    """The encoder as a function of one branch's series (n, c, t), with those of the others as they are."""

    def __init__(self, encoder: BranchedEncoder, which: int, x: Float[Tensor, "n 1 p"]) -> None:
        super().__init__()
        self.branch, self.head, self.which = encoder.branches[which], encoder.head, which
        with torch.no_grad():
            self.others = encoder.seen(x)

    def forward(self, part: Float[Tensor, "n c t"]) -> Float[Tensor, "n d"]:
        """The embedding."""
        seen = list(self.others)
        seen[self.which] = self.branch(part)
        return self.head(torch.cat(seen, 1))


class Branches(nn.Module):
    """Autoencoder of the series of several sensors; with a single branch, `network.Autoencoder` weight by weight.

    The decoder is dense, and gives all sensors back.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], settings: Settings) -> None:
        super().__init__()
        refuse_huge(shapes, settings)
        self.encoder = BranchedEncoder(shapes, settings)
        values = sum(bands * dates for bands, dates in shapes)
        widths = (settings.dims, *settings.hidden[::-1], values)
        self.decoder = nn.Sequential(
            dense(widths, ACTIVATIONS[settings.activation]) | {"series": nn.Unflatten(1, (1, values))}
        )

    def forward(self, x: Float[Tensor, "n 1 p"]) -> Float[Tensor, "n 1 p"]:
        """Reconstruct scaled series through their embedding."""
        return self.decoder(self.encoder(x))


def each_alike(sensors: Sequence[Sensor]) -> Float[Tensor, " p"]:
    """Roots of the weights with which every sensor, be its values many or few, has the same share of the error.

    >>> dates = np.arange("2017-01-03", "2017-01-27", 6, dtype="datetime64[D]")
    >>> root = each_alike([Sensor("a", ("VV",), dates), Sensor("b", ("B4", "B8", "B11"), dates)])
    >>> [round(weight, 3) for weight in root.square().tolist()[3:5]]
    [2.0, 0.667]
    """
    whole, s = sum(sensor.values for sensor in sensors), len(sensors)
    return torch.cat([torch.full((sensor.values,), whole / s / sensor.values) for sensor in sensors]).sqrt()


def by_sensor(values: np.ndarray, sensors: Sequence[Sensor]) -> Iterator[np.ndarray]:
    """Rows of values (..., p) as one array (..., c, t) for each sensor."""
    ends = np.cumsum([sensor.values for sensor in sensors])
    for sensor, (start, stop) in zip(sensors, pairwise([0, *ends.tolist()]), strict=True):
        yield values[..., start:stop].reshape(*values.shape[:-1], *sensor.shape)


def laid_out(sensors: Sequence[Sensor], join: Join, settings: Settings) -> tuple[Branches, int]:
    """The network of these sensors, untrained, and how many weights it has."""
    shapes = branch_shapes(sensors, join)
    return Branches(shapes, settings), weights_of(shapes, settings)
