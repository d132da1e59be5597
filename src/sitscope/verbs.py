"""The verbs around a run: images converted once for speed, and this machine measured."""

import sys
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from sitscope.terminal import DIFFERENT, telling, write_checkup

# what every verb that reads images asks
Images = Annotated[
    list[str],
    typer.Option(
        help="Folder, glob or file of images: GeoTIFFs of a date each, NetCDF, Zarr, STAC. May be given several times.",
        show_default=False,
    ),
]
Units = Annotated[str | None, typer.Option(help="Units of backscatter where the images do not say: dB or linear.")]
Start = Annotated[str | None, typer.Option(help="First date to use, such as 2017-01-01.")]
End = Annotated[str | None, typer.Option(help="Last date to use.")]
Orbit = Annotated[str | None, typer.Option(help="Relative orbit to use where the images have several.")]
Mask = Annotated[str | None, typer.Option(help="Mask of clouds: a band of the images, or a file of its own.")]
MaskValues = Annotated[
    str | None,
    typer.Option(help="Values of the mask that mean no measurement: 3,8,9,10. Known for SCL and for 0 and 1."),
]
BorderNoise = Annotated[float | None, typer.Option(help="dB below which dark patches are borders, such as -35.")]
BorderPixels = Annotated[int | None, typer.Option(help="Pixels to take off around borders and nodata. [0]")]
Doubles = Annotated[str | None, typer.Option(help="mosaic: put slices of one pass together.")]
Speckle = Annotated[str | None, typer.Option(help="Filter against speckle: temporal or boxcar.")]
Window = Annotated[int | None, typer.Option(help="Pixels along the side of the filter's window, odd. [7]")]
Bands = Annotated[str | None, typer.Option(help="Bands to use, with commas: VV,VH. [all]")]


def cleaning(
    mask: str | None,
    mask_values: str | None,
    border_noise: float | None,
    border_pixels: int | None,
    doubles: str | None,
    speckle: str | None,
    window: int | None,
) -> dict[str, Any]:
    """The options that clean a cube, by the names of `open_cube`; what is not asked is not there."""
    values = tuple(value.strip() for value in mask_values.split(",")) if mask_values else None
    asked = {"mask": mask, "mask_values": values, "border_noise": border_noise, "border_pixels": border_pixels}
    asked |= {"doubles": doubles, "speckle": speckle, "window": window}
    return {key: value for key, value in asked.items() if value is not None}


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


def map_verb(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
    images: Images,
    out: Annotated[Path | None, typer.Option(help="Folder to write. [RUN/mapped/NAME, after the images]")] = None,
    fields: Annotated[Path | None, typer.Option(help="Polygons to sum over; they need no classes.")] = None,
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
    tolerance: Annotated[
        float | None,
        typer.Option(help="Days by which acquisitions of another year may lie off the model's, by day of the year."),
    ] = None,
    importance: Annotated[
        str | None,
        typer.Option(
            help="Keep the importance of each date, a byte each: all, or a window row,column,height,width in pixels."
        ),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://127.0.0.1:8786.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes on this machine. [one for each processor]")] = None,
    memory: Annotated[float | None, typer.Option(help="GB of each worker. [what is free, at most 1.5]")] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on where the same map was interrupted, or begin anew.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a map of this name.")] = False,
) -> None:
    """Map images of any size with the model, clusters and classes of a finished run.

    Embedding, cluster, class, confidence and the most important date of every pixel, as Zarr and GeoTIFF; means over
    all pixels of each cluster and class (pixels.parquet), and with --fields of each field. Block by block, in the
    memory that is given, on processes of this machine or on a Dask cluster; the result is the same to the last bit.

    For example: sitscope map RUN --images CUBE.zarr --workers 2 --memory 1.5

    A map that was interrupted, or whose machine died, goes on when it is started again with the same options.
    """
    from sitscope.applying import Machines, map_images

    options: dict[str, Any] = {"units": units, "start": start, "end": end, "orbit": orbit}
    options["bands"] = tuple(name.strip() for name in bands.split(",")) if bands else None
    options |= cleaning(mask, mask_values, border_noise, border_pixels, doubles, speckle, window)
    with telling() as talk:
        place = map_images(
            run,
            images if len(images) > 1 else images[0],
            out,
            options=options,
            fields=fields,
            importance=importance,
            tolerance=tolerance,
            machines=Machines(workers, scheduler, memory),
            resume=resume,
            overwrite=overwrite,
            talk=talk,
        )
    print(f"atlas    {place / 'atlas.zarr'}\nmaps     {place / 'maps'}\npixels   {place / 'pixels.parquet'}")


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


def names(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(name.strip() for name in text.split(","))


def rerun(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder of the run to write. [RUN-again]")] = None,
    images: Annotated[list[str] | None, typer.Option(help="Where the images lie now, if they were moved.")] = None,
    fields: Annotated[Path | None, typer.Option(help="Where the fields lie now, if they were moved.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON on standard output.")] = False,
) -> None:
    """Repeat a run from its run.json, and compare maps and tables byte for byte.

    The data must be what they were, by their SHA-256. Exit code 0 where all is equal, 5 where anything differs.
    """
    from sitscope.again import rerun

    given = images if images is None or len(images) > 1 else images[0]
    with telling() as talk:
        found = rerun(run, out, images=given, fields=fields, overwrite=overwrite, talk=talk)
    for note in found.notes:
        print(f"sitscope: note that {note}", file=sys.stderr)
    if json:
        facts = {"equal": found.equal, "different": found.different, "notes": found.notes}
        print(dumps({"run": str(run), "out": str(found.out), **facts}))
    else:
        for word, names in (("equal", found.equal), ("differs", found.different)):
            print("".join(f"{word:<8} {name}\n" for name in names), end="")
        print(f"report   {found.out / 'report.html'}")
    if found.different:
        raise typer.Exit(DIFFERENT)


def bench(
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON on standard output.")] = False,
) -> None:
    """Measure how fast this machine embeds and explains, in a quarter of a minute, and say how it compares.

    The default network on 61 dates of 2 bands, one core. A scene of 10 million pixels takes 10 million divided by the
    series explained per second and by the number of cores.
    """
    from dataclasses import asdict

    from sitscope.measuring import compared, measure

    with telling() as talk:
        found = measure(progress=lambda done, total: talk("measuring", done, total))
    print(dumps(asdict(found)) if json else compared(found))
