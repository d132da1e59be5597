"""How is a person at a terminal told what happens, and what came out?"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

    from sitscope.job import Talk

PARTIAL = 4
"""Exit code of what was interrupted and can go on."""
DIFFERENT = 5
"""Exit code of a run that came out another way when it was repeated."""
COUNTED = 1000
"""Steps from which on their number in a second is of interest."""


def write_table(evaluation: "pd.DataFrame") -> None:
    """The efficiency of each method, with intervals, and its other figures: on standard output, for any width."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from sitscope.showing.trust import efficiency_rows, figure_rows

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    for title, rows in (("Efficiency: 0 random orders, 1 greedy removal", efficiency_rows(evaluation)),
                        ("Other figures, means over the maskings", figure_rows(evaluation))):  # fmt: skip
        table = Table(title=title, title_justify="left", box=SIMPLE if console.is_terminal else None)
        for i, name in enumerate(rows[0]):
            table.add_column(name, justify="right" if i else "left", overflow="fold")
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)


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
