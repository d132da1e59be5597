"""Are wrong labels found, and is the class that is proposed the right one? Ahead of a random forest?

Definitions, fixed before the figures:

- A share of the labelled fields, 10 % and 30 %, drawn at random, gets the label of another class, drawn by the shares
  of the classes among the fields ("by share": a declaration goes wrong towards what is declared) or with the same
  chance for each class ("uniform").
- A proposal "relabel" is right where the field was flipped and the proposed class is its true one. Precision is right
  proposals / proposals, recall is right proposals / flipped fields, those of classes too rare to be judged included.
- The forest: 500 trees on mean series of fields, judged out of bag, and 100 trees on up to 8 pixels of each field,
  judged in 5 folds by field. Both rank fields by the probability of the best other class less that of the label, and
  by that of the best class less the second where the best is not the label. Its precision is taken where it has as many
  right proposals as we have, for each case from the best of the four rankings; if it never has, over all fields.
- Settings were chosen on the simulated years 0, 1, 2, 5 and 6; the figures are of the years 10 to 14. Real sets: flips
  of seeds 0 to 4 (Antwerp), 0 (Canada), whose own labels are taken as true, as nobody knows better.
- The headline is by share, the worst of 10 % and 30 %: the least precision and recall, the forest's largest precision.

    python -m benchmarks.mislabels                 twelve minutes of one core; the last line is JSON
    python -m benchmarks.mislabels --years 2 --sets share
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from benchmarks.sets import REAL
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GroupKFold

from sitscope.cube.gaps import filled_in_time
from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.labelling.judging import How, check
from sitscope.simulation.scene import simulate

SHARES = (0.1, 0.3)
FIRST_YEAR = 10
PIXELS = 24
TREES, PIXEL_TREES, TREE_PIXELS = 500, 100, 8


@dataclass(frozen=True)
class Case:
    """Series of fields whose labels are known."""

    name: str
    x: np.ndarray
    """(n, c, t)"""
    field: np.ndarray
    """(n,) positions in `label`, every one of which has a series"""
    label: np.ndarray
    """(f,)"""
    how: How


@dataclass(frozen=True)
class Count:
    """What was proposed in one case."""

    flipped: int
    proposed: int
    right: int
    forest: float
    """Fields that the forest has to propose until it has as many right ones."""
    forest_right: int


def flipped(label: np.ndarray, share: float, how: str, seed: int) -> np.ndarray:
    """The labels with a share of them wrong."""
    rng = np.random.default_rng([seed, int(100 * share)])
    classes, counts = np.unique(label, return_counts=True)
    wrong = label.copy()
    for i in rng.choice(len(label), round(share * len(label)), replace=False):
        weight = np.where(classes == label[i], 0, counts if how == "share" else 1)
        wrong[i] = rng.choice(classes, p=weight / weight.sum())
    return wrong


def simulated(year: int) -> Case:
    scene = simulate(fields=900, seed=year)
    series = sample(scene.cube, scene.fields, label="crop", max_pixels=PIXELS, seed=year)
    return Case("simulated", series.x.values, series.field.values, scene.fields.crop.to_numpy(str), How(seed=year))


def antwerp() -> Case:
    """20 fields: classes of three are judged."""
    place = REAL / "antwerp_s1_2019"
    series = sample(open_cube(place, start="2018-11-24"), place / "fields.gpkg", label="crop")
    ids, field = np.unique(series.field.values, return_inverse=True)
    label = np.array([series.label.values[field == i][0] for i in range(len(ids))])
    return Case("antwerp", series.x.values, field, label, How(least=3))


def canada() -> Case:
    """Single series as fields, Sentinel-1 and -2 by month, gaps filled in time; standardised by band within."""
    with np.load(REAL / "ca_crops_s1s2_2017_monthly.npz") as file:
        x, y, classes = (file[key] for key in ("x", "y", "classes"))
    x = x.transpose(0, 2, 1).astype(np.float32)
    time_of = np.arange(x.shape[2]) * np.timedelta64(30, "D") + np.datetime64("2017-01-01", "ns")
    known = (y >= 0) & ((~np.isnan(x)).sum(axis=2).min(axis=1) >= 2)
    label = classes[y[known]].astype(str)
    return Case("canada", filled_in_time(x[known], time_of), np.arange(known.sum()), label, How(repeats=1))


def judged(case: Case, wrong: np.ndarray) -> Count:
    """Ours, and the forest at the same recall."""
    found = check(case.x, case.field, wrong[case.field], how=case.how)
    true, given = case.label[found.field], wrong[found.field]
    relabel = found.proposal == "relabel"
    right = (np.array(found.named(found.found.other)) == true) & (true != given) & relabel
    needed, best = int(right.sum()), (float("inf"), 0)
    for order, proposal in rankings(case, wrong):
        hits = np.cumsum(((proposal == case.label) & (case.label != wrong))[order])
        reached = hits[-1] >= needed
        proposals = int(np.searchsorted(hits, needed)) + 1 if reached else len(order)
        best = min(best, (proposals / max(1, min(needed, hits[-1])), int(min(needed, hits[-1]))))
    forest = best[0] * best[1]
    return Count(int((case.label != wrong).sum()), int(relabel.sum()), needed, forest, best[1])


def rankings(case: Case, wrong: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Orders of fields (most suspicious first) and proposed classes, of two forests ranked in two ways."""
    classes = np.unique(wrong)
    own, every = np.searchsorted(classes, wrong), np.arange(len(wrong))
    for chance in (by_means(case, wrong), by_pixels(case, wrong, classes)):
        others = chance.copy()
        others[every, own] = -1
        yield np.argsort(chance[every, own] - others.max(axis=1), kind="stable"), classes[others.argmax(axis=1)]
        ranked = np.sort(chance, axis=1)
        lead = np.where(chance.argmax(axis=1) == own, -1, ranked[:, -1] - ranked[:, -2])
        yield np.argsort(-lead, kind="stable"), classes[chance.argmax(axis=1)]


def by_means(case: Case, wrong: np.ndarray) -> np.ndarray:
    """Out-of-bag probabilities (f, m) from the mean series of the fields."""
    count = np.bincount(case.field)[:, None]
    mean = np.zeros((len(wrong), case.x[0].size))
    np.add.at(mean, case.field, case.x.reshape(len(case.x), -1))
    forest = RandomForestClassifier(TREES, oob_score=True, random_state=0).fit(mean / count, wrong)
    return np.nan_to_num(forest.oob_decision_function_)


def by_pixels(case: Case, wrong: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Mean probabilities (f, m) of pixels by forests that have not seen their field."""
    place = np.zeros(len(case.field), int)
    order = np.argsort(case.field, kind="stable")
    place[order] = np.arange(len(order)) - np.searchsorted(case.field[order], case.field[order])
    some = place < TREE_PIXELS
    x, field = case.x[some].reshape(some.sum(), -1), case.field[some]
    chance = np.zeros((len(wrong), len(classes)))
    for train, test in GroupKFold(min(5, len(wrong))).split(x, groups=field):
        forest = RandomForestClassifier(PIXEL_TREES, random_state=0).fit(x[train], wrong[field[train]])
        columns = np.searchsorted(classes, forest.classes_)
        np.add.at(chance, (field[test][:, None], columns[None]), forest.predict_proba(x[test]))
    return chance / np.bincount(field)[:, None]


def summed(counts: list[Count]) -> dict[str, Any]:
    """Precision and recall over several cases."""
    flips, proposed, right, forest, forest_right = (
        sum(getattr(c, name) for c in counts) for name in ("flipped", "proposed", "right", "forest", "forest_right")
    )
    return {
        "cases": len(counts),
        "flipped": flips,
        "relabel": proposed,
        "right": right,
        "precision": round(right / proposed, 4) if proposed else None,
        "recall": round(right / flips, 4) if flips else None,
        "forest_precision": round(forest_right / forest, 4) if forest else None,
        "forest_right": forest_right,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=5, help="simulated years, from 10 on")
    names = ("share", "uniform", "antwerp", "canada")
    parser.add_argument("--sets", nargs="*", default=names, choices=names, help="share and uniform are simulated")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    years = [simulated(FIRST_YEAR + i) for i in range(asked.years)]
    plan: list[tuple[str, str, list[tuple[Case, int]]]] = []
    for how, some in (("share", years), ("uniform", years[:2])):
        if how in asked.sets:
            plan.append(("simulated", how, [(case, case.how.seed) for case in some]))
    for make, file, seeds in ((antwerp, "antwerp_s1_2019", 5), (canada, "ca_crops_s1s2_2017_monthly.npz", 1)):
        if make.__name__ in asked.sets and not (REAL / file).exists():
            print(f"left out, not beside the checkout: {file}", file=sys.stderr)
        elif make.__name__ in asked.sets:
            case = make()
            plan.append((case.name, "share", [(replace(case, how=replace(case.how, seed=s)), s) for s in range(seeds)]))
    table = {}
    for name, how, cases in plan:
        for share in SHARES:
            counts = [judged(case, flipped(case.label, share, how, seed)) for case, seed in cases]
            table[f"{name}, {how}, {share:.0%}"] = found = summed(counts)
            print(f"{name}, {how}, {share:.0%}: {found}  {time.process_time() - began:.0f} s", flush=True)
    head = [table[key] for share in SHARES if (key := f"simulated, share, {share:.0%}") in table]
    result: dict[str, Any] = {"table": table}
    if head:
        clean = check(years[0].x, years[0].field, years[0].label[years[0].field], how=years[0].how)
        result |= {
            "relabel_precision": min(each["precision"] or 0 for each in head),
            "relabel_recall": min(each["recall"] for each in head),
            "forest_precision_at_same_recall": max(each["forest_precision"] or 0 for each in head),
            "relabelled_of_900_where_no_label_is_wrong": int((clean.proposal == "relabel").sum()),
        }
    print(json.dumps(result | {"cpu_seconds": round(time.process_time() - began)}))


if __name__ == "__main__":
    main()
