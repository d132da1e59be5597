"""Which series belong to which crop?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from sitscope.cube.fields import Fields, field_of_pixels, read_fields, shrunk
from sitscope.cube.gaps import filled_in_time
from sitscope.cube.grid import Grid
from sitscope.cube.names import few, iso
from sitscope.errors import BadInput

# n series, c bands, t dates, f fields


def sample(
    cube: xr.DataArray,
    fields: Fields,
    *,
    label: str = "crop",
    buffer: float | int = 0.0,
    min_pixels: int = 1,
    max_pixels: int | None = None,
    unlabelled: int = 0,
    fill: bool = False,
    seed: int = 0,
) -> xr.Dataset:
    """Take the series of the pixels whose centres lie in fields.

    Args:
        cube: as open_cube gives it.
        fields: polygons with a class each, any vector file or GeoDataFrame, in any reference system.
        label: the column that holds the class; empty cells are unlabelled.
        buffer: metres taken off each field inward, where pixels mix with the neighbour's.
        min_pixels: fields with fewer pixels are left out.
        max_pixels: at most so many pixels of each field, drawn at random.
        unlabelled: at most so many pixels from outside all fields or from fields without a label, drawn at random.
        fill: gaps linearly in time, and before the first and after the last value with that value; a series with fewer
            than two values in a band is dropped. Without it, a series with any gap is dropped.
        seed: of the draws.

    Returns:
        x (series, band, time) float32 in the cube's units; label ("" = unlabelled), field (position in the file from 0,
        -1 = none), row and col in the cube, by series; missing (time), the share of the pixels taken, of those with
        any value, that had none in some band; with fill also filled (series, time). Attributes units, dropped (number
        of series), fields_left_out.

    Raises:
        BadInput: fields that cannot be read, have no reference system, lie elsewhere or are all too small; a column
            that is not there; fewer than two classes; no series without gaps.

    >>> import geopandas, shapely
    >>> times = np.array(["2017-01-03", "2017-01-09"], "datetime64[ns]")
    >>> coords = {"time": times, "band": ["VV"], "y": [15.0, 5.0], "x": [5.0, 15.0, 25.0]}
    >>> cube = xr.DataArray(np.zeros((2, 1, 2, 3), "float32"), coords).rio.write_crs("EPSG:32630")
    >>> shapes = [shapely.box(0, 0, 10, 20), shapely.box(10, 0, 30, 20)]
    >>> fields = geopandas.GeoDataFrame({"crop": ["Wheat", "Maize"]}, geometry=shapes, crs="EPSG:32630")
    >>> series = sample(cube, fields)
    >>> dict(series.x.sizes), series.label.values.tolist()
    ({'series': 6, 'band': 1, 'time': 2}, ['Wheat', 'Maize', 'Maize', 'Wheat', 'Maize', 'Maize'])
    """
    grid = Grid.of(cube)
    options: dict[str, Any] = {"buffer": buffer, "min_pixels": min_pixels, "max_pixels": max_pixels}
    options["unlabelled"] = unlabelled
    pixels, owner, labels, left_out = pixels_in_fields(grid, fields, label=label, seed=seed, **options)
    series = without_gaps(_series(cube, pixels, owner, labels), fill)
    left = np.unique(series.field.values[series.label.values != ""])
    refuse_one_class([labels[i] for i in left], label, "have a series without gaps")
    return series.assign_attrs(fields_left_out=left_out)


def pixels_in_fields(
    grid: Grid,
    fields: Fields,
    *,
    label: str,
    buffer: float | int,
    min_pixels: int,
    max_pixels: int | None,
    unlabelled: int,
    seed: int,
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, "y x"], list[str], int]:
    """The pixels that `sample` takes: flat positions in order, the field of every pixel (-1 = none), the label of every
    field, and how many fields are left out. The same draws for the same grid, whatever lies on it.
    """
    most = 1 if max_pixels is None else max_pixels
    refuse_below(buffer=(buffer, 0), min_pixels=(min_pixels, 1), max_pixels=(most, 1), unlabelled=(unlabelled, 0))
    rng = np.random.default_rng(seed)
    shapes, labels = read_fields(fields, label, grid)
    owner = field_of_pixels(shrunk(shapes, buffer), grid)
    kept = kept_fields(owner, len(labels), min_pixels, buffer)
    pixels = labelled_pixels(owner, kept, labels, label, max_pixels, rng)
    if unlabelled:
        outside = field_of_pixels(shapes, grid) if buffer else owner  # a margin is not outside
        pixels = np.append(pixels, _unlabelled(outside, owner, labels, unlabelled, rng))
    return np.sort(pixels), owner, labels, int((~kept).sum())


def refuse_below(**numbers: tuple[float | int, int]) -> None:
    for argument, (value, least) in numbers.items():
        if value < least:
            raise BadInput(argument, f"{value:g} is too small. Give {least} or more.")


def kept_fields(owner: Int[np.ndarray, "y x"], f: int, min_pixels: int, buffer: float | int) -> Bool[np.ndarray, " f"]:
    """Fields with enough pixels; BadInput where none has."""
    counts = np.bincount(owner[owner >= 0], minlength=f)
    kept = counts >= max(1, min_pixels)
    if not kept.any():
        argument = "buffer" if buffer else "min_pixels"
        taken = f" once {buffer:g} m are taken off inward" if buffer else ""
        raise BadInput(
            argument,
            f"all {f} fields are too small{taken}: the largest has {counts.max()} pixels, and at least "
            f"{max(1, min_pixels)} are asked for. Lower buffer or min_pixels.",
        )
    return kept


def refuse_one_class(labels: Sequence[str], column: str, which: str) -> None:
    classes = sorted(set(labels))
    if len(classes) < 2:
        found = f"{classes[0]!r} alone, in all {len(labels)} fields" if classes else "no label at all in the fields"
        remedy = "Two or more classes are needed: choose another column, or more fields."
        raise BadInput("label", f"the column {column!r} holds {found} that {which}. {remedy}")


def labelled_pixels(
    owner: Int[np.ndarray, "y x"],
    kept: Bool[np.ndarray, " f"],
    labels: list[str],
    column: str,
    most: int | None,
    rng: np.random.Generator,
) -> Int[np.ndarray, " n"]:
    """Flat positions of the pixels of the fields with a label, at most so many of each; BadInput for one class."""
    named = kept & np.array([bool(text) for text in labels])
    refuse_one_class([labels[i] for i in np.flatnonzero(named)], column, "lie in the images")
    pixels = np.flatnonzero(np.append(named, False)[owner.ravel()])  # -1 takes the last
    if most is None:
        return pixels
    mixed = rng.permutation(pixels)
    fields = owner.ravel()[mixed]
    order = np.argsort(fields, kind="stable")
    first = np.searchsorted(fields[order], fields[order])  # where each one's field begins
    return mixed[order][np.arange(order.size) - first < most]


def _unlabelled(
    outside: Int[np.ndarray, "y x"], owner: Int[np.ndarray, "y x"], labels: list[str], n: int, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """Flat positions of at most n pixels outside all fields, or in fields without a label."""
    nameless = np.array([not text for text in labels] + [False])
    pool = np.flatnonzero((outside.ravel() < 0) | nameless[owner.ravel()])
    return rng.choice(pool, min(n, pool.size), replace=False)


def _series(
    cube: xr.DataArray, pixels: Int[np.ndarray, " n"], owner: Int[np.ndarray, "y x"], labels: list[str]
) -> xr.Dataset:
    """The values at these flat positions, in one pass over the blocks that hold any."""
    x = at_pixels(cube, pixels, owner.shape[1]).transpose("series", "band", "time")
    by_pixel = described(pixels, owner, labels)
    overlap = "the first field of the file holds a pixel that lies in several"
    series = xr.Dataset({"x": x.astype("float32").compute(), **by_pixel})
    return series.assign_attrs(units=cube.attrs.get("units", ""), overlap=overlap)


def at_pixels(cube: xr.DataArray, pixels: Int[np.ndarray, " n"], width: int) -> xr.DataArray:
    """The values at these flat positions along an axis series, lazy where the cube is."""
    rows, columns = np.divmod(pixels, width)
    at = {"y": xr.DataArray(rows, dims="series"), "x": xr.DataArray(columns, dims="series")}
    return cube.isel(at).drop_vars(["y", "x", "spatial_ref"], errors="ignore")


def described(
    pixels: Int[np.ndarray, " n"], owner: Int[np.ndarray, "y x"], labels: list[str]
) -> dict[str, tuple[str, np.ndarray]]:
    """Label, field and place of the series at these flat positions."""
    field, (rows, columns) = owner.ravel()[pixels], np.divmod(pixels, owner.shape[1])
    return {
        "label": ("series", np.array([*labels, ""])[field]),
        "field": ("series", field.astype("int64")),
        "row": ("series", rows.astype("int64")),
        "col": ("series", columns.astype("int64")),
    }


def without_gaps(series: xr.Dataset, fill: bool) -> xr.Dataset:
    """Series without a gap, or with gaps filled; the share missing on each date is kept beside them."""
    x = series.x.values
    gaps = np.isnan(x)
    missing = gaps.any(axis=1)  # (n, t)
    seen = ~gaps.all(axis=(1, 2))  # a pixel without any value lies beside the images: no date is to blame
    share = (missing[seen] if seen.any() else missing).mean(axis=0)
    whole = (~gaps).sum(axis=2).min(axis=1) >= 2 if fill else ~missing.any(axis=1)
    if not whole.any():
        _refuse_all_missing(share, series.time.values, fill)
    if fill:
        series["x"] = series.x.copy(data=filled_in_time(x, series.time.values))
        series["filled"] = (("series", "time"), missing)
    series = series.assign_coords(missing=("time", share))
    series.attrs["dropped"] = int((~whole).sum())
    return series.isel(series=np.flatnonzero(whole))


def _refuse_all_missing(share: Float[np.ndarray, " t"], times: np.ndarray, fill: bool) -> None:
    empty = np.flatnonzero(share == 1)
    worst = empty if empty.size else np.argsort(-share, kind="stable")[:4]
    dates = few((f"{iso(times[i])} ({share[i]:.0%} missing)" for i in np.sort(worst)), 6)
    what = f"{empty.size} dates hold nothing but nodata in the fields" if empty.size else "every series has a gap"
    remedy = "Leave these images out" if fill else "Leave these images out, or fill gaps linearly in time: fill=True"
    raise BadInput("images", f"{what}: {dates}. {remedy}.")
