"""What grows in the Lower Guadalquivir in 2017, when, and how bright is it?

Every crop is described by what a farmer knows (when it is sown, full, fading and cleared, whether it is watered) and
by what radar knows (its mature level and how much of the soil it hides). Nothing here says which crops are confused:
that follows from who shares whose dates.

Where the values come from. [P] published: the dates of the acquisitions, the windows in which each crop is sown and
cleared, the shares of the twelve common crops. [E] estimated: the median within its window, the spread, the mature
levels and depths, the shares of Sweet Potato, Pepper, Potato and Chickpea. No measured profile of these classes is
public.
"""

from dataclasses import dataclass

import numpy as np

EPOCH = np.datetime64("2017-01-01", "ns")
"""Day 0 of every date that is a number here."""

DATES = np.arange(np.datetime64("2017-01-03T06:30:00"), np.datetime64("2017-12-30"), np.timedelta64(6, "D")).astype(
    "datetime64[ns]"
)
"""The 61 acquisitions: a 6-day grid from 2017-01-03 to 2017-12-29; the hour is that of a morning pass."""


def day(date: str) -> float:
    """Days since 2017-01-01 of an ISO date.

    >>> day("2017-01-31"), day("2016-12-31")
    (30.0, -1.0)
    """
    return float((np.datetime64(date, "ns") - EPOCH) / np.timedelta64(1, "D"))


@dataclass(frozen=True)
class Calendar:
    """The dates of a crop, as medians over its fields, ISO."""

    sow: str
    """Sown or planted."""
    full: str
    """The canopy is closed."""
    fade: str
    """Senescence, lodging or defoliation begins."""
    clear: str
    """Harvested: the field is bare within days."""
    sow_sd_d: float | int = 10
    """Spread of sowing from field to field, days."""
    clear_sd_d: float | int = 10
    """Spread of harvest from field to field, days."""


@dataclass(frozen=True)
class Crop:
    """A crop: its share, its calendars, its canopy."""

    name: str
    share: float
    """Share of the fields; the table is scaled to a sum of one."""
    calendars: tuple[Calendar, ...]
    """One for each cohort; a field belongs to one of them."""
    vv_db: float
    """sigma0 of the mature canopy, VV, dB."""
    vh_db: float
    """sigma0 of the mature canopy, VH, dB."""
    depth_vv: float = 1.4
    """Two-way optical depth of the mature canopy, VV: it lets exp(-depth) of the soil through."""
    depth_vh: float = 3.0
    """The same for VH."""
    irrigated: bool = True
    """Watered between sowing and senescence, from April to September."""
    lifted: bool = False
    """The harvest digs the soil up (roots and tubers)."""
    cut_every_d: float = 0.0
    """Mown that often from March to October, days; 0 = never."""


# Depths are 2 B / cos(39 degrees) of the Water Cloud Model with B_VV 0.5513 and B_VH 1.1662: 1.4 and 3.0. Standing
# cereals are thrice as opaque in VV; open canopies (onion, weeds, chickpea, quinoa, carrot) hide less.
CROPS: tuple[Crop, ...] = (
    Crop("Cotton", 40.0, (Calendar("2017-04-15", "2017-07-15", "2017-09-05", "2017-10-12", 12, 10),), -9.0, -15.0),
    # Planted over two months for a factory that runs for two months.
    Crop("Tomato", 26.0, (Calendar("2017-04-05", "2017-06-01", "2017-07-05", "2017-08-10", 16, 16),), -9.5, -15.5),
    Crop(
        "Sugar Beet", 18.0, (Calendar("2016-10-31", "2017-03-20", "2017-06-08", "2017-07-06", 10, 13),), -9.0, -14.5,
        lifted=True,
    ),
    Crop("Maize", 4.4, (Calendar("2017-04-04", "2017-06-05", "2017-07-15", "2017-08-25", 8, 12),), -9.0, -14.0),
    Crop(
        "Wheat", 2.8, (Calendar("2016-12-01", "2017-03-20", "2017-04-28", "2017-06-05", 10, 8),), -16.0, -21.0,
        depth_vv=4.2, irrigated=False,
    ),
    Crop("Sunflower", 2.3, (Calendar("2017-03-01", "2017-05-20", "2017-07-01", "2017-08-05", 10, 8),), -8.5, -14.5),
    Crop(
        "Carrot", 2.0,
        (
            Calendar("2016-10-01", "2016-12-20", "2017-03-10", "2017-04-01", 12, 20),
            Calendar("2017-02-08", "2017-04-25", "2017-06-15", "2017-06-28", 8, 10),
        ),
        -11.0, -17.0, depth_vv=1.0, depth_vh=2.0, lifted=True,
    ),
    Crop(
        "Alfalfa", 1.6, (Calendar("2015-10-01", "2016-03-01", "2018-06-01", "2018-10-01"),), -11.0, -16.5,
        cut_every_d=31.0,
    ),
    Crop(
        "Onion", 1.4, (Calendar("2017-01-15", "2017-04-20", "2017-06-05", "2017-07-10", 15, 14),), -12.5, -19.0,
        depth_vv=1.0, depth_vh=2.0, lifted=True,
    ),
    Crop("Sweet Potato", 1.0, (Calendar("2017-05-08", "2017-07-25", "2017-09-10", "2017-10-12", 8, 12),), -10.0, -16.0,
         lifted=True),
    Crop(
        "Quinoa", 0.9, (Calendar("2017-01-15", "2017-04-05", "2017-05-03", "2017-06-05", 18, 14),), -11.5, -16.5,
        depth_vv=1.0, depth_vh=2.0, irrigated=False,
    ),
    Crop("Pumpkin", 0.8, (Calendar("2017-05-01", "2017-07-01", "2017-08-05", "2017-09-01", 10, 10),), -10.0, -16.0),
    # A fallow has no crop: the weeds and the plough that every field knows are all that happens on it.
    Crop(
        "Fallow", 0.4, (Calendar("2016-11-15", "2017-03-15", "2017-04-20", "2017-05-20", 20, 20),), -12.0, -18.5,
        depth_vv=0.7, depth_vh=1.5, irrigated=False,
    ),
    Crop("Pepper", 0.3, (Calendar("2017-04-25", "2017-07-08", "2017-09-03", "2017-10-05", 10, 12),), -10.5, -17.0),
    Crop(
        "Potato", 0.3,
        (
            Calendar("2016-12-26", "2017-03-18", "2017-05-18", "2017-05-29", 8, 6),
            Calendar("2017-02-14", "2017-04-12", "2017-06-12", "2017-07-02", 8, 8),
        ),
        -9.5, -15.5, lifted=True,
    ),
    Crop(
        "Chickpea", 0.3, (Calendar("2017-02-25", "2017-04-25", "2017-05-25", "2017-06-25", 10, 8),), -12.0, -18.0,
        depth_vv=1.0, depth_vh=2.0, irrigated=False,
    ),
)  # fmt: skip

WEEDS = Crop("Weeds", 0.0, (), -12.0, -18.5, depth_vv=0.7, depth_vh=1.5, irrigated=False)
"""What grows between two crops while it rains."""

VERGE = Crop(
    "Verge", 0.0, (Calendar("2015-10-01", "2016-03-01", "2018-06-01", "2018-10-01"),), -11.5, -18.0,
    depth_vv=1.0, depth_vh=2.0, irrigated=False,
)  # fmt: skip
"""Grass and gravel beside tracks and canals: never labelled, but seen at the edge of every field."""
