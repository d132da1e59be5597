"""Do figures show what was counted, with units, and come out the same each time?"""

import doctest
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import sitscope.showing
from sitscope.showing.axes import spread
from sitscope.showing.clusters import cluster_figure
from sitscope.showing.colours import class_colours
from sitscope.showing.confusion import confusion_figure
from sitscope.showing.embedding import embedding_figure
from sitscope.showing.findings import Findings
from sitscope.showing.losses import loss_figure
from sitscope.showing.missing import missing_figure
from sitscope.showing.profile import profile_figure
from sitscope.showing.scene import peak_date_figure, scene_figure
from sitscope.showing.style import png, save, svg

MODULES = [f"sitscope.showing.{module.name}" for module in pkgutil.iter_modules(sitscope.showing.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("classes", [2, 16, 30])
def test_cells_print_row_percentages(make: Callable[..., Findings], classes: int) -> None:
    scores = make(classes=classes, maps=False).scores
    figure = confusion_figure(scores)
    order = np.argsort(-scores.confusion.sum(axis=1), kind="stable")  # the largest class first
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [scores.classes[i] for i in order]
    expected = (100 * scores.confusion / scores.confusion.sum(axis=1, keepdims=True))[np.ix_(order, order)]
    printed = np.zeros_like(expected)
    for text in figure.axes[0].texts:
        if not hasattr(text, "xyann"):
            column, row = text.get_position()
            printed[int(row), int(column)] = float(text.get_text())
    np.testing.assert_allclose(printed, np.where(expected >= 0.5, expected, 0), atol=0.5)


def test_confusion_has_recall_counts_and_what_is_never_predicted(findings: Findings) -> None:
    axes = confusion_figure(findings.scores).axes[0]
    beside = [text.get_text() for text in axes.texts if hasattr(text, "xyann")]
    assert beside[:4] == ["93", "4,000", "91", "2,600"]
    assert axes.get_xlabel() == "Predicted class"
    assert axes.get_ylabel() == "True class"
    italic = {label.get_text() for label in axes.get_xticklabels() if label.get_style() == "italic"}
    assert italic == set(findings.scores.classes_never_predicted)
    assert len(axes.patches) == 16, "the diagonal is marked"


def test_too_many_classes_leave_the_cells_unprinted(make: Callable[..., Findings]) -> None:
    axes = confusion_figure(make(classes=60, maps=False).scores).axes[0]
    assert not [text for text in axes.texts if not hasattr(text, "xyann")]
    assert len(axes.get_yticklabels()) == 60


def test_bars_are_the_votes_sorted_with_the_classes_own_colours(findings: Findings) -> None:
    axes = cluster_figure(findings.votes, findings.assigned).axes[0]
    rows = [text.get_text() for text in axes.get_yticklabels()]
    numbers = [int(text.get_text()) for text in axes.texts if text.get_text().isdigit() and text.xy[0] == 0]
    assert sorted(numbers) == list(range(1, 17))
    assert rows == [findings.assigned[k - 1] for k in numbers]
    colours = class_colours(list(findings.classes))
    for row, k in enumerate(numbers):
        bars = [p for p in axes.patches if abs(p.get_y() + p.get_height() / 2 - row) < 0.01]
        shares = findings.votes.loc[k] / findings.votes.loc[k].sum()
        widths = [bar.get_width() for bar in bars]
        np.testing.assert_allclose(widths, np.sort(shares[shares > 0])[::-1])
        assert to_hex(bars[0].get_facecolor()) == colours[shares.idxmax()]


def test_a_cluster_without_votes_is_an_empty_bar() -> None:
    votes = pd.DataFrame([[8, 2], [0, 0]], index=[1, 2], columns=["rye", "oats"])
    axes = cluster_figure(votes, ["rye", ""]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["rye", "no vote"]
    assert len(axes.patches) == 2


@pytest.mark.parametrize(("dims", "axis"), [(1, "dimension 1"), (2, "dimension 1"), (8, "Principal component 1")])
def test_embedding_is_shown_by_class_and_by_cluster(make: Callable[..., Findings], dims: int, axis: str) -> None:
    run = make(dims=dims, maps=False)
    left, right = embedding_figure(run.samples, run.centres, run.classes).axes
    assert axis in left.get_xlabel()
    assert ("variance" if dims > 2 else "no unit") in left.get_xlabel()
    colours = {to_hex(c) for c in left.collections[0].get_facecolor()}
    assert colours <= set(class_colours(list(run.classes)).values())
    assert len(left.collections[0].get_offsets()) == len(run.samples)
    if dims > 1:
        assert [text.get_text() for text in right.texts] == [str(k) for k in range(1, 17)]


def test_the_plane_of_principal_components_keeps_most_of_the_spread(make: Callable[..., Findings]) -> None:
    run = make(dims=3, maps=False)
    figure = embedding_figure(run.samples, run.centres, run.classes)
    shown = np.asarray(figure.axes[0].collections[0].get_offsets())
    whole = run.samples[["e1", "e2", "e3"]].to_numpy(dtype=float)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(whole.T)))[::-1]
    np.testing.assert_allclose(shown.var(axis=0, ddof=1), eigenvalues[:2], rtol=1e-6)


def test_loss_curves_mark_the_epoch_that_was_kept(findings: Findings) -> None:
    axes = loss_figure(findings.losses, findings.best_epoch).axes[0]
    curves = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    np.testing.assert_allclose(curves["validation"].get_ydata(), findings.losses["validation"])
    assert curves["train"].get_linestyle() != curves["validation"].get_linestyle()
    assert curves["train"].get_xdata()[0] == 1
    assert "epoch 26 kept" in [text.get_text() for text in axes.texts]
    assert "no unit" in axes.get_ylabel()


def test_missing_values_are_bars_in_percent(findings: Findings) -> None:
    axes = missing_figure(findings.dates, findings.missing).axes[0]
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], 100 * findings.missing)


def test_scene_has_fields_in_place_and_coordinates_with_crs(findings: Findings) -> None:
    assert findings.maps is not None
    assert findings.fields is not None
    figure = scene_figure(findings.maps, findings.fields, findings.classes)
    left, right = figure.axes[:2]
    assert left.get_title(loc="left") == "Fields by class over VH, 3 Jan 2017"
    assert left.get_xlabel() == "Easting (m, EPSG:32629)"
    assert left.get_ylabel() == "Northing (m)"
    assert "VH backscatter (dB)" in [axes.get_xlabel() for axes in figure.axes]
    cotton = [c for c in left.collections if c.get_gid() == "Cotton"]
    used = findings.fields.query("label == 'Cotton'")
    assert sum(len(c.get_paths()) for c in cotton) == len(used)
    box = used.to_crs("EPSG:32629").total_bounds
    drawn = np.concatenate([path.vertices for c in cotton for path in c.get_paths()])
    np.testing.assert_allclose([*drawn.min(axis=0), *drawn.max(axis=0)], box, atol=0.01)
    assert left.get_xlim() == right.get_xlim() == (220000.0, 222240.0)


def test_predicted_map_has_the_classes_colours_and_no_colour_for_nodata(findings: Findings) -> None:
    assert findings.maps is not None
    image = scene_figure(findings.maps, None, findings.classes).axes[1].images[0]
    codes = findings.maps["class"].to_numpy()
    shown = image.to_rgba(image.get_array())
    place = np.argwhere(codes == 3)[0]
    assert to_hex(shown[tuple(place)]) == class_colours(list(findings.classes))[findings.classes[2]]
    assert shown[tuple(np.argwhere(codes == 0)[0])][3] == 0


def test_peak_dates_are_days_with_a_calendar(findings: Findings) -> None:
    assert findings.maps is not None
    figure = peak_date_figure(findings.maps)
    image = figure.axes[1].images[0]
    number = findings.maps["peak_date"].sel(dim=2).to_numpy()
    first = np.datetime64("1970-01-01") + np.asarray(image.get_array())[50, 50].astype("timedelta64[D]")
    assert first == findings.dates[number[50, 50] - 1].astype("datetime64[D]")
    calendar = figure.axes[-1]
    assert [label.get_text() for label in calendar.get_xticklabels()][:2] == ["Feb", "Mar"]
    assert "2017" in calendar.get_xlabel()


def test_a_large_map_is_thinned(make: Callable[..., Findings]) -> None:
    maps = make(size=700).maps
    assert maps is not None
    assert max(scene_figure(maps, None, make().classes).axes[1].images[0].get_array().shape) <= 900


def test_two_saves_are_byte_for_byte_the_same(findings: Findings, tmp_path: Path) -> None:
    first, second = (profile_figure(findings.profiles, ["Cotton"], "VV") for _ in range(2))
    assert svg(first) == svg(second) == svg(first)
    assert png(first) == png(second)
    paths = save(first, tmp_path / "new", "cotton")
    assert [path.name for path in paths] == ["cotton.svg", "cotton.png"]
    assert paths[0].read_bytes() == svg(second)


def test_the_callers_style_is_neither_used_nor_changed(findings: Findings) -> None:
    plain = svg(loss_figure(findings.losses, findings.best_epoch))
    with mpl.rc_context({"font.size": 30.0, "axes.facecolor": "pink", "svg.hashsalt": "other"}):
        before = dict(mpl.rcParams)
        assert svg(loss_figure(findings.losses, findings.best_epoch)) == plain
        assert dict(mpl.rcParams) == before


def test_names_with_dollars_and_brackets_are_drawn_as_they_are() -> None:
    votes = pd.DataFrame([[8, 2]], index=[1], columns=["$5 rye$", "<b>oats & co"])
    assert isinstance(cluster_figure(votes, ["$5 rye$"]), Figure)


def test_labels_keep_their_order_and_distance() -> None:
    placed = spread([0.0, 0.1, 0.2, 3.0], gap=1.0)
    assert placed == sorted(placed)
    assert np.diff(placed).min() >= 1.0 - 1e-9
    assert np.mean(placed[:3]) == pytest.approx(0.1) or placed[3] > 3.0
