"""What does an encoder make of these series? The values explained, and their gradients.

v(x) = target(encoder(x), x) is a function of the series, wherever x comes into it. Encoder, series and the caller's
grad mode stay as they were.

n series, c bands, t dates, m values explained.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .checks import check_input, check_values
from .targets import Target


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
