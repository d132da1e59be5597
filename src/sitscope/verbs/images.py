"""The verbs before a run: images converted once for speed, and whether a run can begin."""

from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from sitscope.terminal import telling, write_checkup
from sitscope.verbs.asking import (
    Bands,
    BorderNoise,
    BorderPixels,
    Doubles,
    End,
    Images,
    Mask,
    MaskValues,
    Orbit,
    Speckle,
    Start,
    Units,
    Window,
    cleaning,
    names,
)


def ingest(
    images: Images,
    out: Annotated[Path, typer.Option(help="Zarr cube to write, such as CUBE.zarr.", show_default=False)],
    units: Units = None,
    start: Start = None,
    end: End = None,
    orbit: Orbit = None,
    bands: Bands = None,
    mask: Mask = None,
    mask_values: MaskValues = None,
    border_noise: BorderNoise = None,
    border_pixels: BorderPixels = None,
    doubles: Doubles = None,
    speckle: Speckle = None,
    window: Window = None,
    crs: Annotated[str | None, typer.Option(help="Reproject to this system, such as EPSG:32630.")] = None,
    resolution: Annotated[float | None, typer.Option(help="Size of the new pixels, in units of the crs.")] = None,
    bbox: Annotated[str | None, typer.Option(help="Only this box, in degrees: west,south,east,north.")] = None,
    like: Annotated[
        str | None, typer.Option(help="Image or cube whose grid to take, or most: the grid of most images.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="Compose periods: month, or days such as 10D, 12D.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a cube of this name.")] = False,
) -> None:
    """Convert images to one Zarr cube, in which the dates of a pixel lie together: read fast, again and again.

    Worth it for large images that are read more than once. A cube takes the place of the images:

    sitscope ingest --images stack/ --out CUBE.zarr

    sitscope run --images CUBE.zarr --fields fields.gpkg --out RUN

    Images on several grids are refused, or brought to one: --like most, or --crs and --resolution. Backscatter is
    resampled in linear power, masks by the nearest pixel. --every month composes months: the mean power of radar, the
    median of the rest, empty months missing; each date is the middle of its period.

    STAC (pip install sitscope[stac]): --images items.json reads an item, a collection of items or a static catalog;
    --images search.toml asks an API: api = "https://...", collections = ["sentinel-1-rtc"], bbox = [-6, 37, -5, 38],
    datetime = "2017-01-01/2017-12-31". Images lie in the folder of the items, or at http(s).

    An interrupted conversion goes on when started again with the same options, and so does one whose disk was full.
    """
    from sitscope.cube.ingest import ingest

    with telling() as talk:
        named = tuple(name.strip() for name in bands.split(",")) if bands else None
        options: dict[str, Any] = {"units": units, "bands": named, "start": start, "end": end, "orbit": orbit}
        options |= cleaning(mask, mask_values, border_noise, border_pixels, doubles, speckle, window)
        asked = {"crs": crs, "resolution": resolution, "bbox": _box(bbox) if bbox else None, "like": like}
        options["grid"] = {word: said for word, said in asked.items() if said is not None} or None
        given = images if len(images) > 1 else images[0]
        progress = lambda done, total: talk("converting images", done, total)  # noqa: E731
        ingest(given, out, **options, every=every, overwrite=overwrite, progress=progress)
    print(out)


def _box(text: str) -> list[float]:
    from sitscope.errors import BadInput

    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise BadInput("bbox", f"{text!r} is no box. Write west,south,east,north in degrees: -6,37,-5,38.") from None


def doctor(
    images: Images,
    fields: Annotated[Path, typer.Option(help="Polygons of fields: any vector file.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder of the run, to see whether it is free.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the fields that names the crop. [crop]")] = None,
    dims: Annotated[int | None, typer.Option(help="Dimensions of the embedding. [2]")] = None,
    clusters: Annotated[int | None, typer.Option(help="Clusters of the embedding. [as many as classes]")] = None,
    units: Units = None,
    start: Start = None,
    end: End = None,
    orbit: Orbit = None,
    bands: Bands = None,
    mask: Mask = None,
    mask_values: MaskValues = None,
    border_noise: BorderNoise = None,
    border_pixels: BorderPixels = None,
    doubles: Doubles = None,
    speckle: Speckle = None,
    window: Window = None,
    buffer: Annotated[float | None, typer.Option(help="Metres to shrink fields by. [0]")] = None,
    fill: Annotated[bool, typer.Option("--fill", help="Fill missing values linearly in time.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Most passes of the training over the series.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same result. [0]")] = None,
    method: Annotated[str | None, typer.Option(help="How importance is found: path or letter. [path]")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Classes to draw together, with commas.")] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file with any of these.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="A run in the folder may be replaced.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON on standard output.")] = False,
) -> None:
    """Say what is there and what stands in the way of a run, all at once, before any computing.

    Takes the options of sitscope run. Dates with their share of nodata, orbits, units, grid, fields and pixels of each
    class, what the run will need; and every mistake with its remedy. Exit code 0 where a run can begin, 3 where not.
    Of large images some windows are looked at, so that the shares of nodata are estimates.
    """
    from sitscope.doctor.checkup import examine

    asked = {
        "label": label, "clusters": clusters, "units": units, "start": start, "end": end, "orbit": orbit,
        "bands": bands and names(bands), "buffer": buffer, "method": method, "seed": seed,
        "groups": tuple(names(text) for text in group) if group else None,
        "fill": fill or None, "autoencoder": {"dims": dims, "epochs": epochs},
        **cleaning(mask, mask_values, border_noise, border_pixels, doubles, speckle, window),
    }  # fmt: skip
    given = images if len(images) > 1 else images[0]
    with telling() as talk:
        found = examine(given, fields, settings_file=settings, asked=asked, out=out, overwrite=overwrite, progress=talk)
    if json:
        print(dumps(found.as_dict()))
    else:
        write_checkup(found)
    if not found.ready:
        raise typer.Exit(3)
