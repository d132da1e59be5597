"""Sums that no order, cut or interruption can change."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from sitscope.mapping.sums import FAR, FINE, MOST, SQUARE, Sums, merged, power_of_two, sums


def _drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups, values and scales of every size."""
    rng = np.random.default_rng(seed)
    scale = power_of_two(10.0 ** rng.integers(-3, 4, 5))
    return rng.integers(-1, 4, n), rng.normal(size=(n, 5)).astype("float32") * scale, scale


def _by_hand(group: np.ndarray, values: np.ndarray, scale: np.ndarray) -> dict[int, list[int]]:
    """A slow twin in Python's whole numbers, series by series."""
    found: dict[int, list[int]] = {}
    for name, row in zip(group.tolist(), values, strict=True):
        quanta = [round(float(v) / (s * FINE)) for v, s in zip(row, scale.tolist(), strict=True)]
        found[name] = [a + b for a, b in zip(found.get(name, [0] * len(quanta)), quanta, strict=True)]
    return found


@given(some.integers(1, 60), some.integers(0, 9))
def test_sums_are_those_of_whole_numbers_by_hand(n: int, seed: int) -> None:
    found, slow = sums(*_drawn(n, seed)), _by_hand(*_drawn(n, seed))
    assert dict(zip(found.ids.tolist(), found.total.tolist(), strict=True)) == slow
    assert found.count.sum() == n


@given(some.lists(some.integers(0, 400), max_size=5), some.integers(0, 9))
def test_any_cut_in_any_order_gives_the_same_bits(cuts: list[int], seed: int) -> None:
    group, values, scale = _drawn(400, seed)
    mixed = np.random.default_rng(seed).permutation(400)
    edges = [0, *sorted(cuts), 400]
    pieces = [mixed[a:b] for a, b in itertools.pairwise(edges)]
    whole = sums(group, values, scale)
    together = merged([sums(group[p], values[p], scale) for p in pieces[::-1]], 5)
    for name in ("ids", "count", "total", "square"):
        np.testing.assert_array_equal(getattr(together, name), getattr(whole, name))


def test_means_and_spreads_are_those_of_numpy() -> None:
    group, values, scale = _drawn(5000, 3)
    found = sums(group, values, scale)
    for i, name in enumerate(found.ids.tolist()):
        mine = values[group == name].astype(float)
        np.testing.assert_allclose(found.mean(scale)[i] / scale, mine.mean(axis=0) / scale, atol=FINE / 2)
        np.testing.assert_allclose(
            found.std(scale)[i] ** 2, mine.var(axis=0), atol=2 * float(SQUARE) * scale.max() ** 2
        )


def test_no_sum_of_a_billion_overflows() -> None:
    """The largest that a value can be, over as many pixels as eight Sentinel tiles."""
    assert FAR / FINE * MOST < 2**53
    assert FAR / FINE * 2**30 < 2**63
    assert FAR / SQUARE * 2**30 < 2**63


def test_groups_are_joined_and_left_out() -> None:
    found = sums(np.array([1, 2, 3, 2]), np.array([[1.0], [2.0], [4.0], [6.0]]), np.ones(1))
    joined = found.joined({1: 7, 2: 7})
    assert (joined.ids.tolist(), joined.count.tolist()) == ([7], [3])
    assert joined.mean(np.ones(1)).tolist() == [[3.0]]
    assert Sums.none(1).joined({}).count.size == 0
    with pytest.raises(AssertionError, match="at once"):
        sums(np.zeros(MOST + 1, int), np.zeros((MOST + 1, 1)), np.ones(1))
