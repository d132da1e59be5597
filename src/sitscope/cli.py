"""One verb per stage: what a person can ask for."""

import os
import sys
import traceback
from json import dumps, loads
from pathlib import Path
from typing import Annotated, Any

import typer

from sitscope.errors import BadInput, Unfinished
from sitscope.terminal import PARTIAL, as_options, telling, write_table
from sitscope.verbs import adopt as adopting
from sitscope.verbs import again, asking, cure, fuse, labels, maps
from sitscope.verbs import images as before

UNEXPECTED, BAD_INPUT = 1, 3
"""Exit codes beside 0; 2 is a wrong option, which typer answers itself, 4 is `terminal.PARTIAL`."""

LETTER_GROUPS = (("Cotton", "Tomato", "Sugar Beet"), ("Cotton", "Sweet Potato", "Pepper"), ("Fallow", "Quinoa"))
"""The classes of the letter's Fig. 4."""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which acquisition dates does an embedding of a satellite image time series look at, "
    "and why are two crops confused?\n\n"
    "Start with **sitscope demo**, then **sitscope run** on your own images and fields; **sitscope evaluate** measures "
    "which method of explaining to believe.\n\n"
    "Exit codes: 0 done, 1 unexpected, 2 wrong option, 3 input that cannot be used, 4 interrupted and resumable, "
    "5 repeated and different.",
    epilog="Run any of them with --debug in front (sitscope --debug run ...) to see the traceback of an error.",
)

Out = Annotated[Path, typer.Option(help="Folder to write; made where it is missing.", show_default=False)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the scores as JSON on standard output.")]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        help="Classes whose profiles to draw together, with commas: Cotton,Pepper. May be given several times. "
        "[those that the scores choose]",
        show_default=False,
    ),
]
FieldCount = Annotated[int, typer.Option(help="How many fields the simulated scene has.")]


def _version(asked: bool | None) -> None:
    if asked:
        from importlib.metadata import version

        print(f"sitscope {version('sitscope')}")
        raise typer.Exit


@app.callback()
def _start(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = None,
) -> None:
    if debug:
        os.environ["SITSCOPE_DEBUG"] = "1"


@app.command()
def demo(
    out: Out = Path("demo"),
    fields: FieldCount = 900,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    json: AsJson = False,
) -> None:
    """Simulate a season of Sentinel-1 over irrigated fields and explain it, from images to report.

    Writes OUT/scene (GeoTIFFs and fields.gpkg, as a user would have them) and OUT/run (maps, figures, report.html).
    """
    from sitscope.job import require_free
    from sitscope.settings import RunSettings

    require_free(out / "run", overwrite)
    _simulate(out / "scene", fields, seed)
    settings = RunSettings(clusters=16, buffer=10.0, train_series=10_000, seed=seed, groups=LETTER_GROUPS)
    _run(out / "scene", out / "scene" / "fields.gpkg", out / "run", settings, overwrite, json)


@app.command()
def simulate(
    out: Out,
    fields: FieldCount = 900,
    seed: Seed = 0,
) -> None:
    """Write a simulated scene: a GeoTIFF for each acquisition and polarisation, and fields.gpkg.

    61 acquisitions of 2017 every six days, VV and VH in dB, 16 crops; truth.csv tells how well each date parts
    each pair of crops.
    """
    _simulate(out, fields, seed)
    print(out)


@app.command()
def run(
    images: asking.Images,
    fields: Annotated[
        Path, typer.Option(help="Polygons of fields: any vector file (GeoPackage, Shapefile, ...).", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run to write; must not hold one.", show_default=False)],
    label: Annotated[str | None, typer.Option(help="Column of the fields that names the crop. [crop]")] = None,
    dims: Annotated[int | None, typer.Option(help="Dimensions of the embedding. [2]")] = None,
    clusters: Annotated[int | None, typer.Option(help="Clusters of the embedding. [as many as classes]")] = None,
    units: asking.Units = None,
    start: asking.Start = None,
    end: asking.End = None,
    orbit: asking.Orbit = None,
    bands: asking.Bands = None,
    mask: asking.Mask = None,
    mask_values: asking.MaskValues = None,
    border_noise: asking.BorderNoise = None,
    border_pixels: asking.BorderPixels = None,
    doubles: asking.Doubles = None,
    speckle: asking.Speckle = None,
    window: asking.Window = None,
    buffer: Annotated[float | None, typer.Option(help="Metres to shrink fields by, against mixed pixels. [0]")] = None,
    fill: Annotated[bool, typer.Option("--fill", help="Fill missing values linearly in time.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Most passes of the training over the series.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same result. [0]")] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="How importance is found: path (contributions from the mean curve to the series, which add up to the "
            "embedding) or letter (the letter's Grad-SLAM). The other is kept in profiles.parquet. [path]",
        ),
    ] = None,
    group: Groups = None,
    settings: Annotated[
        Path | None, typer.Option(help="TOML file with any of these, and the network under [autoencoder].")
    ] = None,
    overwrite: Overwrite = False,
    json: AsJson = False,
) -> None:
    """Explain your own images: train, cluster, vote, score, map, and tell which dates made the embedding.

    For example: sitscope run --images stack/ --fields fields.gpkg --label crop --out RUN

    An interrupted run goes on after its training when started again with the same options.
    """
    from sitscope.settings import read_settings

    asked = {
        "label": label, "clusters": clusters, "units": units, "start": start, "end": end, "orbit": orbit,
        "bands": bands and asking.names(bands), "buffer": buffer, "method": method, "seed": seed,
        "groups": _groups(group),
        "fill": fill or None, "autoencoder": {"dims": dims, "epochs": epochs},
        **asking.cleaning(mask, mask_values, border_noise, border_pixels, doubles, speckle, window),
    }  # fmt: skip
    _run(images if len(images) > 1 else images[0], fields, out, read_settings(settings, asked), overwrite, json)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    group: Groups = None,
) -> None:
    """Draw the figures and the report of a run anew."""
    from sitscope.folder import RunFolder
    from sitscope.job import show

    with telling() as talk:
        show(RunFolder(run), talk, _groups(group))
    print(run / "report.html")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    series: Annotated[int, typer.Option(help="Test series to measure on, one of each class in turn.")] = 32,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods to compare, with commas (path,letter): path, rounds, letter, element-wise, activation-only, "
            "grad-cam, occlusion, integrated-gradients, saliency, random. [all]",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Random replacements of each date; fewer are faster.")] = 16,
    seed: Seed = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the whole table as JSON on standard output.")] = False,
) -> None:
    """Measure which method names the dates that the embedding really hangs on. The images are not needed.

    Dates are removed in the order in which each method names them, and replaced in four ways: by the mean curve, from
    their neighbours, by another series, by noise. The further the embedding moves, the better: 0 is what random orders
    reach, 1 is greedy removal, which tries every date at every step and takes most of the time. Writes
    RUN/evaluation.csv and figures/fidelity, and draws the report anew.

    For example, in a fraction of the time: sitscope evaluate RUN --series 16 --draws 4 --methods path,letter,random
    """
    from sitscope.folder import RunFolder
    from sitscope.job import evaluate

    asked = asking.names(methods) if methods else None
    with telling() as talk:
        found = evaluate(RunFolder(run), asked, series=series, draws=draws, seed=seed, talk=talk)
    if json:
        facts = {"run": str(run), "series": series, "draws": draws, "seed": seed}
        print(dumps({**facts, "table": loads(found.to_json(orient="records", double_precision=15))}))
        return
    write_table(found)
    for name, path in {"table": "evaluation.csv", "figure": "figures/fidelity.png", "report": "report.html"}.items():
        print(f"{name:<8} {run / path}")


app.command("map")(maps.map_verb)
app.command()(before.ingest)
app.command()(before.doctor)
app.command()(adopting.adopt)
app.command()(again.rerun)
app.command()(again.bench)
app.command()(cure.sweep)
app.command()(cure.compare)
app.command("check-labels")(labels.check_labels)
app.command()(fuse.fuse)


def _groups(asked: list[str] | None) -> tuple[tuple[str, ...], ...] | None:
    return tuple(asking.names(text) for text in asked) if asked else None


def _simulate(out: Path, fields: int, seed: int) -> None:
    from sitscope.simulation.scene import simulate, write_scene

    with telling() as talk:
        talk("simulating", 0, 1)
        scene = simulate(fields=fields, seed=seed)
        talk("simulating", 1, 1)
        write_scene(scene, out, progress=lambda done, total: talk("writing images", done, total))


def _run(images: list[str] | str | Path, fields: Path, out: Path, settings: Any, overwrite: bool, json: bool) -> None:
    from sitscope.job import run

    with telling() as talk:
        findings = run(images, fields, out, settings, overwrite=overwrite, talk=talk)
    scores = findings.scores
    if json:
        print((out / "scores.json").read_text())
        return
    print(
        f"overall accuracy {scores.overall_accuracy:.2f}, kappa {scores.kappa:.2f}, "
        f"macro recall {scores.macro_recall:.2f} on {scores.n_test:,} test series",
        file=sys.stderr,
    )
    print(f"report   {out / 'report.html'}\nfigures  {out / 'figures'}\nmaps     {out / 'maps'}")


def main() -> None:
    """The command `sitscope`: a user's mistake is told without a traceback, with exit code 3."""
    try:
        app()
    except BadInput as error:
        _end(f"sitscope: {as_options(str(error))}", BAD_INPUT)
    except Unfinished as error:
        _end(f"sitscope: {error}", PARTIAL)
    except Exception as error:  # noqa: BLE001 - the last door: whatever else happens is ours to explain
        _end(
            f"sitscope: unexpected {type(error).__name__}: {error}\nThis is our mistake; sitscope --debug shows where.",
            UNEXPECTED,
        )


def _end(message: str, code: int) -> None:
    if os.environ.get("SITSCOPE_DEBUG"):
        traceback.print_exc()
    print(message, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
