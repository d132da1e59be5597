"""A model is applied only to what it was trained on, and comes back from disk the same."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from sitscope.attribution.gradslam import grad_slam
from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.training import fit, held_out
from sitscope.errors import BadInput


@pytest.fixture(scope="module")
def fitted(series: xr.Dataset, small: Settings) -> Fitted:
    return fit(series, small)


def test_embedding_is_the_encoder_on_z_scores(fitted: Fitted, series: xr.Dataset) -> None:
    x = series.x.values
    z = (x - fitted.mean[:, None]) / fitted.std[:, None]
    slow = torch.cat([fitted.network.encoder(torch.tensor(one)[None]) for one in z])
    np.testing.assert_allclose(fitted.embed(x), slow.numpy(), atol=1e-5)


def test_importance_has_an_entry_for_each_dimension_and_date(fitted: Fitted, series: xr.Dataset) -> None:
    importance = fitted.explain(series.x.values)
    assert importance.shape == (200, 2, 12)
    assert np.abs(importance).max() <= 1
    assert np.abs(importance).max() > 0


def test_importance_lies_on_the_dates_of_the_training(fitted: Fitted, series: xr.Dataset) -> None:
    gap = np.where(np.arange(12) < 6, 0, 60) * np.timedelta64(1, "D")
    irregular = replace(fitted, dates=fitted.dates + gap)
    x, days = series.x.values[:5], (irregular.dates - irregular.dates[0]) / np.timedelta64(1, "D")
    np.testing.assert_allclose(irregular.explain(x), fitted.explain(x, dates=days), atol=1e-5)
    assert np.abs(irregular.explain(x) - fitted.explain(x)).max() > 0.01


def test_importance_is_grad_slam_on_z_scores(fitted: Fitted, series: xr.Dataset) -> None:
    z = torch.tensor((series.x.values - fitted.mean[:, None]) / fitted.std[:, None])
    slow = grad_slam(fitted.network.encoder, z).merged
    np.testing.assert_allclose(fitted.explain(series.x.values), slow.numpy(), atol=1e-5)


def test_one_pass_gives_embedding_and_importance(fitted: Fitted, series: xr.Dataset) -> None:
    x = np.tile(series.x.values, (4, 1, 1))  # more than a batch
    embedding, importance = fitted.embed_and_explain(x)
    np.testing.assert_allclose(embedding, fitted.embed(x), atol=1e-6)
    np.testing.assert_array_equal(importance, fitted.explain(x))


def test_answers_are_the_same_where_there_is_no_fast_path(
    fitted: Fitted, series: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = series.x.values
    quick = fitted.embed(x), fitted.explain(x)
    monkeypatch.setattr("sitscope.autoencoder.fitted.compiled", lambda encoder, dates: None)
    for ours, general in zip(quick, (fitted.embed(x), fitted.explain(x)), strict=True):
        np.testing.assert_allclose(ours, general, atol=1e-5)


def test_a_saved_model_comes_back_the_same(fitted: Fitted, series: xr.Dataset, tmp_path: Path) -> None:
    back = Fitted.load(fitted.save(tmp_path / "model"))
    np.testing.assert_array_equal(back.embed(series.x.values), fitted.embed(series.x.values))
    assert (back.settings, back.bands, back.units, back.losses) == (
        fitted.settings,
        fitted.bands,
        fitted.units,
        fitted.losses,
    )
    np.testing.assert_array_equal(back.dates, fitted.dates)


def test_no_series_give_empty_results(fitted: Fitted) -> None:
    none = np.empty((0, 2, 12), np.float32)
    assert fitted.embed(none).shape == (0, 2)
    assert fitted.explain(none).shape == (0, 2, 12)


def test_other_dates_are_refused_with_both_facts(fitted: Fitted, series: xr.Dataset) -> None:
    with pytest.raises(BadInput, match="images have 11 dates, the model was trained on 12; first missing: 2017-01-15"):
        fitted.embed(series.x.isel(time=[0, 1, *range(3, 12)]))
    later = series.x.assign_coords(time=series.time + np.timedelta64(365, "D"))
    with pytest.raises(BadInput, match="first missing: 2017-01-03"):
        fitted.embed(later)


def test_other_bands_are_refused_with_both_facts(fitted: Fitted, series: xr.Dataset) -> None:
    with pytest.raises(BadInput, match="images have bands VH, VV, the model was trained on VV, VH"):
        fitted.embed(series.x.isel(band=[1, 0]))


def test_other_units_are_refused(fitted: Fitted) -> None:
    with pytest.raises(BadInput, match="images are in linear, the model was trained in dB"):
        fitted.check(fitted.dates, fitted.bands, "linear")


def test_axes_in_another_order_are_refused(fitted: Fitted, series: xr.Dataset) -> None:
    with pytest.raises(BadInput, match=r"shape \(200, 12, 2\) do not fit"):
        fitted.embed(series.x.values.transpose(0, 2, 1))


@pytest.mark.parametrize("damage", ["missing", "weights", "json", "schema", "key"])
def test_a_damaged_model_is_refused(fitted: Fitted, tmp_path: Path, damage: str) -> None:
    folder = fitted.save(tmp_path / "model")
    facts = json.loads((folder / "model.json").read_text())
    match damage:
        case "missing":
            (folder / "weights.safetensors").unlink()
        case "weights":
            raw = bytearray((folder / "weights.safetensors").read_bytes())
            raw[-1] ^= 1
            (folder / "weights.safetensors").write_bytes(raw)
        case "json":
            (folder / "model.json").write_text("{")
        case "schema":
            (folder / "model.json").write_text(json.dumps(facts | {"schema": 99}))
        case "key":
            (folder / "model.json").write_text(json.dumps({k: v for k, v in facts.items() if k != "bands"}))
    with pytest.raises(BadInput, match="Train again" if damage == "schema" else "model: "):
        Fitted.load(folder)


def test_contributions_sum_to_the_way_from_the_mean_curve(fitted: Fitted, series: xr.Dataset) -> None:
    x = series.x.values
    found = fitted.contributions(x)
    assert found.shape == (200, 2, 2, 12)
    way = fitted.embed(x) - fitted.embed(fitted.curve[None])
    missed = np.linalg.norm(found.sum((2, 3)) - way, axis=1)
    assert (missed <= 0.0101 * np.linalg.norm(way, axis=1)).all()


def test_the_mean_curve_is_that_of_the_series_it_learned_from(series: xr.Dataset, small: Settings) -> None:
    learned = ~held_out(series.field.values, small.validation, seed=0)
    np.testing.assert_allclose(fit(series, small).curve, series.x.values[learned].mean(0), rtol=1e-5)


def test_contributions_from_a_chosen_series_vanish_for_itself(fitted: Fitted, series: xr.Dataset) -> None:
    x = series.x.values[:3]
    found = fitted.contributions(x, reference=x[1], nodes=8)
    np.testing.assert_array_equal(found[1], 0)
    np.testing.assert_allclose(
        found.sum((2, 3)), fitted.embed(x) - fitted.embed(x[1:2]), atol=0.02 * np.abs(fitted.embed(x)).max()
    )
