"""Why are they confused, in a sentence for each class and pair?

t acquisitions, c bands, d embedding dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from sitscope.classes.diagnosis import RELATED, SCATTERED, SEPARATED
from sitscope.classes.verdicts import ClassVerdict, Diagnosis, Kind, Pair
from sitscope.showing.findings import Findings
from sitscope.showing.words import count, day, listed, many, marked_days, number, percent, strongest_days

PAIRS = 6
"""Most pairs that get a figure; the rest stand in the table."""

KINDS: dict[Kind, str] = {
    "separated": "separated",
    "shared": "important dates are shared",
    "outvoted": "outvoted",
    "not modelled": "not modelled",
    "inseparable": "inseparable in the input",
    "undecided": "too few fields to tell",
}
"""Of a verdict, in a table."""


@dataclass(frozen=True)
class Scene:
    """What the series are of."""

    dates: np.ndarray
    """(t,) datetime64."""
    bands: Sequence[str]
    units: str
    method: str

    @classmethod
    def of(cls, findings: Findings) -> "Scene":
        assert findings.diagnosis is not None
        return cls(findings.dates, findings.bands, findings.units, findings.diagnosis.method)


def deviations(jm: float) -> float:
    """How many standard deviations two Gaussians with this Jeffries-Matusita distance lie apart; infinite at 2.

    >>> round(deviations(0.235), 2)
    1.0
    """
    return float(np.sqrt(-8 * np.log(1 - jm / 2))) if jm < 2 else float("inf")


def pair_sentence(pair: Pair, scene: Scene) -> str:
    """Why the one becomes the other, with dates, bands and figures."""
    first = f"{pair.truth} becomes {pair.predicted} ({percent(pair.share)}): "
    return first + {"shared": _shared, "outvoted": _outvoted, "inseparable": _inseparable}.get(pair.kind, _undecided)(
        pair, scene
    )


def _shared(pair: Pair, scene: Scene) -> str:
    looks, parts, same = np.array(pair.importance[scene.method]), np.array(pair.parts), np.array(pair.shared)
    mass, even = float(looks[parts].sum()), float(parts.mean())
    differ = marked_days(parts, np.array(pair.jm), scene.dates)
    there = f"{percent(mass)} of the importance, {percent(even)} if all dates counted alike"
    if mass < min(even, float(looks[same].sum())):
        elsewhere = strongest_days(np.where(same, looks, 0.0), scene.dates)
        return (
            f"the embedding looks at {elsewhere}, when the two do not part. They differ on {differ} "
            f"({_most(pair, scene)}), and these dates carry {there}."
        )
    looks_there = f"they differ on {differ} ({_most(pair, scene)}), and the embedding looks there ({there}), but "
    if pair.embedded >= max(pair.jm):
        return f"{looks_there}not enough: in the embedding the two lie {_apart(pair.embedded)} apart."
    return (
        f"{looks_there}at larger differences than theirs: in the embedding the two lie {_apart(pair.embedded)} apart, "
        f"in the input {_apart(max(pair.jm))} on {day(scene.dates[int(np.argmax(pair.jm))], year=False)} alone."
    )


def _outvoted(pair: Pair, scene: Scene) -> str:
    differ = marked_days(np.array(pair.parts), np.array(pair.jm), scene.dates)
    mine, theirs = pair.votes
    vote = (
        f"the vote in their clusters goes to {pair.predicted}, with {count(theirs)} training series to {count(mine)}"
        if mine
        else f"these series lie in clusters of {pair.predicted} that hold no training series of {pair.truth}"
    )
    return (
        f"they differ on {differ} ({_most(pair, scene)}), and the embedding parts them by {_apart(pair.embedded)}, but "
        f"{vote}."
    )


def _inseparable(pair: Pair, scene: Scene) -> str:
    return (
        "no date parts the two in the input, so no embedding of these series can. "
        f"{_fields(pair)} were compared: on no date do they lie more than {_apart(max(pair.jm_high))} apart."
    )


def _undecided(pair: Pair, scene: Scene) -> str:
    jm = np.array(pair.jm)
    date = int(np.argmax(jm))
    seen = f"They seem to differ most on {day(scene.dates[date], year=False)} ({_on(pair, scene, date)}), "
    return (
        f"{_fields(pair)} are too few to say which dates part the two. "
        + (seen if jm.max() > 0 else "")
        + ("which may be chance." if jm.max() > 0 else "Nothing is known of how fields of one class differ.")
    )


def class_sentence(verdict: ClassVerdict, diagnosis: Diagnosis, scene: Scene) -> str:
    """What became of a class: of one that is confused, why it becomes what most of it becomes."""
    looks = np.array(verdict.importance[scene.method]).sum(axis=0)
    changing = np.array(verdict.transitions)
    when = marked_days(changing, looks, scene.dates)
    carry = f"{percent(float(looks[changing].sum()))} of the importance, {percent(float(changing.mean()))} if all dates"
    if verdict.kind == "separated":
        found = f"{verdict.name} is separated ({percent(verdict.recall or 0.0)} found): the embedding looks most at "
        most = strongest_days(np.where(looks * len(looks) >= 1, looks, 0.0), scene.dates)
        found += f"{most}{_differs(verdict, looks, scene)}. "
        return f"{found}Its transitions, about {when}, {_matter(verdict)} ({carry} counted alike)."
    if verdict.kind == "not modelled":
        return (
            f"{verdict.name} is not modelled: its series are scattered over {verdict.spread:.1f} classes "
            f"({percent(verdict.recall or 0.0)} found, most become {verdict.into}), and its transitions, about {when}, "
            f"{_matter(verdict)} ({carry} counted alike)."
        )
    lost = [pair for pair in diagnosis.pairs if (pair.truth, pair.predicted) == (verdict.name, verdict.into)]
    return pair_sentence(lost[0], scene) if lost else f"{verdict.name}: {percent(verdict.recall or 0.0)} found."


def _matter(verdict: ClassVerdict) -> str:
    if verdict.related >= RELATED:
        return "are what it looks at"
    return f"matter {'hardly' if verdict.related > 1 else 'no'} more than other dates"


def _differs(verdict: ClassVerdict, looks: Float[np.ndarray, " t"], scene: Scene) -> str:
    """How far the class lies from all others where the embedding looks, if it does."""
    there = (looks * len(looks) >= 1) & np.array(verdict.parts)
    if not there.any():
        return ""
    band, value = _largest(np.array(verdict.difference), there)
    return f", when {verdict.name} differs from the rest ({_level(value, scene.units)} in {scene.bands[band]})"


def _most(pair: Pair, scene: Scene) -> str:
    effect = np.array(pair.effect if pair.effect is not None else pair.difference)
    parts = np.array(pair.parts)
    band = int(np.abs(effect[:, parts]).mean(axis=1).argmax())
    _, value = _largest(np.array(pair.difference)[[band]], parts)
    return f"{pair.truth} up to {_level(value, scene.units)} in {scene.bands[band]}"


def _on(pair: Pair, scene: Scene, date: int) -> str:
    band = int(np.abs(np.array(pair.effect if pair.effect is not None else pair.difference)[:, date]).argmax())
    return f"{pair.truth} {_level(pair.difference[band][date], scene.units)} in {scene.bands[band]}"


def _largest(difference: NDArray[np.float64], among: Bool[np.ndarray, " t"]) -> tuple[int, float]:
    """Band and value of the largest difference on some dates."""
    size = np.where(among, np.abs(difference), -1.0)
    band, date = np.unravel_index(int(size.argmax()), size.shape)
    return int(band), float(difference[band, date])


def _level(value: float, units: str) -> str:
    size = f"{abs(value):.1f} dB" if units == "dB" else number(abs(value))
    return f"{size} {'higher' if value > 0 else 'lower'}"


def _apart(jm: float) -> str:
    return f"{deviations(jm):.1f} standard deviations"


def _fields(pair: Pair) -> str:
    a, b = pair.fields
    return f"{many(a, 'field')} of {pair.truth} and {count(b)} of {pair.predicted}"


def told(findings: Findings) -> dict[str, Any]:
    """What the chapter says: sentences of classes by kind, pairs with their figures, and the tables of both."""
    if findings.diagnosis is None:
        return {}
    scene, diagnosis = Scene.of(findings), findings.diagnosis
    drawn = drawn_pairs(findings)
    pairs = [(f"why_{i}", pair, pair_sentence(pair, scene)) for i, pair in enumerate(drawn, start=1)]
    others = [pair_sentence(pair, scene) for pair in diagnosis.pairs if pair not in drawn]
    classes = sorted(diagnosis.classes, key=lambda verdict: -verdict.series)
    said = [(verdict, KINDS[verdict.kind], class_sentence(verdict, diagnosis, scene)) for verdict in classes]
    groups = [
        (title, [sentence for verdict, _, sentence in said if verdict.kind == kind])
        for kind, title in (("separated", "What is separated"), ("not modelled", "What is not modelled"))
    ]
    return {
        "pairs": pairs,
        "others": others,
        "classes": said,
        "groups": [(title, sentences) for title, sentences in groups if sentences],
        "summary": _summary(classes),
        "limits": {"separated": SEPARATED, "scattered": SCATTERED, "related": RELATED},
    }


def drawn_pairs(findings: Findings) -> list[Pair]:
    """The pairs that get a figure: those that matter most, of classes whose profiles are known."""
    if findings.diagnosis is None:
        return []
    known = set(findings.profiles["class"])
    return [pair for pair in findings.diagnosis.pairs if {pair.truth, pair.predicted} <= known][:PAIRS]


def _summary(classes: Sequence[ClassVerdict]) -> list[tuple[str, str]]:
    """The classes of each kind, the most grown first."""
    by_kind = {kind: [verdict.name for verdict in classes if verdict.kind == kind] for kind in KINDS}
    return [(KINDS[kind], listed(names)) for kind, names in by_kind.items() if names]
