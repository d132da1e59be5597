"""Speckle, mixed edges, thermal noise."""

import numpy as np
import pytest
from scipy import stats

from sitscope.simulation.sensor import DARKEST_DB, NOISE_FLOOR_DB, acquire, noise_variance_db2, observe, speckle

BRIGHT = 0.1
"""-10 dB: far above the noise."""


@pytest.mark.parametrize(("enl", "sd_db"), [(20, 0.98), (4.4, 2.2)])
def test_looks_set_the_spread_in_decibels(enl: float, sd_db: float) -> None:
    db = 10 * np.log10(speckle((400, 400), enl, np.random.default_rng(0)))
    assert db.std() == pytest.approx(sd_db, rel=0.02)


def test_speckle_is_gamma_with_mean_one_and_variance_one_over_looks() -> None:
    x = speckle((500, 500), 15, np.random.default_rng(1)).astype(float)
    assert x.mean() == pytest.approx(1, abs=0.005)
    assert x.var() == pytest.approx(1 / 15, rel=0.03)
    quantiles = np.array([0.01, 0.1, 0.5, 0.9, 0.99])
    np.testing.assert_allclose(np.quantile(x, quantiles), stats.gamma(15, scale=1 / 15).ppf(quantiles), rtol=0.01)


def test_neighbouring_pixels_share_speckle_and_distant_ones_do_not() -> None:
    z = np.log(speckle((400, 400), 20, np.random.default_rng(2)))
    z -= z.mean()

    def alike(lag: int) -> float:
        return float((z[:, lag:] * z[:, :-lag]).mean() / z.var())

    assert 0.5 < alike(1) < 0.7  # exp(-1 / (4 * 0.7^2)) = 0.60
    assert abs(alike(5)) < 0.02


def test_dates_do_not_share_speckle() -> None:
    images = acquire(np.full((2, 1, 2), BRIGHT), np.zeros((200, 200), np.int32), 5, np.random.default_rng(3))
    texture = np.corrcoef(images[0, 0].ravel(), images[1, 0].ravel())[0, 1]
    assert texture == pytest.approx(0.4**2 / float(noise_variance_db2(np.array([BRIGHT]), 5)[0]), abs=0.04)


def test_edge_pixels_mix_both_sides() -> None:
    label = np.repeat(np.array([[0] * 10 + [1] * 10], np.int32), 400, axis=0)
    ground = np.array([0.05, 0.2, 0.2])[None, :, None].repeat(2, axis=0)  # 6 dB apart; the last is the verge
    column = 10 ** (acquire(ground, label, 30, np.random.default_rng(0))[0, 0] / 10).mean(axis=0)
    assert column[[2, 17]] == pytest.approx([0.05, 0.2], rel=0.05)
    assert 0.06 < column[9] < column[10] < 0.19


def test_ground_outside_the_fields_is_seen_at_edges_but_not_kept() -> None:
    label = np.full((60, 60), -1, np.int32)
    label[10:50, 10:50] = 0
    image = acquire(np.array([0.2, 0.01])[None, :, None].repeat(2, axis=0), label, 30, np.random.default_rng(0))[0, 0]
    assert np.isnan(image[label < 0]).all()
    assert image[10, 12:48].mean() < image[30, 12:48].mean() - 0.5


def test_thermal_noise_widens_what_is_dark_and_leaves_its_mean() -> None:
    floor = 10 ** (NOISE_FLOOR_DB / 10)
    dark, bright = (
        observe(np.full((300, 300), s, np.float32), 20, np.random.default_rng(0)) for s in (floor, 100 * floor)
    )
    assert dark.std() > 1.8 * bright.std()
    assert (10 ** (dark / 10)).mean() == pytest.approx(floor, rel=0.01)
    assert dark.min() >= DARKEST_DB


def test_predicted_variance_is_that_of_the_images() -> None:
    for sigma0 in (BRIGHT, 0.01):
        images = acquire(np.full((2, 1, 20), sigma0), np.zeros((60, 60), np.int32), 20, np.random.default_rng(5))
        assert images.var(axis=(0, 2, 3)).mean() == pytest.approx(
            noise_variance_db2(np.array([sigma0]), 20)[0], rel=0.12
        )
