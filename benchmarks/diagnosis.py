"""Are the reasons that a run gives for its confusions the true ones?

In a simulated scene they are known. A date truly parts two crops where 300 fields of each, rendered under the scene's
weather, lie a standard deviation apart (Jeffries-Matusita distance of at least LEAST_JM, `simulation.truth`). The true
verdict on a pair: inseparable where no date parts the two; outvoted where the embedding of fresh fields of both, 300 of
each, parts them (at least EMBEDDED); else shared. `diagnose` knows only the fields of the scene, of which every crop
has twenty or so; under "letter" stands what comes of the letter's shares, where five crops have three.

    hit_at_3          of the three missed dates of each pair with the largest distance, those that truly part the two
    verdicts_right    of the confused pairs, those with the true verdict; too few fields to tell counts as wrong
    verdicts_follow   of pairs whose important dates are shared, those whose verdict is another one once the smaller
                      crop is altered so that the two differ at the important dates (the model stays)
    twins             of pairs of crops with one and the same calendar and canopy, those called inseparable

    python -m benchmarks.diagnosis
    python -m benchmarks.diagnosis --seeds 1

Prints progress on stderr, the confused pairs of each seed as a table, and as the last line JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.training import fit
from sitscope.classes.codebook import fit_codebook
from sitscope.classes.diagnosis import EMBEDDED
from sitscope.classes.parting import LEAST_JM
from sitscope.classes.scores import score
from sitscope.classes.verdicts import Diagnosis, Pair
from sitscope.cube.sampling import sample
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.reasons import diagnosed
from sitscope.simulation.backscatter import render
from sitscope.simulation.crops import CROPS, DATES, EPOCH, Calendar, Crop, day
from sitscope.simulation.scene import simulate
from sitscope.simulation.season import draw_season, draw_weather
from sitscope.simulation.sensor import TEXTURE_DB, received_db
from sitscope.simulation.truth import FIELDS_PER_CLASS, jeffries_matusita, separability

FIELDS, FIELD_PX, MAX_PIXELS, ENL = 900, 10, 8, 20
CLUSTERS = 16
LEAST_SHARE = 2.7
"""Of each crop, in the table's units: twenty fields of 900."""
EVEN = tuple(replace(crop, share=max(crop.share, LEAST_SHARE)) for crop in CROPS)
DAYS = (DATES - EPOCH) / np.timedelta64(1, "D")
TWINS = ("Cotton", "Tomato", "Sugar Beet")
"""Crops that are split in two for the scene without any difference."""
ALTERED = 3
"""Most pairs of a scene that are made to differ."""
CERTAINLY = 0.5
"""Share of the importance that must lie on dates that part an altered pair."""
HALF = 2 * (1 - np.exp(-1 / 32))
"""Jeffries-Matusita distance of half a standard deviation, for a look at how false a false date is."""


@dataclass(frozen=True)
class Run:
    """A scene, what was trained on it, and what was said of it."""

    seed: int
    crops: tuple[Crop, ...]
    fitted: Fitted
    said: Diagnosis
    accuracy: float


def run(seed: int, crops: tuple[Crop, ...], fields: int, fitted: Fitted | None = None) -> Run:
    """Simulate, train (or take a model that is there), cluster, vote and diagnose."""
    scene = simulate(fields=fields, field_px=FIELD_PX, enl=ENL, seed=seed, crops=crops)
    series = sample(scene.cube, scene.fields, label="crop", buffer=10, max_pixels=MAX_PIXELS, seed=seed)
    train, test = split_by_field(series, test=0.3, seed=seed)
    fitted = fitted or fit(train, Settings(), seed=seed)
    book = fit_codebook(fitted.embed(train.x.values), train.label.values, clusters=CLUSTERS, seed=seed)
    scores = score(test, fitted, book)
    return Run(seed, crops, fitted, diagnosed(train, test, fitted, book, scores, seed=seed), scores.overall_accuracy)


def true_jm(crops: tuple[Crop, ...], seed: int) -> dict[tuple[str, str], np.ndarray]:
    """By pair (t,): how well each date truly parts two crops."""
    table = separability(crops, draw_weather(np.random.default_rng([seed, 1])), DAYS, ENL, seed)
    return {pair: rows.jm.to_numpy() for pair, rows in table.groupby(["class_a", "class_b"], sort=False)}


def true_embedded(crops: tuple[Crop, ...], seed: int, fitted: Fitted) -> dict[tuple[str, str], float]:
    """By pair: how well the embedding parts two crops, from fields that the scene does not have."""
    rng = np.random.default_rng([seed, 9])
    weather = draw_weather(np.random.default_rng([seed, 1]))
    crop = np.repeat(np.arange(len(crops)), FIELDS_PER_CLASS)
    clean = render(draw_season(crop, crops, rng), weather, DAYS)  # (2, f, t)
    clean = clean * 10 ** (TEXTURE_DB / 10 * rng.normal(size=(1, len(crop), 1)))
    x = received_db(clean, rng.gamma(ENL, 1 / ENL, clean.shape)).transpose(1, 0, 2)
    e = fitted.embed(x.astype(np.float32)).reshape(len(crops), FIELDS_PER_CLASS, -1).astype(np.float64)
    mean, about = e.mean(axis=1), e - e.mean(axis=1, keepdims=True)
    covariance = about.mT @ about / (FIELDS_PER_CLASS - 1)
    jm = jeffries_matusita(mean[:, None], covariance[:, None])[..., 0]
    names = [c.name for c in crops]
    return {(a, b): float(jm[i, j]) for i, a in enumerate(names) for j, b in enumerate(names) if i != j}


def true_kind(jm: np.ndarray, embedded: float) -> str:
    """The verdict that all fields that could be would give."""
    if not (jm >= LEAST_JM).any():
        return "inseparable"
    return "outvoted" if embedded >= EMBEDDED else "shared"


def strongest_missed(pair: Pair, most: int = 3) -> list[int]:
    """The missed dates that part the two most."""
    jm = np.where(pair.missed, pair.jm, -1.0)
    return [int(i) for i in np.argsort(-jm, kind="stable")[:most] if jm[i] >= 0]


def judged(found: Run) -> list[dict[str, Any]]:
    """Each confused pair with what is true of it."""
    parts, embedded = true_jm(found.crops, found.seed), true_embedded(found.crops, found.seed, found.fitted)
    rows = []
    for pair in found.said.pairs:
        key = (pair.truth, pair.predicted)
        rows.append(
            {
                "seed": found.seed,
                "truth": pair.truth,
                "predicted": pair.predicted,
                "share": pair.share,
                "fields": min(pair.fields),
                "said": pair.kind,
                "true": true_kind(parts[key], embedded[key]),
                "embedded": (pair.embedded, embedded[key]),
                "missed": [float(parts[key][i]) for i in strongest_missed(pair)],
            }
        )
    return rows


def alterations(crop: Crop) -> Iterator[Crop]:
    """The crop with a brighter or darker canopy, earlier or later, or standing longer."""
    for level in (-5.0, 5.0):
        yield replace(crop, vv_db=crop.vv_db + level, vh_db=crop.vh_db + level)
    for days in (-60, -30, 30, 60):
        yield replace(crop, calendars=tuple(moved(c, days, days) for c in crop.calendars))
    for days in (-45, 45, 75):
        yield replace(crop, calendars=tuple(moved(c, 0, days) for c in crop.calendars))


def moved(calendar: Calendar, first: int, last: int) -> Calendar:
    """Sown and closed so many days later, faded and cleared so many."""
    later = {"sow": first, "full": first, "fade": last, "clear": last}
    dates = {k: str(np.datetime64(getattr(calendar, k)) + np.timedelta64(n, "D")) for k, n in later.items()}
    order = [day(dates[k]) for k in ("sow", "full", "fade", "clear")]
    if order != sorted(set(order)):
        raise BadInput("crops", "no crop fades before it is full")
    return Calendar(**dates, sow_sd_d=calendar.sow_sd_d, clear_sd_d=calendar.clear_sd_d)


def made_to_differ(found: Run, pair: Pair) -> tuple[Crop, ...] | None:
    """Crops of which the lost one is altered so that most importance lies on dates that truly part the pair."""
    looks = np.array(pair.importance[found.said.method])
    best: tuple[float, tuple[Crop, ...]] = (0.0, found.crops)
    (crop,) = (c for c in found.crops if c.name == pair.truth)
    (other,) = (c for c in found.crops if c.name == pair.predicted)
    candidates = alterations(crop)
    while True:
        try:
            altered = next(candidates, None)
            if altered is None:
                break
            jm = true_jm((altered, other), found.seed)[pair.truth, pair.predicted]
        except BadInput:  # such a crop there cannot be
            continue
        weight = float(looks[jm >= LEAST_JM].sum())
        if weight > best[0]:
            best = (weight, tuple(altered if c.name == pair.truth else c for c in found.crops))
    return best[1] if best[0] >= CERTAINLY else None


def follows(found: Run, rows: Sequence[dict[str, Any]], fields: int) -> Iterator[dict[str, Any]]:
    """Pairs rightly called shared, made to differ, and what is said of them then."""
    right = [r for r in rows if r["said"] == r["true"] == "shared"]
    for row in right[:ALTERED]:
        key = (row["truth"], row["predicted"])
        pair = next(p for p in found.said.pairs if (p.truth, p.predicted) == key)
        crops = made_to_differ(found, pair)
        if crops is None:
            continue
        again = run(found.seed, crops, fields, found.fitted)
        kinds = [p.kind for p in again.said.pairs if (p.truth, p.predicted) == key]
        yield {"seed": found.seed, "truth": key[0], "predicted": key[1], "then": kinds[0] if kinds else "not confused"}


def twins(found: Run, fields: int) -> list[dict[str, Any]]:
    """What is said of crops that are two in name only."""
    crops = []
    for crop in found.crops:
        half = replace(crop, share=crop.share / 2)
        crops += [half, replace(half, name=f"{crop.name} B")] if crop.name in TWINS else [crop]
    again = run(found.seed, tuple(crops), fields, found.fitted)
    alike = [{name, f"{name} B"} for name in TWINS]
    return [
        {"seed": found.seed, "truth": p.truth, "predicted": p.predicted, "said": p.kind}
        for p in again.said.pairs
        if {p.truth, p.predicted} in alike
    ]


def share(flags: Sequence[bool]) -> float | None:
    """Of what is so."""
    return float(np.mean(flags)) if flags else None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--fields", type=int, default=FIELDS)
    asked = parser.parse_args()
    start = time.perf_counter()
    seeds = range(asked.first, asked.first + asked.seeds)
    pairs, then, same, letter = [], [], [], []
    for seed in seeds:
        found = run(seed, EVEN, asked.fields)
        rows = shown(judged(found))
        pairs += rows
        then += shown(follows(found, rows, asked.fields))
        same += shown(twins(found, asked.fields))
        letter += shown(judged(run(seed, CROPS, asked.fields)))
        print(f"seed {seed}: {len(pairs)} pairs, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    result = {
        **figures(pairs),
        "verdicts_follow": share([r["then"] in ("outvoted", "not confused") for r in then]),
        "altered": len(then),
        "twins_inseparable": share([r["said"] == "inseparable" for r in same]),
        "twins": len(same),
        "letter": figures(letter),
        "seconds": round(time.perf_counter() - start),
        "settings": {"seeds": list(seeds), "fields": asked.fields, "clusters": CLUSTERS, "max_pixels": MAX_PIXELS},
    }
    print(json.dumps(result))


def shown(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, printed as they come."""
    kept = []
    for row in rows:
        print(json.dumps(row), flush=True)
        kept.append(row)
    return kept


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, float | int | None]:
    """Of confused pairs."""
    dates = [jm for row in rows for jm in row["missed"]]
    told = [row for row in rows if row["said"] != "undecided"]
    return {
        "hit_at_3": share([jm >= LEAST_JM for jm in dates]),
        "verdicts_right": share([row["said"] == row["true"] for row in rows]),
        "missed_dates": len(dates),
        "hit_at_half_a_deviation": share([jm >= HALF for jm in dates]),
        "pairs": len(rows),
        "undecided": len(rows) - len(told),
        "verdicts_right_of_decided": share([row["said"] == row["true"] for row in told]),
    }


if __name__ == "__main__":
    main()
