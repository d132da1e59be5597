"""Is each control what it says it is? Captum, or a slow twin, says so; and controls are good citizens too."""

import inspect
from collections.abc import Callable
from functools import partial

import jaxtyping
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam, LayerGradientXActivation, Occlusion, Saliency
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sitscope.attribution import controls, merging, taps, targets
from sitscope.attribution.gradslam import grad_slam

LAYERS = ["0", "3"]
PLAIN = controls.WithTarget(scale=merging.none, upsample=merging.linear, merge=merging.mean)


@pytest.fixture
def encoder() -> nn.Sequential:
    """(n, 2, 14) -> (n, 4): as well a classifier of 4 classes."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv1d(2, 5, 3, padding=1), nn.MaxPool1d(2), nn.ELU()),
        *(nn.Conv1d(5, 6, 3, stride=2), nn.ELU()),
        *(nn.Flatten(), nn.Linear(18, 7), nn.Tanh(), nn.Linear(7, 4)),
    ).double()


@pytest.fixture
def decoder() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 9), nn.ELU(), nn.Linear(9, 28), nn.Unflatten(1, (2, 14))).double()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 2, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def by_layers(encoder: nn.Sequential, attribute: Callable[[nn.Module, int], Tensor]) -> Tensor:
    """Captum's layer maps (n, k or 1, t_layer), one call for each layer and value, as PLAIN merges them."""
    values = []
    for value in range(4):
        cells = [attribute(encoder[i], value).sum(1, keepdim=True).detach() for i in (2, 4)]
        values.append(torch.stack([interpolate(c, 14, mode="linear") for c in cells]).mean(0))
    return torch.cat(values, dim=1)


def test_grad_cam_is_captum_s_for_every_class(encoder: nn.Sequential, x: Tensor) -> None:
    found = controls.grad_cam(encoder, x, **PLAIN)
    captum = by_layers(encoder, lambda at, c: LayerGradCam(encoder, at).attribute(x, c, relu_attributions=True))
    torch.testing.assert_close(found.merged, captum, rtol=0, atol=1e-14)
    torch.testing.assert_close(found.values, encoder(x).detach())
    assert 0 < (found.merged == 0).double().mean() < 1


def test_grad_cam_explains_a_class_logit_behind_the_embedding(encoder: nn.Sequential, x: Tensor) -> None:
    torch.manual_seed(3)
    head = nn.Linear(4, 6).double()
    found = controls.grad_cam(encoder, x, "3", target=lambda e, series: head(e)[:, [5]], **PLAIN)
    cells = LayerGradCam(nn.Sequential(encoder, head), encoder[4]).attribute(x, 5, relu_attributions=True)
    torch.testing.assert_close(found.merged, LayerGradCam.interpolate(cells, 14, "linear").detach())


def test_grad_cam_rectifies_the_letter_layer_by_layer(encoder: nn.Sequential, x: Tensor) -> None:
    for layer in LAYERS:
        letter = grad_slam(encoder, x, layer).maps[layer]
        expected = interpolate(letter.clamp(min=0), 14, mode="linear")
        torch.testing.assert_close(controls.grad_cam(encoder, x, layer, **PLAIN).merged, expected)


def test_element_wise_is_captum_s_gradient_times_activation(encoder: nn.Sequential, x: Tensor) -> None:
    found = controls.element_wise(encoder, x, **PLAIN)
    captum = by_layers(encoder, lambda at, d: LayerGradientXActivation(encoder, at).attribute(x, d))
    torch.testing.assert_close(found.merged, captum, rtol=0, atol=1e-14)


def test_activation_only_is_the_mean_of_the_filters_for_every_value(encoder: nn.Sequential, x: Tensor) -> None:
    found = controls.activation_only(encoder, x, **PLAIN)
    with torch.no_grad():
        cells = [encoder[:to](x).mean(1, keepdim=True) for to in (3, 5)]
    expected = torch.stack([interpolate(c, 14, mode="linear") for c in cells]).mean(0)
    torch.testing.assert_close(found.merged, expected.expand(-1, 4, -1))


def test_saliency_is_captum_s(encoder: nn.Sequential, x: Tensor) -> None:
    found = controls.saliency(encoder, x)
    for d in range(4):
        captum = Saliency(encoder).attribute(x.clone().requires_grad_(), d).detach()
        torch.testing.assert_close(found.merged[:, d], captum.sum(1))
        torch.testing.assert_close(found.importance[:, d].abs(), captum)  # type: ignore[index]


@pytest.mark.parametrize("each", [False, True], ids=["one reference", "one for each"])
def test_occlusion_is_captum_s(encoder: nn.Sequential, x: Tensor, each: bool) -> None:
    reference = x.flip(0) if each else x[0] - 1
    found = controls.occlusion(encoder, x, reference, batch=11)
    for d in range(4):
        captum = Occlusion(encoder).attribute(x, (2, 1), target=d, baselines=reference.expand(x.shape))
        torch.testing.assert_close(found.merged[:, d].float(), captum[:, 0])  # Captum's is float32 whatever x is
        assert torch.equal(captum[:, 0], captum[:, 1])


def test_occlusion_date_by_date_against_the_mean_curve(encoder: nn.Sequential, x: Tensor) -> None:
    found = controls.occlusion(encoder, x)
    for i in range(5):
        for date in range(14):
            occluded = x.clone()
            occluded[i, :, date] = x[:, :, date].mean(0)
            slow = (encoder(x)[i] - encoder(occluded)[i]).detach()
            torch.testing.assert_close(found.merged[i, :, date], slow)


@pytest.mark.parametrize("nodes", [1, 2, 64])
def test_integrated_gradients_are_captum_s(encoder: nn.Sequential, x: Tensor, nodes: int) -> None:
    reference = x.mean(0)
    found = controls.integrated_gradients(encoder, x, nodes=nodes, batch=2)
    for d in range(4):
        captum = IntegratedGradients(encoder).attribute(x, reference[None], d, n_steps=nodes, method="gausslegendre")
        # its weights are rounded to float32
        torch.testing.assert_close(found.importance[:, d], captum.detach(), rtol=1e-6, atol=1e-9)  # type: ignore[index]
    torch.testing.assert_close(found.merged, found.importance.sum(2))  # type: ignore[union-attr]


def test_integrated_gradients_sum_to_the_difference_of_any_target(encoder: nn.Sequential, x: Tensor) -> None:
    """Also where the target reads the series itself."""
    smooth = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, 2)).double()

    def target(e: Tensor, series: Tensor) -> Tensor:
        return (e * series.square().mean((1, 2))[:, None]).sum(1, keepdim=True)

    found = controls.integrated_gradients(smooth, x, x[0], target=target, nodes=24)
    start = target(smooth(x[:1]), x[:1])
    torch.testing.assert_close(found.merged.sum(-1), (target(smooth(x), x) - start).detach(), rtol=0, atol=1e-10)
    assert found.merged[0].abs().max() == 0


def test_grad_lam_weights_the_dimensions_by_the_decoder(
    encoder: nn.Sequential, decoder: nn.Sequential, x: Tensor
) -> None:
    found = controls.grad_lam(encoder, x, decoder=decoder, **PLAIN)
    back = decoder(encoder(x)).flatten(1).detach()
    slow = []
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(decoder, encoder(x[[i]]).detach()).view(28, 4)
        weights = back[i] @ jacobian  # (4,)
        layers = []
        for layer in LAYERS:
            cells = torch.einsum("d,dt->t", weights, grad_slam(encoder, x[[i]], layer).maps[layer][0])
            layers.append(interpolate(cells.clamp(min=0)[None, None], 14, mode="linear")[0])
        slow.append(torch.stack(layers).mean(0))
    torch.testing.assert_close(found.merged, torch.stack(slow))
    torch.testing.assert_close(found.values, back.square().sum(1, keepdim=True) / 2)


def test_grad_lam_does_not_depend_on_the_axes_of_the_embedding(
    encoder: nn.Sequential, decoder: nn.Sequential, x: Tensor
) -> None:
    there, back = nn.Linear(4, 4, bias=False).double(), nn.Linear(4, 4, bias=False).double()
    turn = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    there.weight.data, back.weight.data = turn, torch.linalg.inv(turn)
    turned = controls.grad_lam(nn.Sequential(encoder, there), x, decoder=nn.Sequential(back, decoder))
    torch.testing.assert_close(turned.merged, controls.grad_lam(encoder, x, decoder=decoder).merged)


def test_gee_is_the_slope_of_the_reconstruction_error(
    encoder: nn.Sequential, decoder: nn.Sequential, x: Tensor
) -> None:
    def error(series: Tensor) -> Tensor:
        return (decoder(encoder(series)) - series).square().mean((1, 2)).detach()

    found = controls.gee(encoder, x, decoder=decoder)
    torch.testing.assert_close(found.values[:, 0], error(x))
    for band in range(2):
        for date in range(14):
            step = torch.zeros_like(x)
            step[:, band, date] = 1e-6
            slope = (error(x + step) - error(x - step)) / 2e-6
            torch.testing.assert_close(found.importance[:, 0, band, date], slope, rtol=1e-5, atol=1e-7)  # type: ignore[index]
    torch.testing.assert_close(found.merged, found.importance.abs().sum(2))  # type: ignore[union-attr]


def test_random_order_is_even_and_moves_with_seed_and_series(encoder: nn.Sequential) -> None:
    x = torch.randn(400, 2, 14, dtype=torch.float64)
    found = controls.random_order(encoder, x, seed=1).merged
    ranks = found.argsort(-1).double().mean((0, 1))  # 13 / 2 at every place, 4.03 / sqrt(1600) the deviation
    assert (ranks - 6.5).abs().max() < 0.5
    assert abs(float(found.mean()) - 0.5) < 0.01
    assert len(found.flatten().unique()) == found.numel()
    assert torch.equal(found, controls.random_order(encoder, x, seed=1).merged)
    assert not torch.equal(found, controls.random_order(encoder, x, seed=2).merged)


def everyone(decoder: nn.Module) -> dict[str, Callable[..., controls.Control]]:
    public = {name: f for name, f in vars(controls).items() if inspect.isfunction(f) and name[0] != "_"}
    own = {name: f for name, f in public.items() if "-> Control" in inspect.getsource(f).split('"""')[0]}
    for name in ("grad_lam", "gee"):
        own[name] = partial(own[name], decoder=decoder)
    for name in ("occlusion", "integrated_gradients"):  # the mean curve would change with the company
        own[name] = partial(own[name], reference=torch.ones(2, 14, dtype=torch.float64))
    return own


def test_all_controls_are_good_citizens(encoder: nn.Sequential, decoder: nn.Sequential, x: Tensor) -> None:
    class Overwriting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(1)

    writing = nn.Sequential(Overwriting(), *encoder)
    kept, state = x.clone(), torch.get_rng_state()
    assert len(everyone(decoder)) == 9
    for name, control in everyone(decoder).items():
        whole = control(encoder, x)
        m = 1 if name in ("grad_lam", "gee") else 4
        assert (whole.merged.shape, whole.values.shape) == ((5, m, 14), (5, m)), name
        for i in range(5):
            torch.testing.assert_close(control(encoder, x[i : i + 1]).merged, whole.merged[i : i + 1])
        torch.testing.assert_close(control(encoder, x, batch=2).merged, whole.merged)
        torch.testing.assert_close(control(writing, x).merged, whole.merged)
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                inside = control(encoder, x.clone())
            torch.testing.assert_close(inside.merged, whole.merged)
            assert not inside.merged.is_inference()
        assert not whole.merged.requires_grad
        assert not whole.values.requires_grad
        single = control(encoder.float(), x.float(), **_in_single(control))
        encoder.double()
        decoder.double()
        assert single.merged.dtype == single.values.dtype == torch.float32
    assert torch.equal(x, kept)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in (*encoder.parameters(), *decoder.parameters()))
    assert not any(module._forward_hooks for module in encoder.modules())


def _in_single(control: Callable[..., controls.Control]) -> dict[str, object]:
    options = getattr(control, "keywords", {})
    return {name: option.float() for name, option in options.items()}


def test_the_target_is_explained_by_all_that_take_one(
    encoder: nn.Sequential, decoder: nn.Sequential, x: Tensor
) -> None:
    """A margin is a fixed mixture of the dimensions, so for what is linear in the value, importances mix alike."""
    a, b = torch.randn(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    linear = {
        "element_wise": partial(controls.element_wise, scale=merging.none),
        "occlusion": controls.occlusion,
        "integrated_gradients": controls.integrated_gradients,
    }
    for name, control in linear.items():
        mixed = torch.einsum("d,ndt->nt", 2 * (a - b), control(encoder, x).merged)
        torch.testing.assert_close(control(encoder, x, target=targets.margin(a, b)).merged[:, 0], mixed, msg=name)
    for control in (controls.random_order, controls.saliency, controls.activation_only, controls.grad_cam):
        assert control(encoder, x, target=targets.margin(a, b)).merged.shape == (5, 1, 14)


def test_what_needs_no_gradient_asks_for_none(encoder: nn.Sequential, x: Tensor) -> None:
    class Shut(nn.Module):
        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return encoder(x)

    assert torch.equal(controls.occlusion(Shut(), x).merged, controls.occlusion(encoder, x).merged)
    assert torch.equal(controls.random_order(Shut(), x).merged, controls.random_order(encoder, x).merged)
    with pytest.raises(ValueError, match="cut off from autograd"):
        controls.saliency(Shut(), x)


def test_layers_and_taps_are_chosen_as_for_grad_slam(encoder: nn.Sequential, x: Tensor) -> None:
    options = {"tap": taps.convolution_output, "sign": merging.absolute_before}
    found = controls.element_wise(encoder, x, taps.last, **options)  # type: ignore[arg-type]
    named = controls.element_wise(encoder, x, "3", **options)  # type: ignore[arg-type]
    assert torch.equal(found.merged, named.merged)
    assert bool((found.merged >= 0).all())


@pytest.mark.parametrize("control", [controls.occlusion, controls.integrated_gradients])
def test_references_that_do_not_fit_are_refused(
    encoder: nn.Sequential, x: Tensor, control: Callable[..., controls.Control], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"\(2, 13\).*\(2, 14\)"):
        control(encoder, x, x[0, :, 1:])
    with pytest.raises(ValueError, match=r"\(3, 2, 14\).*\(5, 2, 14\)"):
        control(encoder, x, x[:3])
    with pytest.raises(TypeError, match="ndarray"):
        control(encoder, x, x[0].numpy())
    with pytest.raises(ValueError, match="1 values missing"):
        control(encoder, x, x[0].where(x[0] < x[0].max(), torch.nan))
    with pytest.raises(ValueError, match="nodes is 0"):
        controls.integrated_gradients(encoder, x, nodes=0)
