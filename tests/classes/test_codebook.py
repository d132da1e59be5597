"""Clusters vote for their class, and the whole vote is kept."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sitscope.classes.codebook import Codebook, fit_codebook, majority, one_to_one
from sitscope.errors import BadInput

RNG = np.random.default_rng(0)
CENTRES = np.array([[0, 0], [10, 0], [0, 10]], np.float32)
EMBEDDING = (CENTRES[np.repeat([0, 1, 2], [50, 30, 20])] + RNG.normal(0, 0.3, (100, 2))).astype(np.float32)
LABEL = np.repeat(["cotton", "tomato", "beet"], [50, 30, 20])


def test_clusters_take_the_class_with_most_votes() -> None:
    book = fit_codebook(EMBEDDING, LABEL, clusters=3)
    assert [book.classes[i] for i in book.classify(EMBEDDING)] == LABEL.tolist()
    assert book.classes == ("beet", "cotton", "tomato")
    assert book.votes.sum() == 100


def test_the_first_cluster_is_the_largest() -> None:
    book = fit_codebook(EMBEDDING, LABEL, clusters=3)
    assert np.bincount(book.cluster(EMBEDDING)).tolist() == [50, 30, 20]


def test_unlabelled_series_shape_clusters_but_do_not_vote() -> None:
    label = LABEL.copy()
    label[:50] = ""
    book = fit_codebook(EMBEDDING, label, clusters=3)
    assert book.classes == ("beet", "tomato")
    assert book.votes.sum() == 50
    assert (book.classify(EMBEDDING[:50]) == -1).all()


def test_a_majority_outweighs_a_minority_in_the_same_cluster() -> None:
    """The letter's Section III.B: Pepper becomes Cotton because Cotton is more."""
    label = LABEL.copy()
    label[:5] = "pepper"
    book = fit_codebook(EMBEDDING, label, clusters=3)
    assert [book.classes[i] for i in book.classify(EMBEDDING[:5])] == ["cotton"] * 5


def test_clusters_are_numbers_of_classes_unless_given() -> None:
    assert len(fit_codebook(EMBEDDING, LABEL).centres) == 3


def test_the_same_seed_gives_the_same_centres() -> None:
    first, again = (fit_codebook(EMBEDDING, LABEL, clusters=7, seed=5, subsample=60) for _ in range(2))
    np.testing.assert_array_equal(first.centres, again.centres)


def test_a_codebook_comes_back_from_disk_the_same(tmp_path: Path) -> None:
    book = fit_codebook(EMBEDDING, LABEL, clusters=5)
    back = Codebook.load(book.save(tmp_path / "codebook.json"))
    np.testing.assert_array_equal(back.classify(EMBEDDING), book.classify(EMBEDDING))
    np.testing.assert_array_equal(back.votes, book.votes)
    with pytest.raises(BadInput, match="holds no codebook"):
        Codebook.load(tmp_path / "nothing.json")


WRONG: dict[str, dict[str, object]] = {
    "centres that are no numbers": {"centres": [[float("nan"), 0]] * 5},
    "centres that float32 does not hold": {"centres": [[1e39, 0]] * 5},
    "centres of different dimensions": {"centres": [[0, 0]] * 4 + [[0]]},
    "centres of no dimension": {"centres": [[]] * 5},
    "no centres": {"centres": [], "votes": [], "assigned": []},
    "votes of other classes": {"votes": [[1, 2]] * 5},
    "votes below zero": {"votes": [[-1, 2, 3]] * 5},
    "votes beyond all": {"votes": [[10**30, 2, 3]] * 5},
    "a class that is not there": {"assigned": [0, 1, 2, 3, 0]},
    "a class before the first": {"assigned": [0, 1, 2, -2, 0]},
    "assigned to fewer": {"assigned": [0, 1]},
    "classes twice": {"classes": ["beet", "beet", "cotton"]},
    "classes out of order": {"classes": ["cotton", "beet", "tomato"]},
    "a class without a name": {"classes": ["", "cotton", "tomato"]},
    "an unknown key": {"more": 1},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_together_is_no_codebook(tmp_path: Path, wrong: str) -> None:
    path = fit_codebook(EMBEDDING, LABEL, clusters=5).save(tmp_path / "codebook.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | WRONG[wrong]))
    with pytest.raises(BadInput, match="holds no codebook"):
        Codebook.load(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "3", "[]", "\xff", '{"centres": 1}'])
def test_a_page_that_is_no_codebook_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "codebook.json").write_text(text, encoding="latin-1")
    with pytest.raises(BadInput, match="holds no codebook"):
        Codebook.load(tmp_path / "codebook.json")


@given(arrays(np.float32, (40, 3), elements=st.floats(-5, 5, width=32)))
def test_the_nearest_centre_is_the_one_a_loop_finds(e: np.ndarray) -> None:
    centres = RNG.normal(size=(6, 3)).astype(np.float32)
    book = Codebook(centres, np.zeros((6, 2), np.int64), ("a", "b"), np.zeros(6, np.int64))
    distance = np.array([[np.linalg.norm(p - c) for c in centres] for p in e])
    chosen = distance[np.arange(40), book.cluster(e)]
    np.testing.assert_allclose(chosen, distance.min(axis=1), atol=1e-3)


@given(arrays(np.int64, (3, 4), elements=st.integers(0, 9)))
def test_one_to_one_keeps_as_many_votes_as_the_best_of_all_pairings(votes: np.ndarray) -> None:
    assigned = one_to_one(votes)
    kept = sum(votes[i, c] for i, c in enumerate(assigned) if c >= 0)
    assert kept == max(sum(votes[i, c] for i, c in enumerate(p)) for p in permutations(range(4), 3))
    used = [c for c in assigned if c >= 0]
    assert len(used) == len(set(used))


@given(arrays(np.int64, (5, 3), elements=st.integers(0, 9)))
def test_majority_keeps_at_least_as_many_votes_as_one_to_one(votes: np.ndarray) -> None:
    def kept(assigned: np.ndarray) -> int:
        return sum(votes[i, c] for i, c in enumerate(assigned) if c >= 0)

    assert kept(majority(votes)) >= kept(one_to_one(votes))


def test_one_class_only_is_refused() -> None:
    with pytest.raises(BadInput, match=r"one class only \(cotton\)"):
        fit_codebook(EMBEDDING, np.full(100, "cotton"))


def test_more_clusters_than_series_are_refused() -> None:
    with pytest.raises(BadInput, match="101 clusters cannot be made of 100 series"):
        fit_codebook(EMBEDDING, LABEL, clusters=101)
