"""Can this encoder and these series be explained? What every method asks at its door."""

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

_DIFFERENT_IN_TRAINING = (_BatchNorm, _DropoutNd, nn.RReLU)


def check_input(encoder: nn.Module, x: Tensor, batch: int) -> None:
    """Raise what every method raises for an encoder or series that cannot be explained."""
    if not isinstance(encoder, nn.Module):
        raise TypeError(f"encoder is a {type(encoder).__name__}, not a torch.nn.Module: layers are found in modules.")
    if not isinstance(x, Tensor) or not x.is_floating_point():
        found = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x is {found}, not a floating-point torch tensor. Convert it with torch.as_tensor(x).float().")
    if x.ndim != 3:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, not (n, c, t): series, bands, dates. A single series is x[None]."
        )
    if batch < 1:
        raise ValueError(f"batch is {batch}; at least one series at a time is needed.")
    for name, module in encoder.named_modules():
        if module.training and isinstance(module, _DIFFERENT_IN_TRAINING):
            raise ValueError(
                f"{name or 'encoder'!r} ({type(module).__name__}) is in train mode, where a series' embedding depends "
                "on its batch or on chance. Call encoder.eval() first."
            )


def check_values(values: Any, n: int, giver: str, one: str, followed: bool = True) -> None:
    """Raise unless the encoder or the target gives (n, >= 1) values, which autograd follows unless said otherwise."""
    if not isinstance(values, Tensor):
        raise TypeError(
            f"the {giver} gives a {type(values).__name__}, not a tensor of one {one} or more for each series. "
            "Wrap it so that it gives one."
        )
    if values.ndim != 2 or values.shape[0] != n or values.shape[1] == 0:
        raise ValueError(
            f"the {giver} gives shape {tuple(values.shape)} for {n} series, not (n, d). Wrap it so that it gives one "
            f"{one} of d >= 1 dimensions for each series."
        )
    if followed and not values.requires_grad:
        raise ValueError(f"the {one} is cut off from autograd: the {giver} runs under torch.no_grad, or detaches it.")
