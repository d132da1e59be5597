"""What is said of larger embeddings, and of other methods on the same fields?"""

from typing import Any

import numpy as np
import pandas as pd

from sitscope.classes.sizes import Choice, recommended
from sitscope.classes.splits import intervals, lead
from sitscope.showing.findings import Findings
from sitscope.showing.words import listed, many, percent, span, stretches

METHODS = {
    "raw": "raw series",
    "pca": "PCA",
    "connected": "fully connected autoencoder",
    "cae": "convolutional autoencoder",
    "forest": "random forest",
    "cnn": "1-D CNN",
}
"""What a person calls each method."""


def called(method: str) -> str:
    """A method in a sentence.

    >>> called("cae")
    'convolutional autoencoder'
    """
    return METHODS.get(method, method)


def comparison_rows(comparison: pd.DataFrame) -> list[list[str]]:
    """Header and a row for each method: what is clustered, overall accuracy and macro recall with their intervals."""
    shares = {name: intervals(comparison, name) for name in ("overall_accuracy", "macro_recall")}
    rows = [["method", "sees labels", "dimensions", "clusters", "overall accuracy", "macro recall"]]
    for method, mine in comparison.groupby("method", sort=False):
        first = mine.iloc[0]
        sizes = ["", ""] if first.kind == "supervised" else [str(first.dims), str(first.clusters)]
        cells = [_with_interval(table[table.method == method].iloc[0]) for table in shares.values()]
        rows.append([called(str(method)), "yes" if first.kind == "supervised" else "no", *sizes, *cells])
    return rows


def _with_interval(row: "pd.Series[float]") -> str:
    return f"{row.value:.2f} ({max(row.low, 0):.2f} to {min(row.high, 1):.2f})"


def standing(comparison: pd.DataFrame) -> str:
    """Where the convolutional autoencoder stands among the methods, in sentences that the numbers decide."""
    there = list(dict.fromkeys(comparison.method))
    if "cae" not in there or len(there) < 2:
        return ""
    said = [_ahead(comparison, other) for other in there if other != "cae"]
    splits = comparison.seed.nunique()
    return (
        f"Macro recall of the convolutional autoencoder against the others, split by split ({splits} splits, 95 % "
        f"intervals): {'; '.join(said)}."
    )


def _ahead(comparison: pd.DataFrame, other: str) -> str:
    value, low, high = lead(comparison, "macro_recall", other)
    word = "above" if low > 0 else "below" if high < 0 else "not known to differ from"
    return f"{word} {called(other)} ({value:+.2f}, {low:+.2f} to {high:+.2f})"


def sweep_rows(sweep: pd.DataFrame) -> list[list[str]]:
    """Header and a row for each size and number of clusters: means over the seeds, with their standard deviation.

    >>> row = {"dims": 2, "clusters": 9, "seed": 0, "overall_accuracy": 0.8, "macro_recall": 0.3, "never_predicted": 7}
    >>> known = {"missed": 4, "covered": 0.75, "by_margin": 0.5, "alike": 0.6, "agreement": float("nan")}
    >>> sweep_rows(pd.DataFrame([row | known]))[1]
    ['2', '9', '80 %', '30 %', '7', '75 %', '50 %', '0.60', '']
    """
    scores = ["dimensions", "clusters", "overall accuracy", "macro recall", "never predicted"]
    rows = [[*scores, "missed dates seen", "by the margin", "alike", "agreement"]]
    for (dims, clusters), mine in sweep.groupby(["dims", "clusters"]):
        mean = mine.mean()
        shares = [_spread(mine[name]) for name in ("overall_accuracy", "macro_recall")]
        rest = [f"{value:.2f}" if value == value else "" for value in (mean.alike, mean.agreement)]
        covered = [covered_by(sweep, int(dims), how) for how in ("covered", "by_margin")]
        seen = [percent(share) if share == share else "" for share in covered]
        never = f"{mean.never_predicted:.0f}"
        rows.append([str(dims), str(clusters), *shares, never, *seen, *rest])
    return rows


def _spread(values: "pd.Series[float]") -> str:
    return percent(float(values.mean())) + (f" ± {100 * values.std():.0f}" if len(values) > 1 else "")


def covered_by(sweep: pd.DataFrame, dims: int, how: str = "covered") -> float:
    """Share of the dates that the smallest embeddings missed which those of this size look at; all seeds together.

    how: "covered", with any dimension or the margin; "by_margin", with the margin between the two classes alone.
    """
    once = sweep[sweep.dims == dims].drop_duplicates("seed")
    known = once[once[how].notna()]
    return float((known[how] * known.missed).sum() / known.missed.sum()) if known.missed.sum() else float("nan")


def advice(sweep: pd.DataFrame) -> str:
    """Which size is recommended and why, in sentences that the numbers decide."""
    found = recommended(sweep)
    least = int(sweep.dims.min())
    why = _why(found)
    if found.dims == least:
        return f"{_size(found.dims, found.clusters)} are enough: {why} A larger embedding is not worth it here."
    ways = (found.dims, "covered"), (found.dims, "by_margin"), (least, "covered")
    covered, margin, chance = (covered_by(sweep, dims, how) for dims, how in ways)
    seen = ""
    if covered == covered:
        again = f"; another training of {least} looks at {percent(chance)}" if chance == chance else ""
        seen = (
            f" Such embeddings look at {percent(covered)} of the dates that part confused classes and that {least} "
            f"dimensions miss, at {percent(margin)} if the margin between the two classes alone counts{again}."
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


def date_rows(missed: pd.DataFrame, dates: np.ndarray) -> list[list[str]]:
    """Header and a row for each confused pair: which dates the smallest embeddings missed, and who looks at them.

    missed: rows of truth, predicted, date, dims, seed, covered. The dates are those that most seeds miss.

    >>> rows = [("Pepper", "Cotton", np.datetime64("2017-06-02"), d, 0, float(d > 2)) for d in (2, 4)]
    >>> missed = pd.DataFrame(rows, columns=["truth", "predicted", "date", "dims", "seed", "covered"])
    >>> date_rows(missed, np.array(["2017-06-02"], "datetime64[ns]"))[1]
    ['Pepper becomes Cotton', '1', '2 Jun', '0 %', '100 %']
    """
    sizes = sorted(missed.dims.unique().tolist())
    rows = [["pair", "missed", "when", f"{sizes[0]} again", *map(str, sizes[1:])]]
    for (truth, predicted), mine in missed.groupby(["truth", "predicted"], sort=True):
        once = mine[mine.dims == sizes[0]]
        strength = np.array([(once.date == date).sum() for date in dates], dtype=float)
        when = [span(dates[a], dates[b], year=False) for a, b in stretches(strength)]
        shares = [percent(float(mine[mine.dims == size].covered.mean())) for size in sizes]
        rows.append([f"{truth} becomes {predicted}", f"{len(once) / once.seed.nunique():.0f}", listed(when), *shares])
    return rows


def facts(findings: Findings) -> dict[str, Any]:
    """What the chapters of the report say; empty where nothing was tried."""
    said: dict[str, Any] = {}
    if findings.sweep is not None:
        sizes = sorted(findings.sweep.dims.unique().tolist())
        said |= {"advice": advice(findings.sweep), "sweep": sweep_rows(findings.sweep), "sizes": list(map(str, sizes))}
        said |= {"seeds": findings.sweep.seed.nunique(), "dates": [], "series": int(findings.sweep.train_series.max())}
        if findings.sweep_dates is not None and len(findings.sweep_dates):
            said["dates"] = date_rows(findings.sweep_dates, findings.dates)
    if findings.comparison is not None:
        said |= {"standing": standing(findings.comparison), "methods": comparison_rows(findings.comparison)}
    return said
