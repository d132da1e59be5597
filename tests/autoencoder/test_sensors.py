"""One embedding of several sensors: complete by sensor, the plain network where there is one, the same when loaded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from sitscope.attribution.gradslam import grad_slam
from sitscope.attribution.merging import linear
from sitscope.attribution.path import path
from sitscope.attribution.targets import only
from sitscope.autoencoder.branches import Branches, Sensor, branch_shapes, each_alike
from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.fused import Fused
from sitscope.autoencoder.network import Settings, parameters, weights_of
from sitscope.autoencoder.sensors import fit_sensors
from sitscope.autoencoder.training import fit
from sitscope.errors import BadInput

RADAR = Sensor("s1", ("VV", "VH"), np.arange("2017-01-03", "2017-03-16", 6, dtype="datetime64[D]"), "dB")
OPTICAL = Sensor("s2", ("B4", "B8", "B11"), np.arange("2017-01", "2017-09", dtype="datetime64[M]"))
SENSORS = [RADAR, OPTICAL]


@pytest.fixture(scope="module")
def x() -> list[np.ndarray]:
    """120 pixels: half of them rise in the radar's season; the optical sensor sees a trend that says nothing of it."""
    rng = np.random.default_rng(1)
    sign, trend = np.repeat([1, -1], 60)[:, None, None], rng.normal(size=(120, 1, 1))
    radar = (
        np.array([[-11.0], [-18.0]]) + 3 * sign * np.sin(np.linspace(0, np.pi, 12)) + rng.normal(0, 0.3, (120, 2, 12))
    )
    optical = 0.3 + 0.1 * trend * np.linspace(-1, 1, 8) + rng.normal(0, 0.02, (120, 3, 8))
    return [radar.astype(np.float32), optical.astype(np.float32)]


@pytest.fixture(scope="module")
def fused(x: list[np.ndarray], small: Settings) -> Fused:
    return fit_sensors(x, SENSORS, small, seed=3)


def test_contributions_of_all_sensors_are_complete(fused: Fused, x: list[np.ndarray]) -> None:
    found = fused.contributions(x)
    assert [part.shape for part in found] == [(120, 2, 2, 12), (120, 2, 3, 8)]
    way = fused.embed(x) - fused.embed([curve[None] for curve in fused.curve])
    missed = np.linalg.norm(sum(part.sum((2, 3)) for part in found) - way, axis=1)
    assert (missed <= 0.01 * np.linalg.norm(way, axis=1)).all()
    of_one = fused.contributions([x[0][:1], x[1][:1]], [x[0][1], fused.curve[1]])
    way = fused.embed([x[0][:1], x[1][:1]]) - fused.embed([x[0][1:2], fused.curve[1][None]])
    np.testing.assert_allclose(sum(part.sum((2, 3)) for part in of_one), way, atol=0.01 * np.linalg.norm(way))


def test_contributions_are_those_of_the_path_over_a_row_of_all_values(fused: Fused, x: list[np.ndarray]) -> None:
    rows = fused.z_scores(x)
    start = fused.z_scores([curve[None] for curve in fused.curve])[0]
    slow = path(fused.network.encoder, rows, start, nodes=5).importance[:, :, 0].numpy()
    fast = fused.contributions(x, nodes=5)
    np.testing.assert_allclose(np.concatenate([part.reshape(120, 2, -1) for part in fast], 2), slow, atol=1e-6)


def test_a_sensor_that_is_at_its_mean_curve_contributes_nothing(fused: Fused, x: list[np.ndarray]) -> None:
    still = np.repeat(fused.curve[1][None], 120, axis=0)
    radar, optical = fused.contributions([x[0], still])
    assert (optical == 0).all()
    assert np.abs(radar).max() > 0.1


def test_one_sensor_in_a_branch_is_the_plain_autoencoder(series: xr.Dataset, small: Settings) -> None:
    plain = fit(series, small, seed=5)
    sensor = Sensor("s1", plain.bands, plain.dates, "dB")
    one = fit_sensors([series.x], [sensor], small, 5, field=series.field.values)
    assert [tuple(w.shape) for w in one.network.parameters()] == [tuple(w.shape) for w in plain.network.parameters()]
    pairs = zip(one.network.parameters(), plain.network.parameters(), strict=True)
    assert all(torch.allclose(mine, theirs, atol=1e-5) for mine, theirs in pairs)
    np.testing.assert_allclose(one.embed([series.x]), plain.embed(series.x), atol=1e-4)
    (parts,) = one.contributions([series.x], nodes=8)
    np.testing.assert_allclose(parts, plain.contributions(series.x, nodes=8), atol=1e-4)
    np.testing.assert_allclose(one.reconstruct([series.x])[0], plain.reconstruct(series.x), atol=1e-3)
    np.testing.assert_allclose(one.explain([series.x])[0], plain.explain(series.x), atol=1e-3)


def test_stacked_sensors_are_one_cube_of_all_bands(series: xr.Dataset, small: Settings) -> None:
    plain = fit(series, small, seed=5)
    parts = [series.x.isel(band=[i]) for i in (0, 1)]
    two = [Sensor(f"s{i}", (band,), plain.dates, "dB") for i, band in enumerate(plain.bands)]
    stacked = fit_sensors(parts, two, small, 5, join="stacked", field=series.field.values)
    np.testing.assert_allclose(stacked.embed(parts), plain.embed(series.x), atol=1e-4)
    first, second = stacked.contributions(parts, nodes=8)
    np.testing.assert_allclose(np.concatenate([first, second], 2), plain.contributions(series.x, nodes=8), atol=1e-4)
    one, other = stacked.explain(parts)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one, plain.explain(series.x), atol=1e-3)


def test_the_letters_map_of_a_branch_takes_its_own_gradients_and_dates(fused: Fused, x: list[np.ndarray]) -> None:
    radar, optical = fused.explain(x)
    assert (radar.shape, optical.shape) == ((120, 2, 12), (120, 2, 8))
    assert np.abs(radar).max() <= 1 + 1e-6
    encoder = fused.network.encoder
    rows = fused.z_scores(x)

    class Both(torch.nn.Module):
        """The encoder of two sensors whose second sensor is held."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, part: torch.Tensor) -> torch.Tensor:
            return self.encoder(torch.cat([part.flatten(1), rows[:, 0, 24:]], 1)[:, None])

    part = encoder.parts(rows)[0]
    names = [f"encoder.branches.0.conv{i}" for i in (1, 2)]
    slow = grad_slam(Both().eval(), part, names, upsample=linear, batch=120).merged  # where cells lie it cannot tell
    np.testing.assert_allclose(fused.explain(x, upsample=linear)[0], slow.numpy(), atol=1e-5)


def test_a_fused_model_is_the_same_when_it_is_loaded(fused: Fused, x: list[np.ndarray], tmp_path: Path) -> None:
    again = Fused.load(fused.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.embed(x), fused.embed(x))
    for mine, theirs in zip(again.contributions(x, nodes=4), fused.contributions(x, nodes=4), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert [(s.name, s.bands, s.units) for s in again.sensors] == [(s.name, s.bands, s.units) for s in fused.sensors]
    assert (again.losses, again.best_epoch, again.seed) == (fused.losses, fused.best_epoch, 3)


def test_the_same_seed_gives_the_same_model(fused: Fused, x: list[np.ndarray], small: Settings) -> None:
    np.testing.assert_array_equal(fit_sensors(x, SENSORS, small, seed=3).embed(x), fused.embed(x))


def test_weights_are_counted_before_the_network_is_made(small: Settings) -> None:
    for join in ("branches", "stacked"):
        both = [RADAR, Sensor("other", ("B4",), RADAR.dates)]
        shapes = branch_shapes(both, join)  # type: ignore[arg-type]
        assert weights_of(shapes, small) == parameters(Branches(shapes, small))


def test_balanced_sensors_weigh_alike(x: list[np.ndarray], small: Settings) -> None:
    weight = each_alike(SENSORS).square()
    assert float(weight[: RADAR.values].sum()) == pytest.approx(float(weight[RADAR.values :].sum()))
    assert float(weight.mean()) == pytest.approx(1)
    few = Sensor("few", ("VV",), RADAR.dates[:8], "dB")  # 8 values beside 24
    pair, values = [few, OPTICAL], [x[0][:, :1, :8], x[1]]
    errors = {}
    for balance in (False, True):
        model = fit_sensors(values, pair, small.model_copy(update={"dims": 1}), balance=balance)
        back = model.reconstruct(values)[0]
        errors[balance] = float(np.square(back - values[0]).mean())
    assert errors[True] < errors[False], "with one dimension for both, the sensor of few values gets more of it"


def test_series_are_not_changed(x: list[np.ndarray], small: Settings) -> None:
    before = [each.copy() for each in x]
    fit_sensors(x, SENSORS, small.model_copy(update={"epochs": 1}), balance=True)
    for mine, theirs in zip(x, before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _gap(x: list[np.ndarray]) -> list[np.ndarray]:
    one = x[1].copy()
    one[4, 0, 2] = np.nan
    return [x[0], one]


def _with(sensor: Sensor, **changes: Any) -> Sensor:
    return Sensor(**{**{k: getattr(sensor, k) for k in ("name", "bands", "dates", "units")}, **changes})


Case = tuple[Callable[[list[np.ndarray]], list[np.ndarray]], list[Sensor], dict[str, Any], str]
MISTAKES: dict[str, Case] = {
    "no sensor": (lambda x: [], [], {}, r"^sensors: there is no sensor"),
    "one name twice": (lambda x: x, [RADAR, _with(OPTICAL, name="s1")], {}, r"^sensors: two sensors are called s1"),
    "no name": (lambda x: x, [RADAR, _with(OPTICAL, name="")], {}, r"^sensors: '' is no name"),
    "a path as a name": (lambda x: x, [RADAR, _with(OPTICAL, name="../s2")], {}, r"is no name of a sensor"),
    "a band twice": (lambda x: x, [RADAR, _with(OPTICAL, bands=("B4", "B4", "B8"))], {}, r"Name each band once"),
    "no dates": (lambda x: x, [RADAR, _with(OPTICAL, dates=np.arange(8))], {}, r"sensor s2 has no dates but int64"),
    "a date that is missing": (
        *(lambda x: x, [RADAR, _with(OPTICAL, dates=np.array(["2017-01", "NaT"] * 4, "datetime64[M]"))], {}),
        r"4 of 8 dates are missing",
    ),
    "dates out of order": (
        *(lambda x: x, [RADAR, _with(OPTICAL, dates=OPTICAL.dates[::-1])], {}),
        r"2017-07-01T00:00:00 comes after 2017-08-01",
    ),
    "too few dates": (
        *(lambda x: [x[0], x[1][:, :, :3]], [RADAR, _with(OPTICAL, dates=OPTICAL.dates[:3])], {}),
        r"^settings: sensor s2: 3 dates are too few",
    ),
    "another number of dates": (
        *(lambda x: [x[0], x[1][:, :, :7]], SENSORS, {}),
        r"shape \(120, 3, 7\) do not fit sensor s2, which has \(n, 3 bands, 8 dates\)",
    ),
    "other pixels": (lambda x: [x[0], x[1][:9]], SENSORS, {}, r"there are 120 of s1, 9 of s2"),
    "one sensor's series": (lambda x: x[:1], SENSORS, {}, r"series of 1 sensors, and 2 are asked for: s1, s2"),
    "a gap": (_gap, SENSORS, {}, r"1 of 120 series of s2 have missing values"),
    "one series": (lambda x: [each[:1] for each in x], SENSORS, {}, r"1 series are too few"),
    "a band that never varies": (
        *(lambda x: [x[0], np.ones_like(x[1])], SENSORS, {}),
        r"sensor s2: band B4 never varies",
    ),
    "stacked on dates of their own": (
        *(lambda x: x, SENSORS, {"join": "stacked"}),
        r"^join: .*s1 has 12 and s2 8, and the first that only one of them has is 2017-01-01",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told(x: list[np.ndarray], small: Settings, mistake: str) -> None:
    change, sensors, options, said = MISTAKES[mistake]
    with pytest.raises(BadInput, match=said):
        fit_sensors(change(x), sensors, small, **options)


def test_a_network_without_convolutions_has_no_branches(x: list[np.ndarray], small: Settings) -> None:
    with pytest.raises(BadInput, match="settings: each sensor has convolutions, and filters has none"):
        fit_sensors(x, SENSORS, small.dense())


def test_named_series_must_be_the_sensors_own(fused: Fused, x: list[np.ndarray]) -> None:
    def named(sensor: Sensor, values: np.ndarray) -> xr.DataArray:
        coords = {"band": list(sensor.bands), "time": sensor.dates.astype("datetime64[ns]")}
        return xr.DataArray(values, coords, ("series", "band", "time"))

    right = [named(sensor, values) for sensor, values in zip(SENSORS, x, strict=True)]
    np.testing.assert_array_equal(fused.embed(right), fused.embed(x))
    with pytest.raises(BadInput, match="sensor s1 has bands VV, VH, these series have VH, VV"):
        fused.embed([right[0].isel(band=[1, 0]), right[1]])
    late = right[0].assign_coords(time=right[0].time + np.timedelta64(1, "D"))
    with pytest.raises(BadInput, match=r"sensor s1 has other dates .* is 2017-01-03"):
        fused.embed([late, right[1]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.update(join="woven"), "join"),
        (lambda f: f["sensors"][1].update(name="s1"), "two sensors are called s1"),
        (lambda f: f["sensors"][1]["dates"].reverse(), "not in order"),
        (lambda f: f["sensors"][0]["curve"].pop(), "not of 2 bands and 12 dates"),
        (lambda f: f["sensors"].pop(), "size mismatch|Missing key"),
        (lambda f: f.update(sha256="0" * 64), "not those that model.json names"),
        (lambda f: f.update(schema=2), "schema 2, this version reads sensors 1"),
        (lambda f: f.update(sensors=[]), "sensors"),
        (lambda f: f.update(join="stacked"), "common dates only"),
    ],
)
def test_what_does_not_fit_together_is_no_model(
    fused: Fused, tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    page = fused.save(tmp_path / "model") / "model.json"
    facts = json.loads(page.read_text())
    change(facts)
    page.write_text(json.dumps(facts))
    with pytest.raises(BadInput, match=f"^model: (?s:.)*({said})"):
        Fused.load(tmp_path / "model")


def test_a_plain_model_and_one_of_several_sensors_are_not_taken_for_each_other(fused: Fused, tmp_path: Path) -> None:
    fused.save(tmp_path / "model")
    with pytest.raises(BadInput, match="schema sensors 1, this version reads 2"):
        Fitted.load(tmp_path / "model")


def test_only_one_value_can_be_asked_of_the_encoder(fused: Fused, x: list[np.ndarray]) -> None:
    """attribution knows nothing of sensors: its targets work on a row of values as on any series."""
    rows = fused.z_scores(x)[:4]
    both = path(fused.network.encoder, rows, rows.mean(0), nodes=6).importance
    second = path(fused.network.encoder, rows, rows.mean(0), nodes=6, target=only(1)).importance
    torch.testing.assert_close(second[:, 0], both[:, 1])
