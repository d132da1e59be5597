"""Otsu's threshold against all thresholds, deviance against a Gaussian's likelihood, and who is suspicious."""

import numpy as np
import pytest
from scipy.stats import norm

from sitscope.classes.mislabels import (
    LITTLE,
    by_value,
    clean_ones,
    deviance,
    in_folds,
    otsu,
    parted,
    proposals,
    suspicion,
    variances,
    whereabouts,
)


def test_otsu_finds_what_trying_every_threshold_finds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        v = np.concatenate([rng.normal(0, 1, rng.integers(2, 40)), rng.normal(rng.uniform(0, 6), 1, 9)])
        best = max(
            (np.var([v[v <= t].mean()] * (v <= t).sum() + [v[v > t].mean()] * (v > t).sum()), t)
            for t in np.sort(v)[:-1]
        )
        found = otsu(v)
        assert (v <= best[1]).sum() == (v <= found.threshold).sum()
        assert found.separability == pytest.approx(best[0] / v.var())


def test_otsu_of_one_gaussian_is_as_separable_as_its_halves_are() -> None:
    found = otsu(np.random.default_rng(0).normal(size=100_000))
    assert found.separability == pytest.approx(2 / np.pi, abs=0.005)
    with pytest.raises(ValueError, match="no two groups"):
        otsu(np.ones(5))


def test_deviance_is_minus_twice_a_gaussian_log_likelihood() -> None:
    rng = np.random.default_rng(0)
    residual, variance = rng.normal(size=(7, 2, 5)), rng.uniform(0.5, 2, (2, 5))
    found = deviance(residual, variance, np.array([0.25, 0.75]))
    likelihood = norm.logpdf(residual, scale=np.sqrt(variance)).mean(axis=2)
    np.testing.assert_allclose(found, -2 * likelihood - np.log(2 * np.pi) - 2 * np.log([0.25, 0.75]) / 20)
    one, other = np.zeros(7, int), np.ones(7, int)
    dates = by_value(residual, variance, one, other)
    shares = 2 * (np.log(0.75) - np.log(0.25)) / 20
    np.testing.assert_allclose(dates.sum(axis=1), found[:, 0] - found[:, 1] - shares)


def test_variances_do_not_mind_a_third_of_wrong_labels() -> None:
    rng = np.random.default_rng(0)
    residual = rng.normal(0, 2, (3000, 2, 4))
    residual[:500] += 50  # all labelled 0
    label = np.arange(3000) // 1500
    found = variances(residual, label, np.ones(3000, bool))
    assert found[0].min() > 4
    assert found[0].max() < 16  # a mean would be 1,200
    np.testing.assert_allclose(found[1], 4, rtol=0.2)


def test_a_field_is_suspicious_only_where_one_other_class_fits_and_it_is_no_stranger_there() -> None:
    d = np.array(
        [
            [1.0, 9.0, 9.0],
            [1.2, 9.0, 9.0],
            [6.0, 1.0, 9.0],  # surely of class 1
            [6.0, 1.0, 1.1],  # of 1 or of 2
            [6.0, 4.0, 9.0],  # of none
            [1.1, 0.6, 9.0],  # as usual for its class, though 1 fits a little better
            [9.0, 1.0, 9.0],
            [9.0, 9.0, 1.0],
        ]
    )
    label = np.array([0, 0, 0, 0, 0, 0, 1, 2])
    clean = np.array([1, 1, 0, 0, 0, 1, 1, 1]) > 0
    found = suspicion(d, label, clean)
    split = parted(found)
    assert split.threshold >= LITTLE
    proposal, confidence = proposals(found, split, np.full(8, "", dtype=object))
    assert proposal.tolist() == ["clean", "clean", "relabel", "look", "look", "look", "clean", "clean"]
    assert confidence[2] == pytest.approx(split.separability)
    assert (confidence >= 0).all()


def test_where_no_label_is_wrong_otsu_finds_no_one() -> None:
    rng = np.random.default_rng(0)
    d = np.stack([rng.uniform(1, 2, 50), rng.uniform(1.5, 3, 50)], axis=1)
    found = suspicion(d, np.zeros(50, int) + (np.arange(50) > 48), np.ones(50, bool))
    assert (proposals(found, parted(found), np.full(50, "", dtype=object))[0] != "relabel").all()


def test_half_of_a_class_goes_on_training_whatever_happens() -> None:
    d = np.stack([np.arange(10.0), np.full(10, -1.0)], axis=1)  # the other class fits all better
    found = suspicion(d, np.zeros(10, int) + (np.arange(10) > 8), np.ones(10, bool))
    clean = clean_ones(found, np.zeros(10, int))
    assert np.flatnonzero(clean).tolist() == [0, 1, 2, 3, 4] or clean.sum() == 5


def test_folds_hold_each_class_evenly() -> None:
    label = np.repeat([0, 1, 2], [10, 7, 5])
    fold = in_folds(label, 5, seed=3)
    for each in range(3):
        counts = np.bincount(fold[label == each], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_a_part_and_an_edge_are_told_apart() -> None:
    field = np.repeat([0, 1, 2, 3], 20)
    edge = np.tile(np.arange(20) < 8, 4)
    looks = np.zeros(80, bool)
    looks[8:13] = True  # 5 of 12 inside
    looks[20:26] = True  # 6 of 8 at the edge
    looks[40:60] = True
    inside, around, where = whereabouts(looks, field, edge)
    assert where.tolist() == ["part of the field", "edge", "whole field", ""]
    assert inside[0] == pytest.approx(5 / 12)
    assert around[1] == pytest.approx(6 / 8)
    assert whereabouts(looks, field, np.ones(80, bool))[2].tolist()[2] == "whole field"
