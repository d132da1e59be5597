"""The verbs that check: a run repeated, and this machine measured."""

import sys
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from sitscope.terminal import DIFFERENT, telling


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
