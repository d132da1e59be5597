"""Do the sentences on trust follow the numbers, whichever way they fall?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sitscope.showing.fidelity import fidelity_figure
from sitscope.showing.findings import Findings
from sitscope.showing.trust import best, choice, efficiency_rows, figure_rows, ranked, sentence


@pytest.fixture
def table(findings: Findings) -> pd.DataFrame:
    assert findings.evaluation is not None
    return findings.evaluation


@pytest.fixture
def with_difference(findings: Findings) -> Callable[[float, float], dict[str, Any]]:
    def make(low: float, high: float) -> dict[str, Any]:
        between = {"value": (low + high) / 2, "low": low, "high": high}
        return {**(findings.fidelity or {}), "path_over_letter": between}

    return make


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (0.1, 0.2, "And its order of the acquisitions moves the embedding further than that of the letter's map"),
        (-0.1, 0.2, "And its order of the acquisitions moves the embedding about as far as that of the letter's map"),
        (-0.2, -0.1, "But its order of the acquisitions moves the embedding less far than that of the letter's map"),
    ],
)
def test_the_choice_is_told_as_the_numbers_are(
    with_difference: Callable[[float, float], dict[str, Any]], low: float, high: float, says: str
) -> None:
    said = choice(with_difference(low, high), "path")
    assert says in said
    assert f"95 % interval {low:+.2f} to {high:+.2f}" in said
    assert ("sitscope run --method letter shows it" in said) == (high < 0)


def test_a_report_of_the_letters_map_says_when_the_path_was_better(
    with_difference: Callable[[float, float], dict[str, Any]],
) -> None:
    assert "sitscope run --method path shows it" in choice(with_difference(0.1, 0.2), "letter")
    assert "shows it" not in choice(with_difference(-0.2, 0.1), "letter")


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(-0.1, 0.1, "not known to be better than chance"), (-0.2, -0.1, "worse than chance"), (0.1, 0.2, "")],
)
def test_a_map_no_better_than_chance_is_called_so(findings: Findings, low: float, high: float, says: str) -> None:
    assert findings.fidelity is not None
    methods = findings.fidelity["methods"]
    poor = {**methods, "path": {**methods["path"], "lift": {"value": (low + high) / 2, "low": low, "high": high}}}
    said = sentence({**findings.fidelity, "methods": poor}, "path")
    assert says in said
    assert ("chance" in said) == bool(says)


def test_tables_have_the_best_method_first_and_blanks_where_nothing_was_measured(table: pd.DataFrame) -> None:
    assert ranked(table) == ["rounds", "path", "random"]
    header, first, *_ = efficiency_rows(table)
    assert header == ["method", "all four", "95 % interval", "mean curve", "gap filling", "donor", "noise"]
    assert first == ["dates removed in rounds", "0.98", "0.80 to 1.00", "0.90", "0.92", "0.94", "0.96"]
    header, *rows = figure_rows(table)
    assert header == ["method", "removal area", "residual"]
    assert [row[2] for row in rows] == ["", "0.4 %", ""]
    assert best(table, "rounds") == "Most efficient here is dates removed in rounds, 0.98 over all maskings."


def test_the_figure_has_a_dot_and_an_interval_for_each_method_and_masking(table: pd.DataFrame) -> None:
    axes = fidelity_figure(table, "path").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "dates removed in rounds",
        "path attribution",
        "random order",
    ]
    assert [label.get_fontweight() for label in axes.get_yticklabels()] == ["normal", "bold", "normal"]
    dots = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    assert list(dots) == ["mean curve", "gap filling", "donor", "noise", "mean of them"]
    assert dots["gap filling"].get_xdata() == pytest.approx([0.92, 0.52, 0.03])
    assert len({(line.get_marker(), line.get_color()) for line in dots.values()}) == 5, "not by colour alone"
    assert len({line.get_marker() for line in list(dots.values())[:4]}) == 4
    spans = [collection.get_segments() for collection in axes.collections]
    np.testing.assert_allclose([segment[:, 0] for segment in spans[0]], [[0.8, 1.0], [0.4, 0.6], [-0.09, 0.11]])
