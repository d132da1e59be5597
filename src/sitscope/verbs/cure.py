"""The verbs against confusion: other sizes of the embedding, and other methods, on the series of a finished run."""

from json import dumps, loads
from pathlib import Path
from typing import Annotated

import typer

from sitscope.terminal import telling, write_comparison, write_sweep
from sitscope.verbs.asking import names

Run = Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)]
Workers = Annotated[int | None, typer.Option(help="Processes on this machine. [one for each processor]")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://127.0.0.1:8786.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole table as JSON on standard output.")]


def sweep(
    run: Run,
    dims: Annotated[str, typer.Option(help="Sizes of the embedding, with commas.")] = "2,3,4,8,16",
    seeds: Annotated[int, typer.Option(help="Trainings of each size, each with another field-wise split.")] = 3,
    clusters: Annotated[
        str | None, typer.Option(help="Numbers of clusters, with commas. [those of the run, and four times as many]")
    ] = None,
    train_series: Annotated[
        int | None, typer.Option(help="Most series that train each; fewer are faster. [as many as in the run]")
    ] = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    json: AsJson = False,
) -> None:
    """Train larger embeddings, see whether they look at the dates that a small one missed, and recommend a size.

    The images are not needed. Writes RUN/sweep.csv and figures/sweep, and draws the report anew. A training takes as
    long as that of the run; an interrupted sweep goes on where it was, and sizes or seeds may be added later.

    For example, faster: sitscope sweep RUN --dims 2,4,8 --seeds 2 --train-series 2000
    """
    from sitscope.applying import Machines
    from sitscope.sweeping import sweep

    with telling() as talk:
        sizes, many = _numbers("dims", dims), _numbers("clusters", clusters) if clusters else None
        found = sweep(
            run,
            sizes,
            seeds=seeds,
            clusters=many,
            train_series=train_series,
            machines=Machines(workers, scheduler),
            talk=talk,
        )
    if json:
        table = loads(found.to_json(orient="records", double_precision=15))
        print(dumps({"run": str(run), "seeds": seeds, "table": table}))
        return
    write_sweep(found)
    for name, path in {"table": "sweep.csv", "figure": "figures/sweep.png", "report": "report.html"}.items():
        print(f"{name:<8} {run / path}")


def compare(
    run: Run,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods, with commas: raw (the series themselves), pca, connected (a fully connected autoencoder), "
            "cae (the run's), forest and cnn (which are told the classes). [all]",
        ),
    ] = None,
    splits: Annotated[int, typer.Option(help="Field-wise splits into training and test.")] = 5,
    dims: Annotated[int | None, typer.Option(help="Dimensions of what is clustered. [those of the run]")] = None,
    clusters: Annotated[int | None, typer.Option(help="Clusters. [those of the run]")] = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    json: AsJson = False,
) -> None:
    """Score other methods beside the autoencoder: the baselines of paper [4], and two that are told the classes.

    All are clustered alike and named by the same vote, on several field-wise splits; intervals are Student's over the
    splits, widened since splits share fields. Writes RUN/compare.csv and figures/compare, and draws the report anew. An
    interrupted comparison goes on where it was.

    For example, in seconds: sitscope compare RUN --methods raw,pca,forest
    """
    from sitscope.applying import Machines
    from sitscope.baselines import compare

    asked = names(methods) if methods else None
    with telling() as talk:
        machines = Machines(workers, scheduler)
        found = compare(run, asked, splits=splits, dims=dims, clusters=clusters, machines=machines, talk=talk)
    if json:
        table = loads(found.to_json(orient="records", double_precision=15))
        print(dumps({"run": str(run), "splits": splits, "table": table}))
        return
    write_comparison(found)
    for name, path in {"table": "compare.csv", "figure": "figures/compare.png", "report": "report.html"}.items():
        print(f"{name:<8} {run / path}")


def _numbers(argument: str, text: str) -> list[int]:
    from sitscope.errors import BadInput

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(argument, f"{text!r} is no list of whole numbers. Write them with commas: 2,4,8.") from None
