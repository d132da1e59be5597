"""Can classes, clusters, dates and importance be told apart, by every eye and on a grey printer?"""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from sitscope.showing.colours import CLASSES, DATES, IMPORTANCE, class_colours, cluster_colours, date_colours

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
EYES = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TAB20 = ["#1f77b4", "#aec7e8", "#ff7f0e", "#ffbb78", "#2ca02c", "#98df8a", "#d62728", "#ff9896", "#9467bd", "#c5b0d5"]


def oklab(colours: list[str], eye: str) -> np.ndarray:
    rgb = np.array([to_rgb(c) for c in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(EYES[eye]), 0, 1)
    cones = seen @ np.transpose(
        [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.6299787]]
    )
    return np.cbrt(cones) @ np.transpose(
        [
            [0.21045426, 0.79361779, -0.00407205],
            [1.9779985, -2.42859221, 0.45059371],
            [0.0259040, 0.78277177, -0.80867577],
        ]
    )


def closest(colours: list[str], eye: str) -> float:
    lab = oklab(colours, eye)
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1)
    return float(distance[np.triu_indices(len(lab), 1)].min())


@pytest.mark.parametrize("eye", EYES)
def test_twenty_classes_differ_for_every_eye(eye: str) -> None:
    assert closest(list(CLASSES), eye) > (0.06 if eye == "tritan" else 0.075)


@pytest.mark.parametrize("eye", EYES)
def test_the_test_above_can_fail(eye: str) -> None:
    assert closest(TAB20, eye) < (0.06 if eye == "tritan" else 0.075)


def test_a_class_keeps_its_colour_when_classes_are_added() -> None:
    names = [f"class {i}" for i in range(70)]
    assert list(class_colours(names[:9]).items()) == list(class_colours(names).items())[:9]


def test_colours_beyond_the_palette_are_lighter_and_never_white() -> None:
    colours = list(class_colours([str(i) for i in range(60)]).values())
    light = oklab(colours, "normal")[:, 0]
    assert len(set(colours)) == 60
    assert np.all(light[20:40] > light[:20])
    assert np.all(light[40:] > light[20:40])
    assert light.max() < 0.985


def test_neighbouring_clusters_differ_in_grey() -> None:
    light = oklab(cluster_colours(64), "normal")[:, 0]
    assert np.abs(np.diff(light)).min() > 0.05


def test_dates_run_from_dark_to_light() -> None:
    assert np.all(np.diff(oklab(date_colours(61), "normal")[:, 0]) > 0)
    assert len(set(date_colours(61))) == 61
    assert date_colours(61)[0] == to_hex(DATES(0.0))


def test_importance_is_blue_low_red_high_and_as_dark_at_both_ends() -> None:
    low, middle, high = (np.array(IMPORTANCE(v)[:3]) for v in (0.0, 0.5, 1.0))
    assert low.argmax() == 2
    assert high.argmax() == 0
    assert np.ptp(middle) < 0.03
    light = oklab([to_hex(IMPORTANCE(v)) for v in (0.0, 0.5, 1.0)], "normal")[:, 0]
    assert abs(light[0] - light[2]) < 0.04
    assert light[1] - light[0] > 0.4
