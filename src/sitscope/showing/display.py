"""How does importance become a colour?

m classes in the panel, t acquisitions, one embedding dimension. A display is a value with a callable: write another
one and hand it in.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


@dataclass(frozen=True)
class Display:
    """A way to turn importance into a place on the colour bar."""

    scale: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    """(m, t) importance -> (m, t) in [0, 1], 0 the blue end and 1 the red end."""
    size: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    """(m, t) scaled -> (m, t) in [0, 1], how large the marker is: the second cue, for print and for every eye."""
    ends: Callable[[NDArray[np.float64]], tuple[str, str, str]]
    """(m, t) importance -> what the blue end, the middle and the red end of the colour bar are called."""
    caption: str
    """What a reader has to know."""


def min_max_by_class(importance: Float[np.ndarray, "m t"]) -> Float[np.ndarray, "m t"]:
    """Each class from its lowest date, 0, to its highest, 1. A class without any change gets 0.5.

    >>> min_max_by_class(np.array([[-1.0, 0.0, 1.0], [5.0, 5.0, 5.0]])).tolist()
    [[0.0, 0.5, 1.0], [0.5, 0.5, 0.5]]
    """
    low = np.nanmin(importance, axis=1, keepdims=True)
    return _ratio(importance - low, np.nanmax(importance, axis=1, keepdims=True) - low)


def min_max_together(importance: Float[np.ndarray, "m t"]) -> Float[np.ndarray, "m t"]:
    """All classes from the lowest date of any, 0, to the highest of any, 1.

    >>> min_max_together(np.array([[0.0, 1.0], [2.0, 4.0]])).tolist()
    [[0.0, 0.25], [0.5, 1.0]]
    """
    low = np.nanmin(importance)
    return _ratio(importance - low, np.full((1, 1), np.nanmax(importance) - low))


def centred(importance: Float[np.ndarray, "m t"]) -> Float[np.ndarray, "m t"]:
    """Zero in the middle, 0.5; the largest size of any class at an end. Nothing but the unit changes.

    >>> centred(np.array([[-2.0, 0.0, 1.0]])).tolist()
    [[0.0, 0.5, 0.75]]
    """
    return 0.5 + _ratio(importance, np.full((1, 1), 2 * np.nanmax(np.abs(importance))), flat=0.0)


def _ratio(top: NDArray[np.float64], bottom: NDArray[np.float64], flat: float = 0.5) -> NDArray[np.float64]:
    return np.divide(top, bottom, out=np.full_like(top, flat), where=bottom > 0)


def _signed_ends(importance: NDArray[np.float64]) -> tuple[str, str, str]:
    largest = float(np.nanmax(np.abs(importance)))
    return f"−{largest:.2g}", "0", f"+{largest:.2g}"


BY_CLASS = Display(
    scale=min_max_by_class,
    size=lambda scaled: scaled,
    ends=lambda _: ("low", "", "high"),
    caption=(
        "Colours run from the lowest to the highest importance of each class in each embedding dimension, as in the "
        "letter; blue may therefore stand for a strong negative influence."
    ),
)
TOGETHER = Display(
    scale=min_max_together,
    size=lambda scaled: scaled,
    ends=lambda _: ("low", "", "high"),
    caption=(
        "Colours run from the lowest to the highest importance of all classes shown in each embedding dimension; blue "
        "may therefore stand for a strong negative influence."
    ),
)
SIGNED = Display(
    scale=centred,
    size=lambda scaled: 2 * np.abs(scaled - 0.5),
    ends=_signed_ends,
    caption=(
        "Colours keep the sign of importance: red raises the embedding dimension, blue lowers it, grey does neither. "
        "Each embedding dimension has its own scale, the same for all classes shown."
    ),
)
