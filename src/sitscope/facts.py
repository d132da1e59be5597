"""What would have to be the same for a run to give the same result, and what should its reader know?"""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import torch
import xarray as xr

from sitscope.attribution.fast import machine
from sitscope.cube.fields import Fields, fingerprint
from sitscope.cube.source import Source
from sitscope.settings import RunSettings


def facts(images: Any, series: xr.Dataset, test: xr.Dataset, settings: RunSettings) -> dict[str, Any]:
    """run.json: title, fingerprint of the data, share missing by date, notes, settings, versions."""
    digest = hashlib.sha256()
    for name in ("x", "label", "field"):
        digest.update(np.ascontiguousarray(series[name].values).tobytes())
    return {
        "title": title(images),
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
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of all that has a part in the numbers."""
    names = ("sitscope", "torch", "numpy", "scikit-learn", "xarray", "rasterio")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def inputs(source: Source, fields: Fields, label: str, out: Path) -> dict[str, Any]:
    """The part of run.json from which `sitscope rerun` starts: where images and fields lie, and who computed.

    Each place is written twice, from the root and from the run folder `out`, so that a project may move as a whole; it
    is None for what was in memory.
    """
    images = source.images if source.portable else None
    return {
        "images": places(images, out),
        "images_stamp": source.fingerprint(),
        "fields": places(None if isinstance(fields, gpd.GeoDataFrame) else str(Path(fields).absolute()), out),
        "fields_sha256": fingerprint(fields, label),
        "mask": places(dict(source.options).get("mask"), out),
        "processor": _processor(),
        "torch_threads": torch.get_num_threads(),
    }


def places(paths: Any, out: Path) -> dict[str, Any] | None:
    """Where a file or several lie, seen from the root and from `out`; a list stays a list.

    >>> places(("/data/a.tif", "/data/b.tif"), Path("/data/runs/RUN"))
    {'from_root': ['/data/a.tif', '/data/b.tif'], 'from_run': ['../../a.tif', '../../b.tif']}
    """
    if isinstance(paths, str):
        return {"from_root": paths, "from_run": _from(paths, out)}
    if paths is None or not all(isinstance(path, str) for path in paths):
        return None
    return {"from_root": list(paths), "from_run": [_from(path, out) for path in paths]}


def _from(path: str, out: Path) -> str:
    """An address, or the name of a band, is what it is from anywhere."""
    return os.path.relpath(path, out.absolute()) if Path(path).is_absolute() else path


def _processor() -> str:
    """What machine code is made for: another processor may round another way."""
    found = machine.processor()
    return platform.machine() if found is None else f"{found.name}, {8 * found.bytes} bits"


def title(images: Any) -> str:
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
