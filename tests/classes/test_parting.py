"""The dates that part two classes are found, with intervals that hold for few fields too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitscope.classes.parting import LEAST_JM, Parting, missed, parting
from sitscope.errors import BadInput
from sitscope.simulation.truth import jeffries_matusita

T = 24
APART = np.arange(T) // 6 == 2
"""The dates on which the planted classes differ."""
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]


def planted(a: int, b: int, difference: float, seed: int = 0, pixels: int = 4, noise: float = 0.8) -> Drawn:
    """a and b fields of two bands that go together, dates too; class a differs by so much on the dates APART."""
    rng = np.random.default_rng(seed)
    fields = rng.normal(size=(a + b, 2, T))
    for i in range(1, T):
        fields[:, :, i] = 0.8 * fields[:, :, i - 1] + 0.6 * fields[:, :, i]
    fields[:, 1] = 0.6 * fields[:, 0] + 0.8 * fields[:, 1]
    fields[:a] += difference * APART
    x = np.repeat(fields, pixels, axis=0) + noise * rng.normal(size=((a + b) * pixels, 2, T))
    return x, np.repeat(["a"] * a + ["b"] * b, pixels), np.repeat(np.arange(a + b), pixels)


def test_the_dates_that_differ_are_those_that_part() -> None:
    found = parting(*planted(40, 60, 2.0), "a", "b")
    np.testing.assert_array_equal(found.parts, APART)
    assert found.fields == (40, 60)
    assert np.abs(found.difference[:, APART] - 2.0).max() < 0.8
    assert ((found.low < found.difference) & (found.difference < found.high)).all()
    assert (found.jm_low <= found.jm).all()
    assert (found.jm <= found.jm_high).all()


def test_two_classes_exchanged_are_parted_on_the_same_dates() -> None:
    one, two = (parting(*planted(30, 30, 2.0), *pair) for pair in (("a", "b"), ("b", "a")))
    np.testing.assert_allclose(one.difference, -two.difference)
    np.testing.assert_allclose(one.jm, two.jm)
    np.testing.assert_array_equal(one.parts, two.parts)


def test_intervals_hold_the_true_difference_as_often_as_they_say_even_of_three_fields() -> None:
    for fields in ((3, 60), (1, 60), (5, 20), (40, 40)):
        held = []
        for seed in range(25):
            found = parting(*planted(*fields, 2.0, seed), "a", "b", draws=99, seed=seed)
            truth = 2.0 * APART
            held.append(((found.low <= truth) & (truth <= found.high)).mean())
        assert 0.90 < np.mean(held) < 0.99, fields


def test_hardly_any_date_parts_two_samples_of_one_class() -> None:
    for fields in ((2, 3), (3, 60), (40, 40)):
        wrong = [parting(*planted(*fields, 0.0, s), "a", "b", draws=99, seed=s).parts.any() for s in range(25)]
        assert np.mean(wrong) <= 0.16, fields  # 5 % and what chance allows of 25


def test_only_many_fields_can_exclude_a_difference() -> None:
    assert parting(*planted(150, 150, 0.0), "a", "b").excluded
    few = parting(*planted(3, 150, 0.0), "a", "b")
    assert not few.parts.any()
    assert not few.excluded


def test_the_fewer_fields_the_wider_the_interval() -> None:
    x, label, field = planted(40, 40, 1.0)
    widths = []
    for most in (1, 2, 4, 40):
        some = (label == "b") | (field < most)
        found = parting(x[some], label[some], field[some], "a", "b")
        widths.append(np.median(found.high - found.low))
    assert widths == sorted(widths, reverse=True)


def test_more_pixels_of_the_same_fields_are_no_more_fields() -> None:
    x, label, field = planted(5, 5, 1.0, noise=0.0)
    one = parting(x, label, field, "a", "b")
    x, label, field = (np.repeat(values, 9, axis=0) for values in (x, label, field))
    many = parting(x, label, field, "a", "b")
    np.testing.assert_allclose(one.low, many.low)
    np.testing.assert_allclose(one.jm, many.jm)


def test_jm_is_that_of_two_gaussians_with_the_noise_within_fields() -> None:
    """Of many fields: what the simulator's truth computes from the covariances with which the series were drawn."""
    found = parting(*planted(1500, 1500, 1.5, pixels=3), "a", "b", draws=19)
    between, noise = np.array([[1, 0.6], [0.6, 1]]), 0.8**2 * np.eye(2)
    mean = np.zeros((2, T, 2))
    mean[0, APART] = 1.5
    true = jeffries_matusita(mean, np.broadcast_to(between + noise, (2, T, 2, 2)))[0, 1]
    np.testing.assert_allclose(found.jm, true, atol=0.06)


def test_the_interval_of_jm_holds_the_true_distance() -> None:
    between, noise = np.array([[1, 0.6], [0.6, 1]]), 0.8**2 * np.eye(2)
    mean = np.zeros((2, T, 2))
    mean[0, APART] = 1.5
    true = jeffries_matusita(mean, np.broadcast_to(between + noise, (2, T, 2, 2)))[0, 1]
    for fields in ((3, 60), (12, 60)):
        held = []
        for seed in range(25):
            found = parting(*planted(*fields, 1.5, seed), "a", "b", draws=99, seed=seed)
            held.append(((found.jm_low <= true + 1e-9) & (true <= found.jm_high))[APART].mean())
        assert np.mean(held) > 0.85, fields


def test_jm_equals_a_plain_loop_over_dates() -> None:
    """The slow twin: single-pixel fields, covariances drawn to the common one as PRIOR says, chance taken off."""
    x, label, field = planted(12, 9, 1.0, pixels=1)
    found = parting(x, label, field, "a", "b", draws=19)
    for t in range(T):
        a, b = x[label == "a", :, t], x[label == "b", :, t]
        sums = [np.cov(k.T) * (len(k) - 1) for k in (a, b)]
        common = np.asarray(sum(sums)) / 19
        common[0, 1] *= 19 / 21
        common[1, 0] = common[0, 1]
        own = [(4 * common + s) / (4 + len(k) - 1) for s, k in zip(sums, (a, b), strict=True)]
        d, both = a.mean(0) - b.mean(0), (own[0] + own[1]) / 2
        chance = np.trace(np.linalg.inv(both) @ (own[0] / 12 + own[1] / 9))
        squared = max(d @ np.linalg.inv(both) @ d - chance, 0)
        shape = np.log(np.linalg.det(both) / np.sqrt(np.linalg.det(own[0]) * np.linalg.det(own[1]))) / 2
        assert found.jm[t] == pytest.approx(2 * (1 - np.exp(-squared / 8 - shape)), rel=1e-5, abs=1e-7)


def test_the_least_distance_is_one_standard_deviation() -> None:
    mean = np.array([[[0.0, 0.0]], [[1.0, 0.0]]])
    assert jeffries_matusita(mean, np.broadcast_to(np.eye(2), (2, 1, 2, 2)))[0, 1, 0] == pytest.approx(LEAST_JM)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_no_number_of_fields_bands_or_dates_breaks_it(a: int, b: int, c: int, t: int, flat: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.zeros((2 * (a + b), c, t)) if flat else rng.normal(size=(2 * (a + b), c, t))
    found = parting(x, np.repeat(["a"] * a + ["b"] * b, 2), np.repeat(np.arange(a + b), 2), "a", "b", draws=19)
    assert found.parts.shape == (t,)
    assert found.difference.shape == found.effect.shape == (c, t)
    assert np.isfinite(found.jm).all()
    assert (found.jm_high <= 2).all()
    if a == b == 1:
        assert np.isinf(found.high - found.low).all()
        assert not found.parts.any()
        assert not found.excluded


def test_dates_that_part_and_get_less_than_their_share_are_missed() -> None:
    found = parting(*planted(40, 40, 2.0), "a", "b")
    importance = np.ones(T)
    importance[12:15] = -3.0  # its size counts, not its sign
    np.testing.assert_array_equal(missed(found, importance), (np.arange(T) >= 15) & (np.arange(T) < 18))
    np.testing.assert_array_equal(missed(found, np.zeros(T)), found.parts)
    assert not missed(found, np.ones(T)).any()
    with pytest.raises(ValueError, match="compared on 24 dates"):
        missed(found, np.ones(T - 1))


def test_a_class_that_is_not_there_and_missing_values_are_refused() -> None:
    x, label, field = planted(2, 2, 0.0)
    with pytest.raises(BadInput, match=r"no series is of class 'rye'. Name one of a, b"):
        parting(x, label, field, "a", "rye")
    x[0, 0, 0] = np.nan
    with pytest.raises(BadInput, match="1 values of 'a' are missing"):
        parting(x, label, field, "a", "b")


def test_what_is_found_is_a_value() -> None:
    found = parting(*planted(3, 3, 0.0), "a", "b", draws=19)
    assert isinstance(found, Parting)
    with pytest.raises(AttributeError):
        found.a = "c"  # type: ignore[misc]
