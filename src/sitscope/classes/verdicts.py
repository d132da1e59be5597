"""What was found wrong, and where on the way from the input to the embedding to the vote?

Plain values: they are written as JSON and read back. c bands, t dates, d embedding dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["separated", "shared", "outvoted", "not modelled", "inseparable", "undecided"]
"""Of a class or a pair.

separated: found. shared: the input parts the two and the embedding does not, since what it takes from its important
dates is the same for both. outvoted: the embedding parts them too, and the vote of their clusters goes to the other.
inseparable: no date parts them in the input. undecided: no date is known to, and so few fields could not tell. not
modelled: a class scattered over the embedding, for which its own transitions do not matter.
"""

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Pair:
    """Why series of one class are taken for another."""

    truth: str
    predicted: str
    share: float
    """Of the test series of `truth` that `predicted` is predicted for."""
    series: int
    """How many they are."""
    kind: Kind
    fields: tuple[int, int]
    """Of the two classes, training and test."""
    difference: tuple[Numbers, ...]
    """(c, t) mean of truth minus mean of predicted, in the units of the series."""
    low: tuple[Numbers, ...] | None
    """(c, t) ends of its 95 % interval; None where both classes have one field."""
    high: tuple[Numbers, ...] | None
    effect: tuple[Numbers, ...] | None
    """(c, t) the difference in standard deviations between fields."""
    jm: Numbers
    """(t,) Jeffries-Matusita distance in the input, with its interval."""
    jm_low: Numbers
    jm_high: Numbers
    parts: tuple[bool, ...]
    """(t,) the dates that part the two in the input."""
    importance: Mapping[str, Numbers]
    """By method (t,): share of the importance of each date for the two classes; sums to 1."""
    margin: Mapping[str, Numbers]
    """By method (t,): share of each date in what the embedding makes of their difference; sums to 1."""
    missed: tuple[bool, ...]
    """(t,) they part the two, and get less than their share of the importance."""
    shared: tuple[bool, ...]
    """(t,) they get their share of the importance or more, and do not part the two."""
    embedded: float
    """Jeffries-Matusita distance of the two in the embedding, with its interval."""
    embedded_low: float
    embedded_high: float
    votes: tuple[int, int]
    """Training series of the two in the clusters that stand for `predicted` and hold any of `truth`."""


@dataclass(frozen=True)
class ClassVerdict:
    """What became of a class, and why."""

    name: str
    kind: Kind
    recall: float | None
    series: int
    """Of the test."""
    fields: int
    """Training and test."""
    spread: float
    """Effective number of classes that are predicted for it, its fields counted alike: exp of the entropy."""
    into: str
    """The class that most of its lost series are taken for; "" where none is lost."""
    transitions: tuple[bool, ...]
    """(t,) the dates on which it changes most, beside what all classes do together."""
    related: float
    """Importance of its transitions, in even shares: 1 is what any dates would have."""
    importance: Mapping[str, tuple[Numbers, ...]]
    """By method (d, t): share of each date in each embedding dimension; all dimensions together sum to 1."""
    parts: tuple[bool, ...]
    """(t,) the dates that part it from all other classes together."""
    difference: tuple[Numbers, ...]
    """(c, t) its mean minus that of all others."""


@dataclass(frozen=True)
class Diagnosis:
    """Every verdict of a run."""

    method: str
    """Whose importance decides which dates are missed and shared: "path" or "letter"."""
    classes: tuple[ClassVerdict, ...]
    pairs: tuple[Pair, ...]
    """Those that matter most first: the share of a class that is lost, times the series lost."""
