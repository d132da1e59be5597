"""What can a run be told besides its images and fields?"""

import reprlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
)

from sitscope.autoencoder.network import Settings
from sitscope.errors import BadInput
from sitscope.untrusted import content

READING = {"units", "bands", "start", "end", "orbit", "mask", "mask_values", "border_noise", "border_pixels"}
READING |= {"doubles", "speckle", "window"}
"""Settings that are options of `open_cube`."""

MOST_BYTES = 1 << 20
"""Of a file of settings."""


class RunSettings(BaseModel):
    """What a run does besides its images and fields. A TOML file may hold any of these, the network in [autoencoder].

    >>> RunSettings(clusters=16, autoencoder={"dims": 8}).autoencoder.dims
    8
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    label: str = "crop"
    """Column of the fields that names the class."""
    units: str | None = None
    """Units of backscatter where the images do not say: dB or linear."""
    bands: tuple[str, ...] | None = None
    start: str | None = None
    """First date used, ISO."""
    end: str | None = None
    """Last date used, ISO."""
    orbit: str | None = None
    mask: str | None = None
    """Mask of clouds: a band of the images, or a file or glob of its own."""
    mask_values: tuple[int, ...] | None = None
    """What in the mask means no measurement; known for SCL and masks of 0 and 1."""
    border_noise: float | None = None
    """dB below which dark patches are borders of a radar image."""
    border_pixels: NonNegativeInt = 0
    """Pixels that go with borders and patches of nodata."""
    doubles: Literal["mosaic"] | None = None
    """Put slices of one pass together; they are refused unless asked."""
    speckle: Literal["temporal", "boxcar"] | None = None
    """Filter against speckle: the multi-image filter of Quegan and Yu, or a mean over a window."""
    window: PositiveInt = 7
    """Pixels along the side of the filter's window, odd."""
    buffer: NonNegativeFloat = 0.0
    """Metres by which fields shrink, so that mixed pixels at their edges stay out."""
    min_pixels: PositiveInt = 1
    """Fields with fewer pixels are left out."""
    max_pixels: PositiveInt | None = None
    """Most pixels taken from a field."""
    unlabelled: NonNegativeInt = 0
    """Pixels outside all fields that train the autoencoder too."""
    fill: bool = False
    """Fill missing values linearly in time."""
    test: float = Field(0.3, gt=0, lt=1)
    """Share of the fields of each class that are kept for the scores."""
    train_series: PositiveInt = 20_000
    """Most series that train the autoencoder; clusters and votes use all of them."""
    clusters: PositiveInt | None = None
    """Clusters of the embedding; as many as classes unless given."""
    vote: Literal["majority", "one-to-one"] = "majority"
    method: Literal["path", "letter"] = "path"
    """How importance is found: along the path from the mean curve, complete, or by the letter's Grad-SLAM."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Classes whose profiles are drawn together, beside those that the scores choose."""
    seed: int = Field(0, ge=0, lt=2**32)
    autoencoder: Settings = Settings()

    @field_validator("autoencoder")
    @classmethod
    def _with_convolutions(cls, network: Settings) -> Settings:
        if not network.filters:
            raise ValueError("a run explains convolutions, and filters has none; give one or more")
        return network


def read_settings(file: Path | None, asked: Mapping[str, Any]) -> RunSettings:
    """Settings from a TOML file, over which what was asked (None: not asked) has the last word.

    Raises BadInput for a file that is missing, no TOML, or holds an unknown key or an impossible value.
    """
    return chosen(from_toml(file) if file is not None else {}, asked, file)


def from_toml(file: Path) -> dict[str, Any]:
    """What a TOML file says. Raises BadInput for one that is missing or no TOML."""
    try:
        return tomllib.loads(content(file, MOST_BYTES).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput("settings", f"{file} is no TOML file that can be read ({error}). Correct it.") from error


def chosen(given: Mapping[str, Any], asked: Mapping[str, Any], file: Path | None) -> RunSettings:
    """Settings as a file gave them, over which what was asked (None: not asked) has the last word; or BadInput."""
    nested = given.get("autoencoder", {})
    network = {**nested, **_set(asked.get("autoencoder", {}))} if isinstance(nested, dict) else nested
    try:
        return RunSettings(**{**given, **_set(asked), "autoencoder": network})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "autoencoder"
        known = RunSettings if len(first["loc"]) < 2 else Settings
        remedy = f" Known names: {', '.join(known.model_fields)}." if first["type"] == "extra_forbidden" else ""
        argument = name.rpartition(".")[2] if file is None else "settings"
        raise BadInput(argument, f"{name} = {reprlib.repr(first['input'])}: {first['msg']}.{remedy}") from error


def _set(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in asked.items() if value is not None}
