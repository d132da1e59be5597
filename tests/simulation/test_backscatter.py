"""Soil, canopy, water and plough: anchors from the literature, a slow twin, then laws."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sitscope.errors import BadInput
from sitscope.simulation.backscatter import (
    REFERENCE_SOIL,
    SEEDLINGS,
    STANDING,
    STUBBLE_LEFT,
    bare_soil,
    canopy,
    moisture,
    render,
    roughness,
    scattering,
    water_cloud,
    weed_cover,
)
from sitscope.simulation.crops import CROPS, DATES, EPOCH, WEEDS, Crop, day
from sitscope.simulation.season import Season, Weather, draw_season, draw_weather

DAYS = (DATES - EPOCH) / np.timedelta64(1, "D")
NAMES = [c.name for c in CROPS]


def fields_of(name: str, n: int = 40, seed: int = 0) -> tuple[Season, Weather]:
    rng = np.random.default_rng(seed)
    return draw_season(np.full(n, NAMES.index(name)), CROPS, rng), draw_weather(rng)


def mean_db(name: str, date: str) -> np.ndarray:
    """VV and VH of the mean field on a date without rain."""
    season, weather = fields_of(name, 200)
    dry = Weather(weather.rain_day[:0], weather.rain_vol[:0])
    return 10 * np.log10(render(season, dry, np.array([day(date)]))).mean(axis=1)[:, 0]


@pytest.mark.parametrize(("mv", "vv", "vh"), [(10.0, -11.8, -21.7), (20.0, -10.8, -20.4), (30.0, -9.8, -19.0)])
def test_soil_has_the_published_levels_at_39_degrees(mv: float, vv: float, vh: float) -> None:
    level = 10 * np.log10(bare_soil(np.array([mv]), np.array([1.0])))[:, 0]
    np.testing.assert_allclose(level, [vv, vh], atol=0.06)


def test_soil_brightens_with_roughness_by_the_published_power() -> None:
    smooth, rough = (10 * np.log10(bare_soil(np.array([15.0]), np.array([h])))[:, 0] for h in (1.0, 2.0))
    sin = math.sin(math.radians(39))
    np.testing.assert_allclose(rough - smooth, 10 * np.log10(2) * sin * np.array([0.71, 0.44]))


@pytest.mark.parametrize("crop", [*CROPS, WEEDS], ids=lambda c: c.name)
def test_mature_canopy_over_reference_soil_has_the_level_of_the_table(crop: Crop) -> None:
    depth = np.array([crop.depth_vv, crop.depth_vh])
    soil = REFERENCE_SOIL[:, None, None]
    seen = water_cloud(soil, np.ones((1, 1)), scattering(crop)[:, None, None], depth[:, None, None])
    np.testing.assert_allclose(10 * np.log10(seen[:, 0, 0]), [crop.vv_db, crop.vh_db])


def test_a_canopy_darker_than_the_soil_it_shows_is_refused() -> None:
    with pytest.raises(BadInput, match=r"Wheat: the soil that shines through .*-16"):
        scattering(replace(CROPS[4], depth_vv=0.5))


def test_without_canopy_the_cloud_shows_what_is_below() -> None:
    below = np.random.default_rng(0).random((2, 3, 4))
    a, depth = np.full((2, 3, 1), 0.1), np.full((2, 3, 1), 1.4)
    np.testing.assert_array_equal(water_cloud(below, np.zeros((3, 4)), a, depth), below)


@pytest.mark.parametrize("name", ["Cotton", "Alfalfa", "Sugar Beet", "Fallow", "Carrot"])
def test_rendering_equals_a_loop_over_fields_and_dates(name: str) -> None:
    season, weather = fields_of(name, 5, seed=4)
    fast = render(season, weather, DAYS)
    slow = np.array([[_slow(season, weather, i, t) for t in DAYS] for i in range(5)])  # (f, t, 2)
    np.testing.assert_allclose(fast, slow.transpose(2, 0, 1), rtol=1e-12)


def _slow(s: Season, weather: Weather, i: int, t: float) -> list[float]:
    """One field on one date, from the formulas, in plain Python."""
    crop = CROPS[s.crop[i]]
    mv = 14 + 6 * math.cos(2 * math.pi * (t - 15) / 365) + s.moisture_vol[i]
    for when, vol in zip(weather.rain_day, weather.rain_vol, strict=True):
        if t >= when:
            mv += vol * math.exp(-(t - when) / s.drying_d[i])
    if crop.irrigated and max(s.sow[i], day("2017-04-01")) <= t <= min(s.fade[i], day("2017-09-30")):
        mv += s.water_vol[i] * math.exp(-((t - s.water_first[i]) % s.water_every_d[i]) / s.drying_d[i])
    mv = min(max(mv, 3), 45)
    hrms = s.hrms_cm[i]
    for when, cm in zip(s.pass_day[i], s.pass_cm[i], strict=True):
        if t >= when:
            hrms += cm * math.exp(-(t - when) / s.settling_d[i])
    growing = min(max(((t - s.sow[i]) / (s.full[i] - s.sow[i]) - SEEDLINGS) / (1 - SEEDLINGS), 0), 1)
    gone = min(max((t - s.clear[i]) / 6, 0), 1)
    aging = min(max((t - s.fade[i]) / (s.clear[i] - s.fade[i]), 0), 1)
    v = s.vigour[i] * growing**2 * (3 - 2 * growing) * (1 - (1 - STANDING) * aging) * (1 - gone**2 * (3 - 2 * gone))
    first_cut = day("2017-03-01") + 2 * s.water_first[i]
    if crop.cut_every_d and first_cut <= t < day("2017-11-01"):
        v *= STUBBLE_LEFT + (1 - STUBBLE_LEFT) * min(((t - first_cut) % crop.cut_every_d) / 21, 1)
    weeds = s.weeds[i] * max(math.cos(2 * math.pi * (t - day("2017-02-25")) / 365), 0)
    if s.pass_day[i, 1] <= t <= s.pass_day[i, 3]:
        weeds = 0.0
    soil = bare_soil(np.array([float(mv)]), np.array([hrms]))[:, 0] * 10 ** (s.rows_db[i] / 10)
    seen = []
    for p in range(2):
        sigma0 = soil[p]
        for kind, amount in ((WEEDS, weeds), (crop, v)):
            through = math.exp(-(kind.depth_vv, kind.depth_vh)[p] * amount)
            sigma0 = scattering(kind)[p] * amount * (1 - through) + through * sigma0
        seen.append(sigma0)
    return seen


def test_rain_raises_every_bare_field_on_one_date() -> None:
    season, _ = fields_of("Cotton")
    day_of_rain = 30.0
    dry, wet = Weather(np.array([]), np.array([])), Weather(np.array([day_of_rain]), np.array([15.0]))
    rise = 10 * np.log10(render(season, wet, DAYS) / render(season, dry, DAYS))  # (2, f, t)
    after = np.searchsorted(DAYS, day_of_rain)
    assert (rise[..., :after] == 0).all()
    assert (rise[0, season.weeds < 0.3, after] > 0.5).all()
    assert (rise.argmax(axis=2) == after).all()


def test_soil_moisture_adds_a_tenth_of_a_decibel_per_percent() -> None:
    vv, vh = 10 * np.log10(bare_soil(np.array([21.0]), np.array([1.0])) / bare_soil(np.array([20.0]), np.array([1.0])))
    assert vv[0] == pytest.approx(0.10, abs=0.005)
    assert vh[0] == pytest.approx(0.14, abs=0.005)


def test_only_irrigated_crops_are_watered_and_only_in_summer() -> None:
    no_rain = Weather(np.array([]), np.array([]))
    for name, watered in (("Cotton", True), ("Wheat", False), ("Sugar Beet", True)):
        season, _ = fields_of(name)
        dry = moisture(replace(season, water_vol=np.zeros(40)), no_rain, DAYS)
        extra = moisture(season, no_rain, DAYS) - dry
        assert (extra[:, day("2017-04-01") > DAYS] == 0).all()
        assert (extra.max() > 5) == watered


def test_a_plough_raises_roughness_at_once_and_rain_and_time_level_it() -> None:
    season, _ = fields_of("Cotton", 1)
    ploughed = float(season.pass_day[0, 3])
    before, at, later = roughness(season, np.array([ploughed - 0.1, ploughed, ploughed + 40]))[0]
    assert at - before == pytest.approx(season.pass_cm[0, 3], abs=0.01)
    assert before < later < at


def test_cotton_vh_rises_after_sowing_and_falls_at_harvest() -> None:
    bare, grown, stubble = (mean_db("Cotton", d)[1] for d in ("2017-05-01", "2017-08-10", "2017-11-15"))
    assert -21.5 < bare < -19
    assert -16 < grown < -14
    assert grown - stubble > 4


def test_wheat_is_darkest_in_vv_in_spring_and_brightens_by_three_decibels_when_ripe() -> None:
    tillering, heading, ripe = (mean_db("Wheat", d)[0] for d in ("2017-01-05", "2017-04-15", "2017-07-01"))
    assert -17.5 < heading < -15
    assert tillering - heading > 3
    assert ripe - heading > 3


def test_alfalfa_is_cut_and_regrows() -> None:
    season, _ = fields_of("Alfalfa", 1)
    daily = canopy(season, np.arange(day("2017-04-01"), day("2017-10-01")))[0]
    cuts = np.flatnonzero(np.diff(daily) < -0.3 * daily.max())
    assert 5 <= len(cuts) <= 7
    assert (np.diff(cuts) == 31).all()


def test_weeds_grow_in_winter_and_never_in_the_crop() -> None:
    season, _ = fields_of("Cotton")
    cover = weed_cover(season, DAYS)
    in_crop = (season.sow[:, None] < DAYS) & (season.clear[:, None] > DAYS)
    assert (cover[in_crop] == 0).all()
    assert cover[:, day("2017-03-01") > DAYS].max() > 0.5
    assert (cover >= 0).all()
    assert (cover <= 1).all()
