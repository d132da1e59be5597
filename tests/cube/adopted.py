"""Mistakes with embeddings that somebody else computed: what is typed, and what must then be said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import xarray as xr

from commands import Command
from sitscope.cube.store import write_zarr
from small_scenes import COLUMNS, NORTH, PIXEL, ROWS, WEST, four_fields, write_fields, write_image

SHAPE = (4, ROWS, COLUMNS)
LABEL = np.repeat(["Wheat", "Maize"], 16)
FIELD = np.arange(32) // 4


def floats(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def bytes_(dims: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(-127, 128, (dims, *SHAPE[1:])).astype(np.int8)


def raster(values: np.ndarray, *options: Any, fields: Any = None, **how: Any) -> Callable[[Path, Path], list[Any]]:
    """An embedding in a GeoTIFF, fields, and these options."""

    def make(folder: Path, _: Path) -> list[Any]:
        write_image(folder / "E.tif", values, **how)
        return typed(folder, folder / "E.tif", *options, fields=write_fields(folder, fields))

    return make


def typed(folder: Path, embedding: Any, *options: Any, fields: Any = None) -> list[Any]:
    given = [] if fields is None else ["--fields", fields]
    out = [] if "--out" in options else ["--out", folder / "OUT"]
    return ["adopt", "--embedding", embedding, *given, *out, *(str(o).replace("FOLDER", str(folder)) for o in options)]


def array(*options: Any, known: Any = None, suffix: str = "npz", **held: Any) -> Callable[[Path, Path], list[Any]]:
    """An embedding in an array, with a table beside it where one is given."""

    def make(folder: Path, _: Path) -> list[Any]:
        path = folder / f"E.{suffix}"
        if suffix == "npy":
            np.save(path, held["embedding"])
        elif suffix == "parquet":
            pd.DataFrame(held).to_parquet(path)
        else:
            np.savez(path, **held)
        if known is not None:
            pd.DataFrame(known).to_csv(folder / "known.csv", index=False)
        return typed(folder, path, *options, fields=None if known is None else folder / "known.csv")

    return make


def store(*options: Any, **arrays: np.ndarray) -> Callable[[Path, Path], list[Any]]:
    """Variables of a Zarr store, with an axis of two years where they have four."""

    def make(folder: Path, _: Path) -> list[Any]:
        years = np.array(["2019-01-01", "2020-01-01"], "datetime64[ns]")
        coords = {"y": NORTH - 5 - PIXEL * np.arange(ROWS), "x": WEST + 5 + PIXEL * np.arange(COLUMNS), "time": years}
        dims = ("time", "dim", "y", "x")
        found = xr.Dataset({name: (dims[-values.ndim :], values) for name, values in arrays.items()}, coords)
        write_zarr(found.rio.write_crs("EPSG:32630"), folder / "E.zarr")
        return typed(folder, folder / "E.zarr", *options, fields=write_fields(folder))

    return make


def two_grids(folder: Path, _: Path) -> list[Any]:
    write_image(folder / "E" / "a.tif", floats())
    write_image(folder / "E" / "b.tif", floats()[:, :5])
    return typed(folder, folder / "E", fields=write_fields(folder))


def cut_short(folder: Path, finished: Path) -> list[Any]:
    command = array(suffix="npy", embedding=np.zeros((32, 4)), known={"crop": LABEL, "field": FIELD})(folder, finished)
    path = folder / "E.npy"
    path.write_bytes(path.read_bytes()[:300])
    return command


def polygons_for_an_array(folder: Path, _: Path) -> list[Any]:
    np.save(folder / "E.npy", np.zeros((32, 4)))
    return typed(folder, folder / "E.npy", fields=write_fields(folder))


def other_verb(verb: str, *options: Any) -> Callable[[Path, Path], list[Any]]:
    """A verb that needs an encoder, on what adopt left."""

    def make(folder: Path, _: Path) -> list[Any]:
        (folder / "OUT").mkdir()
        (folder / "OUT" / "run.json").write_text('{"kind": "adopted"}')
        return [verb, folder / "OUT", *(str(o).replace("FOLDER", str(folder)) for o in options)]

    return make


def unscaled(folder: Path, finished: Path) -> list[Any]:
    """A scale that is no number, in the file itself."""
    command = raster(bytes_(), nodata=-128)(folder, finished)
    with rasterio.open(folder / "E.tif", "r+") as target:
        target.scales = [np.nan] * 4
    return command


def absent_images(folder: Path, finished: Path) -> list[Any]:
    return raster(floats(), "--images", "FOLDER/no")(folder, finished)


def masked() -> np.ndarray:
    return np.full(SHAPE, -128, np.int8)


ABOUT = {"label": LABEL, "field": FIELD}
E = np.random.default_rng(0).normal(size=(32, 4))

ADOPTED = [
    Command(
        *("an embedding of nothing", "embedding", ("matches no file", "Looked for")),
        lambda f, _: typed(f, f / "no.tif", fields=write_fields(f)),
    ),
    Command(
        *("whole numbers of unknown meaning", "scale", ("int8, 4 dimensions", "dequantise='alphaearth'")),
        raster(bytes_(), nodata=-128),
    ),
    Command(
        *("AlphaEarth without saying so", "scale", ("64 dimensions of int8", "AlphaEarth", "dequantise='alphaearth'")),
        raster(bytes_(64), nodata=-128),
    ),
    Command(
        *("AlphaEarth of floats", "dequantise", ("float32", "leave dequantise out")),
        raster(floats(), "--dequantise", "alphaearth"),
    ),
    Command(
        *("AlphaEarth of larger numbers", "dequantise", ("values up to", "between -1 and 1", "scale and offset")),
        raster(floats().astype(np.int16) * 300 + 200, "--dequantise", "alphaearth", nodata=None),
    ),
    Command(
        *("an unknown coding", "dequantise", ("'presto'", "'alphaearth'")),
        raster(bytes_(), "--dequantise", "presto", nodata=-128),
    ),
    Command(*("a scale of nothing", "scale", ("0 makes", "0.004")), raster(bytes_(), "--scale", 0, nodata=-128)),
    Command(
        *("a scale beside AlphaEarth's", "scale", ("scale 0.5", "leave one of the two out")),
        raster(bytes_(), "--dequantise", "alphaearth", "--scale", 0.5, nodata=-128),
    ),
    Command(
        *("an offset of infinity", "offset", ("inf", "stored 0")), raster(bytes_(), "--offset", "inf", nodata=-128)
    ),
    Command("a scale that is no number", "embedding", ("scale or an offset", "gdal_edit"), unscaled),
    Command(
        *("an embedding without a place", "embedding", ("no coordinate reference system", "gdal_edit")),
        raster(floats(), crs=None),
    ),
    Command(
        *("fields beside the embedding", "fields", ("do not overlap", "EPSG:32630")),
        raster(floats(), fields=four_fields().translate(1e5, 0).to_frame("geometry").assign(crop=["a", "b"] * 2)),
    ),
    Command("tiles of an embedding", "embedding", ("several grids", "b.tif", "gdalbuildvrt"), two_grids),
    Command(
        *("two variables", "variable", ("clay, presto", "variable='clay'")),
        store(presto=floats(), clay=floats(1)),
    ),
    Command(
        *("no such variable", "variable", ("'prithvi'", "presto", "Name one")),
        store("--variable", "prithvi", presto=floats()),
    ),
    Command(
        *("two years", "date", ("2019-01-01, 2020-01-01", "date='2020'")),
        store(embedding=np.stack([floats(), floats(1)])),
    ),
    Command(
        *("another year", "date", ("0 of the dates lie in 2021", "2020-01-01", "Name one")),
        store("--date", "2021", embedding=np.stack([floats(), floats(1)])),
    ),
    Command(
        *("a variable of a GeoTIFF", "variable", ("E.tif is a GeoTIFF", "Leave variable out")),
        raster(floats(), "--variable", "embedding"),
    ),
    Command("columns of a raster", "columns", ("'e'", "Leave columns out"), raster(floats(), "--columns", "e")),
    Command(
        *("a raster without fields", "fields", ("no fields are given", "Give polygons")),
        lambda f, _: typed(f, write_image(f / "E.tif", floats())),
    ),
    Command(
        *("no embedding in the fields", "embedding", ("none of 64", "dimension 1 (100%)", "covers the fields")),
        raster(masked(), "--dequantise", "alphaearth", nodata=-128),
    ),
    Command(
        *("one embedding everywhere", "embedding", ("all 64 embeddings are alike, 0 in", "nodata")),
        raster(np.zeros(SHAPE, np.float32)),
    ),
    Command(
        *("no such column of the fields", "label", ("no column 'crp'", "crop", "Name one")),
        raster(floats(), "--label", "crp"),
    ),
    Command(
        *("fields of one class", "label", ("'Wheat' alone", "Two or more")),
        raster(floats(), fields=four_fields(["Wheat"] * 4)),
    ),
    Command(
        *("more clusters than embeddings", "clusters", ("999 clusters cannot be made of 32", "add fields")),
        raster(floats(), "--clusters", 999),
    ),
    Command("an embedding over other things", "out", ("other things",), raster(floats(), "--out", "FOLDER")),
    Command("images that are not there", "images", ("matches no file", "Looked for"), absent_images),
    Command(
        *("images beside an array", "images", ("beside an array", "as a raster")),
        array("--images", "FOLDER/no", embedding=E, **ABOUT),
    ),
    Command(
        *("an array without labels", "label", ("'crop' or 'label'", "embedding", "or add it")),
        array(embedding=E, field=FIELD),
    ),
    Command(*("an array without fields", "fields", ("no 'field'", "np.arange(n)")), array(embedding=E, label=LABEL)),
    Command(
        *("labels of another length", "label", ("(31,)", "32 embeddings", "same order")),
        array(embedding=E, label=LABEL[1:], field=FIELD),
    ),
    Command(
        *("a table of another length", "fields", ("31 rows", "32 embeddings", "same order")),
        array(embedding=E, suffix="npy", known={"crop": LABEL[1:], "field": FIELD[1:]}),
    ),
    Command("polygons for an array", "fields", ("fields.gpkg is no table", ".csv or .parquet"), polygons_for_an_array),
    Command(
        *("labels that are objects", "embedding", ("cannot be read by numpy", "label.astype(str)")),
        array(embedding=E, label=LABEL.astype(object), field=FIELD),
    ),
    Command(
        *("a field of two classes", "label", ("1 fields have several labels", "7: Maize, Wheat", "one label")),
        array(embedding=E, label=np.where(np.arange(32) == 28, "Wheat", LABEL), field=FIELD),
    ),
    Command(
        *("an array of one axis", "embedding", ("no embedding among", "(32,)", "embedding (n, d)")),
        array(embedding=E[:, 0], **ABOUT),
    ),
    Command(
        *("columns of two embeddings", "embedding", ("several embeddings", "columns='a'")),
        array(suffix="parquet", a1=E[:, 0], a2=E[:, 1], b1=E[:, 2], b2=E[:, 3], **ABOUT),
    ),
    Command(
        *("no such columns", "columns", ("nothing called 'z'", "Give an .npz")),
        array("--columns", "z", suffix="parquet", a1=E[:, 0], **ABOUT),
    ),
    Command("an array cut short", "embedding", ("cannot be read by numpy",), cut_short),
    Command("report without an encoder", "run", ("no encoder", "--overwrite"), other_verb("report")),
    Command("evaluation without an encoder", "run", ("no encoder", "Adopt again"), other_verb("evaluate")),
    Command("rerun without an encoder", "run", ("no encoder", "Adopt again"), other_verb("rerun")),
    Command(
        *("a map without an encoder", "run", ("no encoder", "other ground")),
        other_verb("map", "--images", "FOLDER/no"),
    ),
]
