"""Scores equal scikit-learn's, and say which classes were lost."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from sitscope.classes.codebook import Codebook
from sitscope.classes.scores import Scores, compare, score_embedding
from sitscope.errors import BadInput

NAMES = ("beet", "cotton", "pepper", "tomato")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60))
def test_scores_equal_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    scores = compare(truth, predicted, predicted, NAMES)
    assert scores.overall_accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    there = np.unique(truth)
    recall = metrics.recall_score(truth, predicted, labels=there, average=None, zero_division=0)
    np.testing.assert_allclose(scores.recall[there], recall)
    assert scores.macro_recall == pytest.approx(recall.mean())
    seen = np.unique(predicted)
    precision = metrics.precision_score(truth, predicted, labels=seen, average=None, zero_division=0)
    np.testing.assert_allclose(scores.precision[seen], precision)
    both = np.union1d(there, seen)
    np.testing.assert_allclose(
        scores.f1[both], metrics.f1_score(truth, predicted, labels=both, average=None, zero_division=0)
    )
    if len(both) > 1:
        assert scores.kappa == pytest.approx(metrics.cohen_kappa_score(truth, predicted), abs=1e-9)


def test_a_cluster_without_a_class_counts_as_wrong() -> None:
    scores = compare(np.array([0, 0, 1, 1]), np.array([0, -1, 1, -1]), np.array([0, 1, 2, 3]), NAMES)
    assert scores.n_test == 4
    assert scores.overall_accuracy == 0.5
    assert scores.unclassified.tolist() == [1, 1, 0, 0]


def test_rows_of_percentages_sum_to_a_hundred() -> None:
    rng = np.random.default_rng(0)
    scores = compare(rng.integers(0, 4, 100), rng.integers(0, 4, 100), rng.integers(0, 9, 100), NAMES)
    np.testing.assert_allclose(scores.row_percent.sum(axis=1), 100)


def test_classes_never_predicted_are_named() -> None:
    scores = compare(np.array([0, 1, 2]), np.array([0, 1, 1]), np.array([0, 1, 1]), NAMES)
    assert scores.classes_never_predicted == ["pepper", "tomato"]


def test_scores_become_valid_json_even_for_a_class_without_test_series() -> None:
    scores = compare(np.array([0, 1]), np.array([0, 0]), np.array([0, 0]), NAMES)
    plain = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert plain["recall"] == {"beet": 1.0, "cotton": 0.0, "pepper": None, "tomato": None}
    assert plain["n_test"] == 2
    np.testing.assert_array_equal(Scores.from_dict(plain).confusion, scores.confusion)
    assert Scores.from_dict(plain).as_dict() == scores.as_dict()


def test_series_without_a_known_label_are_left_out() -> None:
    book = Codebook(np.array([[0.0], [1.0]], np.float32), np.ones((2, 2), np.int64), ("oat", "rye"), np.array([0, 1]))
    e = np.array([[0.1], [0.9], [0.5]], np.float32)
    assert score_embedding(e, np.array(["oat", "rye", ""]), book).n_test == 2
    with pytest.raises(BadInput, match="no test series has a label"):
        score_embedding(e, np.array(["", "", "hemp"]), book)
