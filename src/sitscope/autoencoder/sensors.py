"""How does one embedding learn from several sensors?"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from sitscope.autoencoder.branches import Join, Sensor, checked, each_alike, laid_out
from sitscope.autoencoder.fitted import Values
from sitscope.autoencoder.fused import Fused, as_arrays, rows
from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.training import Loss, Progress, held_out, learn, scaling
from sitscope.errors import BadInput


def fit_sensors(
    series: Sequence[Values],
    sensors: Sequence[Sensor],
    settings: Settings | None = None,
    seed: int = 0,
    *,
    join: Join = "branches",
    balance: bool = False,
    field: Shaped[np.ndarray, " n"] | None = None,
    progress: Progress | None = None,
) -> Fused:
    """Train one autoencoder to reconstruct the series of all sensors: Adam on the mean squared error of z-scores.

    Args:
        series: of each sensor (n, c, t) without missing values, in the units of its cube; row i is one pixel in all.
        sensors: names, bands and dates of each, in the same order.
        settings: of the network; every branch has the same filters, and the dense layers see the cells of all.
        seed: the same seed, series and number of threads give the same weights.
        join: "branches", convolutions of its own for each sensor on its own dates; or "stacked", all bands into one
            convolution, which needs common dates.
        balance: every sensor has the same share of the error, however many values it has; else every value has.
        field: of each series, -1 for none: whole fields are kept apart for validation. Each on its own if not given.
        progress: told of every epoch.

    Raises:
        BadInput: no sensor, two of a name, dates that are missing, double or not in order, series of other shapes or
            numbers, missing values, a band that never varies, dates that are too few or, for stacking, not common.

    >>> rng = np.random.default_rng(0)
    >>> radar = Sensor("s1", ("VV", "VH"), np.arange("2017-01-03", "2017-06-03", 6, dtype="datetime64[D]"), "dB")
    >>> optical = Sensor("s2", ("B4", "B8", "B11"), np.arange("2017-01", "2017-10", dtype="datetime64[M]"))
    >>> x = [rng.normal(size=(60, *radar.shape)), rng.normal(size=(60, *optical.shape))]
    >>> fused = fit_sensors(x, [radar, optical], Settings(epochs=1))
    >>> [part.shape for part in fused.contributions(x)]
    [(60, 2, 2, 26), (60, 2, 3, 9)]
    """
    settings = settings or Settings()
    sensors = checked(sensors, join, settings)
    values = as_arrays(series, sensors)
    n = len(values[0])
    _refuse(values, sensors)
    group = np.full(n, -1) if field is None else np.asarray(field)
    held = held_out(group, settings.validation, seed)
    scales = [_scaling(x[~held], sensor) for x, sensor in zip(values, sensors, strict=True)]
    mean, std = tuple(m for m, _ in scales), tuple(s for _, s in scales)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, _ = laid_out(sensors, join, settings)
        z, out = rows(values, mean, std), torch.as_tensor(held)
        train, rest = z[~out], z[out]
        loss = weighed(each_alike(sensors)) if balance else nn.functional.mse_loss
        losses, best = learn(network, (train, train), (rest, rest), settings, loss, progress)
    return Fused(
        network=network.eval().requires_grad_(False),
        sensors=sensors,
        join=join,
        settings=settings,
        mean=mean,
        std=std,
        curve=tuple(x[~held].mean(axis=0, dtype=np.float64).astype(np.float32) for x in values),
        losses=losses,
        best_epoch=best,
        seed=seed,
    )


def _refuse(values: Sequence[np.ndarray], sensors: Sequence[Sensor]) -> None:
    n = len(values[0])
    if n < 2:
        raise BadInput("fields", f"{n} series are too few to train on; at least 2 are needed. Add fields.")
    for x, sensor in zip(values, sensors, strict=True):
        if missing := int((~np.isfinite(x)).any(axis=(1, 2)).sum()):
            raise BadInput(
                "series",
                f"{missing} of {n} series of {sensor.name} have missing values, which the network cannot read. "
                "Fill them in time (fill=True), or leave those pixels out of every sensor.",
            )


def _scaling(x: np.ndarray, sensor: Sensor) -> tuple[np.ndarray, np.ndarray]:
    try:
        return scaling(x, sensor.bands)
    except BadInput as error:
        raise BadInput(error.argument, f"sensor {sensor.name}: {error.message}") from None


def weighed(root: Float[Tensor, " p"]) -> Loss:
    """Squared errors that weigh `root` squared each.

    >>> loss = weighed(torch.tensor([1.0, 2.0]))
    >>> float(loss(torch.tensor([[[1.0, 1.0]]]), torch.zeros(1, 1, 2)))
    2.5
    """

    def loss(back: Tensor, wanted: Tensor, reduction: str = "mean") -> Tensor:
        return nn.functional.mse_loss(back * root, wanted * root, reduction=reduction)

    return loss
