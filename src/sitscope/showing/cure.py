"""What is said of larger embeddings, and of other methods on the same fields?"""

import pandas as pd

from sitscope.classes.sizes import Choice, recommended
from sitscope.showing.words import listed, many, percent


def sweep_rows(sweep: pd.DataFrame) -> list[list[str]]:
    """Header and a row for each size and number of clusters: means over the seeds, with their standard deviation.

    >>> row = {"dims": 2, "clusters": 9, "seed": 0, "overall_accuracy": 0.8, "macro_recall": 0.3, "never_predicted": 7}
    >>> known = {"missed": 4, "covered": float("nan"), "alike": 0.5, "agreement": float("nan")}
    >>> sweep_rows(pd.DataFrame([row | known]))[1]
    ['2', '9', '80 %', '30 %', '7', '', '0.50', '']
    """
    rows = [
        ["dimensions", "clusters", "overall accuracy", "macro recall", "never predicted", "missed dates covered",
         "dimensions alike", "agreement of seeds"]
    ]  # fmt: skip
    for (dims, clusters), mine in sweep.groupby(["dims", "clusters"]):
        mean = mine.mean()
        shares = [_spread(mine[name]) for name in ("overall_accuracy", "macro_recall")]
        rest = [f"{value:.2f}" if value == value else "" for value in (mean.alike, mean.agreement)]
        covered = covered_by(sweep, int(dims))
        never = f"{mean.never_predicted:.0f}"
        rows.append([str(dims), str(clusters), *shares, never, percent(covered) if covered == covered else "", *rest])
    return rows


def _spread(values: "pd.Series[float]") -> str:
    return percent(float(values.mean())) + (f" ± {100 * values.std():.0f}" if len(values) > 1 else "")


def covered_by(sweep: pd.DataFrame, dims: int) -> float:
    """Share of the dates that the smallest embeddings missed which those of this size look at; all seeds together."""
    once = sweep[sweep.dims == dims].drop_duplicates("seed")
    known = once[once.covered.notna()]
    return float((known.covered * known.missed).sum() / known.missed.sum()) if known.missed.sum() else float("nan")


def advice(sweep: pd.DataFrame) -> str:
    """Which size is recommended and why, in sentences that the numbers decide."""
    found = recommended(sweep)
    least = int(sweep.dims.min())
    why = _why(found)
    if found.dims == least:
        return f"{_size(found.dims, found.clusters)} are enough: {why} A larger embedding is not worth it here."
    covered, chance = covered_by(sweep, found.dims), covered_by(sweep, least)
    seen = ""
    if covered == covered:
        again = f"; another training of {least} looks at {percent(chance)}" if chance == chance else ""
        seen = (
            f" It looks at {percent(covered)} of the dates that part confused classes and that {least} dimensions "
            f"miss{again}."
        )
    return f"{_size(found.dims, found.clusters)} are recommended: {why} {_gain(sweep, found, least)}{seen}"


def _why(found: Choice) -> str:
    rule = "the smallest size whose macro recall is within one standard error of the best"
    if (found.dims, found.clusters) == found.best:
        tail = "" if found.seeds > 1 else ", and a single seed tells no error"
        rule = f"the best macro recall, {percent(found.recall)}, with no smaller size within one standard error"
        return (rule if found.seeds > 1 else f"the best macro recall, {percent(found.recall)}{tail}") + "."
    short = f"{percent(found.recall)}, {100 * found.short:.1f} points (± {100 * found.error:.1f}) below that of"
    return f"{rule}: {short} {_size(*found.best)} ({many(found.seeds, 'seed')})."


def _gain(sweep: pd.DataFrame, found: Choice, least: int) -> str:
    small = sweep[sweep.dims == least].groupby("clusters").macro_recall.mean()
    said = [f"{percent(small[k])} with {_size(least, int(k))}" for k in small.index]
    return f"Macro recall was {listed(said)}."


def _size(dims: int, clusters: int) -> str:
    return f"{many(dims, 'dimension')} and {many(clusters, 'cluster')}"
