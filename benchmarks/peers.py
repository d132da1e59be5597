"""How do people explain a 1-D encoder with other libraries? Each as its users run it, for all layers and dimensions.

A peer is a function of an encoder and the modules to explain; it gives a function of series (n, c, t). A library that
is not installed gives None. All are of the dependency group `bench`; TensorFlow comes with signal-grad-cam, so an
environment of its own is kind to the project's.
"""

import importlib.metadata
import importlib.util
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import torch
from torch import Tensor, nn

Run = Callable[[Tensor], object]
Peer = Callable[[nn.Module, list[str], int], Run | None]


def version(package: str) -> str | None:
    """Installed version, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def captum(encoder: nn.Module, names: list[str], dims: int) -> Run | None:
    """`LayerGradCam.attribute` for each layer and each dimension."""
    if version("captum") is None:
        return None
    from captum.attr import LayerGradCam

    cams = [LayerGradCam(encoder, encoder.get_submodule(name)) for name in names]

    def run(x: Tensor) -> list[Tensor]:
        return [cam.attribute(x, i, relu_attributions=False) for cam in cams for i in range(dims)]

    return run


def captum_path(encoder: nn.Module, names: list[str], dims: int) -> Run | None:
    """`IntegratedGradients.attribute` with its 50 steps for each dimension."""
    if version("captum") is None:
        return None
    from captum.attr import IntegratedGradients

    path = IntegratedGradients(encoder)

    def run(x: Tensor) -> list[Tensor]:
        return [path.attribute(x, target=i, n_steps=50) for i in range(dims)]

    return run


def torchcam(encoder: nn.Module, names: list[str], dims: int) -> Run | None:
    """`GradCAM` hooked to all layers, a forward and a backward for each dimension."""
    if version("torchcam") is None:
        return None
    from torchcam.methods import GradCAM

    def run(x: Tensor) -> list[list[Tensor]]:
        with GradCAM(encoder, names, input_shape=tuple(x.shape[1:])) as cam:
            return [cam(i, encoder(x), normalized=False) for i in range(dims)]

    return run


def signal_grad_cam(encoder: nn.Module, names: list[str], dims: int) -> Run | None:
    """The maps of `TorchCamBuilder.get_cam` for each layer and dimension, without the figures that it draws of them.

    It reads feature maps at convolutions only.
    """
    if version("signal-grad-cam") is None:
        return None
    from signal_grad_cam import TorchCamBuilder

    deterministic = torch.are_deterministic_algorithms_enabled()
    with redirect_stdout(StringIO()):
        builder = TorchCamBuilder(encoder, class_names=[str(i) for i in range(dims)], time_axs=1)
    convolutions = [module for module in encoder.modules() if isinstance(module, nn.Conv1d)]
    torch.use_deterministic_algorithms(deterministic)  # it leaves them on

    def run(x: Tensor) -> list[object]:
        series = [each.numpy() for each in x]
        return [
            builder._create_raw_batched_cams(series, i, layer, "Grad-CAM", softmax_final=False, avoid_relu=True)
            for layer in convolutions
            for i in range(dims)
        ]

    return run


def pytorch_grad_cam(encoder: nn.Module, names: list[str], dims: int) -> Run | None:
    """`GradCAM` on a twin of the encoder with 2-D layers, since it raises for 1-D; all layers at once."""
    if version("grad-cam") is None:
        return None
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    twin = in_two_dimensions(encoder)
    cam = GradCAM(model=twin, target_layers=[twin.get_submodule(name) for name in names])

    def run(x: Tensor) -> list[object]:
        return [cam(x[:, :, None], [ClassifierOutputTarget(i)] * len(x)) for i in range(dims)]

    return run


def in_two_dimensions(encoder: nn.Module) -> nn.Sequential:
    """The same encoder for images (n, c, 1, t)."""
    twin = nn.Sequential()
    for name, step in encoder.named_children():
        if isinstance(step, nn.Conv1d):
            wide = nn.Conv2d(
                step.in_channels,
                step.out_channels,
                (1, step.kernel_size[0]),
                stride=(1, step.stride[0]),
                padding=(0, int(step.padding[0])),
            )
            wide.weight.data = step.weight.detach()[:, :, None]
            wide.bias.data = step.bias.detach()
            twin.add_module(name, wide)
        elif isinstance(step, nn.MaxPool1d):
            twin.add_module(name, nn.MaxPool2d((1, step.kernel_size)))
        else:
            twin.add_module(name, step)
    return twin.eval()


MAPS: dict[str, tuple[str, Peer]] = {
    "captum": ("Captum LayerGradCam", captum),
    "torchcam": ("torchcam GradCAM", torchcam),
    "grad-cam": ("pytorch-grad-cam on a 2-D twin", pytorch_grad_cam),
    "signal-grad-cam": ("signal-grad-cam", signal_grad_cam),
}
"""By package: what it is called, and how it is run."""
