"""What do the stored numbers of an embedding stand for?

Embeddings are often kept as whole numbers, a byte each. Nothing is guessed: where nobody says what such a number stands
for, it is asked.

d dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from sitscope.errors import BadInput

AXES = 127.5
"""What AlphaEarth's whole numbers are divided by."""
MASKED = -128.0
"""AlphaEarth's nodata."""


@dataclass(frozen=True)
class Coding:
    """How stored numbers become an embedding."""

    way: str = "linear"
    """ "linear": number x gain + offset; or "alphaearth"."""
    gain: tuple[float, ...] = (1.0,)
    """One for all dimensions, or one for each."""
    offset: tuple[float, ...] = (0.0,)
    """Likewise."""
    nodata: tuple[float | None, ...] = (None,)
    """The stored number that stands for nothing, likewise."""

    @property
    def plain(self) -> bool:
        """Whether numbers are taken as they are."""
        return self.way == "linear" and set(self.gain) == {1.0} and set(self.offset) == {0.0}

    def said(self) -> str:
        """In a sentence."""
        if self.way == "alphaearth":
            return "Whole numbers v stand for sign(v) (v / 127.5)², as in AlphaEarth Foundations; -128 for nothing."
        if self.plain:
            return "Numbers are taken as they are stored."
        both = f"{_one(self.gain)} v + {_one(self.offset)}" if set(self.offset) != {0.0} else f"{_one(self.gain)} v"
        return f"Stored numbers v stand for {both}."


def _one(numbers: Sequence[float]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:.6g}" if low == high else f"({low:.6g} to {high:.6g}, by dimension)"


def decided(
    kind: np.dtype,
    dims: int,
    written: Coding | None,
    *,
    dequantise: str | None = None,
    scale: float | None = None,
    offset: float | None = None,
    nodata: float | None = None,
) -> Coding:
    """What is asked, else what the file says (`written`), else the numbers as they are where they are no whole numbers.

    dequantise "alphaearth": the signed square v -> sign(v) (v / 127.5)^2 of int8, -128 for masked pixels, as the page
    https://developers.google.com/earth-engine/guides/aef_on_gcs_readme has it. Raises BadInput for whole numbers of
    which nobody says what they stand for, and for orders that contradict each other or the numbers.

    >>> decided(np.dtype("int8"), 64, None, dequantise="alphaearth").said()[:46]
    'Whole numbers v stand for sign(v) (v / 127.5)²'
    >>> decided(np.dtype("int8"), 3, None)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    sitscope.errors.BadInput: scale: the embedding is of whole numbers (int8, 3 dimensions), and nothing says what ...
    """
    whole = kind.kind in "iu"
    if dequantise not in (None, "alphaearth"):
        remedy = "Only 'alphaearth' is; for any other give scale and offset."
        raise BadInput("dequantise", f"{dequantise!r} is no coding that is known. {remedy}")
    if dequantise == "alphaearth":
        _require_alphaearth(kind, scale, offset, nodata)
        return Coding("alphaearth", nodata=(MASKED,))
    if scale is not None and (scale == 0 or not np.isfinite(scale)):
        raise BadInput("scale", f"{scale:g} makes all embeddings alike. Give what a stored 1 stands for, as in 0.004.")
    if offset is not None and not np.isfinite(offset):
        raise BadInput("offset", f"{offset:g} is no number. Give what a stored 0 stands for.")
    known = written or Coding()
    absent = known.nodata if nodata is None else (nodata,)
    if scale is not None or offset is not None:
        return Coding("linear", (1.0 if scale is None else scale,), (offset or 0.0,), absent)
    if whole and known.plain:
        like = " 64 dimensions of int8 are what AlphaEarth's embeddings have." if dims == 64 and kind == np.int8 else ""
        raise BadInput(
            "scale",
            f"the embedding is of whole numbers ({kind}, {dims} dimensions), and nothing says what they stand for."
            f"{like} Give scale and offset (scale=1 takes them as they are), or dequantise='alphaearth'.",
        )
    return Coding("linear", known.gain, known.offset, absent)


def _require_alphaearth(kind: np.dtype, scale: float | None, offset: float | None, nodata: float | None) -> None:
    for name, value in (("scale", scale), ("offset", offset), ("nodata", nodata)):
        if value is not None and not (name == "nodata" and value == MASKED):
            remedy = "It has its own, and -128 for nodata: leave one of the two out."
            raise BadInput(name, f"{name} {value:g} is given beside dequantise='alphaearth'. {remedy}")
    if kind.kind != "i":
        raise BadInput(
            "dequantise",
            f"the embedding is of {kind}, and AlphaEarth's whole numbers are of int8. These are the values already, or "
            "of another making: leave dequantise out.",
        )


def _known(stored: Shaped[np.ndarray, "d ..."], coding: Coding) -> Float[np.ndarray, "d ..."]:
    """Stored numbers as float32, NaN for what stands for nothing or is no finite number."""
    values = stored.astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    absent = np.array([np.nan if each is None else each for each in coding.nodata])
    return np.where(stored == _over(absent, stored.ndim), np.float32(np.nan), values)


def decoded(stored: Shaped[np.ndarray, "d ..."], coding: Coding) -> Float[np.ndarray, "d ..."]:
    """The embedding as float32, dimensions first; NaN for what stands for nothing or is no finite number.

    >>> alphaearth = Coding("alphaearth", nodata=(-128.0,))
    >>> print(decoded(np.array([[127, -127, 0, -128]], np.int8), alphaearth).round(4))
    [[ 0.9922 -0.9922  0.         nan]]
    """
    values = _known(stored, coding)
    if coding.way == "alphaearth":
        return np.sign(values) * (values / np.float32(AXES)) ** 2
    if coding.plain:
        return values
    gain, offset = (_over(np.array(each, np.float32), stored.ndim) for each in (coding.gain, coding.offset))
    return values * gain + offset


def _over(numbers: Float[np.ndarray, " d"], ndim: int) -> Float[np.ndarray, "d ..."]:
    """Along the first of so many axes."""
    return numbers.reshape(-1, *(1,) * (ndim - 1))
