"""Does every metric of Quantus that says it takes time series take ours?"""

import inspect
from functools import partial
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sitscope.attribution import controls, merging, targets
from sitscope.attribution.for_quantus import explain
from sitscope.attribution.gradslam import grad_slam

# OpenCV, which Quantus imports, needs libGL, which small systems lack
quantus = pytest.importorskip("quantus", exc_type=ImportError)
from quantus.functions.similarity_func import correlation_spearman  # noqa: E402
from quantus.helpers.enums import DataType  # noqa: E402
from quantus.helpers.model.pytorch_model import PyTorchModel  # noqa: E402
from quantus.metrics.base import Metric  # noqa: E402

N, C, T, D = 6, 2, 30, 3


def descendants(of: type) -> set[type]:
    return {of}.union(*(descendants(child) for child in of.__subclasses__()))


METRICS = sorted(
    (m for m in descendants(Metric) if DataType.TIMESERIES in getattr(m, "data_applicability", ())),
    key=lambda m: m.__name__,
)
SOME_NOISE = {"nr_samples": 5, "return_nan_when_prediction_changes": False}
OPTIONS: dict[str, dict[str, Any]] = {  # where defaults are for images, or for longer than a test should take
    "AvgSensitivity": SOME_NOISE,
    "EfficientMPRT": {"abs": True},  # an entropy is of what is not negative
    "FaithfulnessCorrelation": {"subset_size": T // 3, "return_aggregate": False},
    "LocalLipschitzEstimate": SOME_NOISE,
    "MaxSensitivity": SOME_NOISE,
    "MonotonicityCorrelation": {"nr_samples": 5},
    "RandomLogit": {"num_classes": D, "similarity_func": correlation_spearman},
    "RelativeInputStability": SOME_NOISE,
    "RelativeOutputStability": SOME_NOISE,
    "RelativeRepresentationStability": SOME_NOISE,
    "SensitivityN": {"return_aggregate": False},
    "SmoothMPRT": {"nr_samples": 5},
    "TopKIntersection": {"k": 5},
}


def shape_input(wrapped: Any, x: np.ndarray, shape: Any, channel_first: bool = True, batched: bool = False) -> Any:
    """In place of Quantus' own: BatchSufficiency says that a batch has the shape of its first series."""
    return x if batched else x.reshape(1, *shape)


@pytest.fixture
def encoder() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv1d(C, 6, 5, padding=2), nn.MaxPool1d(2), nn.ELU()),
        *(nn.Conv1d(6, 8, 3, padding=1), nn.ELU(), nn.Flatten(), nn.Linear(8 * T // 2, D)),
    ).eval()


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, C, T)).astype("float32")


@pytest.fixture
def y() -> np.ndarray:
    return np.arange(N) % D


def test_thirty_one_metrics_of_quantus_and_one_old_name_take_time_series() -> None:
    assert len(METRICS) >= 32
    listed = {m for kind in quantus.AVAILABLE_METRICS.values() for m in kind.values()}
    assert {m.__name__ for m in METRICS} - {m.__name__ for m in listed} <= {
        "BatchSufficiency",
        "ModelParameterRandomisation",  # MPRT's old name
    }


@pytest.mark.filterwarnings("ignore")  # Quantus warns of every parameter, and divides by zero in places
@pytest.mark.parametrize("by", [grad_slam, controls.integrated_gradients], ids=lambda by: by.__name__)
@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.__name__)
def test_every_metric_for_time_series_runs_on_the_adaptor(
    encoder: nn.Module, x: np.ndarray, y: np.ndarray, metric: Any, by: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(model: nn.Module, inputs: np.ndarray, targets: np.ndarray, **_: Any) -> np.ndarray:
        calls.append(len(inputs))
        if by is grad_slam:
            return explain(model, inputs, targets)
        bands = "localisation" not in metric.__module__  # these compare with a mask of dates
        return explain(model, inputs, targets, by=by, bands=bands, reference=torch.zeros(C, T), nodes=4)

    name = metric.__name__
    if name == "SmoothMPRT":  # it asks for this one, whatever it is given
        monkeypatch.setattr(quantus, "explain", counted)
    if name == "BatchSufficiency":
        monkeypatch.setattr(PyTorchModel, "shape_input", shape_input)
    given = counted(encoder, x, y) if name == "InputInvariance" else None  # it cannot do without
    np.random.seed(0)  # noqa: NPY002  # Quantus draws from the global generator
    scored = metric(**OPTIONS.get(name, {}), disable_warnings=True)
    softmax = name == "EfficientMPRT"  # an entropy of outputs
    scores = scored(encoder, x, y, a_batch=given, s_batch=truth(), explain_func=counted, softmax=softmax, batch_size=4)
    assert sum(calls) >= N
    numbers = _numbers(scores)
    assert len(numbers) >= (1 if name == "EfficientMPRT" else N)
    assert np.isfinite(numbers).mean() > 0.5


def truth() -> np.ndarray:
    """Dates 6 to 11."""
    return np.tile((np.arange(T) // 6 == 1)[None, None], (N, 1, 1)).astype(int)


def _numbers(scores: Any) -> np.ndarray:
    if isinstance(scores, dict):
        return np.concatenate([_numbers(each) for each in scores.values()])
    return np.concatenate([np.asarray(each, dtype=float).ravel() for each in np.atleast_1d(scores)])


def test_each_series_is_explained_for_its_own_target(encoder: nn.Module, x: np.ndarray, y: np.ndarray) -> None:
    whole = grad_slam(encoder, torch.from_numpy(x)).merged
    found = explain(encoder, x, y)
    assert (found.shape, found.dtype) == ((N, 1, T), np.float32)
    np.testing.assert_allclose(found[:, 0], whole[torch.arange(N), torch.from_numpy(y)], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(explain(encoder, torch.from_numpy(x), torch.from_numpy(y)), found)
    margin = targets.margin(torch.zeros(D), torch.ones(D))
    of_margin = explain(encoder, x, np.zeros(N, dtype=int), of=margin)
    np.testing.assert_allclose(of_margin, grad_slam(encoder, torch.from_numpy(x), target=margin).merged)


def test_options_reach_the_method(encoder: nn.Module, x: np.ndarray, y: np.ndarray) -> None:
    found = explain(encoder, x, y, by=controls.occlusion, reference=torch.zeros(C, T))
    expected = controls.occlusion(encoder, torch.from_numpy(x), torch.zeros(C, T)).merged
    np.testing.assert_allclose(found[:, 0], expected[torch.arange(N), torch.from_numpy(y)], atol=1e-6)
    assert bool((explain(encoder, x, y, layers="0", sign=merging.positive) >= 0).all())


def test_bands_are_told_apart_where_the_method_does(encoder: nn.Module, x: np.ndarray, y: np.ndarray) -> None:
    options = {"by": controls.integrated_gradients, "reference": torch.zeros(C, T)}
    by_band, by_date = (explain(encoder, x, y, bands=bands, **options) for bands in (True, False))
    assert (by_band.shape, by_date.shape) == ((N, C, T), (N, 1, T))
    np.testing.assert_allclose(by_band.sum(1, keepdims=True), by_date, atol=1e-6)
    with pytest.raises(ValueError, match="grad_slam does not tell bands apart"):
        explain(encoder, x, y, bands=True)
    with pytest.raises(ValueError, match="activation_only does not tell"):
        explain(encoder, x, y, bands=True, by=controls.activation_only)


def test_an_explanation_that_is_all_negative_goes_as_magnitudes(x: np.ndarray, y: np.ndarray) -> None:
    class Falling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -x.square().sum((1, 2))[:, None].expand(-1, D)

    score = partial(quantus.Sparseness(disable_warnings=True), Falling(), x, y, explain_func=explain, softmax=False)
    by = {"by": controls.integrated_gradients, "reference": torch.zeros(C, T)}
    with pytest.raises(AssertionError, match="less than zero"):
        score(explain_func_kwargs=by)
    assert len(score(explain_func_kwargs=by | {"absolute": True})) == N


def test_targets_that_do_not_fit_are_refused(
    encoder: nn.Module, x: np.ndarray, y: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"shape \(5,\) for 6 series"):
        explain(encoder, x, y[:5])
    with pytest.raises(ValueError, match="there are 3"):
        explain(encoder, x, y + 7)
    with pytest.raises(ValueError, match="no value 7"):
        explain(encoder, x, y * 0 + 7)


def test_the_traps_told_of_are_there() -> None:
    """So that what the module says is revised with Quantus."""
    with_softmax = [m for m in METRICS if inspect.signature(m.__call__).parameters["softmax"].default is True]
    assert len(with_softmax) == 10
    assert inspect.signature(quantus.FaithfulnessCorrelation).parameters["subset_size"].default == 224
