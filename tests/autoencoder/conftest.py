"""Series that are quick to learn: two bands, twelve dates, two shapes."""

import numpy as np
import pytest
import xarray as xr

from sitscope.autoencoder.network import Settings


@pytest.fixture(scope="session")
def series() -> xr.Dataset:
    """200 series (n, 2, 12) in dB: half rise in summer, half fall; ten pixels a field."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.linspace(0, np.pi, 12))
    sign = np.repeat([1, -1], 100)[:, None, None]
    x = np.array([-11.0, -18.0])[:, None] + 3 * sign * wave + rng.normal(0, 0.5, (200, 2, 12))
    return xr.Dataset(
        {"x": (("series", "band", "time"), x.astype(np.float32)), "field": ("series", np.arange(200) // 10)},
        coords={
            "band": ["VV", "VH"],
            "time": np.datetime64("2017-01-03", "ns") + np.arange(12) * np.timedelta64(6, "D"),
        },
        attrs={"units": "dB"},
    )


@pytest.fixture(scope="session")
def small() -> Settings:
    return Settings(
        filters=(4, 8),
        kernels=(5, 3),
        strides=(1, 1),
        pooling=(2, 2),
        hidden=(16,),
        epochs=12,
        batch=32,
        learning_rate=0.01,
    )
