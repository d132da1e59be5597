"""How does a file or a folder take its place whole or not at all, and what is said where there is no room for it?"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rasterio._err import CPLE_BaseError  # what rasterio.shutil.copy raises, and nowhere else to be had
from rasterio.errors import RasterioError

from sitscope.errors import BadInput

NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
"""Errors of a disk that is full, or must not be written."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A hidden folder beside path; what is in it at the end takes its place under its own name, on failure nothing.

    Raises BadInput where the place is full or must not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
            folder = Path(name)
            yield folder
            # what was asked for last: what lies beside it is there when it appears
            for member in sorted(folder.iterdir(), key=lambda each: each.name == path.name):
                final = path.parent / member.name
                if final.is_dir():
                    shutil.rmtree(final)  # a folder, unlike a file, cannot be replaced in one step
                os.replace(member, final)
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise unwritable(path.parent, error.strerror or str(error)) from error


@contextmanager
def gdal_writes(path: Path) -> Iterator[None]:
    """What GDAL says while it writes path into the folder of `whole`, as BadInput."""
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise unwritable(path.parents[1], str(error.__cause__ or error)) from error


def unwritable(folder: Path, why: str) -> BadInput:
    """What is told of a folder that is full or must not be written."""
    # Path.exists raises where it must not look
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if os.path.exists(each))
    return BadInput(
        "out",
        f"{folder} cannot be written ({why}), where {_free(there)}. "
        "Make room, or name a folder that can be written, and start again; what was there before still is.",
    )


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB are free"
    except OSError:
        return "it cannot be told how much is free"
