"""Does the report choose what the letter chose by hand, and say only what the numbers say?"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sitscope.errors import BadInput
from sitscope.showing.findings import Findings, Scores
from sitscope.showing.plates import shown_groups
from sitscope.showing.story import contrast, date_strength, field_counts, flows, groups, row_shares
from sitscope.showing.words import stretches


def test_the_letters_three_panels_are_found_in_its_confusion_matrix(findings: Findings) -> None:
    chosen = {group.key: set(group.classes) for group in groups(findings.scores)}
    assert chosen == {
        "separated": {"Cotton", "Tomato", "Sugar Beet"},
        "confused": {"Cotton", "Sweet Potato", "Pepper"},
        "scattered": {"Fallow", "Quinoa"},
    }


def test_chosen_classes_come_first_with_what_becomes_of_them(findings: Findings) -> None:
    asked = replace(findings, chosen=[["Pepper", "Cotton", "Sweet Potato"], ["Wheat", "Alfalfa"]])
    shown = shown_groups(asked)
    assert [group.key for group in shown] == ["chosen_1", "chosen_2", "separated", "scattered"]
    assert shown[0].classes == ("Pepper", "Cotton", "Sweet Potato")
    assert shown[1].why == "Wheat: 36 % become Maize. Alfalfa: 40 % become Wheat."
    with pytest.raises(BadInput, match=r"no class 'Rice'\. The classes are Cotton, Tomato"):
        shown_groups(replace(findings, chosen=[["Rice"]]))


def test_flows_are_sorted_and_never_from_a_class_to_itself(findings: Findings) -> None:
    found = flows(findings.scores, least=0.25)
    assert str(found[0]) == "Sunflower becomes Tomato: 88 % of its test series"
    assert all(flow.truth != flow.predicted for flow in found)
    assert [flow.share for flow in found] == sorted((flow.share for flow in found), reverse=True)
    assert found[0].series == 202


def test_series_without_a_class_count_in_the_shares() -> None:
    scores = _scores([[3, 1], [0, 2]], unclassified=[4, 0])
    np.testing.assert_allclose(row_shares(scores), [[0.375, 0.125, 0.5], [0, 1, 0]])


def test_a_class_without_test_series_is_no_share_of_anything() -> None:
    scores = _scores([[0, 0], [1, 2]], unclassified=[0, 0])
    assert np.isnan(row_shares(scores)[0]).all()
    assert [flow.truth for flow in flows(scores)] == ["b"]
    assert all("a" not in group.classes[1:] for group in groups(scores))


def test_a_perfect_result_has_nothing_confused_or_scattered() -> None:
    assert [group.key for group in groups(_scores([[30, 0], [0, 50]], [0, 0]))] == ["separated"]


def test_the_same_classes_for_two_reasons_are_one_group() -> None:
    only = groups(_scores([[90, 5, 5], [30, 70, 0], [20, 0, 80]], [0, 0, 0]))
    assert [(group.key, group.title) for group in only] == [("separated", "Best separated, worst confused")]
    assert only[0].why == "The highest F1 scores: c 0.86, b 0.80 and a 0.75. a takes 30 % of b and 20 % of c."


def test_a_handful_of_series_does_not_make_a_worst_confusion() -> None:
    scores = _scores([[90, 5, 5], [60, 40, 0], [3, 0, 0]], [0, 0, 0])
    confused = next(group for group in groups(scores) if "confused" in group.title)
    assert set(confused.classes) == {"a", "b"}
    assert confused.why.endswith("a takes 60 % of b.")


def test_importance_is_averaged_in_size_so_that_signs_cannot_cancel() -> None:
    dates = pd.date_range("2017-01-03", periods=3, freq="6D")
    rows = [
        pd.DataFrame({"class": name, "dim": 1, "date": dates, "importance": importance, "n": n})
        for name, importance, n in (("a", [1.0, 0, 0], 3), ("b", [-1.0, 0, 2], 1))
    ]
    np.testing.assert_allclose(date_strength(pd.concat(rows))[1], [1.0, 0.0, 0.5])


def test_contrast_finds_where_means_part_and_whether_the_embedding_looks_there() -> None:
    dates = pd.date_range("2017-01-03", periods=10, freq="6D")
    apart = np.where(np.isin(np.arange(10), [6, 7]), 3.0, 0.0)
    rows = [
        pd.DataFrame(
            {"class": name, "dim": dim, "date": dates, "importance": np.eye(10)[1] * 2 + 0.1, "n": 9, "VV": level}
        )
        for name, level in (("a", -9 + apart), ("b", np.full(10, -9.0)))
        for dim in (1, 2)
    ]
    found = contrast(pd.concat(rows), ("a", "b"), "VV")
    assert found.largest == pytest.approx(3.0)
    assert found.when == "8–14 Feb"
    assert found.attention == pytest.approx(0.1 / 0.3)
    assert found.said("dB").endswith("The embedding looks there less than elsewhere: 0.3 times the average importance.")


def test_contrast_of_equal_classes_claims_nothing(findings: Findings) -> None:
    twin = findings.profiles[findings.profiles["class"] == "Cotton"]
    both = pd.concat([twin, twin.assign(**{"class": "Twin"})])
    assert contrast(both, ("Cotton", "Twin"), "VV").said("dB") == "In VV the class means are the same throughout."


def test_stretches_are_few_in_order_and_at_the_peaks() -> None:
    curve = np.zeros(61)
    curve[[5, 6, 20, 21, 23, 40, 59]] = [1, 1, 5, 5, 5, 3, 4]
    assert stretches(curve) == [(20, 23), (40, 40), (59, 59)]
    assert stretches(np.zeros(5)) == []


def test_fields_are_counted_by_class_and_split(findings: Findings) -> None:
    table = field_counts(findings)
    assert list(table.columns) == ["train", "test", "unused"]
    assert findings.fields is not None
    assert table.to_numpy().sum() == len(findings.fields)
    assert field_counts(replace(findings, fields=None)).empty


def _scores(confusion: list[list[int]], unclassified: list[int]) -> Scores:
    counts = np.array(confusion)
    rows, hit = counts.sum(axis=1) + np.array(unclassified), np.diag(counts)
    with np.errstate(invalid="ignore"):
        recall, f1 = hit / rows, 2 * hit / (rows + counts.sum(axis=0))
    return SimpleNamespace(  # type: ignore[return-value]
        classes=tuple("abc"[: len(counts)]), confusion=counts, unclassified=np.array(unclassified), recall=recall,
        precision=recall, f1=f1, overall_accuracy=0.5, kappa=0.1, macro_recall=0.5, classes_never_predicted=[],
        n_test=int(rows.sum()),
    )  # fmt: skip
