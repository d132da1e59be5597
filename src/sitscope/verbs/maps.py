"""The verb map: a finished run on images of any size."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sitscope.terminal import telling
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
)


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
    anomaly: Annotated[
        bool, typer.Option("--anomaly", help="Also map what the model cannot reconstruct, and on which date.")
    ] = False,
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

    With --anomaly also maps/anomaly.tif, the error of the reconstruction in the units of the images, and
    maps/anomaly_date.tif, the acquisition with the largest share of it: pixels that had another season than the
    training knew, and when; with --tolerance, changes since the model's year.

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
            anomaly=anomaly,
            machines=Machines(workers, scheduler, memory),
            resume=resume,
            overwrite=overwrite,
            talk=talk,
        )
    print(f"atlas    {place / 'atlas.zarr'}\nmaps     {place / 'maps'}\npixels   {place / 'pixels.parquet'}")
