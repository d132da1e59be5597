"""Two real archives from end to end: a cloudy optical one, and a radar one in linear power with both directions."""

import json
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rasterio.features import shapes
from shapely import box
from shapely.geometry import shape

from sitscope.cube.reading import open_cube
from sitscope.errors import BadInput
from sitscope.job import run
from sitscope.settings import RunSettings
from sitscope.showing.findings import Findings

DATA = Path(__file__).parents[2] / "shared" / "data"
NAMES = {2: "forest", 3: "grassland", 4: "shrubland", 8: "artificial"}
QUICK = {"filters": (16, 16, 16), "hidden": (32, 16), "epochs": 20, "dims": 3}


def present(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"the real data {name} is kept outside the project, in ../shared/data")
    return DATA / name


def land_cover(path: Path, tile: int = 8) -> gpd.GeoDataFrame:
    """Patches of one class, cut by squares of so many pixels: places apart, as fields are."""
    with rasterio.open(path) as source:
        classes, place = source.read(1), source.transform
        rows, columns = np.indices(classes.shape) // tile
        parts = (classes + 16 * (rows * 64 + columns)).astype("int32")
        found = list(shapes(parts, mask=np.isin(classes, list(NAMES)), transform=place, connectivity=4))
        names = [NAMES[int(value) % 16] for _, value in found]
        return gpd.GeoDataFrame({"cover": names}, geometry=[shape(each) for each, _ in found], crs=source.crs)


def majority_share(findings: Findings) -> float:
    counts = np.asarray(findings.scores.confusion).sum(axis=1)
    return float(counts.max() / counts.sum())


def test_two_cloudy_years_are_explained(tmp_path: Path) -> None:
    folder = present("slovenia_ndvi_2015_2017")
    settings = RunSettings(
        label="cover", mask=str(folder / "cloudmask.tif"), fill=True, clusters=24, min_pixels=4, autoencoder=QUICK
    )
    cube = open_cube(folder / "NDVI.tif", mask=settings.mask)
    with rasterio.open(folder / "cloudmask.tif") as source:
        np.testing.assert_array_equal(np.isnan(cube.values[:, 0]), source.read() != 0)
    findings = run(folder / "NDVI.tif", land_cover(folder / "LULC.tif"), tmp_path / "RUN", settings)
    print("overall accuracy", findings.scores.overall_accuracy, "majority", majority_share(findings))
    assert findings.scores.overall_accuracy > majority_share(findings)
    assert 0.3 < findings.missing.mean() < 0.5
    table = pd.read_parquet(tmp_path / "RUN" / "profiles.parquet")
    assert (table.filled > 0.5).groupby(table["class"]).mean().between(0.2, 0.6).all()
    report = (tmp_path / "RUN" / "report.html").read_text()
    assert "Hollow markers: more than half of the class" in report
    assert "Open circles: more than half of the class" in report
    notes = json.loads((tmp_path / "RUN" / "run.json").read_text())["notes"]
    assert any("filled linearly in time" in note for note in notes)


def rice(path: Path, groups: int = 160) -> tuple[xr.Dataset, gpd.GeoDataFrame]:
    """Series without an image: a row of pixels for each group of neighbours, which is a field of its own."""
    file = np.load(path, allow_pickle=False)
    chosen = np.random.default_rng(0).permutation(np.unique(file["group"]))[:groups]
    width = 30
    values = np.full((file["dates"].size, 2, groups, width), np.nan, "float32")
    names = []
    for row, group in enumerate(chosen):
        mine = np.flatnonzero(file["group"] == group)[:width]
        values[:, :, row, : mine.size] = file["x"][mine].transpose(1, 2, 0)
        names.append(str(file["classes"][file["y"][mine[0]]]))
    times = np.array([date.removesuffix("Z") for date in file["dates"].tolist()], "datetime64[ns]")
    direction = np.where(np.char.find(file["dates"], "T22") >= 0, "descending", "ascending")
    coords = {
        "time": times, "y": 1e6 - 10.0 * np.arange(groups), "x": 6e5 + 10.0 * np.arange(width),
        "orbit_direction": ("time", direction),
    }  # fmt: skip
    bands = {str(band).upper(): (("time", "y", "x"), values[:, i]) for i, band in enumerate(file["bands"])}
    strips = [box(6e5 - 5, 1e6 - 10 * row - 5, 6e5 + 10 * width - 5, 1e6 - 10 * row + 5) for row in range(groups)]
    fields = gpd.GeoDataFrame({"crop": names}, geometry=strips, crs="EPSG:32648")
    return xr.Dataset(bands, coords).rio.write_crs("EPSG:32648"), fields


def test_rice_in_linear_power_of_two_directions(tmp_path: Path) -> None:
    images, fields = rice(present("vn_rice_s1_2022_pixels.npz"))
    with pytest.raises(BadInput, match=re.escape("no tag or attribute says whether VV")):
        open_cube(images, orbit="ascending")
    with pytest.raises(BadInput, match=r"as in linear power\. Say units='linear'"):
        open_cube(images, units="dB", orbit="ascending")
    with pytest.raises(BadInput, match=r"different orbits are mixed: .*ascending \(\d+ dates\), .*descending"):
        open_cube(images, units="linear")
    untagged = images.drop_vars("orbit_direction")
    with pytest.raises(BadInput, match="different orbits are mixed"):  # the time of day tells them apart too
        open_cube(untagged, units="linear")
    for orbit in ("ascending", "descending"):
        settings = RunSettings(units="linear", orbit=orbit, clusters=16, autoencoder=QUICK)
        findings = run(images, fields, tmp_path / orbit, settings)
        print(orbit, len(findings.dates), findings.scores.overall_accuracy, majority_share(findings))
        assert findings.units == "dB"
        assert len(findings.dates) == int((images.orbit_direction == orbit).sum())
        assert findings.scores.overall_accuracy > majority_share(findings) + 0.1
