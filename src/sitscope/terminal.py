"""How is a person at a terminal told what happens, and what came out?"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from sitscope.job import Talk

PARTIAL = 4
"""Exit code of what was interrupted and can go on."""


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
    tasks: dict[str, Any] = {}
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bars:

        def talk(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
                if not console.is_terminal:
                    print(f"sitscope: {stage}", file=sys.stderr)
            bars.update(tasks[stage], completed=done, total=total)

        try:
            yield talk
        except KeyboardInterrupt:
            print("sitscope: interrupted. Start it again with the same options to go on.", file=sys.stderr)
            raise typer.Exit(PARTIAL) from None
