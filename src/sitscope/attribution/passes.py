"""What does an encoder make of these series? The values explained, and their gradients.

v(x) = target(encoder(x), x) is a function of the series, wherever x comes into it. Encoder, series and the caller's
grad mode stay as they were.

n series, c bands, t dates, m values explained.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .checks import check_input, check_values
from .fast import compiled
from .targets import Target, dimensions


def values_of(encoder: nn.Module, x: Float[Tensor, "n c t"], target: Target, batch: int) -> Float[Tensor, "n m"]:
    """v(x), without gradient."""
    check_input(encoder, x, batch)
    found = []
    with torch.no_grad():
        for part in torch.split(x.detach(), batch):
            e = encoder(part.clone())  # the encoder may write into its input
            check_values(e, len(part), "encoder", "embedding", followed=False)
            values = target(e, part)
            check_values(values, len(part), "target", "value", followed=False)
            found.append(values)
    return torch.cat(found)


def gradients_of(
    encoder: nn.Module, x: Float[Tensor, "n c t"], target: Target
) -> tuple[Float[Tensor, "n m c t"], Float[Tensor, "n m"]]:
    """dv/dx and v(x), all series at once."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        e = encoder(leaf.clone())  # the encoder may write into its input, but not into a leaf
        check_values(e, len(x), "encoder", "embedding")
        values = target(e, leaf)
        check_values(values, len(x), "target", "value")
        m = values.shape[1]
        # each series' values depend on that series only, so that the gradient of the sum is that of each
        rows = [
            torch.autograd.grad(values[:, i].sum(), leaf, retain_graph=i < m - 1, materialize_grads=True)[0]
            for i in range(m)
        ]
        return torch.stack(rows, dim=1), values.detach()


def quick_gradients_of(
    encoder: nn.Module, x: Float[Tensor, "n c t"], target: Target
) -> tuple[Float[Tensor, "n m c t"], Float[Tensor, "n m"]]:
    """The same by machine code where the encoder has some: de/dx from there, and the chain rule through the target."""
    quick = compiled(encoder, x.shape[2]) if x.device.type == "cpu" else None
    if quick is None or (quick.plan.bands, quick.dtype) != (x.shape[1], x.dtype):
        return gradients_of(encoder, x, target)
    at, slope = quick.gradient(x)  # (n, d), (n, d, c, t)
    if target is dimensions:
        return slope, at
    with torch.enable_grad():
        e, leaf = at.detach().clone().requires_grad_(), x.detach().clone().requires_grad_()
        values = target(e, leaf)
        check_values(values, len(x), "target", "value")
        m, rows = values.shape[1], []
        for i in range(m):
            by_e, by_x = torch.autograd.grad(
                values[:, i].sum(), (e, leaf), retain_graph=i < m - 1, materialize_grads=True
            )
            rows.append(torch.einsum("nd,ndct->nct", by_e, slope) + by_x)
        return torch.stack(rows, dim=1), values.detach()
