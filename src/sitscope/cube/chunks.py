"""Does a chunk hold what it says? Blosc believes its header, and reads beyond a chunk that was cut short."""

import json
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from sitscope.untrusted import content

HEADER = 16
"""Bytes before the values: versions, flags, then three sizes: unpacked, of a block, and of the chunk itself."""


class CheckedStore(LocalStore):
    """A folder of Zarr, whose chunks are looked at before they are unpacked."""

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """As any store; ValueError for a chunk of blosc that is not as long as it says."""
        found = await super().get(key, prototype, byte_range)
        if found is not None and self._blosc(key):
            raw = found.to_bytes()
            if len(raw) < HEADER or int.from_bytes(raw[12:16], "little") != len(raw):
                raise ValueError(f"the chunk {key} is cut short or damaged")
        return found

    def _blosc(self, key: str) -> bool:
        """Whether a key is a chunk packed with blosc; what arrays say of themselves is kept."""
        known: dict[str, bool] = self.__dict__.setdefault("_known", {})
        folder, _, name = key.rpartition("/")
        if name in ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"):
            return False
        if folder not in known:
            known[folder] = self._said(folder)
        return known[folder]

    def _said(self, folder: str) -> bool:
        for place in (folder, *(str(parent) for parent in Path(folder).parents)):
            for name in ("zarr.json", ".zarray"):
                path = Path(self.root) / place / name
                if path.is_file():
                    return last_codec(json.loads(content(path))) == "blosc"
        return False


def last_codec(array: Any) -> str:
    """What packs the chunks of an array last, so that it is how their bytes begin; "" for none."""
    codecs = array.get("codecs") or [array.get("compressor")]
    last = codecs[-1] if isinstance(codecs, list) else None
    return str(last.get("id", last.get("name"))).removeprefix("numcodecs.") if isinstance(last, dict) else ""
