"""The table that says which dates part which crops."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sitscope.simulation.crops import CROPS, DATES, EPOCH, Calendar
from sitscope.simulation.scene import Scene
from sitscope.simulation.season import draw_weather
from sitscope.simulation.truth import jeffries_matusita, parting, separability

DAYS = (DATES - EPOCH) / np.timedelta64(1, "D")


def pair(truth: pd.DataFrame, a: str, b: str) -> pd.Series:
    chosen = truth[(truth.class_a == a) & (truth.class_b == b)]
    return chosen.set_index("date").jm


def test_every_ordered_pair_has_every_date(scene: Scene) -> None:
    assert len(scene.truth) == 16 * 15 * 61
    assert list(scene.truth.columns) == ["class_a", "class_b", "date", "jm"]
    assert sorted(scene.truth.date.unique()) == sorted(DATES)
    assert scene.truth.jm.between(0, 2).all()


def test_distance_is_the_same_from_both_sides(scene: Scene) -> None:
    there = scene.truth.set_index(["class_a", "class_b", "date"]).jm
    back = scene.truth.set_index(["class_b", "class_a", "date"]).jm
    np.testing.assert_allclose(there, back.rename_axis(there.index.names).loc[there.index])


@pytest.mark.parametrize(
    ("a", "b", "first", "last"),
    [
        ("Cotton", "Tomato", "2017-08-15", "2017-09-30"),  # one is cleared, the other in full canopy
        ("Cotton", "Pepper", "2017-07-01", "2017-09-15"),  # the same windows, another canopy
        ("Tomato", "Sunflower", "2017-04-01", "2017-06-10"),  # sown a month apart
        ("Sugar Beet", "Wheat", "2017-03-01", "2017-05-31"),  # leaves against ears
    ],
)
def test_dates_part_two_crops_where_their_phases_differ(scene: Scene, a: str, b: str, first: str, last: str) -> None:
    jm = pair(scene.truth, a, b)
    assert pd.Timestamp(first) <= jm.idxmax() <= pd.Timestamp(last)


def test_cotton_and_pepper_are_alike_when_sown_and_when_cleared(scene: Scene) -> None:
    jm = pair(scene.truth, "Cotton", "Pepper")
    summer = jm["2017-07-15":"2017-08-31"].min()
    assert summer > 2 * jm["2017-01-01":"2017-05-15"].max()
    assert summer > 2 * jm["2017-11-01":].max()


def test_two_crops_with_one_calendar_and_one_canopy_are_never_parted() -> None:
    twin = replace(CROPS[0], name="Twin")
    truth = separability((CROPS[0], twin), draw_weather(np.random.default_rng(0)), DAYS, 20, seed=0)
    assert truth.jm.max() < 0.05


def test_a_later_harvest_alone_parts_at_harvest_alone() -> None:
    early = CROPS[0].calendars[0]
    late = replace(
        CROPS[0], name="Late", calendars=(Calendar(early.sow, early.full, "2017-10-05", "2017-11-15", 12, 10),)
    )
    jm = pair(
        separability((CROPS[0], late), draw_weather(np.random.default_rng(0)), DAYS, 20, seed=0), "Cotton", "Late"
    )
    assert jm["2017-09-20":"2017-11-15"].max() == jm.max() > 0.6
    assert jm[:"2017-07-01"].max() < 0.1


def test_jeffries_matusita_is_that_of_the_textbook() -> None:
    mean = np.array([[[0.0, 0.0]], [[3.0, 0.0]]])
    identity = np.broadcast_to(np.eye(2), (2, 1, 2, 2)).copy()
    assert jeffries_matusita(mean, identity)[0, 1, 0] == pytest.approx(2 * (1 - np.exp(-9 / 8)))
    wider = identity * np.array([1.0, 4.0])[:, None, None, None]
    bhattacharyya = 9 / (8 * 2.5) + 0.5 * np.log(2.5**2 / 4)
    assert jeffries_matusita(mean, wider)[0, 1, 0] == pytest.approx(2 * (1 - np.exp(-bhattacharyya)))


def test_each_class_names_its_nearest_rival_of_each_date(scene: Scene) -> None:
    by = parting(scene.truth, CROPS)
    assert len(by) == 16 * 61
    row = by[(by["class"] == "Cotton") & (by.date == DATES[36])].iloc[0]
    rivals = scene.truth[(scene.truth.class_a == "Cotton") & (scene.truth.date == DATES[36])].set_index("class_b").jm
    assert (row.nearest, row.jm_least) == (rivals.idxmin(), rivals.min())
    share = pd.Series({c.name: c.share for c in CROPS}).drop("Cotton")
    assert row.jm_mean == pytest.approx((rivals * share).sum() / share.sum())


def test_noisier_images_part_less() -> None:
    weather = draw_weather(np.random.default_rng(0))
    jm = [pair(separability(CROPS[:2], weather, DAYS, enl, seed=0), "Cotton", "Tomato") for enl in (3, 10, 100)]
    assert (jm[0] < jm[1]).all()
    assert (jm[1] < jm[2]).all()
