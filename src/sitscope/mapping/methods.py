"""How is the importance of dates found: for a profile, and for every pixel of a map?"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from sitscope.autoencoder.fitted import Fitted

NODES = 16
"""Of the path to each series of a profile: in the demo they miss 1 % of the change (median), and 0.2 % of means."""
PEAK_NODES = 2
"""Of the path to each pixel of a map: the fidelity of 64 (docs/trust.md), and the same peak date in 90 to 94 of 100
pixels, where it is another one 0.2 to 0.5 % weaker (docs/log.md, 2026-11-25)."""

Method = Callable[[Fitted, Float[np.ndarray, "n c t"]], Float[np.ndarray, "n d b t"]]
"""(model, series) -> importance of each date for each embedding dimension; b bands, or 1 where bands are not told."""


def path(fitted: Fitted, x: Float[np.ndarray, "n c t"]) -> Float[np.ndarray, "n d c t"]:
    """Contributions along the path from the training's mean curve, in units of the embedding: complete."""
    return fitted.contributions(x, nodes=NODES)


def letter(fitted: Fitted, x: Float[np.ndarray, "n c t"]) -> Float[np.ndarray, "n d 1 t"]:
    """The letter's Grad-SLAM, in [-1, 1]."""
    return fitted.explain(x)[:, :, None]


def quick_path(fitted: Fitted, x: Float[np.ndarray, "n c t"]) -> Float[np.ndarray, "n d c t"]:
    """`path` with few nodes, for maps of millions of pixels."""
    return fitted.contributions(x, nodes=PEAK_NODES)


METHODS: Mapping[str, Method] = {"path": path, "letter": letter}
"""By the names that a person types."""
QUICK: Mapping[str, Method] = {"path": quick_path, "letter": letter}
"""The same for every pixel of a map."""
