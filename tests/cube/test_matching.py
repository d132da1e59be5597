"""Images of another year stand on the dates of a model, or the dates without one are named."""

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as some

from sitscope.cube.matching import matched
from sitscope.errors import BadInput


def cube_of(times: np.ndarray) -> xr.DataArray:
    return xr.DataArray(np.arange(times.size, dtype="float32"), {"time": times.astype("datetime64[ns]")}, ("time",))


def every(first: str, days: int, n: int) -> np.ndarray:
    return (np.datetime64(first, "D") + days * np.arange(n)).astype("datetime64[ns]")


def test_another_year_of_the_same_repeat() -> None:
    dates = every("2017-01-03", 6, 61)
    found, notes = matched(cube_of(every("2019-01-05", 6, 61)), dates, 3)
    np.testing.assert_array_equal(found.time.values, dates)
    np.testing.assert_array_equal(found.acquired.values, every("2019-01-05", 6, 61))
    assert "2019-01-05 to 2019-12-31" in notes[0]
    assert "2017-01-03 to 2017-12-29" in notes[0]
    assert "2.0 days apart on average, 2.0 days at most" in notes[0]


def test_a_season_that_crosses_new_year_stays_in_order() -> None:
    dates = every("2018-11-03", 12, 20)
    found, _ = matched(cube_of(every("2020-10-26", 6, 50)), dates, 3)
    assert (np.diff(found.acquired.values) > np.timedelta64(0)).all()
    assert str(found.acquired.values[0])[:4] == "2020"
    assert str(found.acquired.values[-1])[:4] == "2021"


def test_around_new_year() -> None:
    found, notes = matched(cube_of(every("2018-12-30", 6, 61)), every("2018-01-01", 6, 61), 3)
    assert str(found.acquired.values[0])[:10] == "2018-12-30"
    assert "2.0 days at most" in notes[0]


def test_half_the_repeat_is_not_enough_and_more_is_thinned() -> None:
    with pytest.raises(BadInput, match="the model has 61 dates, and these images only 31"):
        matched(cube_of(every("2018-01-03", 12, 31)), every("2017-01-03", 6, 61), 6)
    _, notes = matched(cube_of(every("2018-01-03", 6, 61)), every("2017-01-03", 12, 31), 3)
    assert notes[1].startswith("30 of 61 acquisitions match no date")


def test_dates_without_a_partner_are_named_with_the_tolerance_that_would_do() -> None:
    times = every("2018-01-03", 6, 61)
    there = cube_of(np.delete(times, [20, 21])[:])
    with pytest.raises(BadInput, match=r"2 of 59 dates.*2017-05-03, 2017-05-09.*A tolerance of (\d+) days") as caught:
        matched(there, np.delete(every("2017-01-03", 6, 61), [50, 51]), 3)
    enough = int(str(caught.value).split("A tolerance of ")[1].split()[0])
    dates = np.delete(every("2017-01-03", 6, 61), [50, 51])
    matched(there, dates, enough)
    with pytest.raises(BadInput):
        matched(there, dates, enough - 1)


@given(
    some.lists(some.integers(0, 40), min_size=1, max_size=4, unique=True),
    some.lists(some.integers(0, 40), min_size=4, max_size=6, unique=True),
)
def test_no_other_choice_is_nearer(wanted: list[int], there: list[int]) -> None:
    dates = np.datetime64("2017-03-05", "ns") + np.sort(wanted) * np.timedelta64(1, "D")
    times = np.datetime64("2018-03-05", "ns") + np.sort(there) * np.timedelta64(1, "D")
    found, _ = matched(cube_of(times), dates, 50)
    days = (found.acquired.values - np.datetime64("2018-03-05", "ns")) / np.timedelta64(1, "D")
    best = min(np.abs(np.subtract(each, np.sort(wanted))).sum() for each in itertools.permutations(there, len(wanted)))
    assert np.abs(days - np.sort(wanted)).sum() == best
    assert len(set(days)) == len(days)
