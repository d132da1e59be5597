"""The verb fuse: several sensors in one embedding."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sitscope.terminal import telling
from sitscope.verbs.asking import End, Start


def fuse(
    fields: Annotated[Path, typer.Option(help="Polygons of fields: any vector file.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to write; must not hold a run.", show_default=False)],
    sensor: Annotated[
        list[str] | None,
        typer.Option(
            help="Name and images of a sensor, s1=stack/, once for each; the first one's pixels are the series."
        ),
    ] = None,
    join: Annotated[
        str | None,
        typer.Option(
            help="branches: convolutions for each sensor, on its own dates. stacked: all bands on common dates. "
            "[branches]"
        ),
    ] = None,
    balance: Annotated[
        bool, typer.Option("--balance", help="Every sensor has the same share of the error, however many its values.")
    ] = False,
    label: Annotated[str | None, typer.Option(help="Column of the fields that names the crop. [crop]")] = None,
    dims: Annotated[int | None, typer.Option(help="Dimensions of the embedding. [2]")] = None,
    clusters: Annotated[int | None, typer.Option(help="Clusters of the embedding. [as many as classes]")] = None,
    start: Start = None,
    end: End = None,
    buffer: Annotated[float | None, typer.Option(help="Metres to shrink fields by, against mixed pixels. [0]")] = None,
    fill: Annotated[bool, typer.Option("--fill", help="Fill missing values linearly in time.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Most passes of the training over the series.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same result. [0]")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="TOML file with any of these, [autoencoder], and a table [sensors.s1] for each.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print scores and shares as JSON on standard output.")] = False,
) -> None:
    """Learn one embedding from several sensors, each on its own dates, and tell what each sensor, band and date gives.

    For example: sitscope fuse --sensor s1=stack_s1/ --sensor s2=S2.zarr --fields fields.gpkg --out RUN --fill

    Of the other sensors it is the pixel under the centre of the first one's, whatever their grids and resolutions, so
    name the finest first. What a sensor alone needs stands in a settings file, below [sensors.s2]: images, bands, mask,
    orbit, units and the other options of reading.
    """
    from json import dumps, loads

    from sitscope.fusing import fuse
    from sitscope.fusion_plan import read_plan

    asked: dict[str, Any] = {"label": label, "clusters": clusters, "start": start, "end": end, "buffer": buffer}
    asked |= {"seed": seed, "fill": fill or None, "autoencoder": {"dims": dims, "epochs": epochs}}
    plan = read_plan(settings, asked, sensor or [], {"join": join, "balance": balance or None})
    how: dict[str, Any] = {"join": plan.join, "balance": plan.balance, "overwrite": overwrite}
    with telling() as talk:
        found = fuse(plan.sensors, fields, out, plan.settings, **how, talk=talk)
    if json:
        shares = loads(found.shares.to_json(orient="records", double_precision=15))
        print(dumps({"scores": loads((out / "scores.json").read_text()), "shares": shares}))
        return
    scores = found.scores
    print(
        f"overall accuracy {scores.overall_accuracy:.2f}, macro recall {scores.macro_recall:.2f} on "
        f"{scores.n_test:,} test series",
        file=sys.stderr,
    )
    for dim, rows in found.shares.groupby("dim"):
        shares = ", ".join(f"{row.sensor} {row.share:.0%}" for row in rows.itertuples())
        print(f"dimension {dim}: {shares}", file=sys.stderr)
    print(f"report   {out / 'report.html'}\nfigures  {out / 'figures'}\ntable    {out / 'contributions.parquet'}")
