"""Does the picture of the letter show the importance that was computed, at the dates where it was?"""

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sitscope.errors import BadInput
from sitscope.showing.colours import IMPORTANCE, importance_colours
from sitscope.showing.display import BY_CLASS, SIGNED, TOGETHER
from sitscope.showing.findings import Findings
from sitscope.showing.overview import overview_figure
from sitscope.showing.profile import profile_figure

CROPS = ["Cotton", "Sweet Potato", "Pepper"]


def points(figure: Figure, panel: int, place: int) -> PathCollection:
    return next(c for c in figure.axes[panel].collections if c.get_gid() == f"importance-{place}")


def importance(findings: Findings, name: str, dim: int) -> np.ndarray:
    table = findings.profiles.query("`class` == @name and dim == @dim")
    return table.sort_values("date")["importance"].to_numpy()


@pytest.fixture(scope="module")
def figure(findings: Findings) -> Figure:
    return profile_figure(findings.profiles, CROPS, "VV")


def test_there_is_one_panel_per_embedding_dimension(findings: Findings, figure: Figure) -> None:
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["Embedding dimension 1", "Embedding dimension 2"]


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("place", range(3))
def test_colours_are_the_importance_min_maxed_by_class(
    findings: Findings, figure: Figure, dim: int, place: int
) -> None:
    values = importance(findings, CROPS[place], dim)
    scaled = (values - values.min()) / (values.max() - values.min())
    shown = points(figure, dim - 1, place)
    np.testing.assert_allclose(shown.get_facecolor(), importance_colours(scaled))
    assert to_hex(shown.get_facecolor()[values.argmax()]) == to_hex(IMPORTANCE(1.0))
    assert to_hex(shown.get_facecolor()[values.argmin()]) == to_hex(IMPORTANCE(0.0))


def test_points_lie_at_the_acquisitions_and_the_class_mean(findings: Findings, figure: Figure) -> None:
    cotton = findings.profiles.query("`class` == 'Cotton' and dim == 1")
    offsets = np.asarray(points(figure, 0, 0).get_offsets())
    np.testing.assert_allclose(offsets[:, 0], mdates.date2num(findings.dates))
    np.testing.assert_allclose(offsets[:, 1], cotton["VV"])


def test_markers_grow_with_importance_for_print_and_every_eye(findings: Findings, figure: Figure) -> None:
    values = importance(findings, "Cotton", 1)
    sizes = points(figure, 0, 0).get_sizes()
    assert np.all(np.diff(sizes[np.argsort(values)]) >= 0)
    assert sizes[values.argmax()] > 3 * sizes[values.argmin()]


def test_classes_have_different_markers_and_are_named_at_the_end(figure: Figure) -> None:
    shapes = {points(figure, 0, i).get_paths()[0].vertices.tobytes() for i in range(3)}
    assert len(shapes) == 3
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == ["Cotton (4,000)", "Sweet Potato (100)", "Pepper (36)"]


def test_segments_between_dates_have_the_colour_of_their_mean(findings: Findings, figure: Figure) -> None:
    values = importance(findings, "Cotton", 1)
    scaled = (values - values.min()) / (values.max() - values.min())
    _, lines = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)][:2]  # below it, its dark edge
    np.testing.assert_allclose(lines.get_color(), importance_colours((scaled[1:] + scaled[:-1]) / 2))


def test_signed_display_is_centred_on_zero(findings: Findings) -> None:
    figure = profile_figure(findings.profiles, CROPS, "VV", display=SIGNED)
    largest = max(np.abs(importance(findings, name, 1)).max() for name in CROPS)
    expected = importance_colours(0.5 + importance(findings, "Pepper", 1) / largest / 2)
    np.testing.assert_allclose(points(figure, 0, 2).get_facecolor(), expected)
    bar = next(axes for axes in figure.axes if axes.get_ylabel() == "Importance")
    assert [t.get_text() for t in bar.get_yticklabels()] == [f"−{largest:.2g}", "0", f"+{largest:.2g}"]


def test_display_over_all_classes_keeps_them_comparable(findings: Findings) -> None:
    figure = profile_figure(findings.profiles, CROPS, "VV", display=TOGETHER)
    all_values = np.concatenate([importance(findings, name, 1) for name in CROPS])
    expected = (importance(findings, "Pepper", 1) - all_values.min()) / np.ptp(all_values)
    np.testing.assert_allclose(points(figure, 0, 2).get_facecolor(), importance_colours(expected))


@pytest.mark.parametrize("display", [BY_CLASS, TOGETHER])
def test_min_max_is_never_silent_about_the_sign(display: object) -> None:
    assert "negative" in display.caption  # type: ignore[attr-defined]


def test_axes_name_dates_and_units(findings: Findings, figure: Figure) -> None:
    assert [axes.get_ylabel() for axes in figure.axes[:2]] == ["VV backscatter (dB)"] * 2
    assert figure.axes[1].get_xlabel() == "Date of acquisition, 2017"
    months = [label.get_text() for label in figure.axes[1].get_xticklabels()]
    assert months == ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan"]
    ndvi = profile_figure(findings.profiles, ["Cotton"], "VH", units="1")
    assert ndvi.axes[0].get_ylabel() == "VH (no unit)"


def test_a_date_mostly_missing_has_a_hollow_marker(findings: Findings) -> None:
    missing = np.zeros(61)
    missing[[3, 4]] = 0.6, 0.4
    figure = profile_figure(findings.profiles, ["Cotton"], "VV", missing=missing)
    face = points(figure, 0, 0).get_facecolor()
    assert to_hex(face[3]) == "#ffffff"
    assert to_hex(face[4]) != "#ffffff"
    assert to_hex(points(figure, 0, 0).get_edgecolor()[3]) != to_hex(points(figure, 0, 0).get_edgecolor()[4])


def test_an_even_importance_is_drawn_in_the_middle(findings: Findings) -> None:
    flat = findings.profiles.assign(importance=0.25)
    for display, middle in ((BY_CLASS, 0.5), (TOGETHER, 0.5), (SIGNED, 1.0)):
        face = points(profile_figure(flat, ["Cotton"], "VV", display=display), 0, 0).get_facecolor()
        assert {to_hex(c) for c in face} == {to_hex(IMPORTANCE(middle))}


def test_two_dates_and_many_classes_still_draw(findings: Findings) -> None:
    two = findings.profiles[findings.profiles["date"].isin(pd.to_datetime(findings.dates[:2]))]
    figure = profile_figure(two, list(findings.classes), "VV")
    assert len(figure.axes[0].texts) == 16


def test_an_unknown_class_or_band_is_refused_with_what_there_is(findings: Findings) -> None:
    with pytest.raises(BadInput, match="classes: no profile of Rice; there are profiles of Cotton, Tomato"):
        profile_figure(findings.profiles, ["Rice"], "VV")
    with pytest.raises(BadInput, match="band: the profiles have no band 'HH', only VV and VH"):
        profile_figure(findings.profiles, ["Cotton"], "HH")


def test_overview_holds_the_signed_importance_of_every_class(findings: Findings) -> None:
    figure = overview_figure(findings.profiles, findings.classes)
    heat = [axes for axes in figure.axes if len(axes.get_yticklabels()) == 16]
    assert len(heat) == findings.dims
    assert [label.get_text() for label in heat[0].get_yticklabels()] == list(findings.classes)
    mesh = heat[1].collections[0]
    np.testing.assert_allclose(np.asarray(mesh.get_array())[13], importance(findings, "Pepper", 2))
    low, high = mesh.get_clim()
    assert low == -high


def test_a_date_is_hollow_for_the_class_whose_series_are_filled(findings: Findings) -> None:
    table = findings.profiles.assign(filled=0.0)
    dates = np.sort(table["date"].unique())
    table.loc[(table["class"] == "Cotton") & (table["date"] == dates[5]), "filled"] = 0.6
    table.loc[(table["class"] == "Pepper") & (table["date"] == dates[7]), "filled"] = 0.5  # half is not more than half
    figure = profile_figure(table, CROPS, "VV", missing=np.ones(len(dates)))  # the class's own share decides
    white = [np.flatnonzero((points(figure, 0, i).get_facecolors()[:, :3] > 0.99).all(axis=1)) for i in range(3)]
    assert [places.tolist() for places in white] == [[5], [], []]
    overview = overview_figure(table, CROPS)
    circles = [c for axes in overview.axes for c in axes.collections if c.get_gid() == "hollow"]
    assert len(circles) == table["dim"].nunique()
    for each in circles:
        np.testing.assert_allclose(each.get_offsets(), [[mdates.date2num(dates[5]), 0]])
