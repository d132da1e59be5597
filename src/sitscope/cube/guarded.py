"""Which Zarr stores and NetCDF files are opened, and what is said of damage that shows only when a block is read?

A store may name any codec to unpack its chunks with, pickle among them, and an HDF5 file may name other files that hold
its values. Neither is followed.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from sitscope.cube.chunks import CheckedStore, last_codec
from sitscope.errors import BadInput
from sitscope.untrusted import content, require_memory

CODECS = {
    *("blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "crc32c", "crc32", "adler32", "fletcher32"),
    *("bytes", "transpose", "sharding_indexed", "shuffle", "delta", "fixedscaleoffset", "quantize", "bitround"),
    *("astype", "packbits", "vlen-utf8", "vlen-bytes"),
}
"""Names in Zarr 2 and 3 of codecs that only unpack numbers and text; numcodecs. stands before some in Zarr 3."""

METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
MOST_ALONG = 1 << 24
"""Pixels or dates along an axis: its coordinate is read when a file is opened."""


def open_guarded(path: str | Path, argument: str, **options: Any) -> xr.Dataset:
    """A Zarr store, a NetCDF 3 or an HDF5 file, lazy; BadInput, about this argument, where it cannot be read.

    options: of `xarray.open_dataset`. Blocks that turn out damaged when they are read raise BadInput too.
    """
    path = Path(path)
    zarr = path.is_dir()
    source: Any
    try:
        _refuse_foreign(path, argument)
        if zarr:
            engine, source = "zarr", CheckedStore(path, read_only=True)
            options = {"consolidated": False} | options
        else:
            engine, source = "scipy" if _is_classic(path) else "h5netcdf", path
        # Without chunks here: each block is later cut from the file itself, whatever the file's own chunks.
        found = xr.open_dataset(source, engine=engine, chunks=None, cache=False, decode_coords="all", **options)
        found = found.drop_vars(
            [name for name, coord in found.coords.items() if coord.ndim > 1]
        )  # nobody asks for them
        for coord in found.coords.values():
            coord.load()
        guarded = {name: _guarded(array.variable, str(path), str(name), argument) for name, array in found.items()}
        return found.assign(guarded)
    except BadInput:
        raise
    except Exception as error:  # noqa: BLE001 - each library has its own errors for a file that it cannot read
        kind = "Zarr store" if zarr else "NetCDF file"
        why = str(error) or type(error).__name__
        message = f"{path} cannot be read as a {kind} ({why}). Copy it again, or leave it out."
        raise BadInput(argument, message) from None


def _refuse_foreign(path: Path, argument: str) -> None:
    if path.is_dir():
        for file in _regular(path, argument):
            if file.name in METADATA:
                _refuse_codecs(json.loads(content(file)), file, argument)
    elif not path.is_file():
        raise BadInput(argument, f"{path} is no regular file. Give a file or a Zarr store.")
    elif not _is_classic(path):
        with h5py.File(path) as file:
            _refuse_elsewhere(file, path, argument, 0)


def _is_classic(path: str | Path) -> bool:
    """NetCDF 3, which is no HDF5."""
    with Path(path).open("rb") as file:
        return file.read(3) == b"CDF"


def _regular(folder: Path, argument: str) -> Iterator[Path]:
    """All files beneath; BadInput for a pipe or a device, which would never end."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file():
                    yield Path(entry.path)
                elif not entry.is_dir():
                    raise BadInput(argument, f"{entry.path} is neither a file nor a folder. Remove it.")


def _refuse_codecs(node: Any, file: Path, argument: str) -> None:
    """BadInput for a codec that is not known to be harmless, and for chunks or axes that no memory holds."""
    if isinstance(node, list):
        for each in node:
            _refuse_codecs(each, file, argument)
    if not isinstance(node, dict):
        return
    packed = json.dumps([node.get(key) for key in ("codecs", "filters", "compressor")])
    if packed.count('"blosc"') + packed.count('"numcodecs.blosc"') > (last_codec(node) == "blosc"):
        remedy = "Write it with blosc last and without shards, or with zstd."
        raise BadInput(argument, f"{file} has blosc within shards or below other codecs, which is not read. {remedy}")
    for key, value in node.items():
        if key in ("compressor", "filters", "codecs", "index_codecs", "compressors", "storage_transformers"):
            for codec in value if isinstance(value, list) else [value]:
                _refuse_codec(codec, file, argument)
        if key != "attributes":
            _refuse_codecs(value, file, argument)
    grid = node.get("chunk_grid", {})
    sizes = node.get("chunks", grid.get("configuration", {}).get("chunk_shape") if isinstance(grid, dict) else None)
    _refuse_sizes(node.get("shape"), sizes, file, argument)


def _refuse_codec(codec: Any, file: Path, argument: str) -> None:
    if codec is None:
        return
    name = codec.get("id", codec.get("name")) if isinstance(codec, dict) else codec
    if str(name).removeprefix("numcodecs.") not in CODECS:
        raise BadInput(
            argument,
            f"{file} is packed with {str(name)[:80]!r}, which is not read: what unpacks it could run any program. "
            "Write it again with zstd, blosc or gzip.",
        )


def _refuse_sizes(shape: Any, chunks: Any, file: Path, argument: str) -> None:
    axes = [list(each) if isinstance(each, list | tuple) else [] for each in (shape, chunks)]
    if not all(isinstance(n, int) and n >= 0 for each in axes for n in each):
        raise BadInput(argument, f"{file} has impossible sizes ({shape}, {chunks}). Copy it again.")
    if max(axes[0], default=0) > MOST_ALONG:
        message = f"{file} is {max(axes[0]):,} long along an axis, and {MOST_ALONG:,} are the most. Cut it to parts."
        raise BadInput(argument, message)
    what = f"a single chunk of {file}, {' x '.join(map(str, axes[1]))},"
    require_memory(8 * math.prod(axes[1]), argument, what, "Write it with smaller chunks.")


def _refuse_elsewhere(group: h5py.Group, path: Path, argument: str, depth: int) -> None:
    """BadInput for an HDF5 file whose values lie in other files, or are too large to be."""
    if depth > 20:
        raise BadInput(argument, f"{path} holds groups in groups without end. Copy it again.")
    for name in group:
        link = group.get(name, getlink=True)
        held = None if isinstance(link, h5py.ExternalLink) else group.get(name)
        if isinstance(held, h5py.Group):
            if isinstance(link, h5py.HardLink):
                _refuse_elsewhere(held, path, argument, depth + 1)
        elif isinstance(held, h5py.Dataset) and not held.external and not held.is_virtual:
            if held.shape is not None:
                _refuse_sizes(held.shape, held.chunks, path, argument)
        elif not isinstance(held, h5py.Datatype):
            message = (
                f"{path} leaves the values of {name!r} to another file, which is not followed. Write them into it."
            )
            raise BadInput(argument, message)


def _guarded(variable: xr.Variable, path: str, name: str, argument: str) -> xr.Variable:
    lazy = indexing.LazilyIndexedArray(Guarded(variable, path, name, argument))
    found = xr.Variable(variable.dims, lazy, variable.attrs)
    found.encoding = variable.encoding
    return found


class Guarded(BackendArray):
    """A variable of a file, read where and when it is asked for; BadInput where that fails."""

    def __init__(self, variable: xr.Variable, path: str, name: str, argument: str) -> None:
        self.variable, self.path, self.name, self.argument = variable, path, name, argument
        self.shape, self.dtype = variable.shape, variable.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        try:
            return np.asarray(self.variable[key].values)
        except Exception as error:  # noqa: BLE001 - each codec has its own errors for bytes that it cannot unpack
            why = str(error) or type(error).__name__
            message = f"{self.path} is damaged: {self.name} cannot be read ({why}). Copy it again, or leave it out."
            raise BadInput(self.argument, message) from None

    def __dask_tokenize__(self) -> tuple[object, ...]:
        path = Path(self.path)
        changed = path.stat().st_mtime_ns if path.exists() else 0
        return ("sitscope.Guarded", self.path, self.name, self.shape, str(self.dtype), changed)
