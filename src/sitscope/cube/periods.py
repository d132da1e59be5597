"""What did months, or periods of some days, look like on the whole?

Radar is the mean of linear power, which is speckle's remedy; anything else the median, which is that of clouds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, UInt

from sitscope.cube.names import parsed, radar_band
from sitscope.errors import BadInput

DAYS = re.compile(r"([1-9]\d{0,2})\s*[dD]")
COUNT = {"standard_name": "number_of_observations", "units": "1"}
"""What tells a count of images from a band, in CF's words"""


@dataclass(frozen=True)
class Periods:
    """Spans of time that follow each other without a gap."""

    edges: np.ndarray
    """first moment of each, and the end of the last; datetime64[s]"""

    @property
    def middles(self) -> np.ndarray:
        """The date that stands for each."""
        middles = self.edges[:-1] + (self.edges[1:] - self.edges[:-1]) // 2
        return middles.astype("datetime64[D]").astype("datetime64[ns]")  # times of day would be taken for orbits

    @property
    def bounds(self) -> np.ndarray:
        """First moment and end of each, as CF has them: (period, 2)."""
        return np.stack([self.edges[:-1], self.edges[1:]], axis=1).astype("datetime64[ns]")


def periods(times: np.ndarray, every: str, start: str | None = None) -> Periods:
    """The periods from that of the first date to that of the last, those between without a date too.

    Args:
        times: dates of the images, sorted.
        every: "month", or days as in "10D" or "12D".
        start: the day from which periods of days are counted; else 1 January of the first year, so that archives of
            one year have the same periods whatever their first image.

    >>> times = np.array(["2017-01-03", "2017-03-09"], "datetime64[ns]")
    >>> periods(times, "month").middles.astype("datetime64[D]").tolist()[0], len(periods(times, "10D").middles)
    (datetime.date(2017, 1, 16), 7)
    """
    first, last = (time.astype("datetime64[s]") for time in (times[0], times[-1]))
    if every == "month":
        edges = np.arange(first.astype("datetime64[M]"), last.astype("datetime64[M]") + 2)
        return Periods(edges.astype("datetime64[s]"))
    days = DAYS.fullmatch(every.strip())
    if days is None:
        raise BadInput("every", f"{every!r} is no period. Say month, or days as in 10D or 12D.")
    step = np.timedelta64(int(days[1]), "D").astype("timedelta64[s]")
    anchor = parsed("start", start)[0] if start else first.astype("datetime64[Y]").astype("datetime64[s]")
    begin = anchor + (first - anchor) // step * step
    return Periods(begin + step * np.arange((last - begin) // step + 2))


def composed(cube: xr.DataArray, spans: Periods) -> tuple[xr.DataArray, xr.DataArray]:
    """The cube by period, and how many images stand behind each value.

    Args:
        cube: (time, band, y, x) as `open_cube` gives it, VV, VH, HH, HV in dB; in memory or lazy, then whole in time.

    Returns:
        (time, band, y, x) at the middle of each period, radar 10 log10 of the mean of linear power, others the median,
        NaN where there is nothing; and the count of values, uint16.
    """
    radar = np.array([radar_band(str(band)) is not None for band in cube.band.values])
    place = np.searchsorted(spans.edges, cube.time.values.astype("datetime64[s]"), side="right") - 1
    size = len(spans.edges) - 1
    along = [name for name in cube.coords if "time" in cube[name].dims and name != "time"]
    found = xr.apply_ufunc(
        lambda block: _compose(block, place, size, radar),
        cube.drop_vars([*along, "time"]),
        input_core_dims=[["band", "time"]],
        output_core_dims=[["band", "period"], ["band", "period"]],
        dask="parallelized",
        output_dtypes=[np.float32, np.uint16],
        dask_gufunc_kwargs={"output_sizes": {"period": size}},
    )
    values, counts = (each.rename(period="time").transpose("time", "band", "y", "x") for each in found)
    coords = {"time": spans.middles, **_orbit(cube, size)}
    values = values.assign_coords(coords).assign_attrs(cube.attrs)
    values.name, values.encoding = cube.name, dict(cube.encoding)
    return values, counts.assign_coords(coords).rename("count")


def _orbit(cube: xr.DataArray, size: int) -> Mapping[str, object]:
    """The one orbit of all images; nothing where they are silent or of several."""
    names = set(cube.orbit.values.astype(str)) if "orbit" in cube.coords else set()
    return {"orbit": ("time", np.full(size, names.pop()))} if len(names) == 1 else {}


def _compose(
    values: Float[np.ndarray, "h w c t"], place: Int[np.ndarray, " t"], size: int, radar: np.ndarray
) -> tuple[Float[np.ndarray, "h w c p"], UInt[np.ndarray, "h w c p"]]:
    out = np.full((*values.shape[:3], size), np.nan, "float32")
    counts = np.zeros(out.shape, "uint16")
    for period in np.unique(place):
        here = values[..., place == period]
        counts[..., period] = (~np.isnan(here)).sum(axis=-1)
        out[:, :, radar, period] = _mean_power(here[:, :, radar], counts[:, :, radar, period])
        out[:, :, ~radar, period] = _median(here[:, :, ~radar], counts[:, :, ~radar, period])
    return out, counts


def _mean_power(db: Float[np.ndarray, "h w c t"], counts: np.ndarray) -> Float[np.ndarray, "h w c"]:
    """In float64: power spans many orders."""
    power = np.nansum(10 ** (db.astype("float64") / 10), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts > 0, 10 * np.log10(power / counts), np.nan).astype("float32")


def _median(values: Float[np.ndarray, "h w c t"], counts: np.ndarray) -> Float[np.ndarray, "h w c"]:
    """NaN sort last, so the middle of those that are there is found without nanmedian's loop over pixels."""
    if not values.size:
        return np.empty(values.shape[:3], "float32")
    ranked, last = np.sort(values, axis=-1), np.maximum(counts.astype(int) - 1, 0)
    low, high = (np.take_along_axis(ranked, index[..., None], -1)[..., 0] for index in (last // 2, (last + 1) // 2))
    return ((low.astype("float64") + high) / 2).astype("float32")
