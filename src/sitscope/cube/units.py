"""Are these numbers dB or linear power? Known from a tag, an attribute or the caller; never guessed."""

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from sitscope.cube.names import few, radar_band, units_in
from sitscope.errors import BadInput

CHOICES = "Say which: units='dB' or units='linear'"
PEEK = 32  # pixels along each side of a window that is looked at


def known_units(bands: Mapping[str, xr.DataArray], units: str | None) -> dict[str, str]:
    """ "dB" or "linear" for each radar band, "1" for any other; BadInput where it is not known, or cannot be true."""
    if units is not None and not any(map(radar_band, bands)):
        remedy = "Leave units out, or name the bands VV, VH, HH or HV."
        raise BadInput("units", f"units are asked only for radar bands, and these are {few(bands)}. {remedy}")
    said = None if units is None else units_in(units)
    if units is not None and said is None:
        raise BadInput("units", f"{units!r} is neither dB nor linear. {CHOICES}.")
    found = {band: said or _tagged(band, array) if radar_band(band) else "1" for band, array in bands.items()}
    if {"dB", "linear"} <= set(found.values()):
        raise BadInput("units", f"{found} are mixed. Convert one of them (dB = 10 log10 of linear), then open again.")
    for band, array in bands.items():
        if found[band] != "1":
            _refuse_contradiction(band, found[band], _peek(array))
    return found


def _tagged(band: str, array: xr.DataArray) -> str:
    tags = [str(text) for text in array.attrs.get("units", [])]
    said = {units_in(text) for text in tags}
    if len(said) == 1 and (units := said.pop()) is not None:
        return units
    silent = not any(text.strip() for text in tags)
    found = "no tag or attribute says" if silent else f"the tags say {few([repr(text) for text in tags])}, not clearly"
    raise BadInput("units", f"{found} whether {band} is in dB or linear power. {CHOICES}.")


def _peek(array: xr.DataArray) -> np.ndarray:
    """The values there are in a few small windows of three dates."""
    rows, columns = array.sizes["y"], array.sizes["x"]
    dates = sorted({0, array.sizes["time"] // 2, array.sizes["time"] - 1})
    values: list[np.ndarray] = []
    for place in (0.5, 0.25, 0.75, 0.1, 0.9):
        for row, column in ((place, place), (place, 1 - place)):
            window: dict[str, slice] = {"y": _around(row, rows), "x": _around(column, columns)}
            seen = np.asarray(array.isel({"time": dates, **window}).values, "float64").ravel()
            seen = seen[np.isfinite(seen) & (seen != array.attrs.get("nodata"))]
            values.append(seen)
            if sum(each.size for each in values) > 2 * PEEK**2:
                return np.concatenate(values)
    return np.concatenate(values)


def _around(place: float, size: int) -> slice:
    start = max(0, min(int(place * size) - PEEK // 2, size - PEEK))
    return slice(start, start + PEEK)


def _refuse_contradiction(band: str, units: str, values: np.ndarray) -> None:
    """Backscatter in dB is below zero almost everywhere; power is never."""
    if not values.size:
        return
    below = float((values < 0).mean())
    low, middle, high = np.percentile(values, [1, 50, 99])
    span = f"{band} is said to be in {units}, but {below:.0%} of the values looked at are below zero "
    span += f"(1st, 50th and 99th percentile: {low:.3g}, {middle:.3g}, {high:.3g})"
    if units == "dB" and below < 0.05:
        raise BadInput("units", f"{span}, as in linear power. Say units='linear', or correct the tag.")
    if units == "linear" and below > 0.25:
        raise BadInput("units", f"{span}, as in dB. Say units='dB', or correct the tag.")


def to_db(power: xr.DataArray) -> xr.DataArray:
    """10 log10 of linear power; zero and below have no logarithm and are missing."""
    return 10 * xr.apply_ufunc(np.log10, power.where(power > 0), dask="allowed")


def summary(bands: Mapping[str, str]) -> str:
    """One word for the cube where all bands agree, else one per band in their order."""
    words = list(_canonical(bands))
    return words[0] if len(set(words)) == 1 else ",".join(words)


def _canonical(bands: Mapping[str, str]) -> Iterator[str]:
    yield from ("1" if units == "1" else "dB" for units in bands.values())
