"""The verb check-labels: which fields bear a wrong label."""

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


def check_labels(
    run: Annotated[Path | None, typer.Argument(help="Folder of a finished run, instead of images and fields.")] = None,
    images: Annotated[
        list[str] | None, typer.Option(help="Folder, glob or file of images, as for sitscope run.")
    ] = None,
    fields: Annotated[Path | None, typer.Option(help="Polygons of fields: any vector file.")] = None,
    label: Annotated[str, typer.Option(help="Column of the fields that names the class.")] = "crop",
    out: Annotated[Path | None, typer.Option(help="Folder to write. [RUN/labels]")] = None,
    least: Annotated[int, typer.Option(min=2, help="Classes with fewer fields are left out.")] = 6,
    repeats: Annotated[int, typer.Option(min=1, help="Trainings of each round; more are steadier and slower.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")] = 0,
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
    fill: Annotated[bool, typer.Option("--fill", help="Fill missing values linearly in time.")] = False,
    max_pixels: Annotated[int, typer.Option(min=1, help="Most pixels of a field that are looked at.")] = 100,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier check.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON on standard output.")] = False,
) -> None:
    """Find fields whose label is probably wrong, and say which it should be, where in the field and by which dates.

    An autoencoder of each class learns what most of its fields look like and judges fields that it has not seen (after
    FARMSAR). Each field is proposed as clean, to look at, or to relabel. Takes images and fields, or a finished run,
    whose kept series it judges without the images:

    sitscope check-labels --images stack/ --fields fields.gpkg --label crop --out LABELS

    sitscope check-labels RUN

    Writes labels.html, labels.gpkg with colours for QGIS, labels.parquet, labels.csv and figures.
    """
    from sitscope.labelling.checking import check_labels as checked
    from sitscope.labelling.judging import How

    given: Any = images if images is None or len(images) > 1 else images[0]
    options: dict[str, Any] = {"units": units, "start": start, "end": end, "orbit": orbit}
    options |= {"bands": bands and names(bands)}
    options |= cleaning(mask, mask_values, border_noise, border_pixels, doubles, speckle, window)
    with telling() as talk:
        table = checked(
            run,
            given,
            fields,
            out,
            label=label,
            options=options,
            sampling={"fill": fill, "max_pixels": max_pixels, "seed": seed},
            how=How(least=least, repeats=repeats, seed=seed),
            overwrite=overwrite,
            talk=talk,
        )
    place = out if out is not None else Path(run or "") / "labels"
    if json:
        print((place / "labels.json").read_text())
        return
    counts = {name: int((table.proposal == name).sum()) for name in ("relabel", "look", "clean", "")}
    print("".join(f"{name or 'not judged':<11}{number:>6}\n" for name, number in counts.items()), end="")
    print(f"report     {place / 'labels.html'}\nfor QGIS   {place / 'labels.gpkg'}")
