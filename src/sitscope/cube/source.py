"""How is a cube named, so that another process opens the very same one?"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sitscope.cube import catalog
from sitscope.cube.matching import matched
from sitscope.cube.reading import ZARR_MARKS, Images, files, open_cube

Plain = str | int | float | tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class Source:
    """Images and the options of `open_cube` that they are read with."""

    images: Any
    """paths, absolute; or an xarray object or STAC items, which no other process can open"""
    options: tuple[tuple[str, Plain], ...] = field(default=())
    """of `open_cube`, by name"""
    dates: tuple[str, ...] = ()
    """of a model, on which images of another year stand; none where the images have their own"""
    tolerance: float = 0.0
    """days by which an acquisition may lie off the day of the year that it stands for"""

    @classmethod
    def of(cls, images: Images, options: Mapping[str, Any]) -> "Source":
        """As a person gives them, from wherever they stand."""
        kept = tuple((key, _plain(_found(key, value))) for key, value in options.items() if value is not None)
        if _held(images):
            return cls(images, kept)
        if isinstance(images, str | Path):
            return cls(_absolute(images), kept)
        return cls(tuple(map(_absolute, images)), kept)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return (self.images if self.portable else id(self.images), self.options, self.dates, self.tolerance)

    @property
    def portable(self) -> bool:
        """Whether another process can open it."""
        return not _held(self.images)

    def open(self) -> xr.DataArray:
        """The cube, lazy. Raises BadInput as `open_cube` does, and `matched`."""
        return self.open_with_notes()[0]

    def open_with_notes(self) -> tuple[xr.DataArray, list[str]]:
        """The cube, and what should be said aloud of its dates."""
        images = list(self.images) if isinstance(self.images, tuple) else self.images
        cube = open_cube(images, **dict(self.options))  # type: ignore[arg-type]
        return matched(cube, np.array(self.dates, "datetime64[ns]"), self.tolerance) if self.dates else (cube, [])

    def fingerprint(self) -> str | None:
        """Of names, sizes and times of change of all files, and of the options; None for a cube in memory."""
        if not self.portable:
            return None
        images = list(self.images) if isinstance(self.images, tuple) else self.images
        digest = hashlib.sha256(repr(self.options).encode())
        mask = str(dict(self.options).get("mask", ""))
        extra = files(mask)[1] if Path(mask).is_absolute() else []
        if catalog.meant(images):
            from sitscope.cube.stac import stamps  # an extra

            digest.update(repr(stamps(images)).encode())
            own: list[str] = []
        else:
            own = files(images)[1]
        for path in [*own, *extra]:
            for part in _watched(Path(path)):
                stat = part.stat()
                digest.update(f"{part.absolute()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()


@lru_cache(maxsize=2)
def opened(source: Source) -> xr.DataArray:
    """The cube, opened once in a process."""
    return source.open()


def _held(images: Any) -> bool:
    """Whether these images are in the memory of this process."""
    return isinstance(images, xr.DataArray | xr.Dataset) or (
        not isinstance(images, str | Path) and catalog.meant(images)
    )


def _watched(path: Path) -> Sequence[Path]:
    """What changes when the images do: a folder's own time says nothing of what lies deeper."""
    return sorted(each for each in path.rglob("*") if each.name in ZARR_MARKS) if path.is_dir() else [path]


def _found(option: str, value: Any) -> Any:
    """A mask may be a file, which lies where the person stands."""
    return _absolute(value) if option == "mask" and Path(value).exists() else value


def _absolute(path: str | Path) -> str:
    return str(path) if "://" in str(path) else str(Path(path).absolute())


def _plain(value: Any) -> Plain:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else value
