"""A Sentinel-1 scene whose answer is known: what was sown where, and which dates part which crops.

Shapes: f fields, t dates, 2 polarisations (VV, VH), an image of y by x pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import rioxarray  # noqa: F401  (gives .rio)
import xarray as xr
from affine import Affine
from jaxtyping import Float32, Float64

from sitscope.errors import BadInput
from sitscope.simulation.backscatter import POLARISATIONS, render
from sitscope.simulation.crops import CROPS, DATES, EPOCH, VERGE, Crop
from sitscope.simulation.layout import Layout, lay_out
from sitscope.simulation.season import LEAST_FIELDS, Season, draw_season, draw_weather, share_out
from sitscope.simulation.sensor import acquire
from sitscope.simulation.truth import parting, separability

CRS = "EPSG:32629"
CORNER = (752_000.0, 4_098_000.0)
"""Left and top of the image, m: the lower Guadalquivir."""
PIXEL_M = 10.0
TRANSFORM = Affine(PIXEL_M, 0, CORNER[0], 0, -PIXEL_M, CORNER[1])
ORBIT = {"RELATIVE_ORBIT": "154", "ORBIT_DIRECTION": "DESCENDING"}
"""A morning pass over Seville; nothing depends on it."""
PHASES = ("sow", "full", "fade", "clear")

Progress = Callable[[int, int], object]
"""Called with what is done and what there is to do."""


@dataclass(frozen=True)
class Scene:
    """Images, fields and truth of one simulated year."""

    cube: xr.DataArray
    """(time, band, y, x) sigma0, dB, float32; NaN on tracks and canals."""
    fields: gpd.GeoDataFrame
    """field_id, crop, geometry."""
    truth: pd.DataFrame
    """class_a, class_b, date, jm: how well each date parts each pair of crops; see `separability`."""
    parting: pd.DataFrame
    """class, date, jm_mean, jm_least, nearest: how well each date parts each crop from the rest; see `parting`."""
    calendar: pd.DataFrame
    """field_id, crop, and the dates sow, full, fade, clear of each field."""
    clean_db: Float64[np.ndarray, "2 f t"]
    """Each field without noise, dB."""
    seed: int


def simulate(
    fields: int = 900,
    field_px: float | int = 14,
    enl: float | int = 20,
    seed: int = 0,
    crops: tuple[Crop, ...] = CROPS,
    progress: Progress | None = None,
) -> Scene:
    """Simulate 61 acquisitions of 2017 in VV and VH over an irrigated plain with 16 crops.

    fields: how many; each crop gets its share, and three at least.
    field_px: mean side of a field, pixels of 10 m.
    enl: equivalent number of looks, 15 to 30 for images as one usually prepares them.
    seed: of weather, calendar, layout and speckle.
    crops: what grows; replace one to see what its calendar does to the rest.
    progress: called with (dates done, dates).

    Raises BadInput where no scene can be made of that.

    >>> scene = simulate(fields=48, field_px=8)
    >>> scene.cube.dims, scene.fields.crop.nunique()
    (('time', 'band', 'y', 'x'), 16)
    """
    _check(fields, field_px, enl, seed, crops)
    layout_rng, season_rng, speckle_rng = (np.random.default_rng([seed, i]) for i in range(3))
    crop = layout_rng.permutation(np.repeat(np.arange(len(crops)), share_out(fields, crops)))
    layout = lay_out(fields, field_px, layout_rng)
    weather = draw_weather(season_rng)
    season = draw_season(crop, crops, season_rng)
    verge = draw_season(np.zeros(1, dtype=np.int64), (VERGE,), season_rng)
    days = (DATES - EPOCH) / np.timedelta64(1, "D")
    clean = render(season, weather, days)
    ground = np.concatenate([clean, render(verge, weather, days)], axis=1)  # the verge is field -1
    cube = _cube(acquire(ground, layout.label, enl, speckle_rng, progress))
    truth = separability(crops, weather, days, enl, seed)
    return Scene(
        cube=cube,
        fields=_fields(layout, season),
        truth=truth,
        parting=parting(truth, crops),
        calendar=_calendar(season),
        clean_db=10 * np.log10(clean),
        seed=seed,
    )


def _check(fields: int, field_px: float | int, enl: float | int, seed: int, crops: tuple[Crop, ...]) -> None:
    if fields < LEAST_FIELDS * len(crops):
        raise BadInput(
            "fields",
            f"{fields} fields are too few for {len(crops)} crops; each needs {LEAST_FIELDS} to be learned and tested. "
            f"Ask for {LEAST_FIELDS * len(crops)} or more.",
        )
    if not field_px >= 4:
        raise BadInput("field_px", f"a field of {field_px} pixels a side is all edge. Ask for 4 or more.")
    if not enl >= 1:
        raise BadInput("enl", f"{enl} looks: one look is the least there is. Images are usually prepared to 15 to 30.")
    if seed < 0:
        raise BadInput("seed", f"{seed} is negative. Give 0 or more.")


def _cube(images: Float32[np.ndarray, "t 2 y x"]) -> xr.DataArray:
    _, _, height, width = images.shape
    left, top = CORNER
    cube = xr.DataArray(
        images,
        dims=("time", "band", "y", "x"),
        coords={
            "time": DATES,
            "band": list(POLARISATIONS),
            "orbit": ("time", [ORBIT["RELATIVE_ORBIT"]] * len(DATES)),
            "y": top - PIXEL_M * (np.arange(height) + 0.5),
            "x": left + PIXEL_M * (np.arange(width) + 0.5),
        },
        name="backscatter",
        attrs={"units": "dB"},
    )
    return cube.rio.write_crs(CRS)


def _fields(layout: Layout, season: Season) -> gpd.GeoDataFrame:
    columns = {"field_id": np.arange(1, len(season.crop) + 1), "crop": season.names}
    return gpd.GeoDataFrame(columns, geometry=layout.polygons(*CORNER, PIXEL_M), crs=CRS)


def _calendar(season: Season) -> pd.DataFrame:
    dates = {k: EPOCH + (getattr(season, k) * 86400e9).astype("timedelta64[ns]") for k in PHASES}
    return pd.DataFrame({"field_id": np.arange(1, len(season.crop) + 1), "crop": season.names, **dates})


def write_scene(scene: Scene, folder: str | Path, progress: Progress | None = None) -> None:
    """Write what a user would have, and what only a simulator knows.

    folder: made where it is missing. It gets
        S1_20170103T063000_VV.tif and so on, one GeoTIFF for each acquisition and polarisation: sigma0 in dB, float32,
        nodata NaN, with tags for time, polarisation, units and orbit; fields.gpkg with field_id and crop;
        truth.csv (pairs of classes), truth_classes.csv and calendar.csv.
    progress: called with (images done, images).

    Raises BadInput where `folder` is a file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_scene(simulate(fields=48, field_px=8), folder)
    ...     len(list(Path(folder).glob("S1_*.tif")))
    122
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BadInput("out", f"{folder} is a file. Name a folder; it is made where it is missing.")
    folder.mkdir(parents=True, exist_ok=True)
    images = [image for date in scene.cube for image in date]
    for done, image in enumerate(images, start=1):
        _write_image(image, folder)
        if progress:
            progress(done, len(images))
    scene.fields.to_file(folder / "fields.gpkg", driver="GPKG")
    for name, table in (("truth", scene.truth), ("truth_classes", scene.parting), ("calendar", scene.calendar)):
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.4f", date_format="%Y-%m-%d")


def _write_image(image: xr.DataArray, folder: Path) -> None:
    """One acquisition in one polarisation."""
    time, band = np.datetime_as_string(image.time.values, unit="s"), str(image.band.values)
    height, width = image.shape
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "nodata": np.nan, "height": height, "width": width}
    layout = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "predictor": 3, "zlevel": 1}
    path = folder / f"S1_{time.replace('-', '').replace(':', '')}_{band}.tif"
    with rasterio.open(path, "w", crs=CRS, transform=TRANSFORM, **profile, **layout) as target:
        target.write(image.values, 1)
        target.update_tags(ACQUISITION_TIME=f"{time}Z", POLARISATION=band, units="dB", **ORBIT)
        target.set_band_description(1, band)
        target.set_band_unit(1, "dB")
