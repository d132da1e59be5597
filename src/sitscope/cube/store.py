"""How do maps and cubes lie in Zarr, so that every reader finds their place?"""

import warnings
from pathlib import Path
from typing import Any

import pyproj
import xarray as xr
import zarr

from sitscope.cube.grid import Grid
from sitscope.cube.whole import whole

SPATIAL = "zarr-conventions/spatial", "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "Spatial coordinate information"
PROJ = (
    "zarr-conventions/proj",
    "f17cb550-5864-4468-aeb7-f3180cfb622f",
    "Coordinate reference system information for geospatial data",
)
"""Conventions of GeoZarr: repository, identifier, description; of both the version is 0.1."""


def write_zarr(dataset: xr.Dataset, path: str | Path) -> None:
    """Write maps as Zarr v3 with what `for_zarr` says of their place. Lazy maps are computed.

    Raises BadInput where the place is full or must not be written; what was there under this name then still is.
    """
    path = Path(path)
    with whole(path) as folder, warnings.catch_warnings():
        # Consolidated metadata is not yet in the specification, and readers are slow, and warn, without it.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        for_zarr(dataset).to_zarr(folder / path.name, zarr_format=3, consolidated=True)


def consolidate(path: str | Path) -> None:
    """Put what a store holds into one place, so that it opens at once however many arrays it has."""
    with warnings.catch_warnings():
        # Consolidated metadata is not yet in the specification, and readers are slow, and warn, without it.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        zarr.consolidate_metadata(path)


def for_zarr(dataset: xr.Dataset) -> xr.Dataset:
    """The same, ready for Zarr v3: encodings of other files dropped, its place said in three ways.

    CF's grid mapping, for xarray with rioxarray and for GDAL from 3.11 on (older ones know none of Zarr v3's final
    codecs); and GeoZarr's conventions `proj:` and `spatial:`, version 0.1, on the group, for GDAL from 3.13 on.
    Compute it of the whole grid, not of a part that is written into it: `spatial:transform` is that of what is given.
    NetCDF has no place for the list of conventions: drop_attrs(deep=False) before to_netcdf.

    >>> maps = xr.Dataset({"class": (("y", "x"), [[1, 2], [0, 1]])}, {"y": [15.0, 5.0], "x": [5.0, 15.0]})
    >>> for_zarr(maps.rio.write_crs("EPSG:32630")).attrs["spatial:transform"]
    [10.0, 0.0, 0.0, 0.0, -10.0, 20.0]
    """
    plain = dataset.drop_encoding()
    # Zarr v3 specifies text of any length, and not numpy's of a fixed one.
    for name in [name for name, array in plain.variables.items() if array.dtype.kind == "U"]:
        plain[name] = plain[name].astype(object)
    maps = [name for name, array in plain.data_vars.items() if {"y", "x"} <= set(array.dims)]
    if "spatial_ref" in plain.coords and maps and plain[maps[0]].rio.crs:
        # the transform that a file left here is no longer that of a subset; the coordinates tell it
        plain["spatial_ref"].attrs.pop("GeoTransform", None)
        plain = plain.rio.write_coordinate_system().assign_attrs(_place(Grid.of(plain[maps[0]])))
        for name in maps:
            # as a coordinate too: else it is one only for those who open with decode_coords="all"
            plain[name].encoding.update(grid_mapping="spatial_ref", coordinates="spatial_ref")
    return plain.assign_attrs(Conventions="CF-1.11")


def _place(grid: Grid) -> dict[str, Any]:
    """Attributes of GeoZarr's conventions spatial: and proj:."""
    code = grid.crs.to_epsg()
    known = {"proj:code": f"EPSG:{code}"} if code else {"proj:wkt2": pyproj.CRS(grid.crs).to_wkt("WKT2_2019")}
    return {
        "zarr_conventions": [_convention(*each) for each in (PROJ, SPATIAL)],
        **known,
        "spatial:dimensions": ["y", "x"],
        "spatial:shape": [grid.height, grid.width],
        "spatial:transform": list(grid.transform)[:6],
        "spatial:bbox": list(grid.bounds),
        "spatial:registration": "pixel",
    }


def _convention(repository: str, uuid: str, description: str) -> dict[str, str]:
    return {
        "schema_url": f"https://raw.githubusercontent.com/{repository}/refs/tags/v0.1/schema.json",
        "spec_url": f"https://github.com/{repository}/blob/v0.1/README.md",
        "uuid": uuid,
        "name": repository.rpartition("/")[2],
        "description": description,
    }
