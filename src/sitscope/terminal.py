"""How is a person at a terminal told what happens, and what came out?"""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from sitscope.doctor.checkup import Checkup
    from sitscope.job import Talk

PARTIAL = 4
"""Exit code of what was interrupted and can go on."""
DIFFERENT = 5
"""Exit code of a run that came out another way when it was repeated."""
QUOTED = "units|orbit|doubles|mask|dequantise|variable|date|columns"
"""Options whose values are text."""
COUNTED = 1000
"""Steps from which on their number in a second is of interest."""


def write_table(evaluation: "pd.DataFrame") -> None:
    """The efficiency of each method, with intervals, and its other figures: on standard output, for any width."""
    from sitscope.showing.trust import efficiency_rows, figure_rows

    console = _console()
    _write(console, "Efficiency: 0 random orders, 1 greedy removal", efficiency_rows(evaluation))
    _write(console, "Other figures, means over the maskings", figure_rows(evaluation))


def write_sweep(sweep: "pd.DataFrame") -> None:
    """What changes with the size of the embedding, and which is recommended: on standard output, for any width."""
    from sitscope.showing.cure import advice, sweep_rows

    console = _console()
    _write(console, "What changes with size, means over the seeds ± standard deviation", sweep_rows(sweep))
    console.print(advice(sweep))


def write_comparison(comparison: "pd.DataFrame") -> None:
    """Each method with its interval, and where the autoencoder stands: on standard output, for any width."""
    from sitscope.showing.cure import comparison_rows, standing

    console = _console()
    _write(console, "Means over field-wise splits, with 95 % intervals", comparison_rows(comparison))
    console.print(standing(comparison))


def write_checkup(found: "Checkup") -> None:
    """What is there, dates, classes and problems: on standard output, for any width."""
    console = _console()
    for title, rows in (
        ("What is there", [("", ""), *found.there.items()]),
        ("Dates", [("date", "orbit", "missing"), *(_date(row) for row in found.dates)]),
        ("Classes", [("class", "fields", "too small", "pixels"), *(_counts(row) for row in found.classes)]),
        ("Problems", [("", "", ""), *((p.severity, p.argument, as_options(p.message)) for p in found.problems)]),
    ):
        if len(rows) > 1:
            _write(console, title, rows)
    errors = sum(problem.severity == "error" for problem in found.problems)
    warnings = len(found.problems) - errors
    console.print(
        f"{errors} errors stand in the way of a run, {warnings} warnings do not."
        if errors
        else f"Nothing stands in the way of a run; {warnings} warnings."
    )


def _date(row: dict[str, Any]) -> tuple[str, ...]:
    return row["date"], row["orbit"], f"{row['missing']:.1%}"


def _counts(row: dict[str, Any]) -> tuple[str, ...]:
    return (row["class"], *(f"{row[name]:,}" for name in ("fields", "too_small", "pixels")))


def _console() -> "Console":
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=160)


def _write(console: "Console", title: str, rows: Sequence[Sequence[str]]) -> None:
    """A table under its title; what begins every row of figures stands left."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    headed = any(rows[0])
    table = Table(title=title, title_justify="left", show_header=headed, box=SIMPLE if console.is_terminal else None)
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if i and headed else "left", overflow="fold")
    for row in rows[1:]:
        table.add_row(*map(escape, row))
    console.print(table)


def as_options(message: str) -> str:
    """A remedy as it is typed here: what Python calls units='dB' is --units dB.

    >>> as_options("Say which: units='dB' or units='linear', bands=['VV', 'VH'], fill=True.")
    'Say which: --units dB or --units linear, --bands VV,VH, --fill.'
    >>> as_options("Give scale (scale=1 takes them as they are), or dequantise='alphaearth'.")
    'Give scale (--scale 1 takes them as they are), or --dequantise alphaearth.'
    >>> as_options("Take them out with border_noise=-35, or mask_values=(3, 8).")
    'Take them out with --border-noise -35, or --mask-values 3,8.'
    """
    message = re.sub(rf"\b({QUOTED})=('[^']*')", r"--\1 \2", message.replace("fill=True", "--fill"))
    message = re.sub(r"\bbands=\[(.*?)\]", lambda named: f"--bands '{_bare(named[1])}'", message)
    message = re.sub(r"\bmask_values=\((.*?)\)", lambda named: f"--mask-values {_bare(named[1])}", message)
    message = re.sub(r"\b(border_noise|scale)=", lambda named: f"--{named[1].replace('_', '-')} ", message)
    return re.sub(r"(--\w+) '([^' ]+)'", r"\1 \2", message)  # quotes only where the shell needs them


def _bare(names: str) -> str:
    return names.replace("'", "").replace(", ", ",")


@contextmanager
def telling() -> Iterator["Talk"]:
    """Progress bars on stderr, only on a terminal; elsewhere a line when a stage begins."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn())
    speed = TextColumn("{task.fields[speed]}")
    tasks: dict[str, Any] = {}
    with Progress(
        *columns, speed, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bars:

        def talk(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, speed="")
                if not console.is_terminal:
                    print(f"sitscope: {stage}", file=sys.stderr)
            bars.update(tasks[stage], completed=done, total=total)
            rate = bars.tasks[tasks[stage]].speed
            if rate and total > COUNTED:
                bars.update(tasks[stage], speed=f"{rate:,.0f}/s")

        try:
            yield talk
        except KeyboardInterrupt:
            print("sitscope: interrupted. Start it again with the same options to go on.", file=sys.stderr)
            raise typer.Exit(PARTIAL) from None
