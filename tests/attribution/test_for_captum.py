"""Do Grad-SLAM and path attribution live in Captum as its own attributions do?"""

import subprocess
import sys
from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest
import torch
from captum.attr import (
    GradientAttribution,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    NoiseTunnel,
)
from captum.attr import visualization as captum_figures
from captum.metrics import infidelity, infidelity_perturb_func_decorator, sensitivity_max
from matplotlib import pyplot as plt
from torch import Tensor, nn

from sitscope.attribution import merging, targets
from sitscope.attribution.for_captum import GradSLAM, PathAttribution
from sitscope.attribution.gradslam import element_wise, grad_slam
from sitscope.attribution.path import path

Ours = type[GradSLAM] | type[PathAttribution]
BOTH = pytest.mark.parametrize("ours", [GradSLAM, PathAttribution])


@pytest.fixture
def encoder() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv1d(2, 5, 3, padding=1), nn.MaxPool1d(2), nn.ELU()),
        *(nn.Conv1d(5, 6, 3), nn.ELU(), nn.Flatten(), nn.Linear(30, 3)),
    )


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 2, 14, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def no_window() -> Iterator[None]:
    with matplotlib.rc_context({"backend": "agg"}):
        yield
    plt.close("all")


def test_they_are_attributions_of_captum_s(encoder: nn.Sequential) -> None:
    assert isinstance(GradSLAM(encoder), LayerAttribution)
    assert isinstance(PathAttribution(encoder), GradientAttribution)
    assert GradSLAM.get_name() == "Grad S L A M"
    assert PathAttribution(encoder).has_convergence_delta()


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_devices_dtypes_and_tuples_are_captum_s(
    encoder: nn.Sequential, x: Tensor, ours: Ours, dtype: torch.dtype
) -> None:
    attribution = ours(encoder.to(dtype))
    x = x.to(dtype).requires_grad_()
    for target in (1, torch.tensor(1), torch.tensor([1]), [0, 1, 2, 1], torch.tensor([0, 1, 2, 1])):
        found = attribution.attribute(x, target=target)
        assert (found.shape, found.dtype, found.device, found.requires_grad) == (x.shape, dtype, x.device, False)
    for_all = attribution.attribute(x)
    assert for_all.shape == ((4, 3, 14) if ours is GradSLAM else (4, 3, 2, 14))
    (alone,) = attribution.attribute((x,), target=1)
    assert torch.equal(alone, attribution.attribute(x, target=1))
    assert x.grad is None


@BOTH
def test_one_target_for_each_series(encoder: nn.Sequential, x: Tensor, ours: Ours) -> None:
    each = ours(encoder).attribute(x, target=[0, 2, -1, 1])
    for i, target in enumerate([0, 2, 2, 1]):
        torch.testing.assert_close(each[i], ours(encoder).attribute(x, target=target)[i], atol=1e-6, rtol=1e-3)


def test_grad_slam_is_ours_shared_between_the_bands(encoder: nn.Sequential, x: Tensor) -> None:
    attribution = GradSLAM(encoder, "3", alpha=element_wise, sign=merging.absolute_before)
    direct = grad_slam(encoder, x, "3", alpha=element_wise, sign=merging.absolute_before).merged
    torch.testing.assert_close(attribution.attribute(x), direct)
    torch.testing.assert_close(attribution.attribute(x, target=2).sum(1), direct[:, 2])
    assert torch.equal(*attribution.attribute(x, target=2).unbind(1))


def test_grad_slam_of_one_layer_is_captum_s_layer_grad_cam(encoder: nn.Sequential, x: Tensor) -> None:
    ours = GradSLAM(encoder, encoder[4], scale=merging.none, upsample=merging.linear).attribute(x, target=0)
    captum = LayerGradCam(encoder, encoder[4]).attribute(x, 0)  # (n, 1, t_layer)
    torch.testing.assert_close(ours.sum(1, keepdim=True), LayerAttribution.interpolate(captum, 14, "linear").detach())


def test_path_is_captum_s_integrated_gradients(encoder: nn.Sequential, x: Tensor) -> None:
    for baselines in (0, 0.3, x[:1], x.flip(0), (x[:1],)):
        captum = IntegratedGradients(encoder).attribute(x, baselines, 1, n_steps=32, method="gausslegendre")
        ours = PathAttribution(encoder).attribute(x, baselines, target=1, n_steps=32)
        torch.testing.assert_close(ours[0] if isinstance(ours, tuple) else ours, captum.detach(), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(PathAttribution(encoder).attribute(x), path(encoder, x).importance)


def test_the_convergence_delta_is_captum_s(encoder: nn.Sequential, x: Tensor) -> None:
    attribution = PathAttribution(encoder)
    for target in (1, [0, 2, 1, 1]):
        found, delta = attribution.attribute(x, 0.0, target=target, n_steps=2, return_convergence_delta=True)
        captum = attribution.compute_convergence_delta(found, 0.0, x, target=target)
        torch.testing.assert_close(delta, captum.detach(), atol=1e-6, rtol=1e-4)
    assert attribution.attribute(x, return_convergence_delta=True)[1].shape == (4, 3)


@BOTH
def test_any_target_of_ours_is_explained(encoder: nn.Sequential, x: Tensor, ours: Ours) -> None:
    margin = targets.margin(torch.ones(3), torch.tensor([0.0, 1.0, -1.0]))
    found = ours(encoder, explained=margin).attribute(x, target=0)
    assert found.shape == x.shape
    assert not torch.equal(found, ours(encoder).attribute(x, target=0))


@BOTH
def test_infidelity_takes_them(encoder: nn.Sequential, x: Tensor, ours: Ours) -> None:
    @infidelity_perturb_func_decorator(True)
    def to_reference(inputs: Tensor, baselines: Tensor) -> Tensor:
        return torch.where(torch.rand_like(inputs) < 0.3, baselines, inputs)

    torch.manual_seed(0)
    reference = x.mean(0, keepdim=True)
    found = ours(encoder).attribute(x, target=1)
    options = {"target": 1, "n_perturb_samples": 200, "normalize": True}
    score, of_noise = (
        infidelity(encoder, to_reference, x, a, baselines=reference, **options) for a in (found, torch.randn_like(x))
    )
    assert score.shape == (4,)
    assert bool(score.isfinite().all())
    if ours is PathAttribution:
        assert bool((score < of_noise).all())


@BOTH
def test_sensitivity_max_takes_their_attribute(encoder: nn.Sequential, x: Tensor, ours: Ours) -> None:
    for target in (1, [0, 1, 2, 0]):
        small, large = (
            sensitivity_max(ours(encoder).attribute, x, perturb_radius=r, target=target) for r in (1e-4, 0.5)
        )
        assert small.shape == (4,)
        assert bool((small < large).all())
    if ours is PathAttribution:
        assert bool((sensitivity_max(PathAttribution(encoder).attribute, x, target=0, baselines=x.flip(0)) > 0).all())


@BOTH
def test_the_noise_tunnel_takes_them(encoder: nn.Sequential, x: Tensor, ours: Ours) -> None:
    tunnel = NoiseTunnel(ours(encoder))
    for kind in ("smoothgrad", "smoothgrad_sq", "vargrad"):
        assert tunnel.attribute(x, kind, nt_samples=4, target=1).shape == x.shape
    still = tunnel.attribute(x, nt_samples=2, stdevs=1e-9, target=[0, 1, 2, 0])
    torch.testing.assert_close(still, ours(encoder).attribute(x, target=[0, 1, 2, 0]), atol=1e-5, rtol=1e-3)


def test_the_noise_tunnel_hands_on_the_convergence_delta(encoder: nn.Sequential, x: Tensor) -> None:
    found, delta = NoiseTunnel(PathAttribution(encoder)).attribute(
        x, nt_samples=3, target=1, baselines=x[:1], return_convergence_delta=True
    )
    assert (found.shape, delta.shape) == (x.shape, (12,))


@BOTH
@pytest.mark.usefixtures("no_window")
@pytest.mark.parametrize("method", ["overlay_individual", "overlay_combined", "colored_graph"])
def test_captum_draws_them(encoder: nn.Sequential, x: Tensor, ours: Ours, method: str) -> None:
    found = ours(encoder).attribute(x, target=1)
    figure, axes = captum_figures.visualize_timeseries_attr(
        found[0].numpy(),
        x[0].numpy(),
        method=method,
        sign="all",
        channels_last=False,
        channel_labels=["VV", "VH"],
        use_pyplot=False,
    )
    assert len(np.atleast_1d(axes)) == (1 if method == "overlay_combined" else 2)
    assert len(figure.axes) == len(np.atleast_1d(axes))


@BOTH
def test_targets_that_do_not_fit_are_refused(encoder: nn.Sequential, x: Tensor, ours: Ours) -> None:
    for target in (3, -4, [0, 1, 3, 0]):
        with pytest.raises(ValueError, match="there are 3, 0 to 2"):
            ours(encoder).attribute(x, target=target)
    with pytest.raises(ValueError, match=r"shape \(2,\) for 4 series"):
        ours(encoder).attribute(x, target=[0, 1])


def test_captum_is_loaded_by_this_module_alone() -> None:
    code = (
        "import sys, sitscope.attribution.gradslam, sitscope.attribution.controls, sitscope.attribution.for_quantus\n"
        "assert not {'captum', 'quantus'} & sys.modules.keys()\n"
        "sys.modules['captum'] = None\n"
        "import sitscope.attribution.for_captum"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError" in done.stderr
    assert "pip install 'sitscope[captum]'" in done.stderr
