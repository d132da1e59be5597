"""What would have to be the same for a run to give the same result, and what should its reader know?"""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sitscope.settings import RunSettings


def facts(images: Any, series: xr.Dataset, test: xr.Dataset, settings: RunSettings) -> dict[str, Any]:
    """run.json: title, fingerprint of the data, share missing by date, notes, settings, versions."""
    digest = hashlib.sha256()
    for name in ("x", "label", "field"):
        digest.update(np.ascontiguousarray(series[name].values).tobytes())
    return {
        "title": _title(images),
        "data": {
            "images": "cube in memory" if isinstance(images, xr.DataArray | xr.Dataset) else str(images),
            "sha256_of_series": digest.hexdigest(),
            "series": len(series.x),
            "test_series": len(test.x),
            "units": series.attrs["units"],
        },
        "missing": series.missing.values.tolist(),
        "notes": [*_notes(series, test), *_cleaned(settings)],
        "settings": settings.model_dump(mode="json"),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("sitscope", "torch", "numpy", "scikit-learn", "xarray", "rasterio")},
        },
    }


def _title(images: Any) -> str:
    """The last part of the name of what was read."""
    names = [images] if isinstance(images, str | Path) else images if isinstance(images, list) else ["cube in memory"]
    return ", ".join(Path(name).name or str(name) for name in names)


def _notes(series: xr.Dataset, test: xr.Dataset) -> list[str]:
    """What a reader should know before believing a figure."""
    notes = []
    if alone := test.attrs["only_in_train"]:
        notes.append(f"Classes with a single field cannot be tested and are in training only: {', '.join(alone)}.")
    if left_out := series.attrs["fields_left_out"]:
        notes.append(f"{left_out} fields hold too few pixels and were left out.")
    if dropped := series.attrs["dropped"]:
        notes.append(f"{dropped:,} series have missing values and were left out; fill = true would keep them.")
    if "filled" in series:
        share = float(series.filled.mean())
        notes.append(f"{share:.1%} of the dates of the series were missing and are filled linearly in time.")
    return notes


def _cleaned(settings: RunSettings) -> list[str]:
    """What was done to the images before all else."""
    notes = []
    if settings.mask is not None:
        notes.append(f"Pixels that the mask {Path(settings.mask).name} calls no measurement count as missing.")
    if settings.border_noise is not None:
        notes.append(f"Dark patches below {settings.border_noise:g} dB count as borders of the image, and as missing.")
    if settings.border_pixels:
        notes.append(f"{settings.border_pixels} pixels around borders and patches of nodata count as missing.")
    if settings.doubles is not None:
        notes.append("Slices of one pass are one image, the first valid pixel on top.")
    if settings.speckle is not None:
        what = {"temporal": "the multi-image filter of Quegan and Yu", "boxcar": "a mean over space"}[settings.speckle]
        side = settings.window
        notes.append(f"Speckle is filtered by {what}, {side} x {side} pixels, in linear power.")
    return notes
