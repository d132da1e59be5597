"""STAC collections that a user might have, small: local cloud-optimised GeoTIFFs and the items that name them."""

import datetime as clock
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from affine import Affine
from rasterio.warp import transform_geom
from rio_cogeo import cog_profiles, cog_translate
from shapely.geometry import box, mapping, shape

from small_scenes import PLACE, write_image

PROJECTION = "https://stac-extensions.github.io/projection/v1.1.0/schema.json"


def write_cog(path: Path, values: np.ndarray, **options: Any) -> Path:
    """A cloud-optimised GeoTIFF of (y, x)."""
    plain = write_image(path.with_suffix(".plain.tif"), values, **options)
    cog_translate(plain, path, cog_profiles.get("deflate"), quiet=True, in_memory=True)
    plain.unlink()
    return path


def item_of(
    folder: Path,
    name: str,
    when: str,
    bands: Mapping[str, np.ndarray],
    *,
    transform: Affine = PLACE,
    crs: str = "EPSG:32630",
    orbit: tuple[int, str] | None = (74, "ascending"),
    said: Mapping[str, Any] | None = None,
    nodata: float | None = np.nan,
) -> dict[str, Any]:
    """An item as its file has it, with an asset for each band; the images are written beside."""
    rows, columns = next(iter(bands.values())).shape
    corner = (transform.c, transform.f + rows * transform.e, transform.c + columns * transform.a, transform.f)
    footprint = transform_geom(crs, "EPSG:4326", mapping(box(*corner)))
    properties: dict[str, Any] = {"proj:epsg": int(crs[5:]), "proj:shape": [rows, columns]}
    properties["proj:transform"] = list(transform)[:6]
    if orbit:
        properties |= {"sat:relative_orbit": orbit[0], "sat:orbit_state": orbit[1]}
    bounds = shape(footprint).bounds
    item = pystac.Item(
        name, footprint, list(bounds), clock.datetime.fromisoformat(when), properties, collection="radar"
    )
    item.stac_extensions = [PROJECTION]
    for band, values in bands.items():
        path = write_cog(folder / f"{name}_{band}.tif", values, crs=crs, transform=transform, nodata=nodata)
        extra = {"raster:bands": [{"unit": "dB"} if said is None else dict(said)]}
        item.add_asset(band, pystac.Asset(path.name, None, None, pystac.MediaType.COG, ["data"], extra))
    found = item.to_dict(include_self_link=False)
    found["links"] = []
    return found


def write_items(folder: Path, items: Sequence[Mapping[str, Any]]) -> Path:
    """A FeatureCollection of items."""
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))
    return path
