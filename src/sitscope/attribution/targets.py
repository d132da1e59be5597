"""What is explained? A dimension, a distance, why one cluster and not another, an error, each reconstructed date.

A target is a function of the embedding e (n, d), and of the series x (n, c, t) it came from, that gives m values for
each series: (n, m). Grad-SLAM, path attribution and the controls explain each of the m values; any callable of the same
form can take the place of those below. The values of a series may depend on that series only.

n series, c bands, t dates, d embedding dimensions, m values explained.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Target = Callable[[Float[Tensor, "n d"], Float[Tensor, "n c t"]], Float[Tensor, "n m"]]
"""(embedding, series) -> the values to explain."""


def dimensions(e: Float[Tensor, "n d"], x: Float[Tensor, "n c t"]) -> Float[Tensor, "n d"]:
    """Each embedding dimension, as in the letter: m = d."""
    return e


def only(index: int, of: Target = dimensions) -> Target:
    """One of the values that another target gives, such as one dimension: m = 1, and one backward pass instead of m.

    A negative index counts from the last.

    >>> only(-1)(torch.tensor([[1.0, 2.0, 3.0]]), torch.zeros(1, 1, 5))
    tensor([[3.]])
    """

    def one(e: Float[Tensor, "n d"], x: Float[Tensor, "n c t"]) -> Float[Tensor, "n 1"]:
        values = of(e, x)
        m = values.shape[1]
        if not -m <= index < m:
            raise ValueError(f"there is no value {index} to explain: there are {m}, 0 to {m - 1}.")
        return values[:, [index]]

    return one


def distance(centre: Float[Tensor, " d"]) -> Target:
    """Euclidean distance of the embedding to a point, such as the centre of a cluster: m = 1, in embedding units.

    >>> distance(torch.tensor([3.0, 4.0]))(torch.zeros(1, 2), torch.zeros(1, 1, 5))
    tensor([[5.]])
    """

    def to_centre(e: Float[Tensor, "n d"], x: Float[Tensor, "n c t"]) -> Float[Tensor, "n 1"]:
        return torch.linalg.vector_norm(e - centre.to(e), dim=1, keepdim=True)

    return to_centre


def margin(centre: Float[Tensor, " d"], other: Float[Tensor, " d"]) -> Target:
    """How much nearer to one cluster than to another: |e - other|^2 - |e - centre|^2, m = 1, embedding units squared.

    Positive on the side of `centre`, zero on the border between the two clusters of a k-means, and linear in e: "why
    this cluster and not the other".

    >>> why = margin(torch.tensor([0.0, 0.0]), torch.tensor([2.0, 0.0]))
    >>> why(torch.tensor([[0.0, 0.0], [1.0, 5.0], [2.0, 0.0]]), torch.zeros(3, 1, 5)).flatten().tolist()
    [4.0, 0.0, -4.0]
    """

    def between(e: Float[Tensor, "n d"], x: Float[Tensor, "n c t"]) -> Float[Tensor, "n 1"]:
        a, b = centre.to(e), other.to(e)
        # |e - b|^2 - |e - a|^2, multiplied out: no difference of two large squares
        return (2 * e @ (a - b) + b @ b - a @ a)[:, None]

    return between


def reconstruction_error(decoder: nn.Module) -> Target:
    """Mean squared error between a series and what the decoder makes of its embedding: m = 1, input units squared.

    For Grad-SLAM, which explains by layers of the encoder, the series compared with is held fixed.
    """

    def error(e: Float[Tensor, "n d"], x: Float[Tensor, "n c t"]) -> Float[Tensor, "n 1"]:
        return (decoder(e) - x).square().mean((1, 2))[:, None]

    return error


def reconstruction(decoder: nn.Module, band: int | None = None) -> Target:
    """Each reconstructed date, of one band or the mean of all: m = t, in input units.

    The letter's output-layer variant (Section II.C): the importances (n, t, t) tell which dates of the series made
    each date of the reconstruction, "correlations between different dates within an input time series".
    """

    def dates(e: Float[Tensor, "n d"], x: Float[Tensor, "n c t"]) -> Float[Tensor, "n t"]:
        back = decoder(e)  # (n, c, t)
        return back.mean(1) if band is None else back[:, band]

    return dates
