"""Which dates truly part two crops?

Known by construction: many fields of every crop are rendered under the scene's own weather, without an image, and the
speckle is added in closed form. Shapes: m classes, f fields, t dates, 2 polarisations.
"""

import itertools

import numpy as np
import pandas as pd
from jaxtyping import Float64

from sitscope.simulation.backscatter import render
from sitscope.simulation.crops import EPOCH, Crop
from sitscope.simulation.season import Weather, draw_season
from sitscope.simulation.sensor import noise_variance_db2

FIELDS_PER_CLASS = 300
"""Rendered to know the spread of a class; far more than a scene has of the rare ones."""


def separability(
    crops: tuple[Crop, ...], weather: Weather, days: Float64[np.ndarray, " t"], enl: float | int, seed: int
) -> pd.DataFrame:
    """How well each date alone parts each pair of classes, VV and VH together.

    Returns one row per ordered pair and date: class_a, class_b, date, jm. jm is the Jeffries-Matusita distance
    2 (1 - exp(-B)), 0 = the same, 2 = apart, with the Bhattacharyya distance B of two Gaussians in dB. Their
    covariance is that between the fields plus the noise within them.
    """
    rng = np.random.default_rng([seed, 3])
    crop = np.repeat(np.arange(len(crops)), FIELDS_PER_CLASS)
    sigma0 = render(draw_season(crop, crops, rng), weather, days)
    sigma0 = sigma0.reshape(2, len(crops), FIELDS_PER_CLASS, -1).transpose(1, 3, 2, 0)  # (m, t, f, 2)
    db = 10 * np.log10(sigma0)
    mean = db.mean(axis=2)
    noise = noise_variance_db2(sigma0, enl).mean(axis=2)
    anomaly = db - mean[:, :, None]
    covariance = anomaly.mT @ anomaly / (FIELDS_PER_CLASS - 1) + noise[..., None] * np.eye(2)
    jm = jeffries_matusita(mean, covariance)
    dates = EPOCH + (days * 86400e9).astype("timedelta64[ns]")
    names = [c.name for c in crops]
    rows = [(names[a], names[b], jm[a, b]) for a, b in itertools.permutations(range(len(names)), 2)]
    return pd.concat(
        [pd.DataFrame({"class_a": a, "class_b": b, "date": dates, "jm": x}) for a, b, x in rows], ignore_index=True
    )


def jeffries_matusita(
    mean: Float64[np.ndarray, "m t 2"], covariance: Float64[np.ndarray, "m t 2 2"]
) -> Float64[np.ndarray, "m m t"]:
    """2 (1 - exp(-B)) of every pair of Gaussians, date by date."""
    between = mean[:, None] - mean[None]  # (m, m, t, 2)
    pooled = (covariance[:, None] + covariance[None]) / 2
    mahalanobis = np.einsum("abti,abtij,abtj->abt", between, np.linalg.inv(pooled), between)
    log_det = np.log(np.linalg.det(covariance))
    bhattacharyya = mahalanobis / 8 + (np.log(np.linalg.det(pooled)) - (log_det[:, None] + log_det[None]) / 2) / 2
    return 2 * (1 - np.exp(-bhattacharyya))


def parting(truth: pd.DataFrame, crops: tuple[Crop, ...]) -> pd.DataFrame:
    """How well each date parts each class from the rest.

    Returns one row per class and date: class, date, jm_mean (over the other classes, weighted by their share),
    jm_least and nearest (the class that it is hardest to tell from).
    """
    share = {c.name: c.share for c in crops}
    weighted = truth.assign(weight=truth.class_b.map(share), part=lambda x: x.jm * x.weight)
    by = weighted.groupby(["class_a", "date"], sort=False)
    least = weighted.loc[by.jm.idxmin(), ["class_a", "date", "jm", "class_b"]]
    mean = (by.part.sum() / by.weight.sum()).rename("jm_mean").reset_index()
    table = mean.merge(least.rename(columns={"jm": "jm_least", "class_b": "nearest"}), on=["class_a", "date"])
    return table.rename(columns={"class_a": "class"})
