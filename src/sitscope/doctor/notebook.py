"""What stands in the way of a run, and what will only make it worse?"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sitscope.errors import BadInput, attempt, collecting

T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """Something to know before a run."""

    severity: str
    """ "error": a run is refused; "warning": it goes on, but less comes of it"""
    argument: str
    """the argument or setting to blame"""
    message: str
    """what was found, with values, and what to do"""


@dataclass
class Notebook:
    """Problems in the order in which they were found, each once."""

    problems: list[Problem] = field(default_factory=list)
    likewise: dict[int, int] = field(default_factory=dict)
    """Of how many more files the same is true, by position in problems."""

    def error(self, mistake: BadInput) -> None:
        """A mistake for which a run would be refused; of files that share one, the first is told, the rest counted."""
        for i, known in enumerate(self.problems):
            if known.severity == "error" and known.argument == mistake.argument:
                if known.message == mistake.message:
                    return
                if _kind(known.message) == _kind(mistake.message):
                    self.likewise[i] = self.likewise.get(i, 0) + 1
                    return
        self.problems.append(Problem("error", mistake.argument, mistake.message))

    def warn(self, argument: str, message: str) -> None:
        """Something that a run does not mind and its reader might."""
        self.problems.append(Problem("warning", argument, message))

    def tried(self, step: Callable[[], T]) -> T | None:
        """What the step gives; None where a mistake stood in its way. Within it, what can go on goes on."""
        with collecting(self.error):
            return attempt(step, None)

    def told(self) -> tuple[Problem, ...]:
        """Errors first."""
        whole = [
            Problem(p.severity, p.argument, f"{p.message} So it is with {self.likewise[i]} more.")
            if i in self.likewise
            else p
            for i, p in enumerate(self.problems)
        ]
        return tuple(sorted(whole, key=lambda problem: problem.severity != "error"))


def _kind(message: str) -> str:
    """The message without the file that it begins with."""
    return re.sub(r"^\S+\.\w+ ", "", message) if re.match(r"^\S+\.\w+ ", message) else message
