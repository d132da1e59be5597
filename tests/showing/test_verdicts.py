"""What is said of a verdict is plain, right, and carries its figures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sitscope.classes.verdicts import ClassVerdict, Diagnosis, Pair
from sitscope.showing.findings import Findings
from sitscope.showing.pair import MISSED, SHARED, USED, most_telling, pair_figure
from sitscope.showing.plates import plates
from sitscope.showing.report import write_report
from sitscope.showing.verdicts import PAIRS, Scene, class_sentence, deviations, drawn_pairs, pair_sentence

T = 61
DATES = (np.datetime64("2017-01-03") + 6 * np.arange(T)).astype("datetime64[ns]")
SCENE = Scene(DATES, ("VV", "VH"), "dB", "path")
JUNE, SUMMER, OCTOBER = (
    (np.datetime64(first) <= DATES) & (np.datetime64(last) > DATES)
    for first, last in (("2017-06-01", "2017-06-27"), ("2017-07-18", "2017-08-24"), ("2017-10-09", "2017-10-29"))
)
LOOKS = np.where(JUNE | OCTOBER, 8.0, 0.5) / np.where(JUNE | OCTOBER, 8.0, 0.5).sum()


def row(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.astype(float).tolist())


def flags(values: np.ndarray) -> tuple[bool, ...]:
    return tuple(values.tolist())


def planted(looks: np.ndarray = LOOKS, parts: np.ndarray = SUMMER, **changes: object) -> Pair:
    """The letter's Pepper: it differs from Cotton in summer, when the embedding does not look."""
    difference = np.stack([-0.4 * parts, -np.where(parts, 1.0 + np.arange(T) / 50, 0.1)])
    jm = np.where(parts, 0.5, 0.05)
    pair = Pair(
        truth="Pepper",
        predicted="Cotton",
        share=0.75,
        series=27,
        kind="shared",
        fields=(14, 351),
        difference=(row(difference[0]), row(difference[1])),
        low=(row(difference[0] - 0.5), row(difference[1] - 0.5)),
        high=(row(difference[0] + 0.5), row(difference[1] + 0.5)),
        effect=(row(difference[0]), row(difference[1])),
        jm=row(jm),
        jm_low=row(jm / 2),
        jm_high=row(jm * 2),
        parts=flags(parts),
        importance={"path": row(looks), "letter": row(np.full(T, 1 / T))},
        margin={"path": row(looks), "letter": row(looks)},
        missed=flags(parts & (looks < 1 / T)),
        shared=flags(~parts & (looks >= 1 / T)),
        embedded=0.05,
        embedded_low=0.01,
        embedded_high=0.2,
        votes=(200, 33558),
    )
    return replace(pair, **changes)  # type: ignore[arg-type]


def verdict(**changes: object) -> ClassVerdict:
    found = ClassVerdict(
        name="Pepper",
        kind="shared",
        recall=0.0,
        series=36,
        fields=14,
        spread=1.8,
        into="Cotton",
        transitions=flags(JUNE | OCTOBER),
        related=2.0,
        importance={"path": (row(LOOKS / 2), row(LOOKS / 2)), "letter": (row(LOOKS), row(LOOKS))},
        parts=flags(JUNE),
        difference=(row(np.where(JUNE, 3.1, 0.0)), row(np.zeros(T))),
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def test_shared_dates_are_told_with_dates_band_units_and_share() -> None:
    assert pair_sentence(planted(), SCENE) == (
        "Pepper becomes Cotton (75 %): the embedding looks at 2–26 Jun and 12–24 Oct, when the two do not part. They "
        "differ on 20 Jul to 19 Aug (Pepper up to 1.8 dB lower in VH), and these dates carry 3 % of the importance, "
        "10 % if all dates counted alike."
    )


def test_a_difference_that_is_looked_at_and_still_lost_is_told_otherwise() -> None:
    looks = np.where(SUMMER, 8.0, 0.5) / np.where(SUMMER, 8.0, 0.5).sum()
    assert pair_sentence(planted(looks), SCENE) == (
        "Pepper becomes Cotton (75 %): they differ on 20 Jul to 19 Aug (Pepper up to 1.8 dB lower in VH), and the "
        "embedding looks there (64 % of the importance, 10 % if all dates counted alike), but at larger differences "
        "than theirs: in the embedding the two lie 0.5 standard deviations apart, in the input 1.5 standard deviations "
        "on 20 Jul alone."
    )

    nearly = pair_sentence(planted(looks, embedded=0.6), SCENE)
    assert nearly.endswith("but not enough: in the embedding the two lie 1.7 standard deviations apart.")


def test_the_vote_is_told_with_its_counts() -> None:
    assert pair_sentence(planted(kind="outvoted", embedded=0.5), SCENE).endswith(
        "and the embedding parts them by 1.5 standard deviations, but the vote in their clusters goes to Cotton, with "
        "33,558 training series to 200."
    )
    assert pair_sentence(planted(kind="outvoted", votes=(0, 0)), SCENE).endswith(
        "but these series lie in clusters of Cotton that hold no training series of Pepper."
    )


def test_what_no_embedding_can_part_is_told_with_the_most_that_it_can_be() -> None:
    nothing = np.zeros(T, dtype=bool)
    assert pair_sentence(planted(parts=nothing, kind="inseparable"), SCENE) == (
        "Pepper becomes Cotton (75 %): no date parts the two in the input, so no embedding of these series can. 14 "
        "fields of Pepper and 351 of Cotton were compared: on no date do they lie more than 0.6 standard deviations "
        "apart."
    )


def test_too_few_fields_are_said_to_be_too_few() -> None:
    nothing = np.zeros(T, dtype=bool)
    few = planted(parts=nothing, kind="undecided", fields=(1, 351))
    assert pair_sentence(few, SCENE) == (
        "Pepper becomes Cotton (75 %): 1 field of Pepper and 351 of Cotton are too few to say which dates part the "
        "two. They seem to differ most on 3 Jan (Pepper 0.1 dB lower in VH), which may be chance."
    )
    none = planted(
        parts=nothing, kind="undecided", fields=(1, 1), jm=row(np.zeros(T)), low=None, high=None, effect=None
    )
    assert pair_sentence(none, SCENE).endswith("Nothing is known of how fields of one class differ.")


def test_a_separated_class_is_told_by_its_transitions_if_they_matter() -> None:
    diagnosis = Diagnosis("path", (), ())
    found = verdict(kind="separated", recall=0.94)
    assert class_sentence(found, diagnosis, SCENE) == (
        "Pepper is separated (94 % found): the embedding looks most at 2–26 Jun and 12–24 Oct, when Pepper differs "
        "from the rest (3.1 dB higher in VV). Its transitions, about 2–26 Jun and 12–24 Oct, are what it looks at (71 "
        "% of the importance, 13 % if all dates counted alike)."
    )
    assert "matter no more than other dates" in class_sentence(replace(found, related=0.8), diagnosis, SCENE)


def test_a_class_that_is_not_modelled_is_told_by_its_spread_and_its_transitions() -> None:
    found = verdict(kind="not modelled", transitions=flags(SUMMER), spread=4.0, related=0.3)
    assert class_sentence(found, Diagnosis("path", (), ()), SCENE) == (
        "Pepper is not modelled: its series are scattered over 4.0 classes (0 % found, most become Cotton), and its "
        "transitions, about 20 Jul to 19 Aug, matter no more than other dates (3 % of the importance, 10 % if all "
        "dates counted alike)."
    )


def test_a_confused_class_is_told_by_the_pair_that_takes_most_of_it() -> None:
    diagnosis = Diagnosis("path", (verdict(),), (planted(),))
    assert class_sentence(verdict(), diagnosis, SCENE) == pair_sentence(planted(), SCENE)


def test_units_other_than_db_are_said_as_they_are() -> None:
    plain = Scene(DATES, ("NDVI", "EVI"), "1", "path")
    assert "Pepper up to 1.76 lower in EVI)" in pair_sentence(planted(), plain)


def test_deviations_are_those_of_two_gaussians() -> None:
    for apart in (0.5, 1.0, 3.0):
        assert deviations(2 * (1 - np.exp(-(apart**2) / 8))) == pytest.approx(apart)
    assert deviations(2.0) == np.inf


def test_the_figure_marks_missed_shared_and_used_dates(findings: Findings) -> None:
    looks = np.where(JUNE | OCTOBER | (np.arange(T) == 35), 8.0, 0.5)
    pair = planted(looks / looks.sum())
    assert most_telling(pair) == 1
    figure = pair_figure(pair, findings.profiles, findings.dates, findings.bands, "dB", "path")
    curves, difference, importance = figure.axes
    assert curves.get_ylabel() == "VH backscatter (dB)"
    assert difference.get_ylabel() == "Difference (dB)"
    colours = [tuple(np.round(bar.get_facecolor()[:3], 2)) for bar in importance.patches if bar.get_height() < 50]
    heights = [bar.get_height() for bar in importance.containers[0]]
    np.testing.assert_allclose(heights, 100 * np.array(pair.importance["path"]))
    shown = {name: sum(tuple(np.round(c, 2)) in colours for c in [to_rgb(name)]) for name in (MISSED, SHARED, USED)}
    assert all(shown.values())


def to_rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


@pytest.fixture(scope="module")
def told(make: Callable[..., Findings]) -> Findings:
    pairs = tuple(planted(share=0.9 - i / 100) for i in range(PAIRS + 2))
    classes = (verdict(), verdict(name="Cotton", kind="separated", recall=0.93, series=4000, into=""))
    return replace(make(maps=False), diagnosis=Diagnosis("path", classes, pairs))


def test_the_report_has_a_chapter_with_a_figure_for_each_pair_that_matters(told: Findings, tmp_path: Path) -> None:
    drawn = [plate for plate in plates(told) if plate.name.startswith("why_")]
    assert len(drawn) == len(drawn_pairs(told)) == PAIRS
    page = write_report(tmp_path / "report.html", told, drawn).read_text()
    assert "Why are they confused?" in page
    assert page.count('id="figure_why_') == PAIRS
    assert "2 more pairs" in page
    for pair in told.diagnosis.pairs if told.diagnosis else ():
        assert pair_sentence(pair, SCENE) in page
    assert "Cotton is separated (93 % found)" in page
    assert drawn[0].alt == pair_sentence(planted(share=0.9), SCENE)


def test_a_run_of_an_older_sitscope_has_no_such_chapter(findings: Findings, tmp_path: Path) -> None:
    assert findings.diagnosis is None
    page = write_report(tmp_path / "report.html", findings, []).read_text()
    assert "Why are they confused?" not in page
