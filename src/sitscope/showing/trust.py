"""How is it said how far an explanation can be trusted, and which method is shown?"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sitscope.showing.words import percent

METHODS = {
    "path": "path attribution",
    "rounds": "dates removed in rounds",
    "letter": "the letter's Grad-SLAM",
    "element-wise": "element-wise Grad-SLAM (HiResCAM)",
    "activation-only": "activation only (LaFAM)",
    "grad-cam": "Grad-CAM",
    "occlusion": "occlusion",
    "integrated-gradients": "integrated gradients, 64 nodes",
    "saliency": "saliency",
    "random": "random order",
}
"""What a person calls each method."""

METRICS = {
    "nls_auc": "removal area",
    "insertion_auc": "insertion area",
    "degradation": "degradation score",
    "cumulative_shift": "shift, first tenth",
    "faithfulness": "faithfulness",
    "residual": "residual",
    "randomised": "map of random weights",
    "emprt": "eMPRT",
}
"""What the columns of other figures are called."""


def named(method: str) -> str:
    """A method in a sentence.

    >>> named("letter")
    "the letter's Grad-SLAM"
    """
    return METHODS.get(method, method)


def sentence(fidelity: Mapping[str, Any], method: str) -> str:
    """How far the map of a method can be trusted: what is lost without the half of the dates that it ranks highest.

    >>> def figures(half, low): return {"half": half, "lift": {"value": low + 0.1, "low": low, "high": low + 0.2}}
    >>> found = {"methods": {"path": figures(0.81, 0.2), "letter": figures(0.62, 0.1), "random": figures(0.47, -0.1)}}
    >>> print(sentence(found, "path"))
    Trust: removing the half of the acquisitions that this map ranks highest moves the embedding by 81 % of what \
removing all does; a random half 47 %; the letter's map 62 %.
    """
    figures = fidelity["methods"]
    other = "letter" if method == "path" else "path"
    said = {"letter": "the letter's map", "path": "the map of path attribution"}[other]
    text = (
        "Trust: removing the half of the acquisitions that this map ranks highest moves the embedding by "
        f"{percent(figures[method]['half'])} of what removing all does; a random half "
        f"{percent(figures['random']['half'])}; {said} {percent(figures[other]['half'])}."
    )
    lift = figures[method]["lift"]
    if lift["low"] > 0:
        return text
    known = "worse than" if lift["high"] < 0 else "not known to be better than"
    return f"{text} As an order of all acquisitions it is {known} chance on this run."


def choice(fidelity: Mapping[str, Any], method: str) -> str:
    """Which method a report shows, and why, in a few sentences that the numbers decide."""
    by = fidelity["path_over_letter"]
    areas = {name: fidelity["methods"][name]["nls_auc"] for name in ("path", "letter")}
    further, less = by["low"] > 0, by["high"] < 0
    far = "further than" if further else "less far than" if less else "about as far as"
    verdict = (
        f"its order of the acquisitions moves the embedding {far} that of the letter's map (area under the curve of "
        f"removal {areas['path']:.2f} against {areas['letter']:.2f}, difference {by['value']:+.2f}, 95 % interval "
        f"{by['low']:+.2f} to {by['high']:+.2f})"
    )
    if method == "letter":
        hint = " sitscope run --method path shows it." if further else ""
        return f"This page shows the letter's Grad-SLAM, as was asked. As for path attribution, {verdict}.{hint}"
    hint = " Where only the order matters, believe the letter's map more; sitscope run --method letter shows it."
    return (
        "This page shows path attribution. It is complete: the contributions of all bands and acquisitions add up to "
        "the way of the embedding from the mean curve to the series; here they miss "
        f"{percent(fidelity['residual'])} of it (median). {'But' if less else 'And'} {verdict}.{hint if less else ''}"
    )


def ways(fidelity: Mapping[str, Any]) -> list[list[str]]:
    """A table for every run: area under the curve of removal by method and by what takes the place of dates."""
    methods = fidelity["methods"]
    maskings = list(methods["random"]["by_masking"])
    rows = [["method", *maskings, "above random, 95 % interval"]]
    for name, figures in methods.items():
        lift = figures["lift"]
        beyond = "" if name == "random" else f"{lift['value']:+.2f} ({lift['low']:+.2f} to {lift['high']:+.2f})"
        rows.append([named(name), *(f"{figures['by_masking'][masking]:.2f}" for masking in maskings), beyond])
    return rows


def baselines(evaluation: pd.DataFrame) -> list[str]:
    """The maskings of an evaluation, in their order."""
    asked = evaluation[(evaluation.metric == "efficiency") & (evaluation.baseline != "all")]
    return list(dict.fromkeys(asked.baseline))


def ranked(evaluation: pd.DataFrame) -> list[str]:
    """The methods, the most efficient over all maskings first."""
    whole = evaluation[(evaluation.metric == "efficiency") & (evaluation.baseline == "all")]
    return list(whole.sort_values("value", ascending=False, kind="stable").method)


def efficiency_rows(evaluation: pd.DataFrame) -> list[list[str]]:
    """Header and a row for each method, the best first: efficiency over all maskings with its interval, and by each."""
    found = evaluation[evaluation.metric == "efficiency"].set_index(["method", "baseline"])
    names = baselines(evaluation)
    rows = [["method", "all four" if len(names) == 4 else "all", "95 % interval", *names]]
    for method in ranked(evaluation):
        whole = found.loc[(method, "all")]
        each = [f"{found.loc[(method, name)].value:.2f}" for name in names]
        rows.append([named(method), f"{whole.value:.2f}", f"{whole.low:.2f} to {whole.high:.2f}", *each])
    return rows


def figure_rows(evaluation: pd.DataFrame) -> list[list[str]]:
    """Header and a row for each method: its other metrics, means over the maskings; blank where there is none."""
    means = evaluation.groupby(["method", "metric"], sort=False).value.mean()
    there = [metric for metric in METRICS if metric in set(evaluation.metric)]
    header = ["method", *(METRICS[metric] for metric in there)]
    methods = ranked(evaluation)
    return [header, *([named(name), *(_figure(means, name, metric) for metric in there)] for name in methods)]


def _figure(means: "pd.Series[float]", method: str, metric: str) -> str:
    if (method, metric) not in means.index:
        return ""
    value = float(means[(method, metric)])
    return percent(value) if metric == "residual" else f"{value:.2f}"


def best(evaluation: pd.DataFrame, shown: str) -> str:
    """Which method names the dates best, and where the one shown stands, in a sentence or two."""
    whole = evaluation[(evaluation.metric == "efficiency") & (evaluation.baseline == "all")].set_index("method")
    first = ranked(evaluation)[0]
    text = f"Most efficient here is {named(first)}, {whole.value[first]:.2f} over all maskings."
    if shown in whole.index and shown != first:
        text += f" {_capital(named(shown))}, which this page shows, reaches {whole.value[shown]:.2f}."
    return text


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
