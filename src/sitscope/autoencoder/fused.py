"""What was learned from several sensors together? Embed, reconstruct, explain by sensor, band and date; save and load.

n series, c bands and t dates of a sensor, p values of all sensors together, d embedding dimensions.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float, Float32
from pydantic import Field, model_validator
from torch import Tensor

from sitscope.attribution.gradslam import grad_slam
from sitscope.attribution.path import path
from sitscope.autoencoder.branches import Branches, Join, OneBranch, Sensor, by_sensor, checked, laid_out
from sitscope.autoencoder.fitted import BATCH, Values
from sitscope.autoencoder.network import Settings, as_tensor
from sitscope.autoencoder.storing import Described, Name, Page, read_page
from sitscope.errors import BadInput

SCHEMA = "sensors 1"
"""Of a model folder of several sensors."""


@dataclass(frozen=True, eq=False)
class Fused:
    """A trained autoencoder of several sensors with all that is needed to apply it.

    Wherever series are asked for, they are a list of one array (n, c, t) for each sensor, in the units of its cube, and
    row i of each is the same pixel.
    """

    network: Branches
    """In evaluation mode, its parameters frozen."""
    sensors: tuple[Sensor, ...]
    join: Join
    """A branch of convolutions for each sensor, or all bands stacked on common dates."""
    settings: Settings
    mean: tuple[Float32[np.ndarray, " _"], ...]
    """By sensor: mean of each band over the training series."""
    std: tuple[Float32[np.ndarray, " _"], ...]
    """By sensor: standard deviation of each band, likewise."""
    curve: tuple[Float32[np.ndarray, "_ _"], ...]
    """By sensor: mean of each band on each date, likewise: what contributions are measured from."""
    losses: dict[str, list[float]]
    """Mean squared error of z-scores per epoch: train, validation."""
    best_epoch: int
    """The epoch, from 1, whose weights were kept."""
    seed: int

    def embed(self, series: Sequence[Values]) -> Float32[np.ndarray, "n d"]:
        """Embedding of series. Raises BadInput for series that are not of these sensors."""
        with torch.no_grad():
            parts = [self.network.encoder(z).numpy() for z in self._rows(series)]
        return np.concatenate([np.empty((0, self.settings.dims), np.float32), *parts])

    def reconstruct(self, series: Sequence[Values]) -> list[Float32[np.ndarray, "n _ _"]]:
        """Series as the network gives them back, in the units of the cubes."""
        with torch.no_grad():
            parts = [self.network(z)[:, 0].numpy() for z in self._rows(series)]
        z = by_sensor(np.concatenate([np.empty((0, self._values), np.float32), *parts]), self.sensors)
        scales = zip(z, self.mean, self.std, strict=True)
        return [each * std[:, None] + mean[:, None] for each, mean, std in scales]

    def contributions(
        self, series: Sequence[Values], reference: Sequence[Values] | None = None, **options: Any
    ) -> list[Float32[np.ndarray, "n d _ _"]]:
        """By sensor, the contribution (n, d, c, t) of each band and date to each embedding dimension, in its units.

        reference: one series (c, t) of each sensor from which they are measured; the joint mean curve of the training
        if not given. The path goes from all sensors' references to all sensors' series at once, so that over sensors,
        bands and dates contributions sum to embed(series) - embed(reference), within 1 % of its length. Options are
        those of `sitscope.attribution.path.path`, such as `nodes`.
        """
        from_curves = self.curve if reference is None else [np.asarray(each) for each in reference]
        (start,) = next(self._rows([each[None] for each in from_curves]))
        found = [
            path(self.network.encoder, z, start, **options).importance[:, :, 0].numpy() for z in self._rows(series)
        ]
        empty = np.empty((0, self.settings.dims, self._values), np.float32)
        return list(by_sensor(np.concatenate([empty, *found]), self.sensors))

    def explain(self, series: Sequence[Values], **options: Any) -> list[Float32[np.ndarray, "n d _"]]:
        """By sensor, the letter's Grad-SLAM (n, d, t) of its branch, on its own dates.

        Options are those of `sitscope.attribution.gradslam.grad_slam`. With its defaults every layer of every branch is
        scaled to [-1, 1] for itself, so that sizes can be compared between dates, and not between sensors. Sensors that
        are stacked share one branch, and one map.
        """
        maps: list[list[np.ndarray]] = [[] for _ in self.network.encoder.shapes]
        for z in self._rows(series):
            for i, part in enumerate(self.network.encoder.parts(z)):
                alone = OneBranch(self.network.encoder, i, z).eval()
                chosen: dict[str, Any] = {"dates": self.sensors[i].dates, "batch": len(z)} | options
                maps[i].append(grad_slam(alone, part, **chosen).merged.numpy())
        none = [np.empty((0, self.settings.dims, dates), np.float32) for _, dates in self.network.encoder.shapes]
        found = [np.concatenate([empty, *parts]) for empty, parts in zip(none, maps, strict=True)]
        return found * len(self.sensors) if self.join == "stacked" else found

    def z_scores(self, series: Sequence[Values]) -> Float[Tensor, "n 1 p"]:
        """Series as the network and every method of explaining take them; at least one."""
        return torch.cat(list(self._rows(series)))

    @property
    def _values(self) -> int:
        return sum(sensor.values for sensor in self.sensors)

    def _rows(self, series: Sequence[Values]) -> Iterator[Float[Tensor, "n 1 p"]]:
        """z-scores in batches, all sensors in a row."""
        values = as_arrays(series, self.sensors)
        for i in range(0, len(values[0]), BATCH):
            yield rows([each[i : i + BATCH] for each in values], self.mean, self.std)

    def save(self, folder: str | Path) -> Path:
        """Write weights.safetensors and model.json into the folder, which is made where it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = safetensors.torch.save(self.network.state_dict())
        described = zip(self.sensors, self.mean, self.std, self.curve, strict=True)
        facts = {
            "schema": SCHEMA,
            "sha256": hashlib.sha256(weights).hexdigest(),
            "settings": self.settings.model_dump(mode="json"),
            "join": self.join,
            "sensors": [
                {
                    "name": sensor.name,
                    "bands": list(sensor.bands),
                    "dates": np.datetime_as_string(sensor.dates).tolist(),
                    "units": sensor.units,
                    "mean": mean.tolist(),
                    "std": std.tolist(),
                    "curve": curve.tolist(),
                }
                for sensor, mean, std, curve in described
            ],
            "losses": self.losses,
            "best_epoch": self.best_epoch,
            "seed": self.seed,
        }
        (folder / "weights.safetensors").write_bytes(weights)
        (folder / "model.json").write_text(json.dumps(facts, indent=1))
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "Fused":
        """Read what `save` wrote. Raises BadInput when files are missing, damaged, or of another kind of model."""
        stored, network, _ = read_page(
            Path(folder), SCHEMA, StoredFused, lambda page: laid_out(page.of(), page.join, page.settings)
        )
        return cls(
            network=network.eval().requires_grad_(False),
            sensors=stored.of(),
            join=stored.join,
            settings=stored.settings,
            mean=tuple(np.array(each.mean, np.float32) for each in stored.sensors),
            std=tuple(np.array(each.std, np.float32) for each in stored.sensors),
            curve=tuple(np.array(each.curve, np.float32) for each in stored.sensors),
            losses=stored.losses,
            best_epoch=stored.best_epoch,
            seed=stored.seed,
        )


class StoredSensor(Described):
    """A sensor in model.json."""

    name: Name


class StoredFused(Page):
    """model.json, as `Fused.save` writes it."""

    join: Join
    sensors: tuple[StoredSensor, ...] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _of_one_network(self) -> "StoredFused":
        checked(self.of(), self.join, self.settings)  # BadInput is a ValueError
        return self

    def of(self) -> tuple[Sensor, ...]:
        """The sensors."""
        return tuple(Sensor(each.name, each.bands, each.datetimes(), each.units) for each in self.sensors)


def as_arrays(series: Sequence[Values], sensors: Sequence[Sensor]) -> list[Float32[np.ndarray, "n _ _"]]:
    """Series of each sensor as arrays; BadInput where they are not of its bands and dates, or of other pixels."""
    if len(series) != len(sensors):
        names = ", ".join(sensor.name for sensor in sensors)
        raise BadInput(
            "series", f"there are series of {len(series)} sensors, and {len(sensors)} are asked for: {names}."
        )
    values = []
    for each, sensor in zip(series, sensors, strict=True):
        _require_same(each, sensor)
        x = np.asarray(each, np.float32)
        if x.ndim != 3 or x.shape[1:] != sensor.shape:
            raise BadInput(
                "series",
                f"series of shape {x.shape} do not fit sensor {sensor.name}, which has (n, {sensor.shape[0]} bands, "
                f"{sensor.shape[1]} dates). Bring the axes into this order, and sensors into that of their names.",
            )
        values.append(x)
    counts = [len(x) for x in values]
    if len(set(counts)) > 1:
        found = ", ".join(f"{n} of {sensor.name}" for n, sensor in zip(counts, sensors, strict=True))
        raise BadInput("series", f"there are {found}. Give every pixel's series of each sensor, in the same order.")
    return values


def _require_same(series: Values, sensor: Sensor) -> None:
    """Names that came with the series must be those of the sensor."""
    if not (hasattr(series, "time") and hasattr(series, "band")):
        return
    bands, dates = tuple(map(str, np.asarray(series.band))), np.asarray(series.time).astype("datetime64[D]")
    if bands != sensor.bands:
        there, wanted = ", ".join(bands), ", ".join(sensor.bands)
        raise BadInput(
            "series", f"sensor {sensor.name} has bands {wanted}, these series have {there}. Order them alike."
        )
    wanted_days = sensor.dates.astype("datetime64[D]")
    if len(dates) != len(wanted_days) or (dates != wanted_days).any():
        odd = np.setxor1d(dates, wanted_days)
        which = f"; the first that only one of them has is {odd[0]}" if odd.size else ""
        raise BadInput("series", f"sensor {sensor.name} has other dates than these series{which}. Select its dates.")


def rows(
    values: Sequence[Float32[np.ndarray, "n _ _"]],
    mean: Sequence[Float32[np.ndarray, " _"]],
    std: Sequence[Float32[np.ndarray, " _"]],
) -> Float[Tensor, "n 1 p"]:
    """z-scores of all sensors, in a row."""
    z = [(x - m[:, None]) / s[:, None] for x, m, s in zip(values, mean, std, strict=True)]
    return as_tensor(np.concatenate([each.reshape(len(each), -1) for each in z], 1)[:, None], torch.device("cpu"))
