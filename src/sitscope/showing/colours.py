"""Which colour stands for which class, cluster, importance and date, everywhere the same?

m classes, k clusters, t acquisitions. Colours are strings "#rrggbb", so that a GeoTIFF's colour table, a QGIS style
and a figure can share them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from numpy.typing import NDArray

PAPER = "#ffffff"
INK = "#1d242c"
MUTED = "#66707c"
RULE = "#d5dae0"
ACCENT = "#a8321f"

# The first seven are Okabe and Ito's, the rest were added one by one, each as far as possible from all before it in
# OKLab for normal sight and for Machado's (2009) full protanopia, deuteranopia and tritanopia.
CLASSES = (
    *("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442"),
    *("#600024", "#001884", "#6cfcf0", "#a8c09c", "#9078f0", "#483c60", "#3c3ca8"),
    *("#b43018", "#006c54", "#a8ccfc", "#841800", "#480c54", "#a84884"),
)

# Both ends equally dark, so that neither sign weighs more; the middle is grey enough to be seen on white.
IMPORTANCE = LinearSegmentedColormap.from_list(
    "importance",
    ["#0b3c8c", "#2a66b8", "#6c9bd2", "#afc6df", "#dcdad7", "#eab9a4", "#dc7d62", "#bf3b35", "#8c0a25"],
    N=255,
)
SHARE = LinearSegmentedColormap.from_list("share", ["#ffffff", "#d9e6f2", "#9cc0de", "#4f8fc4", "#1d5c9c", "#08306b"])
BACKSCATTER = LinearSegmentedColormap.from_list("backscatter", ["#101214", "#fbfbfa"])
# viridis: the same order of lightness for every eye and for a grey printer
DATES = LinearSegmentedColormap.from_list(
    "dates", ["#440154", "#46317e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"]
)


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """A colour for each class, by its place in `classes`: (m,) names -> name: "#rrggbb".

    Twenty colours differ for the colour-blind too. From the 21st class on they repeat, each round half as far from
    white as the round before: tell such classes apart by their labels.

    >>> class_colours(["Cotton", "Tomato"])
    {'Cotton': '#0072b2', 'Tomato': '#e69f00'}
    """
    return {name: _lightened(CLASSES[i % len(CLASSES)], i // len(CLASSES)) for i, name in enumerate(classes)}


def cluster_colours(clusters: int) -> list[str]:
    """A colour for each of `clusters` clusters: hue by the golden angle, lightness in three steps, any number.

    Neighbouring numbers differ in hue and in lightness, so that clusters i and i + 1 are never alike in grey.

    >>> len(set(cluster_colours(64)))
    64
    """
    light = np.array([0.52, 0.76, 0.64])
    return [
        _oklch(float(light[i % 3]), 0.14 if (i // 3) % 2 else 0.10, float(np.radians(25 + 137.508 * i)))
        for i in range(clusters)
    ]


def date_colours(dates: int) -> list[str]:
    """A colour for each of `dates` acquisitions in order of time, dark to light.

    >>> date_colours(2)
    ['#440154', '#fde725']
    """
    return [to_hex(c) for c in DATES(np.linspace(0, 1, dates))]


def importance_colours(scaled: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any 4"]:
    """RGBA of importance scaled to [0, 1]: blue is lowest, red is highest.

    >>> importance_colours(np.array([0.0, 1.0])).round(2).tolist()
    [[0.04, 0.24, 0.55, 1.0], [0.55, 0.04, 0.15, 1.0]]
    """
    return np.asarray(IMPORTANCE(scaled))


def _lightened(colour: str, rounds: int) -> str:
    white = 1 - 0.5**rounds
    red, green, blue = (channel + (1 - channel) * white for channel in to_rgb(colour))
    return to_hex((red, green, blue))


def _oklch(lightness: float, chroma: float, hue: float) -> str:
    """Ottosson's OKLab (2020) to sRGB, with what does not fit clipped."""
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    cubes = np.array(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    mix = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    red, green, blue = _gamma(np.clip(mix @ cubes**3, 0, 1))
    return to_hex((red, green, blue))


def _gamma(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
