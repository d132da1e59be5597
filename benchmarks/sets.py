"""The series that explanations are measured on: a simulated season and three real sets, with an autoencoder of each.

The real ones are looked for in ../shared/data beside the checkout, and left out, aloud, where they are not there.

    python -m benchmarks.sets    what there is; the last line is JSON
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor, nn

from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Settings, scaled
from sitscope.autoencoder.training import fit
from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.simulation.scene import simulate

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = {
    "simulated": None,
    "antwerp": REAL / "antwerp_s1_2019",
    "modis": REAL / "br_mt_9classes_modis.npz",
    "ucr crop": REAL / "ucr_crop_ndvi.npz",
}
UCR_SERIES = 4000
FIRST_DAY = {"modis": ("2001-09-14", 16), "ucr crop": ("2006-01-01", 8)}
"""First date and days between dates; UCR's true dates are not published."""


@dataclass(frozen=True)
class Trained:
    """A set and the autoencoder of a seed."""

    encoder: nn.Module
    x: Tensor
    """(n, c, t) z-scores, in random order."""
    label: np.ndarray
    fitted: Fitted
    truth: pd.DataFrame | None
    """Of the simulated scene: how well each date parts each pair of classes."""


def there() -> list[str]:
    """Names of the sets that can be read."""
    missing = [name for name, place in SETS.items() if place is not None and not place.exists()]
    if missing:
        print(f"left out, not beside the checkout: {', '.join(missing)}", file=sys.stderr)
    return [name for name in SETS if name not in missing]


def trained(name: str, seed: int) -> Trained:
    """Read a set and train the default autoencoder, embedding in 2-D, with this seed."""
    series, truth = series_of(name, seed)
    fitted = fit(series, Settings(), seed=seed)
    order = np.random.default_rng(seed).permutation(len(series.x))
    statistics = (torch.as_tensor(fitted.mean), torch.as_tensor(fitted.std))
    x = scaled(torch.as_tensor(series.x.values[order]), *statistics)
    return Trained(fitted.network.encoder, x, series.label.values[order], fitted, truth)


def series_of(name: str, seed: int) -> tuple[xr.Dataset, pd.DataFrame | None]:
    """The series of a set, and of the simulated one the truth."""
    place = SETS[name]
    if place is None:
        scene = simulate(fields=600, seed=seed)
        return sample(scene.cube, scene.fields, label="crop", buffer=10, max_pixels=12, seed=seed), scene.truth
    if place.is_dir():
        return sample(open_cube(place, start="2018-11-24"), place / "fields.gpkg", label="crop"), None
    return _from_npz(name, place, seed), None


def _from_npz(name: str, path: Path, seed: int) -> xr.Dataset:
    with np.load(path) as file:
        x, y, classes, bands = (file[key] for key in ("x", "y", "classes", "bands"))
    whole = np.flatnonzero(np.isfinite(x).all((1, 2)))
    some = np.random.default_rng(seed).permutation(whole)[:UCR_SERIES]
    start, step = FIRST_DAY[name]
    time = np.datetime64(start, "ns") + np.arange(x.shape[1]) * np.timedelta64(step, "D")
    data = {
        "x": (("series", "band", "time"), x[some].transpose(0, 2, 1).astype(np.float32)),
        "label": ("series", classes[y[some]].astype(str)),
        "field": ("series", np.arange(len(some))),
    }
    return xr.Dataset(data, {"time": time, "band": [str(b) for b in bands]}, {"units": "1"})


def main() -> None:
    print(json.dumps({name: dict(series_of(name, 0)[0].x.sizes) for name in there()}))


if __name__ == "__main__":
    main()
