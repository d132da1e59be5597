"""Any cube that a user may have: opened as it is, and mapped alike at once, lazily and in a loop, to the last bit.

The loop is the definition: for each pixel the values of the object that was given, missing ones found, in dB, in order
of time, put through the function alone.
"""

from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from rasterio.crs import CRS

from sitscope.cube import over
from sitscope.cube.over import over_pixels
from sitscope.cube.reading import open_cube

UNITS = ("s", "ms", "us", "ns")  # what xarray keeps; of days it makes seconds
SYSTEMS: dict[str, tuple[Any, float]] = {
    "UTM": ("EPSG:32630", 10.0),
    "degrees": ("EPSG:4326", 0.001),
    "Lambert": ("EPSG:2154", 20.0),
    "Mercator": ("EPSG:3857", 30.0),
    "of one's own": ("+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m", 100.0),
}
NODATA = -32768


@some.composite
def images(draw: some.DrawFn) -> xr.Dataset:
    """Bands on dates, rows and columns: types, orders, gaps, units of time, reference systems, chunks."""
    t, rows, columns = draw(some.integers(2, 5)), draw(some.integers(1, 7)), draw(some.integers(1, 7))
    kind = draw(some.sampled_from(["float32", "float64", "int16"]))
    bands = draw(some.sampled_from([("VV",), ("VV", "VH"), ("NDVI", "B04"), ("VH", "NDVI")]))
    linear = kind != "int16" and draw(some.booleans())
    system, pixel = SYSTEMS[draw(some.sampled_from(sorted(SYSTEMS)))]
    days = draw(some.permutations(sorted(draw(some.sets(some.integers(0, 3000), min_size=t, max_size=t)))))
    times = (np.datetime64("2016-01-01") + np.array(days)).astype(f"datetime64[{draw(some.sampled_from(UNITS))}]")
    y = 50 + pixel * np.arange(rows) * draw(some.sampled_from([1, -1]))
    x = 10 + pixel * np.arange(columns)
    rng = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    share = draw(some.sampled_from([0.0, 0.05, 0.5, 1.0]))
    pattern = draw(some.sampled_from(["values", "dates", "pixels"]))
    variables = {}
    for band in bands:
        radar = band in ("VV", "VH")
        values = rng.normal(-12, 2, (t, rows, columns)) * (100 if kind == "int16" else 1)
        values = 10 ** (values / 10) if linear and radar else values
        shape = {"values": values.shape, "dates": (t, 1, 1), "pixels": (1, rows, columns)}[pattern]
        gone = np.broadcast_to(rng.random(shape) < share, values.shape)
        attrs = {"units": "linear" if linear else "dB"} if radar else {}
        if kind == "int16":
            values, attrs = np.where(gone, NODATA, np.rint(values)), attrs | {"nodata": NODATA}
        else:
            values = np.where(gone, np.nan, values)
        variables[band] = (("time", "y", "x"), values.astype(kind), attrs)
    found = xr.Dataset(variables, {"time": times, "y": y, "x": x}).rio.write_crs(CRS.from_user_input(system))
    if draw(some.booleans()):
        sizes = {axis: draw(some.integers(1, 7)) for axis in ("time", "y", "x")}
        found = found.chunk(sizes)
    return found.transpose(*draw(some.permutations(["time", "y", "x"])))


def row_wise(x: np.ndarray) -> np.ndarray:
    """(n, c, t) -> (n, 2), each row for itself to the last bit, every band and date by another weight."""
    out = np.zeros((len(x), 2), "float32")
    for i, (c, t) in enumerate(np.ndindex(x.shape[1:])):
        out[:, 0] += x[:, c, t] * np.float32(i + 1)
        out[:, 1] = np.maximum(out[:, 1] * np.float32(0.5), x[:, c, t])
    return out


def looped(given: xr.Dataset) -> dict[tuple[float, float], np.ndarray]:
    """By place (y, x) what the function says of the pixel alone; NaN where any value is missing."""
    given = given.load().sortby("time")
    bands = sorted(given.data_vars, key=lambda name: (name != "VV", name))
    found = {}
    for y in given.y.values:
        for x in given.x.values:
            rows = []
            for band in bands:
                here = given[band].sel(y=y, x=x)
                values = here.values.astype("float32")
                values[here.values == here.attrs.get("nodata", np.inf)] = np.nan
                if here.attrs.get("units") == "linear":
                    values = 10 * np.log10(values)
                rows.append(values)
            series = np.stack(rows)[None]
            found[float(y), float(x)] = np.full(2, np.nan) if np.isnan(series).any() else row_wise(series)[0]
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(images(), some.integers(1, 7), some.integers(1, 9))
def test_any_cube_is_mapped_alike_at_once_lazily_and_in_a_loop(given: xr.Dataset, chunk: int, batch: int) -> None:
    lazy = open_cube(given, chunks=chunk)
    assert lazy.dims == ("time", "band", "y", "x")
    assert (np.diff(lazy.time.values) > np.timedelta64(0)).all()
    assert lazy.time.dtype == "datetime64[ns]"
    assert lazy.rio.crs == given.rio.crs
    assert lazy.dtype == np.float32
    eager = lazy.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(over, "BATCH", batch)
        once = over_pixels(row_wise, eager, outputs=2)
        parts = over_pixels(row_wise, open_cube(given, chunks=chunk), outputs=2)
        assert parts.chunks is not None
        xr.testing.assert_identical(parts.compute(scheduler="synchronous"), once)
    expected = looped(given)
    for row, y in enumerate(once.y.values):
        for column, x in enumerate(once.x.values):
            np.testing.assert_array_equal(once.values[row, column], expected[float(y), float(x)])


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(images(), some.sampled_from([(1, 1), (2, 3), (7, 2)]))
def test_the_chunks_of_a_cube_change_no_bit(given: xr.Dataset, chunks: tuple[int, int]) -> None:
    """Nor does the order of axes, nor whether the object was chunked."""
    plain = open_cube(given.load()).load()
    cut = open_cube(given.chunk({"y": 2, "x": 1}), chunks={"y": chunks[0], "x": chunks[1]})
    xr.testing.assert_identical(cut.load(), plain)
    turned = open_cube(given.transpose("x", "time", "y"))
    xr.testing.assert_identical(turned.load(), plain)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(images(), some.sampled_from(["zarr", "nc"]))
def test_a_cube_in_a_file_is_the_cube_in_memory(given: xr.Dataset, kind: str) -> None:
    given = given.load()
    for array in given.data_vars.values():
        array.attrs.pop("nodata", None)  # a file says it in its own way
        array.encoding["_FillValue"] = NODATA if array.dtype.kind == "i" else np.nan
    with TemporaryDirectory() as folder:
        path = f"{folder}/cube.{kind}"
        if kind == "zarr":
            given.to_zarr(path, zarr_format=3, consolidated=False)
        else:
            given.to_netcdf(path, engine="h5netcdf")
        found = open_cube(path).load()
    for array in given.data_vars.values():
        array.attrs["nodata"] = array.encoding["_FillValue"]
    xr.testing.assert_identical(found, open_cube(given).load())
