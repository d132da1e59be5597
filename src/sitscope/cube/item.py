"""How is a folder of maps found in a catalogue? One STAC item, which says where, when, of what, and by which model."""

import hashlib
import json
import math
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
import rioxarray  # noqa: F401 - arrays gain .rio
import shapely
import xarray as xr
from shapely.geometry import mapping
from shapely.geometry.polygon import orient

from sitscope.cube.grid import Grid
from sitscope.cube.whole import whole
from sitscope.errors import BadInput

VERSION = "1.0.0"
"""Of STAC: the embeddings extension is of this one and of no later."""
EXTENSIONS = {
    "classification": "2.0.0",
    "embeddings": "0.0.1",
    "file": "2.1.0",
    "mlm": "1.4.0",
    "projection": "2.0.0",
    "raster": "1.1.0",
}
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
PARQUET = "application/vnd.apache.parquet"
STORES = {"atlas": "all maps, for xarray", "importance": "importance of every date"}
TABLES = {
    "fields": "what was found in each field, GeoParquet",
    "profiles": "importance and backscatter by method, class, dimension and date",
    "pixels": "means over all pixels of each cluster and class",
}
TITLES = {
    "class": "class that the cluster stands for",
    "cluster": "cluster of the embedding",
    "embedding": "embedding",
    "confidence": "confidence in the cluster, 0 to 1",
    "peak_date": "acquisition of the largest importance",
    "peak_importance": "importance at that acquisition",
    "anomaly": "root mean squared error of the reconstruction",
    "anomaly_date": "acquisition of the largest error",
}
EDGE = 21
"""Points along each edge of the footprint, which is bent in degrees."""


def write_item(folder: str | Path, model: str | Path | None = None, dates: np.ndarray | None = None) -> Path:
    """Write item.json of a folder that holds atlas.zarr and maps/, and of the tables beside them what is there.

    STAC 1.0.0 with the extensions projection (2.0), classification (2.0), mlm (1.4), embeddings (prefix emb, 0.0.1),
    raster (1.1) and file (2.1). All is taken from the files, nothing from the clock: the same files give the same
    bytes, whatever the folder is called. Hrefs are relative to the folder.

    Args:
        folder: of a run or of a map.
        model: folder of the model, folder / "model" if not given.
        dates: of the images, datetime64; those of the model if not given.

    Raises BadInput where maps or model are missing, and where the folder cannot be written.
    """
    folder = Path(folder)
    model = folder / "model" if model is None else Path(model)
    try:
        facts = json.loads((model / "model.json").read_text())
        codebook = json.loads((model / "codebook.json").read_text())
        with xr.open_zarr(folder / "atlas.zarr") as maps:
            grid, dims = Grid.of(maps["class"]), maps.sizes["dim"]
        assets = dict(_assets(folder, model, facts))
        same = hashlib.sha256((folder / "maps" / "class.tif").read_bytes())
    except (OSError, ValueError, KeyError) as error:
        message = f"{folder} with the model {model} is no map ({error}). Name the folder of a finished run or map."
        raise BadInput("run", message) from error
    dates = np.asarray(facts["dates"] if dates is None else dates, "datetime64[s]")
    footprint = _footprint(grid)
    same.update(json.dumps([facts, codebook]).encode())
    item = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [_schema(name, version) for name, version in EXTENSIONS.items()],
        "id": f"sitscope-{same.hexdigest()[:16]}",
        "geometry": json.loads(json.dumps(mapping(footprint))),  # tuples as lists
        "bbox": _bbox(footprint),
        "properties": {
            "title": "Embedding of a season, its clusters and classes, and the dates that it looks at",
            "datetime": None,
            "start_datetime": f"{dates.min()}Z",
            "end_datetime": f"{dates.max()}Z",
            **_projection(grid),
            **_embedding(facts, dims, "confidence" in assets),
            **_model(facts, codebook, model, dims),
        },
        "links": [],
        "assets": assets,
    }
    with whole(folder / "item.json") as place:
        (place / "item.json").write_text(json.dumps(item, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder / "item.json"


def _schema(name: str, version: str) -> str:
    return f"https://stac-extensions.github.io/{name}/v{version}/schema.json"


def _footprint(grid: Grid) -> shapely.Polygon | shapely.MultiPolygon:
    """The outline in degrees, counter-clockwise, cut where it crosses the 180th meridian (RFC 7946, 3.1.9)."""
    west, south, east, north = grid.bounds
    steps = np.linspace(0, 1, EDGE)[:-1]
    x = np.concatenate([west + (east - west) * steps, np.full(EDGE - 1, east)])
    y = np.concatenate([np.full(EDGE - 1, south), south + (north - south) * steps])
    x, y = np.concatenate([x, east + west - x]), np.concatenate([y, north + south - y])
    to_degrees = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    lon, lat = (np.round(values, 7) for values in to_degrees.transform(x, y))  # a centimetre
    if np.ptp(lon) <= 180:
        return orient(shapely.Polygon(np.column_stack([lon, lat])))
    around = shapely.Polygon(np.column_stack([lon % 360, lat]))
    parts = [around & shapely.box(0, -90, 180, 90), around & shapely.box(180, -90, 360, 90)]
    there = [parts[0], shapely.transform(parts[1], lambda xy: xy - [360, 0])]
    return shapely.MultiPolygon([orient(part) for part in there])


def _bbox(footprint: shapely.Polygon | shapely.MultiPolygon) -> list[float]:
    """West, south, east, north; west is larger than east across the 180th meridian."""
    west, south, east, north = footprint.bounds
    if footprint.geom_type == "MultiPolygon":
        west, east = (part.bounds[i] for part, i in zip(footprint.geoms, (0, 2), strict=True))
    return [west, south, east, north]


def _projection(grid: Grid) -> dict[str, Any]:
    code = grid.crs.to_epsg()
    facts = {
        "proj:code": f"EPSG:{code}" if code else None,
        "proj:bbox": list(grid.bounds),
        "proj:shape": [grid.height, grid.width],
        "proj:transform": list(grid.transform)[:6],
    }
    if not code:
        facts["proj:wkt2"] = pyproj.CRS(grid.crs).to_wkt("WKT2_2019")
    return facts | ({"gsd": abs(grid.transform.a)} if _in_metres(grid) else {})


def _in_metres(grid: Grid) -> bool:
    return bool(grid.crs.is_projected and grid.crs.linear_units in ("metre", "meter"))


def _embedding(facts: dict[str, Any], dims: int, confidence: bool) -> dict[str, Any]:
    """What the embeddings extension has for an item; type and dimensions it leaves to collections."""
    given = {"type": "pixel", "dimensions": dims, "data_type": "float32", "bands": facts["bands"]}
    found = {
        "emb:runtime_parameters": given | {"acquisitions": len(facts["dates"])},
        "emb:fit_for_use": ["classification", "similarity_search"],
    }
    how = "1 - distance to the centre of the cluster / distance to the second-nearest centre, a map beside it"
    return found | ({"emb:uncertainty": {"method": "distance_ratio", "description": how}} if confidence else {})


def _model(facts: dict[str, Any], codebook: dict[str, Any], model: Path, dims: int) -> dict[str, Any]:
    """What the mlm extension has for an item."""
    bands, dates = facts["bands"], len(facts["dates"])
    scaling = [{"type": "z-score", "mean": m, "stddev": s} for m, s in zip(facts["mean"], facts["std"], strict=True)]
    series = {
        "name": "series",
        "description": f"a pixel's season in {facts['units']}, band by band, on the dates of model.json",
        "bands": bands,
        "input": {"shape": [-1, len(bands), dates], "dim_order": ["batch", "band", "time"], "data_type": "float32"},
        "value_scaling": scaling,
    }
    clusters = len(codebook["centres"])
    return {
        "mlm:name": "sitscope autoencoder",
        "mlm:architecture": "1-D convolutional autoencoder, k-means on its embedding",
        "mlm:tasks": ["similarity-search", "classification"],
        "mlm:framework": "PyTorch",
        "mlm:total_parameters": _parameters(model / "weights.safetensors"),
        "mlm:pretrained": False,
        "mlm:pretrained_source": None,
        "mlm:input": [series],
        "mlm:output": [
            _output("embedding", "similarity-search", [-1, dims], ["batch", "embedding"], "float32"),
            _output("class", "classification", [-1], ["batch"], "int16"),
        ],
        "mlm:hyperparameters": {**facts["settings"], "seed": facts["seed"], "clusters": clusters},
    }


def _output(name: str, task: str, shape: list[int], order: list[str], kind: str) -> dict[str, Any]:
    return {"name": name, "tasks": [task], "result": {"shape": shape, "dim_order": order, "data_type": kind}}


def _parameters(weights: Path) -> int:
    """How many numbers training chose, from the head of the file."""
    with weights.open("rb") as file:
        head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(each["shape"]) for name, each in head.items() if name != "__metadata__")


def _assets(folder: Path, model: Path, facts: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((folder / "maps").glob("*.tif")):
        # the extension asks for this key
        yield ("embeddings" if path.stem == "embedding" else path.stem), _map(path, folder)
    for name, title in STORES.items():
        if (folder / f"{name}.zarr").exists():
            kind = "application/vnd.zarr; version=3"
            yield name, {"href": f"./{name}.zarr", "title": title, "type": kind, "roles": ["data"]}
    for name, title in TABLES.items():
        if (path := folder / f"{name}.parquet").exists():
            yield name, _file(path, folder, title, PARQUET, ["data"])
    weights = _file(model / "weights.safetensors", folder, "weights", "application/octet-stream", ["mlm:model"])
    weights["mlm:artifact_type"] = "safetensors.torch.save"
    weights["file:checksum"] = f"1220{facts['sha256']}"  # as multihash: sha2-256, 32 bytes
    weights["raster:bands"] = [
        {"name": band, "data_type": "float32", "unit": facts["units"]} for band in facts["bands"]
    ]
    yield "model", weights
    what = "settings, scaling, dates and bands of the model"
    yield "model_facts", _file(model / "model.json", folder, what, "application/json", ["metadata"])
    what = "centres of the clusters, and the class of each"
    yield "codebook", _file(model / "codebook.json", folder, what, "application/json", ["metadata"])


def _file(path: Path, folder: Path, title: str, kind: str, roles: list[str]) -> dict[str, Any]:
    way = Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    href = way if way.startswith("..") else f"./{way}"
    return {"href": href, "title": title, "type": kind, "roles": roles, "file:size": path.stat().st_size}


def _map(path: Path, folder: Path) -> dict[str, Any]:
    """A GeoTIFF, with the names and colours that it holds itself."""
    kind, _, dim = path.stem.rpartition("_")
    title = TITLES.get(path.stem) or TITLES.get(kind, path.stem) + f", dimension {dim}"
    roles = ["data", "uncertainty"] if path.stem == "confidence" else ["data"]
    asset = _file(path, folder, title, COG, roles)
    with rasterio.open(path) as source:
        nodata = "nan" if np.isnan(source.nodata) else int(source.nodata)
        names = [description or path.stem for description in source.descriptions]
        asset["raster:bands"] = [{"name": name, "data_type": source.dtypes[0], "nodata": nodata} for name in names]
        named = {int(k[6:]): v for k, v in source.tags(1).items() if k.startswith("class_")}
        if named:
            table = source.colormap(1)
            asset["classification:classes"] = [
                {"value": 0, "name": "nodata", "title": "nothing is known", "nodata": True},
                *(_class(value, name, table[value]) for value, name in sorted(named.items())),
            ]
    return asset


def _class(value: int, name: str, colour: tuple[int, ...]) -> dict[str, Any]:
    """The extension's names are plain, a title may be anything."""
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^0-9A-Za-z_-]+", "-", ascii_).strip("-") or f"value-{value}"
    return {"value": value, "name": plain, "title": name, "color_hint": "{:02X}{:02X}{:02X}".format(*colour[:3])}
