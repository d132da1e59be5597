"""Which figures does a run have, and what does each show?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sitscope.showing.apart import apart_figure
from sitscope.showing.apart import caption as apart_caption
from sitscope.showing.clusters import cluster_figure
from sitscope.showing.comparison import comparison_figure
from sitscope.showing.confusion import PRINTED, confusion_figure
from sitscope.showing.cure import advice, standing
from sitscope.showing.display import BY_CLASS, SIGNED
from sitscope.showing.embedding import embedding_figure
from sitscope.showing.fidelity import fidelity_figure
from sitscope.showing.findings import Findings
from sitscope.showing.losses import loss_figure
from sitscope.showing.missing import missing_figure
from sitscope.showing.overview import overview_figure
from sitscope.showing.pair import most_telling, pair_figure
from sitscope.showing.profile import HOLLOW, hollow_dates, profile_figure
from sitscope.showing.scene import peak_date_figure, scene_figure
from sitscope.showing.sizes import sweep_figure
from sitscope.showing.story import Group, chosen_groups, date_strength, flows, groups
from sitscope.showing.trust import best, named
from sitscope.showing.verdicts import Scene, drawn_pairs, pair_sentence
from sitscope.showing.words import listed, many, percent, span, strongest_days

UNITS = {"path": ", in units of the embedding", "letter": ""}
"""Of importance, in a caption."""


@dataclass(frozen=True)
class Plate:
    """A figure with its words."""

    name: str
    """Of the file, without ending."""
    figure: Figure
    """Finished: ready to be saved."""
    caption: str
    """How to read it."""
    alt: str
    """What it shows, for those who cannot see it."""


def plates(findings: Findings) -> Iterator[Plate]:
    """Every figure of a run, one after the other; those for which there is nothing to show are left out."""
    if np.any(findings.missing > 0):
        yield _missing(findings)
    if findings.maps is not None:
        yield _scene(findings)
    yield _confusion(findings)
    yield _embedding(findings)
    yield _clusters(findings)
    if findings.apart:
        yield _apart(findings)
    if findings.origin is None:
        yield _overview(findings)
    if findings.origin is None and findings.maps is not None:
        yield _peak_dates(findings)
    for group in shown_groups(findings):
        for band in findings.bands:
            yield _profile(findings, group, band)
            if findings.letter is not None and band == findings.bands[0]:
                yield _profile(findings, group, band, "letter")
    yield from _pairs(findings)
    if findings.evaluation is not None:
        yield _fidelity(findings, findings.evaluation)
    if findings.sweep is not None:
        yield _sweep(findings.sweep)
    if findings.comparison is not None:
        yield _comparison(findings.comparison)
    if any(len(values) for values in findings.losses.values()):
        yield _losses(findings)


def shown_groups(findings: Findings) -> list[Group]:
    """The groups of classes that have a profile to show."""
    known = set(findings.profiles["class"])
    chosen = [
        replace(group, classes=tuple(name for name in group.classes if name in known))
        for group in chosen_groups(findings.chosen, findings.scores)
    ]
    there = [set(group.classes) for group in chosen]
    others = [group for group in groups(findings.scores) if set(group.classes) not in there]
    return [group for group in (*chosen, *others) if group.classes and set(group.classes) <= known]


def plate_name(group: Group, band: str, method: str = "") -> str:
    """The file of a group's profile in a band; a method is named where it is not the run's."""
    return f"profile_{group.key}_{band}{method and '_' + method}"


def _missing(findings: Findings) -> Plate:
    worst = int(findings.missing.argmax())
    caption = (
        "Share of the values missing in each acquisition; hollow bars: more than half. Ticks under the axis mark all "
        "acquisitions."
    )
    alt = f"Bars over time. The largest is {percent(float(findings.missing[worst]))}."
    return Plate("missing", missing_figure(findings.dates, findings.missing), caption, alt)


def _scene(findings: Findings) -> Plate:
    assert findings.maps is not None
    below = "one acquisition" if findings.origin is None else "the first principal component of the embedding"
    caption = (
        f"Left: {below} in grey, the fields over it coloured by class; fields with a dark outline are test "
        "fields, unused fields are not filled. Right: the class of each pixel's cluster; white is nodata."
    )
    alt = f"Two maps side by side: the fields by class, and the predicted class of every pixel, {_classes(findings)}."
    return Plate("scene", scene_figure(findings.maps, findings.fields, findings.classes), caption, alt)


def _confusion(findings: Findings) -> Plate:
    printed = "Numbers are row percentages; less than 0.5 % is left blank. " if len(findings.classes) <= PRINTED else ""
    caption = (
        f"Test series by true class (rows) and predicted class (columns). {printed}The outlined diagonal is what is "
        "right. Classes in grey italics are never predicted. Right: recall, and the number of test series."
    )
    largest = [str(flow) for flow in flows(findings.scores)[:3]]
    alt = f"Confusion matrix of {_classes(findings)}. {'. '.join(largest)}."
    return Plate("confusion", confusion_figure(findings.scores), caption, alt)


def _embedding(findings: Findings) -> Plate:
    plane = " seen in the plane of its first two principal components" if findings.dims > 2 else ""
    caption = (
        f"Each point is the embedding of one series{plane}. Left, coloured by class; right, by cluster, with the "
        "clusters' centres numbered. The axes have no unit, and "
        f"{'another seed may turn or mirror them' if findings.origin is None else 'their signs are arbitrary'}."
    )
    if findings.dims == 1:
        caption = (
            "Each point is the embedding of one series, in the row of its class (left) and of its cluster (right); "
            "ticks mark the clusters' centres. Points are scattered a little up and down so that they do not overlap."
        )
    alt = f"Scatter of the embedding, coloured by {_classes(findings)} and by {many(findings.clusters, 'cluster')}."
    return Plate("embedding", embedding_figure(findings.samples, findings.centres, findings.classes), caption, alt)


def _clusters(findings: Findings) -> Plate:
    caption = (
        "Each bar is a cluster; its pieces are the classes of its training series, the largest first. The cluster "
        "stands for the class named at the left. All other pieces are what it gets wrong."
    )
    won = sorted({name for name in findings.assigned if name})
    alt = f"Stacked bars of {many(findings.clusters, 'cluster')}, which stand for {listed(won) or 'no class'}."
    return Plate("clusters", cluster_figure(findings.votes, findings.assigned), caption, alt)


def _apart(findings: Findings) -> Plate:
    pairs = findings.apart or ()
    alt = f"Curves of differences over time. {pairs[0].said()}"
    return Plate("apart", apart_figure(pairs), apart_caption(pairs), alt)


FILLED = "more than half of the class's series have no value of that acquisition, and it is filled in time."


def _overview(findings: Findings) -> Plate:
    classes = [name for name in findings.classes if name in set(findings.profiles["class"])]
    caption = (
        f"Mean importance, by {named(findings.method)}, of every acquisition (columns) for every class (rows)"
        f"{UNITS[findings.method]}. Red raises the embedding dimension, blue lowers it, grey does neither; each "
        "embedding dimension has its own scale. The grey curve is the mean size of the importance over all classes, "
        "weighted by their test series."
    ) + (" Open circles: " + FILLED if np.any(hollow_dates(findings.profiles, classes)) else "")
    strength = date_strength(findings.profiles)
    said = [
        f"embedding dimension {dim}: {strongest_days(strength[dim].to_numpy(), findings.dates)}" for dim in strength
    ]
    alt = f"Heat map of importance by class and date. Strongest acquisitions, {'; '.join(said)}."
    return Plate("importance_overview", overview_figure(findings.profiles, findings.classes), caption, alt)


def _peak_dates(findings: Findings) -> Plate:
    assert findings.maps is not None
    caption = (
        f"For each pixel, the acquisition whose importance, by {named(findings.method)}, is largest in size, whatever "
        f"its sign: dark early, light late. White is nodata.{_mostly_filled(findings)}"
    )
    alt = f"Maps of the most important acquisition of each pixel, for {many(findings.dims, 'embedding dimension')}."
    return Plate("peak_dates", peak_date_figure(findings.maps), caption, alt)


def _profile(findings: Findings, group: Group, band: str, other: str = "") -> Plate:
    method, table = other or findings.method, findings.letter if other else findings.profiles
    assert table is not None
    display = BY_CLASS if method == "letter" else SIGNED
    missing = findings.missing.astype(float)
    hollow = f" Hollow markers: {FILLED}" if np.any(hollow_dates(table, group.classes, missing)) else ""
    caption = (
        f"Mean {band} of {listed(group.classes)}, with the number of test series in brackets, coloured by the "
        f"importance of each acquisition by {named(method)}{UNITS[method]}; larger markers matter more."
        f"{_explained(table)} Grey: one standard deviation.{hollow} {display.caption}"
    )
    figure = profile_figure(table, group.classes, band, findings.units, display, missing=missing)
    alt = (
        f"Mean {band} over {span(findings.dates[0], findings.dates[-1])} of {listed(group.classes)}, coloured by "
        f"importance by {named(method)}, one panel for each of {many(findings.dims, 'embedding dimension')}."
    )
    return Plate(plate_name(group, band, other), figure, caption, alt)


def _pairs(findings: Findings) -> Iterator[Plate]:
    """Why the pairs that matter most are confused."""
    for i, pair in enumerate(drawn_pairs(findings), start=1):
        scene = Scene.of(findings)
        band = findings.bands[most_telling(pair)]
        caption = (
            f"Top: mean {band} of the test series; larger markers matter more. Middle: the difference of the means "
            f"over {pair.fields[0]} and {pair.fields[1]} fields, training and test, with its 95 % interval; filled "
            f"markers part the two. Bottom: importance by {named(scene.method)}, mean of the two classes. Colours run "
            "through all three: yellow, missed; grey, shared; green, used."
        )
        figure = pair_figure(pair, findings.profiles, findings.dates, findings.bands, findings.units, scene.method)
        yield Plate(f"why_{i}", figure, caption, pair_sentence(pair, scene))


def _explained(table: pd.DataFrame) -> str:
    most = int(table.n_explained.max())
    return "" if (table.n_explained == table.n).all() else f" Importance is the mean over at most {most} of the series."


def _mostly_filled(findings: Findings) -> str:
    n = int((findings.missing > HOLLOW).sum())
    return f" {n} of {len(findings.dates)} acquisitions are missing, and filled in time, in most series." if n else ""


def _fidelity(findings: Findings, evaluation: pd.DataFrame) -> Plate:
    caption = (
        "How efficiently each method names the acquisitions that the embedding hangs on: 0 is what random orders "
        "reach, 1 greedy removal, which looks one acquisition ahead. Each colour and marker is a way of replacing "
        "removed acquisitions; lines are 95 % intervals over series. In bold: the method that this page shows."
    )
    methods = many(evaluation.method.nunique(), "method")
    alt = f"Dots with intervals for each of {methods}. {best(evaluation, findings.method)}"
    return Plate("fidelity", fidelity_figure(evaluation, findings.method), caption, alt)


def _sweep(sweep: pd.DataFrame) -> Plate:
    caption = (
        "Left: scores on test fields by size of the embedding; small points are single seeds, lines join their means. "
        "Middle: of the acquisitions that part confused classes and that the smallest embedding does not look at, the "
        "share that each size looks at, with any dimension (bars) or with the margin between the two classes "
        "(diamonds). Right: whether two dimensions of an embedding, and two trainings of it, look at the same "
        "acquisitions: 1 is the same."
    )
    return Plate("sweep", sweep_figure(sweep), caption, f"Three panels over the size of the embedding. {advice(sweep)}")


def _comparison(comparison: pd.DataFrame) -> Plate:
    caption = (
        "Means over field-wise splits with 95 % intervals; ticks are single splits. Hollow: methods that are told the "
        "classes. In bold: the method of this run."
    )
    alt = f"Dots with intervals for each of {many(comparison.method.nunique(), 'method')}. {standing(comparison)}"
    return Plate("compare", comparison_figure(comparison), caption, alt)


def _losses(findings: Findings) -> Plate:
    caption = "Mean squared error between the scaled series and their reconstruction, after each epoch."
    alt = f"Training and validation loss over epochs; the weights of epoch {findings.best_epoch} were kept."
    return Plate("losses", loss_figure(findings.losses, findings.best_epoch), caption, alt)


def _classes(findings: Findings) -> str:
    return many(len(findings.classes), "class", "classes")
