"""Contributions by sensor add up, lie with the sensor that parts two classes, and follow to margins."""

import numpy as np
import pytest
import torch

from sitscope.attribution.path import path
from sitscope.attribution.targets import margin
from sitscope.autoencoder.branches import Sensor
from sitscope.autoencoder.fused import Fused
from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.sensors import fit_sensors
from sitscope.classes.codebook import Codebook, fit_codebook
from sitscope.mapping.contributions import Contributed, contributed, letter_table, margins, sensor_shares, table

RADAR = Sensor("s1", ("VV", "VH"), np.arange("2017-01-03", "2017-03-16", 6, dtype="datetime64[D]"), "dB")
OPTICAL = Sensor("s2", ("B4", "B8", "B11"), np.arange("2017-01", "2017-09", dtype="datetime64[M]"))
LABEL = np.repeat(["maize", "wheat", "rape"], 60)


@pytest.fixture(scope="module")
def x() -> list[np.ndarray]:
    """Maize and wheat differ for the radar alone, on its dates 4 to 7; maize and rape for the other, on 2 and 3."""
    rng = np.random.default_rng(0)
    radar, optical = rng.normal(0, 0.2, (180, 2, 12)), rng.normal(0, 0.2, (180, 3, 8))
    radar[LABEL == "wheat", :, 4:8] += 3
    optical[LABEL == "rape", :, 2:4] += 3
    return [radar.astype(np.float32), optical.astype(np.float32)]


@pytest.fixture(scope="module")
def fused(x: list[np.ndarray]) -> Fused:
    settings = Settings(filters=(8, 8), kernels=(5, 3), strides=(1, 1), pooling=(2, 2), hidden=(16,), epochs=40,
                        batch=32, learning_rate=0.01, patience=40)  # fmt: skip
    return fit_sensors(x, [RADAR, OPTICAL], settings, seed=0)


@pytest.fixture(scope="module")
def book(fused: Fused, x: list[np.ndarray]) -> Codebook:
    return fit_codebook(fused.embed(x), LABEL, clusters=3)


@pytest.fixture(scope="module")
def found(fused: Fused, x: list[np.ndarray]) -> Contributed:
    return contributed(x, LABEL, np.arange(180) // 10, fused)


def test_the_margin_lies_with_the_sensor_and_dates_that_part_two_classes(found: Contributed, book: Codebook) -> None:
    told = margins(found, book, [("maize", "wheat"), ("maize", "rape")])
    for other, sensor, dates in (("wheat", "s1", RADAR.dates[4:8]), ("rape", "s2", OPTICAL.dates[2:4])):
        rows = told[told["other"] == other]
        by_sensor = rows.groupby("sensor").contribution.sum() / rows.contribution.sum()
        assert by_sensor[sensor] > 0.9
        on_dates = np.isin(rows.date.to_numpy().astype("datetime64[D]"), dates.astype("datetime64[D]"))
        there = rows[(rows.sensor == sensor) & on_dates]
        assert there.contribution.sum() / rows.contribution.sum() > 0.85
        assert rows.share.sum() == pytest.approx(1)


def test_contributions_of_a_class_add_up_to_its_mean_embedding(
    found: Contributed, fused: Fused, x: list[np.ndarray]
) -> None:
    start = fused.embed([curve[None] for curve in fused.curve])[0]
    told = table(found)
    for name in ("maize", "wheat", "rape"):
        way = fused.embed(x)[name == LABEL].mean(0) - start
        mine = told[told["class"] == name].groupby("dim")
        np.testing.assert_allclose(mine.contribution.sum(), way, atol=0.01 * np.linalg.norm(way))
        np.testing.assert_allclose(mine["share"].sum(), 1)
    assert np.median(found.residual) < 0.01


def test_margins_are_those_of_the_path_with_the_margin_as_its_target(
    found: Contributed, fused: Fused, book: Codebook, x: list[np.ndarray]
) -> None:
    """The slow twin: margins follow from dimensions because they are linear in the embedding."""
    best = {name: int(book.votes[:, book.classes.index(name)].argmax()) for name in ("maize", "wheat")}
    why = margin(*(torch.as_tensor(book.centres[best[name]]) for name in ("maize", "wheat")))
    rows = fused.z_scores(x)
    start = fused.z_scores([curve[None] for curve in fused.curve])[0]
    slow = path(fused.network.encoder, rows, start, target=why, nodes=16).importance[:, 0, 0].numpy()
    expected = slow[LABEL == "maize"].mean(0) - slow[LABEL == "wheat"].mean(0)
    told = margins(found, book, [("maize", "wheat")]).contribution.to_numpy()
    np.testing.assert_allclose(told, expected, atol=1e-3 * np.abs(expected).max())


def test_shares_of_sensors_are_shares_within_their_intervals(found: Contributed) -> None:
    shares = sensor_shares(found)
    for name in ("share", "net_share"):
        np.testing.assert_allclose(shares.groupby("dim")[name].sum(), 1)
        assert (shares[f"{name}_low"] <= shares[name] + 1e-12).all()
        assert (shares[name] <= shares[f"{name}_high"] + 1e-12).all()
    told = table(found)
    sizes = told.assign(size=told["size"] * told["n"]).groupby(["dim", "sensor"])["size"].sum()
    expected = sizes / sizes.groupby("dim").transform("sum")
    np.testing.assert_allclose(shares.set_index(["dim", "sensor"]).share.sort_index(), expected.sort_index())


def test_tables_hold_every_place_once_on_each_sensors_own_dates(found: Contributed) -> None:
    told, letter = table(found), letter_table(found)
    assert len(told) == 3 * 2 * (24 + 24)
    assert len(letter) == 3 * 2 * (12 + 8)
    assert not told.duplicated(["class", "dim", "sensor", "band", "date"]).any()
    days = np.unique(told[told.sensor == "s2"].date.to_numpy()).astype("datetime64[D]")
    np.testing.assert_array_equal(days, OPTICAL.dates.astype("datetime64[D]"))
    row = told[(told["class"] == "wheat") & (told.dim == 2) & (told.sensor == "s2") & (told.band == "B8")]
    expected = found.mean[found.classes.index("wheat"), 1, 24 + 8 : 24 + 16]
    np.testing.assert_array_equal(row.sort_values("date").contribution, expected)


def test_classes_that_share_a_cluster_have_no_margin(found: Contributed, fused: Fused, x: list[np.ndarray]) -> None:
    one = fit_codebook(fused.embed(x), LABEL, clusters=1)
    told = margins(found, one, [("maize", "wheat")])
    assert len(told) == 0
    assert "contribution" in told
