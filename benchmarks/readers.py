"""Every reader of a file that somebody else may have made, with a good file to begin from and ways to spoil it."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from benchmarks.spoiling import WORDS, spoil, spoiled_text
from rasterio.shutil import copy
from shapely import box

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.cube import names
from sitscope.cube.fields import field_of_pixels, read_fields, read_shapes, shrunk
from sitscope.cube.grid import Grid
from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube
from sitscope.folder import RunFolder
from sitscope.job import run, show
from sitscope.mapping import ledger
from sitscope.mapping.plan import Block
from sitscope.settings import RunSettings, read_settings
from sitscope.simulation.scene import simulate

TINY = {"epochs": 1, "filters": (4,), "kernels": (3,), "strides": (1,), "pooling": (2,), "hidden": (4,)}


@dataclass(frozen=True)
class Reader:
    """One reader."""

    make: Callable[[Path], object]
    """Writes a good example into an empty folder."""
    read: Callable[[Path], object]
    """Reads what the folder holds; anything but BadInput that it raises is a crash."""
    change: Callable[[Path, Random], object]
    """Spoils what the folder holds."""


def any_file(folder: Path, rng: Random) -> None:
    """Spoil one file of the folder; small ones, which hold names and sizes, as often as large ones."""
    spoil(rng.choice(sorted(path for path in folder.rglob("*") if path.is_file())), rng)


def any_kind(folder: Path, rng: Random) -> None:
    """Spoil one file; each kind as often as another, however many chunks there are."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            kinds.setdefault(path.suffix or path.name[:2], []).append(path)
    spoil(rng.choice(kinds[rng.choice(sorted(kinds))]), rng)


# ---- images


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


def other_tiffs(folder: Path, rng: Random) -> None:
    """Bytes, tags or names."""
    path = rng.choice(sorted(folder.glob("*.tif")))
    how = rng.random()
    if how < 0.5:
        spoil(path, rng)
    elif how < 0.75:
        name = spoiled_text(path.stem, rng).replace("/", "").replace("\0", "")[:60]
        path.rename(folder / f"{name}.tif")
    else:
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as target:
            word = rng.choice(WORDS).replace("\0", "") or "x"
            key = rng.choice(("units", "ACQUISITION_TIME", "RELATIVE_ORBIT", "ORBIT_DIRECTION", "DATE", word[:60]))
            target.update_tags(**{key: word})
            if rng.random() < 0.5:
                target.set_band_description(1, spoiled_text("Sigma0_VV_db", rng).replace("\0", ""))
            if rng.random() < 0.3:
                target.scales, target.offsets = (rng.choice((0.0, 1e300, float("nan"))), 1.0), (0.0, float("inf"))


def vrt(folder: Path) -> None:
    """A GeoTIFF, and a VRT that names it."""
    tiffs(folder)
    for path in sorted(folder.glob("*.tif"))[1:]:
        path.unlink()
    copy(next(folder.glob("*.tif")), folder / "S1_20170109.vrt", driver="VRT")


def opened(folder: Path) -> None:
    """Open a folder of images, and read all of them."""
    open_cube(folder).isel(x=slice(0, 64), y=slice(0, 64)).compute(scheduler="synchronous")


def only(suffix: str) -> Callable[[Path, Random], None]:
    """Spoil a file of this suffix."""
    return lambda folder, rng: spoil(next(folder.glob(f"*{suffix}")), rng)


# ---- fields


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
        shapes.to_parquet(folder / name) if name.endswith("parquet") else shapes.to_file(folder / name)

    return make


def zipped(folder: Path) -> None:
    """A Shapefile in a zip."""
    fields().to_file(folder / "fields.shz", driver="ESRI Shapefile")
    (folder / "fields.shz").rename(folder / "fields.zip")


def located(folder: Path) -> None:
    """Read fields, with classes and without, and draw them."""
    given = [path for path in folder.iterdir() if path.stem == "fields" and path.suffix in KINDS]
    grid = Grid.of(open_cube(backscatter()))
    read_shapes(given[0], grid)
    shapes, _ = read_fields(given[0], "Name" if given[0].suffix == ".kml" else "crop", grid)
    field_of_pixels(shapes, grid)
    field_of_pixels(shrunk(shapes, 5.0), grid)


KINDS = (".gpkg", ".geojson", ".shp", ".parquet", ".fgb", ".kml", ".gml", ".zip")


# ---- settings, models, runs


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


def other_model(folder: Path, rng: Random) -> None:
    """One of its files; the hash of the weights is often made to fit, as whoever means harm would."""
    any_file(folder, rng)
    model = folder / "RUN" / "model"
    try:
        facts = json.loads((model / "model.json").read_text())
        if rng.random() < 0.7 and isinstance(facts, dict):
            facts["sha256"] = hashlib.sha256((model / "weights.safetensors").read_bytes()).hexdigest()
            (model / "model.json").write_text(json.dumps(facts))
    except (ValueError, RecursionError):
        pass


def applied(folder: Path) -> None:
    """Load model and codebook, and embed a series of zeros."""
    fitted = Fitted.load(folder / "RUN" / "model")
    book = Codebook.load(folder / "RUN" / "model" / "codebook.json")
    embedding = fitted.embed(np.zeros((1, len(fitted.bands), len(fitted.dates)), np.float32))
    if embedding.shape[1] == book.centres.shape[1]:
        book.classify(embedding)


def found(folder: Path) -> None:
    """All that figures, report and evaluation read."""
    RunFolder(folder / "RUN").series()
    RunFolder(folder / "RUN").findings()


def shown(folder: Path) -> None:
    """Draw all figures and the report anew."""
    show(RunFolder(folder / "RUN"))


BLOCKS = [Block(0, 0, 64, 64), Block(0, 64, 64, 128)]


def marks(folder: Path) -> None:
    """What an interrupted map leaves."""
    from sitscope.mapping.sums import sums

    ledger.begin(folder, {"images": "a"}, BLOCKS)
    for block in BLOCKS:
        part = sums(np.array([1, 2, 2]), np.ones((3, 2)), np.ones(2))
        ledger.mark(folder, block, part, part)


def resumed(folder: Path) -> None:
    """Go on after an interruption."""
    plan = ledger.left_over(folder, {"images": "a"}) or BLOCKS
    todo = ledger.remaining(folder, plan)
    list(ledger.found(folder, [block for block in plan if block not in todo]))


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


def named(folder: Path) -> Any:
    """All that is made of the words of an image."""
    for text in (folder / "name.txt").read_text(errors="replace").split("\n"):
        tags = {"RELATIVE_ORBIT": text, "pass": text, "datetime": text, "units": text}
        for reader in (names.date_in, names.band_in_description, names.band_in_name, names.radar_band):
            reader(text)
        names.orbit_of(tags, text), names.orbit_of({}, text), names.time_of(tags), names.units_in(text)
        names.suffix_units(text), names.without_date(text)
        names.parsed("start", text)


def zarr_cube(version: int) -> Callable[[Path], None]:
    """A Zarr cube as others write it."""
    return lambda folder: backscatter().to_zarr(folder / "cube.zarr", zarr_format=version, consolidated=False)


READERS = {
    "names": Reader(text_only, named, any_file),
    "geotiff": Reader(tiffs, opened, other_tiffs),
    "vrt": Reader(vrt, opened, only(".vrt")),
    "netcdf4": Reader(lambda f: backscatter().to_netcdf(f / "cube.nc", engine="h5netcdf"), opened, any_file),
    "netcdf3": Reader(lambda f: backscatter().to_netcdf(f / "cube.nc", engine="scipy"), opened, any_file),
    "zarr2": Reader(zarr_cube(2), opened, any_kind),
    "zarr3": Reader(zarr_cube(3), opened, any_kind),
    "geopackage": Reader(vector("fields.gpkg"), located, any_file),
    "geojson": Reader(vector("fields.geojson", "EPSG:4326"), located, any_file),
    "shapefile": Reader(vector("fields.shp"), located, any_file),
    "zipped shapefile": Reader(zipped, located, any_file),
    "geoparquet": Reader(vector("fields.parquet"), located, any_file),
    "flatgeobuf": Reader(vector("fields.fgb"), located, any_file),
    "kml": Reader(vector("fields.kml", "EPSG:4326"), located, any_file),
    "gml": Reader(vector("fields.gml"), located, only(".gml")),
    "settings": Reader(toml, lambda folder: read_settings(folder / "settings.toml", {}), any_file),
    "model": Reader(model_only, applied, other_model),
    "run": Reader(small_run, found, any_kind),
    "report": Reader(small_run, shown, any_kind),
    "marks of a map": Reader(marks, resumed, any_kind),
    "marks of a cube": Reader(
        half_ingested,
        lambda folder: ingest(folder / "S1_2017-01-03.tif", folder / "out" / "CUBE.zarr"),
        lambda folder, rng: spoil(folder / "out" / "CUBE.zarr.partial" / "done.json", rng),
    ),
}
