"""NetCDF, Zarr and xarray objects as other programs leave them become the same cube as images do."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401 - arrays gain .rio
import xarray as xr

from sitscope.cube.reading import open_cube
from sitscope.cube.store import write_zarr
from sitscope.errors import BadInput
from small_scenes import DATES, NORTH, WEST, decibels, write_stack


def images(dates: tuple[str, ...] = DATES) -> xr.Dataset:
    """(time, y, x) per band, as odc-stac and most NetCDF files have them."""
    coords = {
        "time": pd.to_datetime(list(dates)).astype("datetime64[ns]"),
        "y": NORTH - 5 - 10.0 * np.arange(8),
        "x": WEST + 5 + 10.0 * np.arange(10),
    }
    shape = (len(dates), 8, 10)
    bands = {
        name: (("time", "y", "x"), decibels(seed, shape), {"units": "dB"}) for seed, name in enumerate(("vv", "vh"))
    }
    return xr.Dataset(bands, coords).rio.write_crs("EPSG:32630")


@pytest.fixture(scope="module")
def plain() -> xr.DataArray:
    return open_cube(images()).compute()


def test_a_dataset_becomes_the_canonical_cube(plain: xr.DataArray) -> None:
    assert plain.dims == ("time", "band", "y", "x")
    assert plain.band.values.tolist() == ["VV", "VH"]
    np.testing.assert_array_equal(plain.sel(band="VH"), images().vh)
    assert set(plain.coords) == {"time", "band", "y", "x", "spatial_ref"}


def _transposed() -> xr.Dataset:
    return images().transpose("x", "time", "y")


def _renamed() -> xr.Dataset:
    return images().rename(time="t", y="latitude", x="longitude")


def _one_array() -> xr.DataArray:
    return images().to_dataarray("band").transpose("time", "band", "y", "x").assign_attrs(units="dB")


def _upside_down() -> xr.Dataset:
    return images().isel(y=slice(None, None, -1), x=slice(None, None, -1), time=[3, 0, 4, 1, 2])


def _lazy() -> xr.Dataset:
    return images().chunk({"time": 1, "y": 3})


def _linear() -> xr.Dataset:
    power = 10 ** (images().astype("float64") / 10)
    return power.assign({band: power[band].assign_attrs(units="1") for band in ("vv", "vh")})


def _with_other_variables() -> xr.Dataset:
    found = images()
    return found.assign(angle=found.vv[0], quality=found.vv.astype("datetime64[ns]"), orbit_number=found.vv[:, 0, 0])


def _of_another_clock() -> xr.Dataset:
    return images().assign_coords(time=images().time.astype("datetime64[s]"))


def _crs_in_attributes() -> xr.Dataset:
    return images().drop_vars("spatial_ref").assign_attrs(crs="+init=epsg:32630")


def _crs_in_a_coordinate() -> xr.Dataset:
    return images().drop_vars("spatial_ref").assign_coords({"proj:epsg": 32630})


ARRANGEMENTS = (
    *(_transposed, _renamed, _one_array, _upside_down, _lazy, _linear),
    *(_with_other_variables, _of_another_clock, _crs_in_attributes, _crs_in_a_coordinate),
)


@pytest.mark.parametrize("arranged", ARRANGEMENTS, ids=lambda each: each.__name__)
def test_other_arrangements_give_the_same_cube(arranged: object, plain: xr.DataArray) -> None:
    cube = open_cube(arranged()).compute()  # type: ignore[operator]
    xr.testing.assert_allclose(cube, plain, atol=1e-4)
    assert cube.attrs == plain.attrs
    assert cube.rio.crs == plain.rio.crs
    assert cube.dtype == np.float32


def test_an_array_of_one_band_is_named_by_its_name_or_the_caller(plain: xr.DataArray) -> None:
    assert open_cube(images().vv).band.values.tolist() == ["VV"]
    xr.testing.assert_identical(open_cube(images().vv.rename(None), bands=["VV"]).compute(), plain[:, :1])
    with pytest.raises(BadInput, match=r"bands: .*says no band.*bands="):
        open_cube(images().vv.rename(None))


def test_stackstacs_corners_and_coordinates_are_understood(plain: xr.DataArray) -> None:
    found = images().to_dataarray("band").transpose("time", "band", "y", "x").drop_vars("spatial_ref")
    stacked = found.rename("stackstac-1f2e").assign_coords(
        {
            "x": found.x - 5,
            "y": found.y + 5,
            "epsg": 32630,
            "sat:relative_orbit": ("time", [52] * 5),
            "sat:orbit_state": "descending",
            "title": ("band", ["VV", "VH"]),
        }
    )
    stacked.attrs = {"crs": "epsg:32630", "transform": (10.0, 0.0, WEST, 0.0, -10.0, NORTH, 0.0, 0.0, 1.0)}
    cube = open_cube(stacked, units="dB").compute()
    assert cube.orbit.values.tolist() == ["52"] * 5
    xr.testing.assert_identical(cube.drop_vars("orbit"), plain)
    part = open_cube(stacked[..., 2:, 3:], units="dB").compute()
    xr.testing.assert_identical(part.drop_vars("orbit"), plain[..., 2:, 3:])


def test_the_number_that_stands_for_nodata_becomes_missing(plain: xr.DataArray) -> None:
    found = images().where(images().x > WEST + 10, -9999.0)
    found = found.assign({band: found[band].assign_attrs(units="dB", nodata=-9999.0) for band in ("vv", "vh")})
    missing = open_cube(found.round().astype("int16")).isnull()
    assert (missing == (plain.x < WEST + 10)).all()


def test_orbits_in_coordinates_are_kept_apart() -> None:
    mixed = images().assign_coords(relative_orbit=("time", [52, 52, 74, 74, 74]))
    with pytest.raises(BadInput, match=r"orbit: .*52 \(2 dates\), 74 \(3 dates\)"):
        open_cube(mixed)
    assert open_cube(mixed, orbit="74").sizes["time"] == 3


def test_a_cube_opened_again_is_the_same_cube(plain: xr.DataArray, tmp_path: Path) -> None:
    write_stack(tmp_path)
    for cube in (plain, open_cube(tmp_path).compute()):
        xr.testing.assert_identical(open_cube(cube).compute(), cube)


@pytest.mark.parametrize("kind", ["nc", "netcdf3", "zarr2", "zarr3", "by_us"])
def test_files_give_the_same_cube(kind: str, plain: xr.DataArray, tmp_path: Path) -> None:
    path = tmp_path / ("cube.nc" if kind in ("nc", "netcdf3") else "cube.zarr")
    if kind == "by_us":
        write_zarr(plain.to_dataset(), path)
    elif kind == "nc":
        images().to_netcdf(path, engine="h5netcdf", encoding={"vv": {"chunksizes": (1, 8, 5)}})
    elif kind == "netcdf3":
        images().to_netcdf(path, engine="scipy")
    else:
        # labels of no version-3 data type warn; ours are numbers here
        images().to_zarr(path, zarr_format=int(kind[-1]), consolidated=False)
    for given in (path, tmp_path):
        cube = open_cube(given)
        assert cube.chunks is not None
        assert len(cube.chunks[0]) == 1
        xr.testing.assert_allclose(cube.compute(), plain)
        assert cube.rio.crs == plain.rio.crs


def test_one_netcdf_file_per_date_gives_the_same_cube(plain: xr.DataArray, tmp_path: Path) -> None:
    for i, date in enumerate(DATES):
        images().isel(time=[i]).to_netcdf(tmp_path / f"{date}.nc", engine="h5netcdf")
    xr.testing.assert_allclose(open_cube(tmp_path).compute(), plain)
    shifted = images(("2017-02-02",))
    shifted.assign_coords(x=shifted.x + 30).to_netcdf(tmp_path / "2017-02-02.nc", engine="h5netcdf")
    with pytest.raises(BadInput, match=r"images: .*different grids.*2017-02-02\.nc.*500030"):
        open_cube(tmp_path)


def test_nodata_is_read_from_whichever_attribute_says_it(plain: xr.DataArray) -> None:
    for key in ("nodata", "_FillValue", "missing_value"):
        given = images()
        given["vv"] = given.vv.copy(data=given.vv.values).assign_attrs({key: np.float32(-999)})
        given.vv[1, 2, 3] = -999
        found = open_cube(given).sel(band="VV")
        assert np.isnan(found[1, 2, 3])
        assert int(found.isnull().sum()) == 1


MISTAKES = {
    "double date": (images(DATES[:2] + DATES[1:]), "images", "band VV have the date 2017-01-09.*Keep one"),
    "uneven rows": (images().isel(y=[0, 1, 3, 4]), "images", "coordinate y is missing or unevenly spaced.*evenly"),
    "two of one band": (images().assign(sigma0_vv=images().vv), "bands", "two variables hold band VV.*Give one"),
    "numbers for dates": (images().assign_coords(time=range(5)), "images", "time holds no dates but 0, 1, 2.*Give it"),
    "an axis too many": (images().expand_dims(orbit=2), "images", "vv has an axis too many, orbit of 2.*Select"),
    "bands without names": (_one_array().drop_vars("band"), "bands", "axis band of values has no names.*assign_coords"),
    "no reference system": (images().drop_vars("spatial_ref"), "images", "no coordinate reference system.*write_crs"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_object_that_is_no_cube_is_answered(mistake: str) -> None:
    given, argument, says = MISTAKES[mistake]
    with pytest.raises(BadInput, match=f"^{argument}: .*{says}"):
        open_cube(given)
