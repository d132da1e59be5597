"""The verb adopt: an embedding that somebody else computed."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sitscope.terminal import telling
from sitscope.verbs.asking import Bands, End, Mask, MaskValues, Orbit, Speckle, Start, Units, names


def adopt(
    embedding: Annotated[
        list[str],
        typer.Option(
            help="Raster with a layer for each dimension: GeoTIFF, NetCDF, Zarr; or a table: .npy, .npz, .parquet. "
            "Layers in several files: give it several times, or a glob.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; must not hold a run.", show_default=False)],
    fields: Annotated[
        Path | None,
        typer.Option(
            help="Polygons of fields: any vector file. For a .npy a table (.csv, .parquet) with a row for each "
            "embedding: label and field.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column that names the class. [crop]")] = None,
    clusters: Annotated[int | None, typer.Option(help="Clusters of the embedding. [as many as classes]")] = None,
    dequantise: Annotated[
        str | None, typer.Option(help="alphaearth: int8 as AlphaEarth Foundations writes it, sign(v) (v / 127.5)².")
    ] = None,
    scale: Annotated[float | None, typer.Option(help="What a stored 1 stands for. [as the file says]")] = None,
    offset: Annotated[float | None, typer.Option(help="What a stored 0 stands for. [as the file says, or 0]")] = None,
    nodata: Annotated[float | None, typer.Option(help="Stored number that stands for nothing.")] = None,
    variable: Annotated[str | None, typer.Option(help="Variable of NetCDF or Zarr that is the embedding.")] = None,
    date: Annotated[str | None, typer.Option(help="Year, month or day of an embedding that has several.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="How the columns of a table begin that hold the embedding: e for e1, e2 ...")
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(help="Images of the same ground, as for a run: on which dates do they part confused classes?"),
    ] = None,
    units: Units = None,
    start: Start = None,
    end: End = None,
    orbit: Orbit = None,
    bands: Bands = None,
    mask: Mask = None,
    mask_values: MaskValues = None,
    speckle: Speckle = None,
    fill: Annotated[bool, typer.Option("--fill", help="Fill missing values of the images linearly in time.")] = False,
    buffer: Annotated[float | None, typer.Option(help="Metres to shrink fields by, against mixed pixels. [0]")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Most pixels of a field, drawn at random. [all]")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same result. [0]")] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file with any settings of a run.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON on standard output.")] = False,
) -> None:
    """Cluster, score, map and report an embedding that somebody else computed: AlphaEarth, Presto, Clay, Prithvi ...

    For example: sitscope adopt --embedding EMB.tif --dequantise alphaearth --fields fields.gpkg --label crop --out OUT

    Clusters, vote, confusion matrix, maps and report as in sitscope run. Which dates the embedding looks at cannot be
    said without its encoder; with --images it is told on which dates these part the classes that it confuses.

    In an .npz: embedding (n, d), label (n,), field (n,). In a .parquet: a row for each, columns e1, e2 ... or lists.
    """
    from sitscope.adopting import adopt as adopted
    from sitscope.given import How
    from sitscope.settings import read_settings
    from sitscope.verbs.asking import cleaning

    asked: dict[str, Any] = {
        "label": label, "clusters": clusters, "units": units, "start": start, "end": end, "orbit": orbit,
        "bands": names(bands) if bands else None, "buffer": buffer, "max_pixels": max_pixels,
        "seed": seed, "fill": fill or None,
        **cleaning(mask, mask_values, None, None, None, speckle, None),
    }  # fmt: skip
    how: How = {
        "dequantise": dequantise, "scale": scale, "offset": offset, "nodata": nodata,
        "variable": variable, "date": date, "columns": columns,
    }  # fmt: skip
    given = embedding if len(embedding) > 1 else embedding[0]
    seen = images if images is None or len(images) > 1 else images[0]
    with telling() as talk:
        found = adopted(
            given,
            fields,
            out,
            read_settings(settings, asked),
            images=seen,
            overwrite=overwrite,
            talk=talk,
            **how,
        )
    if json:
        print((out / "scores.json").read_text())
        return
    scores = found.scores
    print(
        f"overall accuracy {scores.overall_accuracy:.2f}, kappa {scores.kappa:.2f}, "
        f"macro recall {scores.macro_recall:.2f} on {scores.n_test:,} test series",
        file=sys.stderr,
    )
    for name, path in {"report": "report.html", "figures": "figures", "maps": "maps"}.items():
        if (out / path).exists():
            print(f"{name:<8} {out / path}")
