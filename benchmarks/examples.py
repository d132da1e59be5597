"""Good files to begin from: images, fields, settings, a model, a run, and what interrupted work leaves."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from rasterio.shutil import copy
from shapely import box

from sitscope.cube.ingest import ingest
from sitscope.job import run
from sitscope.mapping import ledger
from sitscope.mapping.plan import Block
from sitscope.mapping.sums import sums
from sitscope.settings import RunSettings
from sitscope.simulation.scene import simulate

TINY = {"epochs": 1, "filters": (4,), "kernels": (3,), "strides": (1,), "pooling": (2,), "hidden": (4,)}


def backscatter() -> xr.Dataset:
    """Two bands of three dates on 8 x 10 pixels."""
    rng, dims = np.random.default_rng(0), ("time", "y", "x")
    times = np.array(["2017-01-03T06:30", "2017-01-09T06:30", "2017-01-15T06:30"], "datetime64[ns]")
    coords = {"time": times, "y": 4_100_000.0 - 10 * np.arange(8), "x": 500_000.0 + 10 * np.arange(10)}
    bands = {n: (dims, rng.normal(-12, 2, (3, 8, 10)).astype("float32"), {"units": "dB"}) for n in ("VV", "VH")}
    return xr.Dataset(bands, coords).rio.write_crs("EPSG:32630")


def tiffs(folder: Path) -> None:
    """A GeoTIFF for each date, a COG among them."""
    for i, time in enumerate(backscatter().time.values):
        path = folder / f"S1_{np.datetime_as_string(time, 'D')}.tif"
        image = backscatter()[["VV", "VH"]].isel(time=i).to_array("band")
        image.rio.to_raster(path, compress="deflate")
        with rasterio.open(path, "r+") as target:
            target.descriptions = ("VV", "VH")
            target.update_tags(units="dB", ACQUISITION_TIME=str(time)[:19], RELATIVE_ORBIT="74")
    copy(path, folder / "cog", driver="COG")
    os.replace(folder / "cog", path)


def vrt(folder: Path) -> None:
    """A GeoTIFF, and a VRT that names it."""
    tiffs(folder)
    (folder / "raw").mkdir()
    first = folder / "S1_2017-01-03.tif"
    for path in folder.glob("*.tif"):
        path.rename(folder / "raw" / path.name) if path == first else path.unlink()
    copy(folder / "raw" / first.name, folder / "S1_20170103.vrt", driver="VRT")


def fields() -> gpd.GeoDataFrame:
    """Four fields on these images."""
    west, north = 499_995.0, 4_100_005.0
    corners = [(west, north - 40), (west + 60, north - 40), (west, north - 80), (west + 60, north - 80)]
    crops = {"crop": ["Wheat", "Maize", None, "Maize"], "id": [1, 2, 3, 4], "area": [1.5, 2.5, None, 3.5]}
    return gpd.GeoDataFrame(crops, geometry=[box(x, y, x + 40, y + 40) for x, y in corners], crs="EPSG:32630")


def vector(name: str, crs: str = "EPSG:32630") -> Callable[[Path], None]:
    """Fields in a file of this name."""

    def make(folder: Path) -> None:
        shapes = fields().to_crs(crs)
        if name.endswith("parquet"):
            shapes.to_parquet(folder / name)
        else:
            shapes.to_file(folder / name, driver="LIBKML" if name.endswith("kml") else None)

    return make


def zipped(folder: Path) -> None:
    """A Shapefile in a zip."""
    fields().to_file(folder / "fields.shz", driver="ESRI Shapefile")
    (folder / "fields.shz").rename(folder / "fields.zip")


def toml(folder: Path) -> None:
    """All settings that there are, as README has them."""
    text = (Path(__file__).parents[1] / "README.md").read_text().partition("```toml\n")[2].partition("```")[0]
    (folder / "settings.toml").write_text(text.replace("\n# ", "\n"))


def small_run(folder: Path) -> None:
    """A run without figures, which take most of the time."""
    scene = simulate(fields=48, field_px=4, seed=1)
    settings = RunSettings(max_pixels=4, clusters=4, groups=(("Cotton", "Tomato"),), autoencoder=TINY)
    with patch("sitscope.job.show", lambda run_folder, talk: run_folder.findings()):
        run(scene.cube, scene.fields, folder / "RUN", settings)
    table = {"method": ["path", "random"], "metric": ["efficiency"] * 2, "baseline": ["all"] * 2}
    rows = pd.DataFrame(table | {"value": [0.5, 0.0], "low": [0.1, -0.1], "high": [0.6, 0.1]})
    rows.to_csv(folder / "RUN" / "evaluation.csv", index=False)


def model_only(folder: Path) -> None:
    """The model of a run."""
    small_run(folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        if "model" not in path.parts:
            path.unlink() if path.is_file() else any(path.iterdir()) or path.rmdir()


BLOCKS = [Block(0, 0, 64, 64), Block(0, 64, 64, 128)]


def marks(folder: Path) -> None:
    """What an interrupted map leaves."""
    ledger.begin(folder, {"images": "a"}, BLOCKS)
    for block in BLOCKS:
        part = sums(np.array([1, 2, 2]), np.ones((3, 2)), np.ones(2))
        ledger.mark(folder, block, part, part)


def half_ingested(folder: Path) -> None:
    """Images, and the mark of a conversion of them."""
    tiffs(folder)
    (folder / "out").mkdir()

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with suppress(InterruptedError):
        ingest(folder / "S1_2017-01-03.tif", folder / "out" / "CUBE.zarr", progress=stop)


def text_only(folder: Path) -> None:
    """A name, a description, a tag."""
    rest = ("Sigma0_VV_db 03Jan2017", "S1A_IW_GRDH_1SDV_20170103T063000_20170103T063025_014670_017DC0_4B4E", "2017-01")
    (folder / "name.txt").write_text("\n".join(("S1_20170103T063000_VV", "HLS.S30.T31UFS.2017003T105421", *rest)))


def zarr_cube(version: int) -> Callable[[Path], None]:
    """A Zarr cube as others write it."""
    return lambda folder: backscatter().to_zarr(folder / "cube.zarr", zarr_format=version, consolidated=False)
