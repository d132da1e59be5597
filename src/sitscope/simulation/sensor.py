"""What does the sensor make of the ground?

Mixed edges, speckle, thermal noise. Shapes: g grounds (the fields, then the verge), t dates, 2 polarisations (VV, VH),
an image of y by x pixels.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Float64, Int32
from scipy.ndimage import gaussian_filter
from scipy.stats import gamma

SPREAD_PX = 0.7
"""Sigma of the impulse response: it mixes the edges and makes the speckle of neighbours alike."""
NOISE_FLOOR_DB = -22.0
"""Thermal noise. Its mean is subtracted, as is usual in preparing images; its speckle stays."""
DARKEST_DB = -32.0
"""Written where noise outweighs signal, and the subtraction leaves nothing to take the logarithm of."""
TEXTURE_DB = 0.4
"""Standard deviation of what stays the same all year within a field: lighter soil, a wet corner."""
TEXTURE_PX = 4.0
"""How far that reaches."""


def acquire(
    ground: Float64[np.ndarray, "2 g t"],
    label: Int32[np.ndarray, "y x"],
    enl: float | int,
    rng: np.random.Generator,
    progress: Callable[[int, int], object] | None = None,
) -> Float32[np.ndarray, "t 2 y x"]:
    """Images in dB of grounds whose sigma0 is linear, NaN outside the fields.

    label: the ground at each pixel; -1 = the last one, which borders the fields and is not kept.
    enl: equivalent number of looks.
    progress: called with (dates done, dates).

    >>> label = np.zeros((8, 8), np.int32)
    >>> acquire(np.full((2, 2, 3), 0.1), label, 20.0, np.random.default_rng(0)).shape
    (3, 2, 8, 8)
    """
    power = ground.astype(np.float32)
    texture = 10 ** (np.float32(TEXTURE_DB / 10) * correlated(label.shape, TEXTURE_PX, rng))
    images = np.empty((power.shape[2], 2, *label.shape), np.float32)
    for t in range(len(images)):
        for p in range(2):
            seen = gaussian_filter(power[p, :, t][label] * texture, SPREAD_PX, mode="nearest")
            images[t, p] = np.where(label >= 0, observe(seen, enl, rng), np.nan)
        if progress:
            progress(t + 1, len(images))
    return images


def observe(
    sigma0: Float32[np.ndarray, "y x"], enl: float | int, rng: np.random.Generator
) -> Float32[np.ndarray, "y x"]:
    """Speckle on signal and thermal noise, the mean noise subtracted again; linear in, dB out."""
    return received_db(sigma0, speckle(sigma0.shape, enl, rng))


def received_db(sigma0: Float[np.ndarray, "*#s"], drawn: Float[np.ndarray, "*#s"]) -> Float[np.ndarray, "..."]:
    """The same for speckle that is drawn already."""
    noise, darkest = sigma0.dtype.type(10 ** (NOISE_FLOOR_DB / 10)), sigma0.dtype.type(10 ** (DARKEST_DB / 10))
    return 10 * np.log10(np.maximum((sigma0 + noise) * drawn - noise, darkest))


def speckle(shape: tuple[int, int], enl: float | int, rng: np.random.Generator) -> Float32[np.ndarray, "y x"]:
    """Gamma-distributed, mean 1, variance 1/enl, alike between neighbours.

    A Gaussian image becomes gamma by the cube of Wilson and Hilferty 1931: close at ten looks and more, and far
    faster than the exact quantiles.
    """
    ninth = np.float32(1 / (9 * enl))
    return np.maximum(1 - ninth + np.sqrt(ninth) * correlated(shape, SPREAD_PX, rng), 0) ** 3


def correlated(shape: tuple[int, int], sigma_px: float, rng: np.random.Generator) -> Float32[np.ndarray, "y x"]:
    """Standard normal pixels, alike within about `sigma_px`."""
    impulse = np.zeros((8 * int(np.ceil(sigma_px)) + 1,) * 2)
    impulse[len(impulse) // 2, len(impulse) // 2] = 1
    gain = np.float32(np.sqrt((gaussian_filter(impulse, sigma_px) ** 2).sum()))
    return gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma_px, mode="wrap") / gain


def noise_variance_db2(sigma0: Float64[np.ndarray, "*s"], enl: float | int) -> Float64[np.ndarray, "*s"]:
    """Variance within a field in dB: speckle, wider where thermal noise adds its own, and texture.

    Of speckle alone it is (10 / ln 10)^2 trigamma(L), a standard deviation of 0.98 dB at 20 looks.

    >>> speckle_db = (noise_variance_db2(np.array([1.0, 0.01]), 20) - TEXTURE_DB**2) ** 0.5
    >>> speckle_db.round(2).tolist()  # far above the thermal noise, and near it
    [0.99, 1.77]
    """
    levels_db = np.arange(DARKEST_DB, 10.0, 0.5)
    quantiles = (np.arange(400) + 0.5) / 400
    drawn = gamma(enl, scale=1 / enl).ppf(quantiles)
    spread = received_db(10 ** (levels_db[:, None] / 10), drawn).var(axis=1)
    return np.interp(10 * np.log10(sigma0), levels_db, spread) + TEXTURE_DB**2
