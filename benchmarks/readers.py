"""Every reader of a file that somebody else may have made, with a good file to begin from and ways to spoil it."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import rasterio
from benchmarks.examples import (
    BLOCKS,
    backscatter,
    half_ingested,
    marks,
    model_only,
    small_run,
    text_only,
    tiffs,
    toml,
    vector,
    vrt,
    zarr_cube,
    zipped,
)
from benchmarks.spoiling import WORDS, spoil, spoiled_text

from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.cube import names
from sitscope.cube.fields import field_of_pixels, read_fields, read_shapes, shrunk
from sitscope.cube.grid import Grid
from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import show
from sitscope.mapping import ledger
from sitscope.settings import read_settings


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


def opened(folder: Path) -> None:
    """Open a folder of images, and read all of them."""
    open_cube(folder).isel(x=slice(0, 64), y=slice(0, 64)).compute(scheduler="synchronous")


def only(suffix: str) -> Callable[[Path, Random], None]:
    """Spoil a file of this suffix."""
    return lambda folder, rng: spoil(next(folder.glob(f"*{suffix}")), rng)


def located(folder: Path) -> None:
    """Read fields, with classes and without, and draw them."""
    given = [path for path in folder.iterdir() if path.stem == "fields" and path.suffix in KINDS]
    grid = Grid.of(open_cube(backscatter()))
    read_shapes(given[0], grid)
    shapes, _ = read_fields(given[0], "Name" if given[0].suffix == ".kml" else "crop", grid)
    field_of_pixels(shapes, grid)
    field_of_pixels(shrunk(shapes, 5.0), grid)


KINDS = (".gpkg", ".geojson", ".shp", ".parquet", ".fgb", ".kml", ".gml", ".zip")


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


def resumed(folder: Path) -> None:
    """Go on after an interruption."""
    plan = ledger.left_over(folder, {"images": "a"}) or BLOCKS
    todo = ledger.remaining(folder, plan)
    list(ledger.found(folder, [block for block in plan if block not in todo]))


def named(folder: Path) -> Any:
    """All that is made of the words of an image."""
    for text in (folder / "name.txt").read_text(errors="replace").split("\n"):
        tags = {"RELATIVE_ORBIT": text, "pass": text, "datetime": text, "units": text}
        for reader in (names.date_in, names.band_in_description, names.band_in_name, names.radar_band):
            reader(text)
        names.orbit_of(tags, text), names.orbit_of({}, text), names.time_of(tags), names.units_in(text)
        names.suffix_units(text), names.without_date(text)
        with suppress(BadInput):
            names.parsed("start", text)


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
