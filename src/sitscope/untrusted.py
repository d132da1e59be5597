"""How is a file read that somebody else may have made? Small, regular, of the right shape; or it is refused.

What is trusted and what is not stands in docs/security.md.
"""

import os
import stat
import unicodedata
from pathlib import Path
from typing import Annotated, TypeVar

import psutil
from pydantic import BaseModel, Field, ValidationError

from sitscope.errors import BadInput

MOST_JSON = 64 << 20
"""Bytes of a JSON file at most: a model of 1,000 dates and 100 bands has 2 MB."""

NO_CHARACTERS = {"Cc", "Cs", "Cn", "Zl", "Zp"}
"""Categories of Unicode that XML does not allow, or that end a line."""

SINGLE = 3.4028234e38
"""Largest number in float32."""

Single = Annotated[float, Field(ge=-SINGLE, le=SINGLE, allow_inf_nan=False)]
"""A number that float32 holds: no NaN, nothing infinite."""

M = TypeVar("M", bound=BaseModel)


def content(path: str | Path, most: int = MOST_JSON) -> bytes:
    """The bytes of a regular file, at most so many. Raises OSError where it is none: a pipe or a device never ends."""
    path = Path(path)
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path.name} is no regular file")
    if found.st_size > most:
        raise OSError(f"{path.name} has {found.st_size:,} bytes, more than the {most:,} that are read")
    with path.open("rb") as file:
        return file.read(most)


def parsed(model: type[M], text: bytes) -> M:
    """JSON as this model; ValueError, in a sentence, where it is something else."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(said(error)) from None


def said(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part)[:40] for part in first["loc"][:8])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def require_own(folder: str | Path, argument: str) -> None:
    """Raise BadInput where a folder holds a link that leads out of it, or anything but files and folders.

    Whoever writes into a folder that somebody else made would otherwise write wherever its links point.
    """
    home = Path(folder).resolve()
    waiting = [home]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    if not Path(entry.path).resolve().is_relative_to(home):
                        remedy = "Put a copy in its place."
                        raise BadInput(argument, f"{entry.path} is a link that leads out of the folder. {remedy}")
                elif entry.is_dir():
                    waiting.append(Path(entry.path))
                elif not entry.is_file():
                    raise BadInput(argument, f"{entry.path} is neither a file nor a folder. Remove it.")


def require_memory(needed: int, argument: str, what: str, remedy: str) -> None:
    """Raise BadInput where something would take more bytes than three quarters of the memory that is free."""
    free = psutil.virtual_memory().available
    if needed > 0.75 * free:
        message = f"{what} would take {needed / 1e9:.3g} GB of memory, and {free / 1e9:.3g} GB are free. {remedy}"
        raise BadInput(argument, message)


def printable(text: str) -> str:
    """Text without what is no character of any script: controls, escapes of terminals, halves of pairs.

    >>> printable("Wheat\\x1b[31m\\n")
    'Wheat [31m'
    """
    return "".join(" " if unicodedata.category(each) in NO_CHARACTERS else each for each in text).strip()
