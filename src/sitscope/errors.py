"""What can a user do about it? The one error that stands for a user's mistake, not ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

LONGEST = 2000
"""Characters of a message: names and numbers from a file that somebody spoiled may have millions."""


class BadInput(ValueError):
    """What was given cannot be used: says which argument, what was found there, and what to do.

    The command line prints it without a traceback and exits with code 3.

    >>> raise BadInput("label", "the fields have no column 'crp', only: crop, field_id. Name one of them.")
    Traceback (most recent call last):
    sitscope.errors.BadInput: label: the fields have no column 'crp', only: crop, field_id. Name one of them.
    """

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(argument, message)
        self.argument = _plain(argument)
        self.message = _plain(message)

    def __str__(self) -> str:
        return f"{self.argument}: {self.message}"


def _plain(text: str) -> str:
    """Without what would command a terminal; the middle of a text without end left out."""
    text = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST * 3 // 4]} ... {text[-LONGEST // 5 :]}"


class Unfinished(RuntimeError):
    """Work ended before its end through no fault of what was given; it can go on. The command line exits with 4."""


_HEARD: ContextVar[Callable[[BadInput], object] | None] = ContextVar("heard", default=None)


def attempt(step: Callable[[], T], otherwise: T) -> T:
    """A step in whose way a user's mistake may stand: it ends all, unless somebody collects mistakes (`collecting`).

    Whoever computes is thus checked by the very steps that whoever asks for all mistakes at once goes through.
    """
    heard = _HEARD.get()
    if heard is None:
        return step()
    try:
        return step()
    except BadInput as error:
        heard(error)
        return otherwise


@contextmanager
def collecting(heard: Callable[[BadInput], object]) -> Iterator[None]:
    """Within, mistakes in the way of an `attempt` are told to `heard`, and the work goes on without that step.

    >>> def units() -> str:
    ...     raise BadInput("units", "neither dB nor linear.")
    >>> found: list[BadInput] = []
    >>> with collecting(found.append):
    ...     attempt(units, "dB")
    'dB'
    >>> [str(mistake) for mistake in found]
    ['units: neither dB nor linear.']
    """
    token = _HEARD.set(heard)
    try:
        yield
    finally:
        _HEARD.reset(token)
