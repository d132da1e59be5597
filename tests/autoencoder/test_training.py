"""Training learns, stops, keeps the best, and is the same for the same seed."""

import numpy as np
import pytest
import torch
import xarray as xr

from sitscope.autoencoder import training
from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.training import fit, held_out
from sitscope.errors import BadInput


def test_the_network_learns_to_reconstruct(series: xr.Dataset, small: Settings) -> None:
    fitted = fit(series, small)
    x = series.x.values
    error = ((fitted.reconstruct(x) - x) ** 2).mean()
    assert error < 0.35 * x.var(axis=(0, 2)).mean()
    assert fitted.losses["train"][-1] < fitted.losses["train"][0]


def test_the_embedding_separates_what_differs(series: xr.Dataset, small: Settings) -> None:
    e = fit(series, small).embed(series.x.values)
    between = np.linalg.norm(e[:100].mean(axis=0) - e[100:].mean(axis=0))
    assert between > 2 * max(e[:100].std(), e[100:].std())


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(series: xr.Dataset, small: Settings) -> None:
    first, again, other = (fit(series, small, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.embed(series.x.values), again.embed(series.x.values))
    assert not np.array_equal(first.embed(series.x.values), other.embed(series.x.values))


def test_training_leaves_the_global_random_state_alone(series: xr.Dataset, small: Settings) -> None:
    before = torch.random.get_rng_state()
    fit(series, small)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_best_epoch_is_kept_and_patience_ends_training(series: xr.Dataset, small: Settings) -> None:
    fitted = fit(series, small.model_copy(update={"epochs": 200, "patience": 3, "learning_rate": 0.02}))
    losses = fitted.losses["validation"]
    assert len(losses) < 200
    assert fitted.best_epoch == 1 + int(np.argmin(losses))
    assert len(losses) == fitted.best_epoch + 3


def test_the_kept_weights_are_those_of_the_best_epoch(series: xr.Dataset, small: Settings) -> None:
    fitted = fit(series, small.model_copy(update={"epochs": 40, "patience": 5, "learning_rate": 0.02}), seed=1)
    held = held_out(series.field.values, small.validation, seed=1)
    x = series.x.values[held]
    z = (fitted.reconstruct(x) - x) / fitted.std[:, None]
    assert (z**2).mean() == pytest.approx(min(fitted.losses["validation"]), rel=1e-4)


def test_whole_fields_are_held_out(series: xr.Dataset) -> None:
    held = held_out(series.field.values, 0.1, seed=0)
    assert held.sum() == 20
    for field in range(20):
        assert len(set(held[series.field.values == field].tolist())) == 1


def test_progress_is_told_after_each_epoch(series: xr.Dataset, small: Settings) -> None:
    told: list[tuple[int, int]] = []
    fit(series, small, progress=lambda epoch, epochs, train, validation: told.append((epoch, epochs)))
    assert told == [(i, 12) for i in range(1, 13)]


def test_few_series_still_make_many_steps(series: xr.Dataset, small: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    plain = training._batches
    monkeypatch.setattr(training, "_batches", lambda values, size: (sizes.append(size), plain(values, size))[1])
    fit(series, small.model_copy(update={"epochs": 1}))
    fit(xr.concat([series] * 6, "series"), small.model_copy(update={"epochs": 1, "batch": 16}))
    assert [size for size in sizes if size != 1024] == [training.LEAST_BATCH, 16]


def test_missing_values_are_refused(series: xr.Dataset, small: Settings) -> None:
    holes = series.copy(deep=True)
    holes.x[3, 0, 5] = np.nan
    with pytest.raises(BadInput, match="1 of 200 series have missing values"):
        fit(holes, small)


def test_a_band_that_never_varies_is_refused(series: xr.Dataset, small: Settings) -> None:
    flat = series.copy(deep=True)
    flat.x[:, 1] = -18
    with pytest.raises(BadInput, match=r"band VH never varies \(always -18\)"):
        fit(flat, small)


def test_a_single_series_is_refused(series: xr.Dataset, small: Settings) -> None:
    with pytest.raises(BadInput, match="1 series are too few"):
        fit(series.isel(series=[0]), small)
