"""Mistakes that users make with images and fields: what to do to make one, and what must then be said."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr
from affine import Affine
from rasterio.shutil import copy

from small_scenes import DATES, NORTH, PIXEL, WEST, decibels, four_fields, write_fields, write_image, write_stack

Files = tuple[Any, Path]
"""What is given as images, and as fields."""


@dataclass(frozen=True)
class Mistake:
    """One mistake, made in an empty folder."""

    name: str
    """as a test's id"""
    argument: str
    """which argument is to blame"""
    says: tuple[str, ...]
    """what the message must hold: the values found, then the remedy"""
    make: Callable[[Path], Files]
    """writes images and fields into a folder"""
    options: dict[str, Any] = field(default_factory=dict)
    """arguments of open_cube, sample and split_by_field, as the command line has them too"""
    before: bool = True
    """whether it can be seen before computing"""


def good(folder: Path, **stack: Any) -> Files:
    """No mistake yet."""
    write_stack(folder, **stack)
    return folder, write_fields(folder)


def with_fields(fields: Callable[[], gpd.GeoDataFrame]) -> Callable[[Path], Files]:
    """Good images, and these fields."""

    def make(folder: Path) -> Files:
        write_stack(folder)
        return folder, write_fields(folder, fields())

    return make


def with_extra(write: Callable[[Path], Any], **stack: Any) -> Callable[[Path], Files]:
    """Good images, and something more in their folder."""

    def make(folder: Path) -> Files:
        files = good(folder, **stack)
        write(folder)
        return files

    return make


def no_images(folder: Path) -> Files:
    (folder / "notes.txt").write_text("images to come")
    return folder, write_fields(folder)


def netcdf(folder: Path, change: Callable[[xr.Dataset], xr.Dataset]) -> Files:
    coords = {"time": pd.to_datetime(DATES), "y": NORTH - 10.0 * np.arange(8), "x": WEST + 10.0 * np.arange(10)}
    vv = xr.DataArray(decibels(0, (5, 8, 10)), coords, ("time", "y", "x"), attrs={"units": "dB"})
    change(xr.Dataset({"vv": vv}).rio.write_crs("EPSG:32630")).to_netcdf(folder / "cube.nc", engine="h5netcdf")
    return folder / "cube.nc", write_fields(folder)


def no_values(folder: Path, dates: tuple[str, ...], where: Any) -> None:
    for date in dates:
        values = decibels()
        values[where] = np.nan
        write_image(folder / f"S1_{date.replace('-', '')}T063000_VV.tif", values, tags=DB | {"RELATIVE_ORBIT": "74"})


def gaps_everywhere(folder: Path) -> Files:
    files = good(folder, bands=("VV",))
    no_values(folder, DATES[:1], slice(0, 4))
    no_values(folder, DATES[2:3], slice(4, 8))
    return files


def two_orbits(folder: Path, **other: Any) -> Files:
    write_stack(folder, dates=DATES[:3], tags=other.get("first"))
    write_stack(folder, dates=DATES[3:], tags=other["second"], clock=other.get("clock", "063000"))
    return folder, write_fields(folder)


def truncated(folder: Path) -> Files:
    files = good(folder)
    image = folder / "S1_20170115T063000_VV.tif"
    copy(image, folder / "cog.tif", driver="COG")  # its tags come first, as in files that are read from afar
    image.write_bytes((folder / "cog.tif").read_bytes()[:-200])
    (folder / "cog.tif").unlink()
    return files


def far_away() -> gpd.GeoDataFrame:
    return four_fields().set_crs("EPSG:32631", allow_override=True).to_crs("EPSG:4326")


def shapefile_without_system(folder: Path) -> Path:
    four_fields().to_file(folder / "fields.shp")
    (folder / "fields.prj").unlink()
    return folder / "fields.shp"


def unnamed(folder: Path) -> Files:
    write_image(folder / "S1_20170103T063000.tif", decibels(0, (2, 8, 10)), tags={"units": "dB"})
    return folder, write_fields(folder)


VV = "S1_20170202T063000_VV.tif"
DB = {"units": "dB"}
SHIFTED = Affine(PIXEL, 0, WEST + 30, 0, -PIXEL, NORTH)
ROTATED = Affine(PIXEL, 1, WEST, 1, -PIXEL, NORTH)

IMAGES = [
    Mistake("no images", "images", ("notes.txt", "Looked for", "GeoTIFF"), no_images),
    Mistake(
        "glob without a match",
        "images",
        ("S2*.tif", "10 x .tif", "Looked for"),
        lambda f: (str(f / "S2*.tif"), good(f)[1]),
    ),
    Mistake("not an image", "images", ("fields.gpkg", "Looked for"), lambda f: good(f)[1:] * 2),
    Mistake(
        *("several kinds of images", "images", ("10 GeoTIFF", "1 NetCDF", "Choose")),
        with_extra(lambda folder: (folder / "cube.nc").write_text("")),
    ),
    Mistake(
        *("unreadable image", "images", (VV, "cannot be read", "Copy it again")),
        with_extra(lambda folder: (folder / VV).write_text("not a TIFF")),
    ),
    Mistake("truncated image", "images", ("S1_20170115T063000_VV.tif", "cannot be read", "Copy it again"), truncated),
    Mistake(
        *("no date in the name", "images", ("dem.tif", "1 file", "S1_20170103T063000_VV.tif")),
        with_extra(lambda folder: write_image(folder / "dem.tif", decibels())),
    ),
    Mistake(
        *("name and tag of other dates", "images", ("2017-02-02", "2018-02-02", "Correct")),
        with_extra(lambda folder: write_image(folder / VV, decibels(), tags={**DB, "ACQUISITION_TIME": "2018-02-02"})),
    ),
    Mistake(
        *("a date twice", "images", ("VV", "2017-01-03T06:30", "S1A_20170103T063000_VV.tif", "Keep one")),
        with_extra(lambda folder: write_image(folder / "S1A_20170103T063000_VV.tif", decibels(), tags=DB)),
    ),
    Mistake(
        *("a band missing on a date", "images", ("VH", "1 of 6 dates", "2017-02-02", "bands=['VV']")),
        with_extra(lambda folder: write_image(folder / VV, decibels(), tags=DB | {"RELATIVE_ORBIT": "74"})),
    ),
    Mistake(
        *("different grids", "images", (VV, "500000", "500030", "--like most")),
        with_extra(lambda folder: write_image(folder / VV, decibels(), transform=SHIFTED)),
    ),
    Mistake(
        *("different reference systems", "images", (VV, "EPSG:32630", "EPSG:32631", "--like most")),
        with_extra(lambda folder: write_image(folder / VV, decibels(), crs="EPSG:32631")),
    ),
    Mistake(
        *("no reference system", "images", (VV, "no coordinate reference system", "gdal_edit")),
        with_extra(lambda folder: write_image(folder / VV, decibels(), crs=None)),
    ),
    Mistake(
        *("rotated image", "images", (VV, "rotated", "gdalwarp")),
        with_extra(lambda folder: write_image(folder / VV, decibels(), transform=ROTATED)),
    ),
    Mistake(
        *("complex numbers", "images", (VV, "complex", "sigma0")),
        with_extra(lambda folder: write_image(folder / VV, decibels().astype("complex64"), nodata=None)),
    ),
    Mistake("layers without names", "bands", ("S1_20170103T063000.tif", "2 layer", "bands=['VV', 'VH']"), unnamed),
    Mistake(
        *("too few names for the layers", "bands", ("2 layer", "1 are given", "bands=['VV', 'VH']"), unnamed),
        options={"bands": ["VV"]},
    ),
    Mistake("unknown band", "bands", ("HH", "VH, VV", "Name these"), good, {"bands": ["HH"]}),
    Mistake("a band asked twice", "bands", ("VV, VV", "once"), good, {"bands": ["VV", "VV"]}),
    Mistake("start after all", "start", ("2018-01-01", "2017-01-03T06:30:00", "Choose"), good, {"start": "2018-01-01"}),
    Mistake("end before all", "end", ("2016-01-01", "2017-01-27T06:30:00", "Choose"), good, {"end": "2016-01-01"}),
    Mistake("start is no date", "start", ("'3 May'", "2018-11-25"), good, {"start": "3 May"}),
    Mistake("unknown units", "units", ("VV", "units='dB' or units='linear'"), lambda folder: good(folder, tags={})),
    Mistake(
        *("units that mean nothing here", "units", ("amplitude", "units='dB' or units='linear'")),
        lambda folder: good(folder, tags={"units": "amplitude"}),
    ),
    Mistake("units asked in vain", "units", ("'watt'", "units='dB' or units='linear'"), good, {"units": "watt"}),
    Mistake(
        *("linear called dB", "units", ("dB", "0% of the values", "Say units='linear'")),
        lambda folder: good(folder, linear=True, tags=DB),
    ),
    Mistake("dB called linear", "units", ("100% of the values", "Say units='dB'"), good, {"units": "linear"}),
    Mistake(
        *("some dB, some linear", "units", ("'dB'", "'linear'", "units='dB' or units='linear'")),
        lambda folder: two_orbits(folder, first=DB, second={"units": "linear"}),
    ),
    Mistake(
        *("units for no radar", "units", ("NDVI", "Leave units out")),
        *(lambda folder: good(folder, bands=("NDVI",)), {"units": "dB"}),
    ),
    Mistake(
        *("two orbits by tag", "orbit", ("74 (3 dates)", "147 (2 dates)", "orbit='74'")),
        lambda folder: two_orbits(folder, second=DB | {"RELATIVE_ORBIT": "147"}),
    ),
    Mistake(
        *("two orbits by direction", "orbit", ("ascending (3 dates)", "descending (2 dates)", "orbit='ascending'")),
        lambda folder: two_orbits(
            folder, first=DB | {"ORBIT_PASS": "ASCENDING"}, second=DB | {"ORBIT_PASS": "DESCENDING"}
        ),
    ),
    Mistake(
        *("two orbits by the time of day", "orbit", ("06:30 (3 dates)", "06:38 (2 dates)", "orbit='06:30'")),
        lambda folder: two_orbits(folder, first=DB, second=DB, clock="063812"),
    ),
    Mistake("unknown orbit", "orbit", ("'88'", "74 (5 dates)", "Name one"), good, {"orbit": "88"}),
    Mistake(
        *("no NetCDF", "images", ("cube.nc", "NetCDF", "Copy it again")),
        lambda folder: ((folder / "cube.nc").write_bytes(b"\x89HDF but no more") and folder, write_fields(folder)),
    ),
    Mistake(
        *("NetCDF without dates", "images", ("vv (number, y, x)", "time, y and x")),
        lambda folder: netcdf(folder, lambda dataset: dataset.rename(time="number")),
    ),
    Mistake(
        *("NetCDF without a reference system", "images", ("no coordinate reference system", "write_crs")),
        lambda folder: netcdf(folder, lambda dataset: dataset.drop_vars("spatial_ref")),
    ),
    Mistake(
        *("NetCDF without units", "units", ("VV", "units='dB' or units='linear'")),
        lambda folder: netcdf(folder, lambda dataset: dataset.assign(vv=dataset.vv.drop_attrs())),
    ),
]

FIELDS = [
    Mistake("no fields file", "fields", ("no.gpkg", "GeoPackage"), lambda f: (good(f)[0], f / "no.gpkg")),
    Mistake(
        *("an image for fields", "fields", ("S1_20170103T063000_VV.tif", "GeoPackage")),
        lambda folder: (good(folder)[0], folder / "S1_20170103T063000_VV.tif"),
    ),
    Mistake(
        "no field in the file", "fields", ("0 rows", "crop", "Give polygons"), with_fields(lambda: four_fields()[:0])
    ),
    Mistake(
        *("fields without a reference system", "fields", ("no coordinate reference system", "set_crs")),
        lambda folder: (good(folder)[0], shapefile_without_system(folder)),
    ),
    Mistake(
        *("fields elsewhere", "fields", ("EPSG:4326", "EPSG:32630", "500000", "do not overlap", "Check")),
        with_fields(far_away),
    ),
    Mistake("no such column", "label", ("'crp'", "crop, owner", "Name one"), good, {"label": "crp"}),
    Mistake(
        *("one class only", "label", ("'Wheat' alone", "4 fields", "another column")),
        with_fields(lambda: four_fields(["Wheat"] * 4)),
    ),
    Mistake(
        *("no label at all", "label", ("no label at all", "another column")),
        with_fields(lambda: four_fields([None, "", None, ""])),
    ),
    Mistake("margin too wide", "buffer", ("all 4 fields", "25 m", "0 pixels", "Lower"), good, {"buffer": 25.0}),
    Mistake("margin outward", "buffer", ("-5", "Give 0 or more"), good, {"buffer": -5.0}),
    Mistake("fields too small", "min_pixels", ("all 4 fields", "16 pixels", "17", "Lower"), good, {"min_pixels": 17}),
    Mistake("fields of no pixel", "max_pixels", ("0", "Give 1 or more"), good, {"max_pixels": 0}),
    Mistake(
        *("a date of nothing but nodata", "images", ("1 dates", "2017-01-09T06:30:00 (100% missing)", "fill=True")),
        with_extra(lambda folder: no_values(folder, DATES[1:2], slice(None)), bands=("VV",)),
    ),
    Mistake(
        *(
            "a gap in every series",
            "images",
            ("every series has a gap", "2017-01-15T06:30:00 (50% missing)", "fill=True"),
        ),
        gaps_everywhere,
    ),
    Mistake(
        *(
            "gaps that leave one class",
            "label",
            ("'Maize' alone", "2 fields that have a series without gaps", "more fields"),
        ),
        with_extra(lambda folder: no_values(folder, DATES[1:2], (slice(None), slice(0, 5))), bands=("VV",)),
    ),
    Mistake("no share to test on", "test", ("1.5", "between 0 and 1"), good, {"test": 1.5}),
    Mistake(
        *("no class with two fields", "fields", ("A 1, B 1, C 1, D 1", "Add fields")),
        with_fields(lambda: four_fields(["A", "B", "C", "D"])),
    ),
]

MISTAKES = IMAGES + FIELDS
