"""Each way of losing a class is planted once, and told for what it is."""

from collections.abc import Mapping

import numpy as np
import pytest

from sitscope.classes.codebook import fit_codebook
from sitscope.classes.diagnosis import Known, diagnose, effective, kind_of
from sitscope.classes.parting import parting
from sitscope.classes.scores import score_embedding
from sitscope.classes.verdicts import Diagnosis, Pair

T = 20
EARLY, MIDDLE, LATE = (np.arange(T) // 5 == i for i in (0, 2, 3))


def diagnosed(
    shapes: Mapping[str, np.ndarray],
    fields: Mapping[str, int],
    looks: np.ndarray,
    noise: float = 1.0,
    clusters: int = 6,
    seed: int = 0,
    scatter: Mapping[str, float] | None = None,
) -> Diagnosis:
    """Classes with these mean curves (t,), and an embedding that is the sum over dates of looks (t,) times series.

    The embedding has a second dimension, which is noise: it looks nowhere. scatter: how far the fields of a class lie
    apart on the first dates.
    """
    rng = np.random.default_rng(seed)
    label = np.repeat(list(shapes), [4 * fields[name] for name in shapes])
    field = np.repeat(np.arange(sum(fields.values())), 4)
    own = 0.5 * rng.normal(size=(field.max() + 1, 1, T))[field]  # of the field
    wide = np.array([(scatter or {}).get(name, 0.0) for name in label])
    curves = np.stack([shapes[name] for name in label])[:, None]
    curves = curves + (wide * rng.normal(size=field.max() + 1)[field])[:, None, None] * EARLY
    x = np.concatenate([curves + own + noise * rng.normal(size=own.shape), 0.1 * rng.normal(size=own.shape)], axis=1)
    e = np.stack([x[:, 0] @ looks, 0.01 * rng.normal(size=len(x))], axis=1).astype(np.float32)
    book = fit_codebook(e, label, clusters=clusters, seed=seed)
    scores = score_embedding(e, label, book)
    predicted = np.array([*book.classes, ""])[book.classify(e)]
    importance = np.zeros((len(book.classes), 2, T))
    importance[:, 0] = np.abs(looks)
    margins = {"path": looks}
    return diagnose(
        Known(x, label, field, e, predicted),
        scores.confusion,
        scores.support,
        book,
        {"path": importance, "letter": importance},
        lambda a, b: margins,
    )


def pair_of(found: Diagnosis, truth: str, predicted: str) -> Pair:
    (pair,) = (pair for pair in found.pairs if (pair.truth, pair.predicted) == (truth, predicted))
    return pair


def kinds(found: Diagnosis) -> dict[str, str]:
    return {verdict.name: verdict.kind for verdict in found.classes}


def test_a_class_is_shared_where_the_embedding_looks_only_at_dates_that_do_not_part_it() -> None:
    both = 4.0 * EARLY
    shapes = {"cotton": both, "pepper": both + 2.5 * MIDDLE, "tomato": -4.0 * EARLY}
    found = diagnosed(shapes, {"cotton": 60, "pepper": 15, "tomato": 60}, EARLY.astype(float))
    assert kinds(found) == {"cotton": "separated", "pepper": "shared", "tomato": "separated"}
    pair = pair_of(found, "pepper", "cotton")
    np.testing.assert_array_equal(pair.parts, MIDDLE)
    np.testing.assert_array_equal(pair.missed, MIDDLE)
    np.testing.assert_array_equal(pair.shared, EARLY)
    assert pair.fields == (15, 60)
    assert pair.embedded < 0.235
    assert pair.votes[0] < pair.votes[1]
    assert sum(pair.importance["path"]) == pytest.approx(1)


def test_it_is_outvoted_where_the_embedding_parts_it_and_the_clusters_do_not() -> None:
    shapes = {"cotton": np.zeros(T), "pepper": 1.6 * MIDDLE, "tomato": 9.0 * MIDDLE}
    found = diagnosed(shapes, {"cotton": 90, "pepper": 12, "tomato": 90}, MIDDLE.astype(float), clusters=2)
    pair = pair_of(found, "pepper", "cotton")
    assert pair.kind == kinds(found)["pepper"] == "outvoted"
    assert pair.embedded > 1
    assert not np.any(pair.missed)
    assert pair.votes == (48, 360)


def test_two_names_of_one_class_are_inseparable_and_three_fields_are_too_few_to_say_so() -> None:
    shapes = {"rye": 3.0 * EARLY, "ryegrass": 3.0 * EARLY, "oats": -3.0 * EARLY}
    many = diagnosed(shapes, {"rye": 150, "ryegrass": 150, "oats": 150}, EARLY.astype(float))
    twins = {pair.kind for pair in many.pairs if {pair.truth, pair.predicted} == {"rye", "ryegrass"}}
    assert twins == {"inseparable"}
    few = diagnosed(shapes, {"rye": 150, "ryegrass": 3, "oats": 150}, EARLY.astype(float))
    assert pair_of(few, "ryegrass", "rye").kind == kinds(few)["ryegrass"] == "undecided"


def test_a_class_is_not_modelled_where_it_is_scattered_and_its_transitions_do_not_matter() -> None:
    places = {name: 4.0 * i * EARLY for i, name in enumerate(("a", "b", "c", "d"))}
    fields = dict.fromkeys(places, 40) | {"fallow": 24}
    shapes = places | {"fallow": 6.0 * EARLY + 3.0 * LATE}  # all lie high at first: it only changes late, all alone
    scattered = diagnosed(shapes, fields, EARLY.astype(float), clusters=4, scatter={"fallow": 5.0})
    (fallow,) = (verdict for verdict in scattered.classes if verdict.name == "fallow")
    assert fallow.kind == "not modelled"
    assert fallow.spread > 3
    assert fallow.related < 1
    assert np.array(fallow.transitions)[LATE].any()
    assert "not modelled" not in kinds(diagnosed(shapes, fields, EARLY.astype(float), clusters=4)).values()
    # scattered over the same clusters, but by the dates on which it changes
    seen = diagnosed(shapes, fields, (EARLY + 2.0 * LATE).astype(float), clusters=4, scatter={"fallow": 5.0})
    assert kinds(seen)["fallow"] != "not modelled"


def test_transitions_are_changes_of_its_own_and_not_what_all_classes_do_together() -> None:
    rain = 3.0 * (np.arange(T) % 7 == 3)
    step = 2.0 * (np.arange(T) >= 10)
    shapes = {"a": rain + step, "b": rain, "c": rain}
    found = diagnosed(shapes, dict.fromkeys(shapes, 40), EARLY.astype(float), clusters=3)
    (a,) = (verdict for verdict in found.classes if verdict.name == "a")
    assert {8, 9, 10, 11} < set(np.flatnonzero(a.transitions).tolist())
    assert sum(a.transitions) == 5


def test_every_class_that_is_lost_has_a_reason_and_those_that_matter_most_come_first() -> None:
    rng = np.random.default_rng(2)
    shapes = {name: 0.2 * rng.normal(size=T) for name in "abcdefghijklmn"}
    found = diagnosed(shapes, dict.fromkeys(shapes, 20), EARLY.astype(float), clusters=14)
    assert {verdict.name for verdict in found.classes} == set(shapes)
    lost = {pair.truth for pair in found.pairs}
    assert lost == {verdict.name for verdict in found.classes if verdict.kind != "separated"}
    matter = [pair.share * pair.series for pair in found.pairs]
    assert matter == sorted(matter, reverse=True)


def test_shares_of_importance_and_margin_sum_to_one_and_of_nothing_are_even() -> None:
    shapes = {"a": 2.0 * MIDDLE, "b": np.zeros(T)}
    found = diagnosed(shapes, {"a": 6, "b": 60}, np.zeros(T), clusters=2)
    pair = found.pairs[0]
    assert pair.importance["path"] == pytest.approx([1 / T] * T)
    assert pair.margin["path"] == pytest.approx([1 / T] * T)
    for verdict in found.classes:
        assert np.sum(verdict.importance["letter"]) == pytest.approx(1, abs=1e-4)


def test_where_the_difference_is_lost_decides() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 1, 4)) + 3.0 * (np.arange(80) < 40)[:, None, None]
    label, field = np.repeat(["a", "b"], 40), np.arange(80)
    apart = parting(x, label, field, "a", "b")
    assert kind_of(apart, 1.5) == "outvoted"
    assert kind_of(apart, 0.5) == "shared"
    assert kind_of(parting(rng.normal(size=x.shape), label, field, "a", "b"), 0.5) in ("inseparable", "undecided")


def test_fields_count_alike_in_the_spread_of_predictions() -> None:
    assert effective(np.array(["a"] * 98 + ["b"] * 2), np.array([0] * 98 + [1] * 2)) == pytest.approx(2)
    assert effective(np.array(["a", "a"]), np.array([0, 1])) == pytest.approx(1)
