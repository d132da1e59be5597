"""Which acquisition dates does an embedding of a satellite image time series look at, and why are two crops confused?

The public names below are resolved when first used, so that importing sitscope loads neither torch nor xarray.

>>> import sitscope
>>> sitscope.Settings(dims=3).dims
3
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "BadInput": "errors",
    "open_cube": "cube.reading",
    "ingest": "cube.ingest",
    "sample": "cube.sampling",
    "sample_sensors": "cube.several",
    "split_by_field": "cube.splitting",
    "over_pixels": "cube.over",
    "Settings": "autoencoder.network",
    "fit": "autoencoder.training",
    "Sensor": "autoencoder.branches",
    "fit_sensors": "autoencoder.sensors",
    "Fused": "autoencoder.fused",
    "Fitted": "autoencoder.fitted",
    "Codebook": "classes.codebook",
    "fit_codebook": "classes.codebook",
    "Scores": "classes.scores",
    "score": "classes.scores",
    "grad_slam": "attribution.gradslam",
    "atlas": "mapping.atlas",
    "profiles": "mapping.profiles",
    "simulate": "simulation.scene",
    "RunSettings": "settings",
    "run": "job",
    "fuse": "fusing",
    "load_run": "job",
    "sweep": "sweeping",
    "compare": "baselines",
    "map_images": "applying",
    "adopt": "adopting",
    "Machines": "applying",
    "write_report": "showing.report",
}

__all__ = sorted(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"sitscope has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
