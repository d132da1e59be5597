"""How bright is a field on a date, and why?

Soil, then weeds, then the crop above it: the water cloud is laid twice over what lies below.
Shapes: f fields, t dates, 2 polarisations (VV, VH). sigma0 is linear here unless a name says _db.
"""

import numpy as np
from jaxtyping import Float64

from sitscope.errors import BadInput
from sitscope.simulation.crops import WEEDS, Crop, day
from sitscope.simulation.season import Season, Weather

POLARISATIONS = ("VV", "VH")
INCIDENCE = np.deg2rad(39.0)
WAVENUMBER = 1.133
"""k of Sentinel-1, rad/cm."""
SEEDLINGS = 0.35
"""Share of the time from sowing to full canopy in which the plants are too small to be seen."""
STANDING = 0.45
"""What is left of the canopy at harvest, after senescence."""
STUBBLE_LEFT = 0.35
"""What a mower leaves of alfalfa."""


def bare_soil(mv: Float64[np.ndarray, "*s"], hrms_cm: Float64[np.ndarray, "*s"]) -> Float64[np.ndarray, "2 *s"]:
    """sigma0 of bare soil, linear: 10^d cos(th)^b 10^(g cot(th) mv) (k Hrms)^(x sin th), Baghdadi et al. 2016.

    mv: moisture, vol. %; hrms_cm: roughness, cm.

    >>> np.round(10 * np.log10(bare_soil(np.array([20.0]), np.array([1.0]))), 1).T.tolist()
    [[-10.8, -20.4]]
    """
    cos, sin = np.cos(INCIDENCE), np.sin(INCIDENCE)
    sigma0 = [
        10**d * cos**b * 10 ** (g * cos / sin * mv) * (WAVENUMBER * hrms_cm) ** (x * sin)
        for d, b, g, x in ((-1.138, 1.528, 0.008, 0.71), (-2.325, -0.01, 0.011, 0.44))
    ]
    return np.stack(sigma0)


REFERENCE_SOIL = bare_soil(np.array([20.0]), np.array([1.0]))[:, 0]
"""The soil under the mature canopies of the table: moist, settled."""


def scattering(crop: Crop) -> Float64[np.ndarray, "2"]:
    """A cos(th) of the water cloud, such that the mature canopy over the reference soil has the level of the table.

    Raises BadInput where no A does that: the soil that shines through is brighter than the level asked for.
    """
    level, through = _levels(crop)
    a = (level - through * REFERENCE_SOIL) / (1 - through)
    if not (a > 0).all():
        soil_db = np.round(10 * np.log10(through * REFERENCE_SOIL), 1).tolist()
        raise BadInput(
            "crops",
            f"{crop.name}: the soil that shines through its canopy has {soil_db} dB (VV, VH), more than "
            f"its mature level of {[crop.vv_db, crop.vh_db]} dB. Make the canopy brighter, or deeper "
            "(depth_vv, depth_vh).",
        )
    return a


def _levels(crop: Crop) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]:
    return 10 ** (np.array([crop.vv_db, crop.vh_db]) / 10), np.exp(-np.array([crop.depth_vv, crop.depth_vh]))


def water_cloud(
    below: Float64[np.ndarray, "2 f t"],
    amount: Float64[np.ndarray, "f t"],
    a: Float64[np.ndarray, "2 #f 1"],
    depth: Float64[np.ndarray, "2 #f 1"],
) -> Float64[np.ndarray, "2 f t"]:
    """Lay a canopy over what is below: A V cos(th) (1 - T2) + T2 below, T2 = exp(-depth V), Attema and Ulaby 1978.

    amount: V, 1 = mature; a: A cos(th); depth: 2 B / cos(th).
    """
    through = np.exp(-depth * amount)
    return a * amount * (1 - through) + through * below


def render(season: Season, weather: Weather, days: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "2 f t"]:
    """sigma0 of every field on every date, linear, without noise.

    >>> from sitscope.simulation.crops import CROPS
    >>> from sitscope.simulation.season import draw_season, draw_weather
    >>> rng = np.random.default_rng(0)
    >>> render(draw_season(np.array([0, 1]), CROPS, rng), draw_weather(rng), np.arange(0.0, 30.0, 6)).shape
    (2, 2, 5)
    """
    soil = bare_soil(moisture(season, weather, days), roughness(season, days)) * _db(season.rows_db)[:, None]
    weeds = water_cloud(soil, weed_cover(season, days), *_pair([WEEDS]))
    return water_cloud(weeds, canopy(season, days), *_pair([season.crops[i] for i in season.crop]))


def _pair(crops: list[Crop]) -> tuple[Float64[np.ndarray, "2 f 1"], Float64[np.ndarray, "2 f 1"]]:
    kinds = {c.name: (scattering(c), np.array([c.depth_vv, c.depth_vh])) for c in crops}
    a, depth = np.array([kinds[c.name] for c in crops]).transpose(1, 2, 0)[..., None]
    return a, depth


def _db(x: Float64[np.ndarray, " f"]) -> Float64[np.ndarray, " f"]:
    return 10 ** (x / 10)


def moisture(season: Season, weather: Weather, days: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "f t"]:
    """Soil moisture, vol. %: the season's, the field's own, what rain and irrigation left."""
    mv = 14 + 6 * np.cos(2 * np.pi * (days - 15) / 365) + season.moisture_vol[:, None]  # (f, t)
    for when, vol in zip(weather.rain_day, weather.rain_vol, strict=True):
        mv += vol * _decay(days - when, season.drying_d[:, None])
    return np.clip(mv + _irrigation(season, days), 3, 45)


def _irrigation(season: Season, days: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "f t"]:
    """Field by field, every week or two from sowing to senescence, April to September."""
    watered = np.array([season.crops[i].irrigated for i in season.crop], dtype=bool)[:, None]
    on = (days >= np.maximum(season.sow, day("2017-04-01"))[:, None]) & (
        days <= np.minimum(season.fade, day("2017-09-30"))[:, None]
    )
    since = (days - season.water_first[:, None]) % season.water_every_d[:, None]
    return np.where(watered & on, season.water_vol[:, None] * _decay(since, season.drying_d[:, None]), 0.0)


def roughness(season: Season, days: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "f t"]:
    """Hrms, cm: the settled soil, and what is left of each pass of the plough."""
    hrms = np.repeat(season.hrms_cm[:, None], len(days), axis=1)
    for when, cm in zip(season.pass_day.T, season.pass_cm.T, strict=True):
        hrms += cm[:, None] * _decay(days - when[:, None], season.settling_d[:, None])
    return hrms


def _decay(since: Float64[np.ndarray, "*#s"], memory_d: Float64[np.ndarray, "*#s"]) -> Float64[np.ndarray, "..."]:
    """1 at the event, exp(-1) after `memory_d`, 0 before it."""
    return np.where(since >= 0, np.exp(-np.maximum(since, 0) / memory_d), 0.0)


def _smooth_step(x: Float64[np.ndarray, "*s"]) -> Float64[np.ndarray, "*s"]:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def canopy(season: Season, days: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "f t"]:
    """Amount of crop: it closes from seedlings to full, thins from fading to harvest, and goes within six days."""
    sow, full, fade, clear = (x[:, None] for x in (season.sow, season.full, season.fade, season.clear))
    growth = _smooth_step(((days - sow) / (full - sow) - SEEDLINGS) / (1 - SEEDLINGS))
    thinning = 1 - (1 - STANDING) * np.clip((days - fade) / (clear - fade), 0, 1)
    harvest = 1 - _smooth_step((days - clear) / 6)
    return season.vigour[:, None] * growth * thinning * harvest * _mown(season, days)


def _mown(season: Season, days: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "f t"]:
    """What the last cut left and three weeks restore; each field starts at its own day in March."""
    every = np.array([season.crops[i].cut_every_d for i in season.crop])[:, None]
    first = day("2017-03-01") + 2 * season.water_first[:, None]
    since = np.where(every > 0, (days - first) % np.where(every > 0, every, 1), np.inf)
    cutting = (days >= first) & (days < day("2017-11-01")) & (every > 0)
    return np.where(cutting, STUBBLE_LEFT + (1 - STUBBLE_LEFT) * np.clip(since / 21, 0, 1), 1.0)


def weed_cover(season: Season, days: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "f t"]:
    """Weeds: green from late November to May, where neither seedbed nor crop leaves them no room."""
    winter = np.maximum(np.cos(2 * np.pi * (days - day("2017-02-25")) / 365), 0)
    seedbed, turned = season.pass_day[:, 1, None], season.pass_day[:, 3, None]
    return np.where((days < seedbed) | (days > turned), season.weeds[:, None] * winter, 0.0)
