"""What happened on each field this year, and on all of them?

Shapes: f fields, p passes of the plough. All days count from 2017-01-01.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from sitscope.simulation.crops import Calendar, Crop, day

LEAST_FIELDS = 3
"""Fewest fields of a crop, however rare: one to train on, one to test on, one to spare."""


@dataclass(frozen=True)
class Weather:
    """Rain: it falls on all fields at once."""

    rain_day: Float64[np.ndarray, " r"]
    rain_vol: Float64[np.ndarray, " r"]
    """What each rain adds to the soil moisture, vol. %."""


@dataclass(frozen=True)
class Season:
    """The year of every field, as drawn; backscatter follows from it without further chance."""

    crops: tuple[Crop, ...]
    crop: Int64[np.ndarray, " f"]
    """Position in `crops`."""
    sow: Float64[np.ndarray, " f"]
    full: Float64[np.ndarray, " f"]
    fade: Float64[np.ndarray, " f"]
    clear: Float64[np.ndarray, " f"]
    vigour: Float64[np.ndarray, " f"]
    """Canopy at its fullest; 1 = the level of the table."""
    weeds: Float64[np.ndarray, " f"]
    """Cover of weeds between crops at the end of winter, in [0, 1]."""
    moisture_vol: Float64[np.ndarray, " f"]
    """Wetter or drier than the mean field, vol. %."""
    drying_d: Float64[np.ndarray, " f"]
    """Days until 1/e of a watering is left."""
    water_first: Float64[np.ndarray, " f"]
    """A day on which the field is irrigated."""
    water_every_d: Float64[np.ndarray, " f"]
    water_vol: Float64[np.ndarray, " f"]
    hrms_cm: Float64[np.ndarray, " f"]
    """Roughness of the settled soil."""
    rows_db: Float64[np.ndarray, " f"]
    """What the direction of the rows adds to the soil."""
    pass_day: Float64[np.ndarray, "f p"]
    """Tillage: plough, seedbed, lifting, and up to three passes after harvest; never = infinity."""
    pass_cm: Float64[np.ndarray, "f p"]
    """Roughness that each pass adds."""
    settling_d: Float64[np.ndarray, " f"]
    """Days until 1/e of that roughness is left."""

    @cached_property
    def names(self) -> list[str]:
        """The crop of each field."""
        return [self.crops[i].name for i in self.crop]


def draw_weather(rng: np.random.Generator) -> Weather:
    """The rains from autumn 2016 to the end of 2017: every 8 days or so from October to April, hardly any in summer."""
    days = np.arange(day("2016-10-01"), day("2018-01-01"))
    month = (np.datetime64("2017-01-01") + days.astype("timedelta64[D]")).astype("datetime64[M]").astype(int) % 12 + 1
    chance = np.select([(month >= 10) | (month <= 4), (month == 5) | (month == 9)], [0.12, 0.03], 0.0)
    rain_day = days[rng.random(len(days)) < chance] + 0.1
    return Weather(rain_day, rng.uniform(6, 20, len(rain_day)))


def share_out(fields: int, crops: tuple[Crop, ...]) -> Int64[np.ndarray, " f"]:
    """How many fields each crop gets: its share, rounded so that the sum is right, and LEAST_FIELDS at least.

    >>> from sitscope.simulation.crops import CROPS
    >>> dict(zip([c.name for c in CROPS], share_out(600, CROPS).tolist()))["Tomato"]
    151
    """
    share = np.array([c.share for c in crops])
    spare = fields - LEAST_FIELDS * len(crops)
    exact = np.maximum(fields * share / share.sum() - LEAST_FIELDS, 0)
    exact *= spare / exact.sum()
    count = np.floor(exact).astype(np.int64)
    largest_rest = np.argsort(count - exact, kind="stable")[: spare - count.sum()]
    count[largest_rest] += 1
    return count + LEAST_FIELDS


def draw_season(crop: Int64[np.ndarray, " f"], crops: tuple[Crop, ...], rng: np.random.Generator) -> Season:
    """Give every field its year.

    crop: the position in `crops` of what grows on each field (f,).

    >>> from sitscope.simulation.crops import CROPS
    >>> season = draw_season(np.array([0, 0, 1]), CROPS, np.random.default_rng(0))
    >>> season.names, season.sow.shape
    (['Cotton', 'Cotton', 'Tomato'], (3,))
    """
    f = len(crop)
    sow, full, fade, clear = _dates([_cohort(crops[i], rng) for i in crop], rng)
    lifted = np.array([crops[i].lifted for i in crop], dtype=bool)
    pass_day = np.stack(
        [
            sow - rng.uniform(30, 90, f),
            sow - rng.uniform(3, 15, f),
            np.where(lifted, clear, np.inf),
            clear + rng.uniform(5, 45, f),
            _perhaps(0.6, clear + rng.uniform(50, 110, f), rng),
            _perhaps(0.5, clear + rng.uniform(120, 200, f), rng),
        ],
        axis=1,
    )  # (f, p)
    deep, fine = (1.0, 2.0), (0.4, 1.0)
    return Season(
        crops=crops,
        crop=crop,
        sow=sow,
        full=full,
        fade=fade,
        clear=clear,
        vigour=rng.lognormal(0, 0.25, f),
        weeds=rng.random(f) ** 2,
        moisture_vol=rng.normal(0, 2.5, f),
        drying_d=rng.uniform(3, 6, f),
        water_first=rng.uniform(0, 12, f),
        water_every_d=rng.uniform(7, 12, f),
        water_vol=rng.uniform(8, 15, f),
        hrms_cm=0.7 * rng.lognormal(0, 0.15, f),
        rows_db=rng.normal(0, 0.5, f),
        pass_day=pass_day,
        pass_cm=np.stack([rng.uniform(*depth, f) for depth in (deep, fine, deep, deep, deep, deep)], axis=1),
        settling_d=rng.uniform(30, 60, f),
    )


def _cohort(crop: Crop, rng: np.random.Generator) -> Calendar:
    return crop.calendars[rng.integers(len(crop.calendars))]


def _perhaps(chance: float, days: Float64[np.ndarray, " f"], rng: np.random.Generator) -> Float64[np.ndarray, " f"]:
    return np.where(rng.random(len(days)) < chance, days, np.inf)


def _dates(calendars: list[Calendar], rng: np.random.Generator) -> list[Float64[np.ndarray, " f"]]:
    """Sowing, full canopy, fading, clearing of each field (f,).

    A field sown late is cleared late (correlation 0.6), nobody is further than two standard deviations from the median,
    and full canopy and fading keep their place between the two, so that the order of the dates holds on every field.
    """
    sow, full, fade, clear = (
        np.array([day(getattr(c, k)) for c in calendars]) for k in ("sow", "full", "fade", "clear")
    )
    late = rng.normal(size=len(sow))
    late_clear = 0.6 * late + 0.8 * rng.normal(size=len(sow))
    sow_f = sow + np.array([c.sow_sd_d for c in calendars]) * np.clip(late, -2, 2)
    clear_f = clear + np.array([c.clear_sd_d for c in calendars]) * np.clip(late_clear, -2, 2)
    span = (clear_f - sow_f) / (clear - sow)
    return [sow_f, sow_f + span * (full - sow), sow_f + span * (fade - sow), clear_f]
