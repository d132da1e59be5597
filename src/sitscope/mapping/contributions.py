"""Which sensor, band and date made each embedding dimension, and what parts two clusters?

m classes, d embedding dimensions, s sensors, p values of all sensors together (sensor by sensor, band by band, date by
date), n series explained, k clusters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from sitscope.autoencoder.branches import Sensor
from sitscope.autoencoder.fitted import Values
from sitscope.autoencoder.fused import Fused
from sitscope.classes.codebook import Codebook
from sitscope.mapping.methods import NODES
from sitscope.mapping.profiles import EXPLAINED

DRAWS = 500
"""Bootstrap draws of fields for an interval."""


@dataclass(frozen=True, eq=False)
class Contributed:
    """Contributions along the joint path from the mean curve of all sensors, summed up by class."""

    sensors: tuple[Sensor, ...]
    classes: tuple[str, ...]
    n: Int[np.ndarray, " m"]
    """Series explained of each class."""
    mean: Float[np.ndarray, "m d p"]
    """Mean contribution of each value, with its sign, in units of the embedding: complete over p."""
    size: Float[np.ndarray, "m d p"]
    """Mean size of the contribution of each value, whatever the sign."""
    letter: Float[np.ndarray, "m d q"]
    """Mean size of the letter's Grad-SLAM of each date, sensor by sensor; comparable within a sensor only."""
    of_sensor: Float[np.ndarray, "n d s"]
    """Of each series: sizes of the contributions of each sensor's values, added up."""
    net: Float[np.ndarray, "n d s"]
    """Of each series: the contributions of each sensor's values added up, signs kept."""
    residual: Float[np.ndarray, " n"]
    """Of each series: |sum of contributions - way of the embedding| / |way of the embedding|."""
    field: Int[np.ndarray, " n"]


def contributed(
    series: Sequence[Values],
    label: Shaped[np.ndarray, " n"],
    field: Int[np.ndarray, " n"],
    fused: Fused,
    *,
    most: int = EXPLAINED,
    nodes: int = NODES,
    seed: int = 0,
) -> Contributed:
    """Explain at most so many labelled series of each class, drawn at random.

    series: of each sensor (n, c, t), in the units of its cube; label (n,), "" for none; field (n,). nodes: of the path.
    """
    label, rng = np.asarray(label).astype(str), np.random.default_rng(seed)
    classes = tuple(sorted(set(label.tolist()) - {""}))
    values = [np.asarray(each, np.float32) for each in series]
    start = fused.embed([curve[None] for curve in fused.curve])
    rows, means, sizes, letters, sums, nets, missed = [], [], [], [], [], [], []
    for name in classes:
        mine = rng.permutation(np.flatnonzero(label == name))[:most]
        some = [x[mine] for x in values]
        found = fused.contributions(some, nodes=nodes)  # s times (n, d, c, t)
        flat = np.concatenate([each.reshape(*each.shape[:2], -1) for each in found], axis=2)
        means.append(flat.mean(axis=0, dtype=np.float64))
        sizes.append(np.abs(flat).mean(axis=0, dtype=np.float64))
        letters.append(np.concatenate([np.abs(each).mean(axis=0, dtype=np.float64) for each in fused.explain(some)], 1))
        sums.append(np.stack([np.abs(each).sum(axis=(2, 3), dtype=np.float64) for each in found], axis=2))
        nets.append(np.stack([each.sum(axis=(2, 3), dtype=np.float64) for each in found], axis=2))
        way = fused.embed(some) - start
        missed.append(_ratio(np.linalg.norm(nets[-1].sum(2) - way, axis=1), np.linalg.norm(way, axis=1)))
        rows.append(mine)
    return Contributed(
        fused.sensors,
        classes,
        np.array([len(mine) for mine in rows]),
        np.stack(means),
        np.stack(sizes),
        np.stack(letters),
        np.concatenate(sums),
        np.concatenate(nets),
        np.concatenate(missed),
        np.asarray(field)[np.concatenate(rows)],
    )


def table(found: Contributed) -> pd.DataFrame:
    """A row per class, dimension (from 1), sensor, band and date.

    `contribution`: mean over the class's series, in units of the embedding; over sensors, bands and dates it adds up to
    the way of the class's mean embedding from the mean curve's. `size`: mean of its size. `share`: of the size, of all
    there is in this class and dimension. `n`: series explained.
    """
    m, d, p = found.mean.shape
    places = pd.concat([_places(found.sensors)] * (m * d), ignore_index=True)
    places.insert(0, "dim", np.tile(np.repeat(np.arange(1, d + 1), p), m))
    places.insert(0, "class", np.repeat(found.classes, d * p))
    whole = found.size.sum(axis=2, keepdims=True)
    share = np.divide(found.size, whole, out=np.zeros_like(found.size), where=whole > 0)
    values = {"contribution": found.mean, "size": found.size, "share": share}
    return places.assign(**{key: each.ravel() for key, each in values.items()}, n=np.repeat(found.n, d * p))


def letter_table(found: Contributed) -> pd.DataFrame:
    """A row per class, dimension (from 1), sensor and date: mean size of the letter's importance."""
    m, d, q = found.letter.shape
    dates = pd.concat(
        [pd.DataFrame({"sensor": sensor.name, "date": sensor.dates}) for sensor in found.sensors], ignore_index=True
    )
    places = pd.concat([dates] * (m * d), ignore_index=True)
    places.insert(0, "dim", np.tile(np.repeat(np.arange(1, d + 1), q), m))
    places.insert(0, "class", np.repeat(found.classes, d * q))
    return places.assign(importance=found.letter.ravel(), n=np.repeat(found.n, d * q))


def sensor_shares(found: Contributed, seed: int = 0) -> pd.DataFrame:
    """A row per dimension (from 1) and sensor: its share of all that moves the dimension, with 95 % intervals.

    `share` adds the sizes of a sensor's contributions, so that a sensor of many bands that contradict one another
    counts much; `net_share` takes the size of their sum. Ratios of sums over all series explained; `_low` and `_high`
    from a bootstrap over fields, since pixels of one field are nearly copies of each other.
    """
    names, group = np.unique(found.field, return_inverse=True)
    if len(names) == 1:
        group = np.arange(len(group))
    rng, f = np.random.default_rng(seed), int(group.max()) + 1
    draws = rng.multinomial(f, np.full(f, 1 / f), size=DRAWS)  # how often each field is drawn
    columns: dict[str, np.ndarray] = {}
    for name, sizes in (("share", found.of_sensor), ("net_share", np.abs(found.net))):
        of_field = np.zeros((f, *sizes.shape[1:]))
        np.add.at(of_field, group, sizes)
        drawn = _shares(np.einsum("bf,fds->bds", draws.astype(float), of_field))
        low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
        columns |= {name: _shares(of_field.sum(0)), f"{name}_low": low, f"{name}_high": high}
    d, s = found.of_sensor.shape[1:]
    where = {"dim": np.repeat(np.arange(1, d + 1), s), "sensor": [sensor.name for sensor in found.sensors] * d}
    return pd.DataFrame(where | {key: each.ravel() for key, each in columns.items()})


def margins(found: Contributed, book: Codebook, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """What parts two classes: a row per pair, sensor, band and date, of pairs whose clusters are two.

    The margin between the clusters A and B that hold most training series of classes a and b is linear in the
    embedding, |e - B|^2 - |e - A|^2 = 2 e . (A - B) + ..., so that contributions to it follow from those to the
    dimensions. `contribution` is the mean over the series of a less that over b, in embedding units squared: over
    sensors, bands and dates it adds up to how much further the series of a lie on the side of A than those of b.
    `share`: of its size, of all there is in this pair. A pair in one cluster has no margin, and no row.
    """
    tables, best = [], dict(zip(book.classes, book.votes.argmax(axis=0), strict=True))
    for one, other in pairs:
        if one not in found.classes or other not in found.classes or best[one] == best[other]:
            continue
        slope = 2 * (book.centres[best[one]] - book.centres[best[other]]).astype(np.float64)
        mine, theirs = (found.mean[found.classes.index(name)] for name in (one, other))
        parts = slope @ (mine - theirs)  # (p,)
        rows = _places(found.sensors).assign(contribution=parts, share=_ratio(np.abs(parts), np.abs(parts).sum()))
        rows.insert(0, "other", other)
        rows.insert(0, "class", one)
        tables.append(rows)
    empty = pd.DataFrame(columns=["class", "other", "sensor", "band", "date", "contribution", "share"])
    return pd.concat(tables, ignore_index=True) if tables else empty


def _places(sensors: Sequence[Sensor]) -> pd.DataFrame:
    """Sensor, band and date of each of the p values."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "sensor": sensor.name,
                    "band": np.repeat(sensor.bands, len(sensor.dates)),
                    "date": np.tile(sensor.dates, len(sensor.bands)),
                }
            )
            for sensor in sensors
        ],
        ignore_index=True,
    )


def _shares(sizes: Float[np.ndarray, "*b d s"]) -> Float[np.ndarray, "*b d s"]:
    return _ratio(sizes, sizes.sum(axis=-1, keepdims=True))


def _ratio(part: np.ndarray, whole: Float[np.ndarray, "..."] | np.floating) -> np.ndarray:
    """0 of nothing is 0."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
