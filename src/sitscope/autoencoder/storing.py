"""Is what a model folder holds a model? Everything is checked before anything is built from it.

c bands, t dates. The hash says that weights and model.json belong together, not who wrote them.
"""

import hashlib
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import safetensors
import safetensors.torch
import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from torch import nn

from sitscope.autoencoder.network import Autoencoder, Settings, weights_in
from sitscope.errors import BadInput
from sitscope.untrusted import Single, content, parsed, printable

SCHEMA = 2
"""Version of the model folder; a reader refuses those it does not know. 2 came with the mean curve."""

HEADER = 1 << 20
"""Bytes that names and shapes take in the file of the weights at most."""

DATE = re.compile(r"(\d{4})-\d{2}-\d{2}(T\d{2}(:\d{2}(:\d{2}(\.\d{1,9})?)?)?)?", re.ASCII)

Name = Annotated[str, Field(min_length=1, max_length=200)]
Loss = Annotated[float, Field(allow_inf_nan=True)]  # an epoch may have diverged after the best


def _in_order(dates: tuple[str, ...]) -> tuple[str, ...]:
    for date in dates:
        match = DATE.fullmatch(date)
        # nanoseconds in 64 bits reach from 1677 to 2262, and beyond them wrap around without a word
        if not match or not 1678 <= int(match[1]) <= 2261:
            raise ValueError(f"{date[:40]!r} is no date")
    if any(one >= other for one, other in pairwise(np.array(dates, "datetime64[ns]"))):
        raise ValueError("the dates are not in order, each once")
    return dates


def _told_apart(bands: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(bands)) < len(bands) or any(band != printable(band) or "/" in band for band in bands):
        raise ValueError("the bands are not names, each once")
    return bands


Dates = Annotated[tuple[str, ...], Field(min_length=1, max_length=100_000), AfterValidator(_in_order)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=10_000), AfterValidator(_told_apart)]


class Version(BaseModel):
    """What model.json says first, whatever the rest."""

    number: Any = Field(alias="schema")


class Page(BaseModel):
    """What every model.json says of the weights beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    number: int | str = Field(alias="schema")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    settings: Settings
    losses: dict[str, list[Loss]]
    best_epoch: int = Field(ge=0, le=1_000_000)
    seed: int

    @model_validator(mode="after")
    def _every_epoch(self) -> "Page":
        if set(self.losses) != {"train", "validation"} or len({len(epochs) for epochs in self.losses.values()}) > 1:
            raise ValueError("losses are not train and validation, one of each for every epoch")
        if self.best_epoch > len(self.losses["train"]):
            raise ValueError(f"best_epoch is {self.best_epoch} of {len(self.losses['train'])}")
        return self


class Described(BaseModel):
    """The series that a model reads: their bands and dates, and how they are scaled."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: tuple[Single, ...]
    std: tuple[Annotated[Single, Field(gt=0)], ...]
    curve: tuple[tuple[Single, ...], ...]
    dates: Dates
    bands: Names
    units: str = Field(max_length=200)

    @model_validator(mode="after")
    def _of_one_size(self) -> "Described":
        c, t = len(self.bands), len(self.dates)
        if (len(self.mean), len(self.std)) != (c, c) or [len(row) for row in self.curve] != [t] * c:
            raise ValueError(f"mean, std and curve are not of {c} bands and {t} dates")
        return self

    def datetimes(self) -> np.ndarray:
        """datetime64[ns] (t,)."""
        return np.array(self.dates, "datetime64[ns]")


class Stored(Page, Described):
    """model.json, as `Fitted.save` writes it."""


P = TypeVar("P", bound=Page)
N = TypeVar("N", bound=nn.Module)


def read_model(folder: Path) -> tuple[Stored, Autoencoder, str]:
    """model.json, the network with its weights, and the hash of model.json; or BadInput."""

    def laid_out(stored: Stored) -> tuple[Autoencoder, int]:
        shape = len(stored.bands), len(stored.dates)
        return Autoencoder(*shape, stored.settings), weights_in(*shape, stored.settings)

    return read_page(folder, SCHEMA, Stored, laid_out)


def read_page(
    folder: Path, schema: int | str, page: type[P], laid_out: Callable[[P], tuple[N, int]]
) -> tuple[P, N, str]:
    """A page model.json of this schema, the network that `laid_out` makes of it with its weights, the page's hash.

    Nothing is allocated for a network of other sizes than the weights have: it is first laid out without memory.
    """
    try:
        written = content(folder / "model.json")
        found = parsed(Version, written).number
        if found != schema:
            remedy = "Train again, or install the version that wrote it."
            raise BadInput("model", f"{folder} has schema {str(found)[:40]}, this version reads {schema}. {remedy}")
        stored = parsed(page, written)
        with torch.device("meta"):
            network, count = laid_out(stored)
        raw = content(folder / "weights.safetensors", 4 * count + HEADER)
        if hashlib.sha256(raw).hexdigest() != stored.sha256:
            remedy = "Copy it again."
            raise BadInput("model", f"the weights in {folder} are not those that model.json names (sha256). {remedy}")
        weights = safetensors.torch.load(raw)
        _require_plain(weights)
        network.load_state_dict(weights, assign=True)
    except BadInput as error:
        if error.argument == "model":
            raise
        raise _none(folder, error.message) from error
    except (OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise _none(folder, str(error)) from error
    return stored, network, hashlib.sha256(written).hexdigest()


def _require_plain(weights: dict[str, torch.Tensor]) -> None:
    for name, values in weights.items():
        if values.dtype != torch.float32 or not torch.isfinite(values).all():
            raise ValueError(f"{name[:80]} is not of finite numbers in float32")


def _none(folder: Path, why: str) -> BadInput:
    return BadInput("model", f"{folder} holds no model that can be read ({why}). Name the model folder of a run.")
