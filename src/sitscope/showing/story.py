"""What does the confusion matrix tell, and which classes tell it best?

m classes. A flow is the share of a class's test series that another class is predicted for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from sitscope.errors import BadInput
from sitscope.showing.findings import Findings, Scores
from sitscope.showing.words import listed, number, percent, stretches, strongest_days

ENOUGH = 20  # test series below which a share says little


@dataclass(frozen=True)
class Flow:
    """Test series of one class that become another."""

    truth: str
    """What they are."""
    predicted: str
    """What they are taken for."""
    share: float
    """Of the test series of `truth`, in [0, 1]."""
    series: int
    """How many they are."""

    def __str__(self) -> str:
        return f"{self.truth} becomes {self.predicted}: {percent(self.share)} of its test series"


@dataclass(frozen=True)
class Group:
    """Classes that are best looked at together, and why."""

    key: str
    """Short name for files: separated, confused, scattered, chosen_1, chosen_2 ..."""
    title: str
    """A few words."""
    classes: tuple[str, ...]
    """Their names, the most telling first."""
    why: str
    """How they were chosen, in a sentence."""


@dataclass(frozen=True)
class Contrast:
    """Whether the embedding looks where the classes of a group differ, in one band."""

    band: str
    """The band compared."""
    largest: float
    """The largest distance between the highest and the lowest class mean, in the band's unit."""
    when: str
    """The acquisitions where that distance is largest, in words."""
    attention: float
    """Mean size of the importance of these classes there, relative to its mean over all acquisitions."""

    def said(self, units: str) -> str:
        """The contrast in two sentences."""
        if not self.when:
            return f"In {self.band} the class means are the same throughout."
        apart = f"{self.largest:.1f} dB" if units == "dB" else number(self.largest)
        first = f"In {self.band} the class means lie furthest apart, up to {apart}, on {self.when}."
        if not np.isfinite(self.attention):
            return first
        much = "less than" if self.attention < 0.8 else "more than" if self.attention > 1.25 else "about as much as"
        return f"{first} The embedding looks there {much} elsewhere: {self.attention:.1f} times the average importance."


def contrast(profiles: pd.DataFrame, classes: Sequence[str], band: str) -> Contrast:
    """Where the means of `classes` lie furthest apart, and how much importance these acquisitions get."""
    table = profiles[profiles["class"].isin(list(classes))]
    means = table[table["dim"] == table["dim"].min()].pivot(index="date", columns="class", values=band)
    distance = (means.max(axis=1) - means.min(axis=1)).to_numpy(dtype=float)
    size = table["importance"].abs().groupby(table["date"]).mean().to_numpy(dtype=float)
    apart = np.concatenate([np.arange(a, b + 1) for a, b in stretches(distance)] or [np.arange(len(distance))])
    relative = float(size[apart].mean() / size.mean()) if size.mean() > 0 else float("nan")
    when = strongest_days(distance, means.index.to_numpy())
    return Contrast(band, float(distance.max()), when, relative)


def row_shares(scores: Scores) -> Float[np.ndarray, "m m+1"]:
    """Each class's test series by prediction, in [0, 1]; last column: in clusters without a vote.

    Rows of classes without test series are NaN.
    """
    counts = np.column_stack([scores.confusion, scores.unclassified]).astype(float)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)


def tested(scores: Scores) -> Float[np.ndarray, " m"]:
    """Number of test series of each class."""
    return scores.confusion.sum(axis=1).astype(float) + scores.unclassified


def flows(scores: Scores, least: float = 0.1) -> list[Flow]:
    """Every flow of at least `least` of a class, the largest share first."""
    shares = row_shares(scores)[:, :-1]
    np.fill_diagonal(shares, 0)
    pairs = np.argwhere(np.nan_to_num(shares) >= least)
    names = scores.classes
    found = [Flow(names[i], names[j], float(shares[i, j]), int(scores.confusion[i, j])) for i, j in pairs]
    return sorted(found, key=lambda flow: (-flow.share, -flow.series))


def groups(scores: Scores) -> list[Group]:
    """The classes best separated, those confused worst, those scattered most; an empty group is left out.

    The same classes for two reasons, as where there are only three, are one group.
    """
    found: dict[frozenset[str], Group] = {}
    for group in filter(None, (_separated(scores), _confused(scores), _scattered(scores))):
        names = frozenset(group.classes)
        first = found.get(names)
        found[names] = (
            replace(first, title=f"{first.title}, {group.title.lower()}", why=f"{first.why} {group.why}")
            if first
            else group
        )
    return list(found.values())


def chosen_groups(chosen: Sequence[Sequence[str]], scores: Scores) -> list[Group]:
    """Groups that somebody named, with what becomes of each class. Raises BadInput for a class that there is not."""
    require_classes(chosen, scores.classes)
    return [
        Group(f"chosen_{i}", "Chosen", tuple(classes), " ".join(_becomes(name, scores) for name in classes))
        for i, classes in enumerate(chosen, start=1)
    ]


def require_classes(chosen: Sequence[Sequence[str]], classes: Sequence[str]) -> None:
    """Raise BadInput where a group names a class that there is not."""
    for name in (name for group in chosen for name in group):
        if name not in classes:
            raise BadInput("groups", f"there is no class {name!r}. The classes are {listed(classes)}.")


def _becomes(name: str, scores: Scores) -> str:
    """Where most test series of a class go, in a sentence."""
    shares = row_shares(scores)[scores.classes.index(name), :-1]
    if np.isnan(shares).all():
        return f"{name} has no test series."
    into = int(shares.argmax())
    most = "are right" if scores.classes[into] == name else f"become {scores.classes[into]}"
    return f"{name}: {percent(shares[into])} {most}."


def date_strength(profiles: pd.DataFrame) -> pd.DataFrame:
    """(t, d) size of the importance, whatever its sign, averaged over classes weighted by their series."""
    table = profiles.assign(strength=profiles["importance"].abs() * profiles["n"])
    sums = table.groupby(["date", "dim"], observed=True)[["strength", "n"]].sum()
    return (sums["strength"] / sums["n"]).unstack("dim").sort_index()


def field_counts(findings: Findings) -> pd.DataFrame:
    """Number of fields by class and split (train, test, unused); empty without fields."""
    if findings.fields is None:
        return pd.DataFrame(columns=["train", "test", "unused"], dtype=int)
    table = pd.crosstab(findings.fields["label"], findings.fields["split"])
    return table.reindex(columns=["train", "test", "unused"], fill_value=0)


def _separated(scores: Scores) -> Group | None:
    f1 = np.where(_enough(scores), np.nan_to_num(scores.f1), 0)
    best = [i for i in np.argsort(-f1, kind="stable")[:3] if f1[i] > 0]
    if not best:
        return None
    names = tuple(scores.classes[i] for i in best)
    said = listed([f"{scores.classes[i]} {f1[i]:.2f}" for i in best])
    return Group("separated", "Best separated", names, f"The highest F1 scores: {said}.")


def _confused(scores: Scores) -> Group | None:
    """The class that swallows the most of two others (the letter's Cotton, Sweet Potato and Pepper)."""
    shares = np.nan_to_num(row_shares(scores)[:, :-1])
    np.fill_diagonal(shares, 0)
    shares[~_enough(scores)] = 0
    if shares.max(initial=0) < 0.05:
        return None
    if len(shares) < 3:
        victims = np.argsort(-shares, axis=0, kind="stable")[:1]
    else:
        victims = np.argsort(-shares, axis=0, kind="stable")[:2]
    taken = np.take_along_axis(shares, victims, axis=0)
    into = int(taken.sum(axis=0).argmax())
    lost = [int(i) for i, share in zip(victims[:, into], taken[:, into], strict=True) if share >= 0.05]
    said = listed([f"{percent(shares[i, into])} of {scores.classes[i]}" for i in lost])
    names = (scores.classes[into], *(scores.classes[i] for i in lost))
    return Group("confused", "Worst confused", names, f"{scores.classes[into]} takes {said}.")


def _scattered(scores: Scores) -> Group | None:
    """The classes whose predictions are spread most evenly (the letter's Fallow and Quinoa)."""
    shares = np.nan_to_num(row_shares(scores)[:, :-1])
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=1)
    spread = np.where(_enough(scores) & (np.nan_to_num(scores.recall) < 0.5), np.exp(entropy), 0)
    most = [int(i) for i in np.argsort(-spread, kind="stable")[:2] if spread[i] >= 3]
    if not most:
        return None
    names = tuple(scores.classes[i] for i in most)
    said = listed([f"{scores.classes[i]} over {spread[i]:.1f}" for i in most])
    return Group(
        "scattered", "Scattered", names, f"Spread over many predictions (effective number of classes): {said}."
    )


def _enough(scores: Scores) -> np.ndarray:
    """Classes whose shares can be believed; all, if there is none with enough test series."""
    enough = tested(scores) >= ENOUGH
    return enough if enough.any() else tested(scores) > 0
