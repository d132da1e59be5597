"""Shares and calendars."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitscope.simulation.crops import CROPS, DATES, day
from sitscope.simulation.season import LEAST_FIELDS, draw_season, draw_weather, share_out


def test_the_dates_are_the_61_of_the_letter() -> None:
    assert len(DATES) == 61
    assert (np.diff(DATES) == np.timedelta64(6, "D")).all()
    assert [str(d)[:10] for d in DATES[[0, -1]]] == ["2017-01-03", "2017-12-29"]


@given(st.integers(LEAST_FIELDS * len(CROPS), 5000))
def test_every_field_is_given_a_crop_and_every_crop_its_least(fields: int) -> None:
    count = share_out(fields, CROPS)
    assert count.sum() == fields
    assert count.min() >= LEAST_FIELDS


def test_shares_are_those_of_the_table_when_fields_are_many() -> None:
    share = np.array([c.share for c in CROPS])
    np.testing.assert_allclose(share_out(20_000, CROPS) / 20_000, share / share.sum(), atol=5e-4)


@pytest.mark.parametrize("i", range(len(CROPS)), ids=[c.name for c in CROPS])
def test_the_dates_of_a_field_keep_their_order(i: int) -> None:
    season = draw_season(np.full(500, i), CROPS, np.random.default_rng(i))
    assert (season.sow + 20 < season.full).all()
    assert (season.full < season.fade).all()
    assert (season.fade < season.clear).all()


def test_median_field_follows_the_calendar() -> None:
    season = draw_season(np.zeros(2000, dtype=np.int64), CROPS, np.random.default_rng(0))
    calendar = CROPS[0].calendars[0]
    assert np.median(season.sow) == pytest.approx(day(calendar.sow), abs=1)
    assert np.median(season.clear) == pytest.approx(day(calendar.clear), abs=1)
    assert season.sow.std() == pytest.approx(calendar.sow_sd_d, rel=0.15)


def test_a_field_sown_late_is_cleared_late() -> None:
    season = draw_season(np.zeros(2000, dtype=np.int64), CROPS, np.random.default_rng(0))
    assert 0.4 < np.corrcoef(season.sow, season.clear)[0, 1] < 0.8


def test_roots_are_dug_up_on_the_day_of_harvest() -> None:
    beet = [c.name for c in CROPS].index("Sugar Beet")
    season = draw_season(np.array([0, beet]), CROPS, np.random.default_rng(0))
    np.testing.assert_array_equal(season.pass_day[:, 2], [np.inf, season.clear[1]])


def test_it_rains_in_winter_and_hardly_in_summer() -> None:
    rain = np.concatenate([draw_weather(np.random.default_rng(i)).rain_day for i in range(30)])
    summer = (rain > day("2017-06-01")) & (rain < day("2017-09-01"))
    winter = (rain > day("2017-01-01")) & (rain < day("2017-04-01"))
    assert summer.sum() == 0
    assert 8 < winter.sum() / 30 < 14
