"""Which pixels does a mask call clouds, or anything else that is no measurement?"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from sitscope.cube.grid import Grid
from sitscope.cube.names import few, iso
from sitscope.errors import BadInput

SCL = (0, 1, 3, 8, 9, 10)
"""Of Sentinel-2's scene classification: no data, defective, cloud shadow, cloud of medium and high probability, cirrus.
Snow (11) and dark areas (2) are measurements."""


def chosen_values(mask: xr.DataArray, name: str, values: Sequence[int | str] | None) -> tuple[int, ...]:
    """The values that mean no measurement: as asked, Sentinel-2's for SCL, 1 for a mask of 0 and 1; else BadInput."""
    if values is not None:
        try:
            return tuple(sorted({int(value) for value in values}))
        except ValueError:
            remedy = "Give whole numbers, as in mask_values=(3, 8, 9, 10)."
            raise BadInput("mask_values", f"{few(values)} are no classes of a mask. {remedy}") from None
    words = name.lower()
    if "scl" in words:
        return SCL
    found = _found(mask)
    turned = any(word in words for word in ("valid", "clear", "good", "usable"))
    if turned or not set(found) <= {0, 1}:
        why = f"{name} seems to say what is good" if turned else f"{name} holds {few(found, 8)}, not 0 and 1 alone"
        remedy = "Say which of its values mean cloud or no measurement, as in mask_values=(3, 8, 9, 10)."
        raise BadInput("mask_values", f"{why}. {remedy}")
    return (1,)


def _found(mask: xr.DataArray) -> list[int | float]:
    """The values on a few dates, in the middle of the image."""
    dates = sorted({0, mask.sizes["time"] // 2, mask.sizes["time"] - 1})
    middle = {axis: slice(max(0, mask.sizes[axis] // 2 - 256), mask.sizes[axis] // 2 + 256) for axis in ("y", "x")}
    seen = np.asarray(mask.isel({"time": dates, **middle}).values, "float64")
    seen = np.unique(seen[np.isfinite(seen) & (seen != mask.attrs.get("nodata"))])
    return [int(value) if value == int(value) else float(value) for value in seen]


def fitted_mask(mask: xr.DataArray, images: xr.DataArray, name: str) -> xr.DataArray:
    """The mask on the dates of the images, one for each; BadInput for another grid or a date without a mask.

    A mask is of an image where their times are the same, or where it is the only one of the same day.
    """
    one, other = Grid.of(mask), Grid.of(images)
    if not one.same(other):
        remedy = "Bring the mask to the grid of the images by nearest neighbour: gdalwarp -r near -te -tr."
        raise BadInput("mask", f"{name} lies on {one}, but the images on {other}. {remedy}")
    if np.array_equal(mask.time.values, images.time.values):
        return mask.assign_coords(y=images.y, x=images.x)
    positions = [_position(mask.time.values, time) for time in images.time.values]
    alone = [iso(time) for time, at in zip(images.time.values, positions, strict=True) if at is None]
    if alone:
        remedy = "Add their masks, or leave these images out."
        raise BadInput("mask", f"{name} has no mask for {len(alone)} of {len(positions)} dates: {few(alone)}. {remedy}")
    return mask.isel(time=[at for at in positions if at is not None]).assign_coords(
        time=images.time, y=images.y, x=images.x
    )


def _position(times: np.ndarray, time: np.datetime64) -> int | None:
    same = np.flatnonzero(times == time)
    day = np.flatnonzero(times.astype("datetime64[D]") == time.astype("datetime64[D]"))
    return int(same[0]) if same.size else int(day[0]) if day.size == 1 else None


def invalid(mask: xr.DataArray, values: tuple[int, ...]) -> xr.DataArray:
    """True where the mask says one of these, or nothing; lazy."""
    missing = mask.isnull() | (mask == mask.attrs["nodata"]) if "nodata" in mask.attrs else mask.isnull()
    return missing | mask.isin(values)
