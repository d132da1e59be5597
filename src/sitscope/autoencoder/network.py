"""Which network turns a season into a few numbers, and back?"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from sitscope.errors import BadInput

Width = Annotated[int, Field(gt=0, le=65_536)]
Span = Annotated[int, Field(gt=0, le=10_000)]
Count = Annotated[int, Field(gt=0, le=1_000_000)]

MOST_WEIGHTS = 1 << 28
"""Of a network: 1 GB, and 4 GB while it is trained. The default has 0.6 million for 61 dates."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "relu": nn.ReLU, "gelu": nn.GELU}


class Settings(BaseModel):
    """The autoencoder and its training. The defaults are the letter's authors' network of 2022, embedding in 2-D.

    Each block of the encoder is convolution, max-pooling, activation, in this order; dense layers follow, and the
    decoder is dense only (Di Martino et al. 2023, DOI 10.1109/LGRS.2023.3302906, Section II.A).

    >>> Settings(dims=8).dims
    8
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dims: Width = 2
    """Dimensions of the embedding."""
    filters: tuple[Width, ...] = Field((64, 128, 256), max_length=64)
    """Feature maps of each convolution; their number is the depth. Without any (see `dense`) the network is fully
    connected, which has no layer for Grad-SLAM."""
    kernels: tuple[Span, ...] = (7, 5, 3)
    """Dates that each convolution sees at once."""
    strides: tuple[Span, ...] = (1, 1, 1)
    """Steps of each convolution, in dates."""
    pooling: tuple[Span, ...] = (2, 2, 2)
    """Dates merged by the max-pooling after each convolution; 1 means none."""
    padding: Literal["same", "valid"] = "same"
    """Zeros around the season, or none."""
    activation: Literal["elu", "relu", "gelu"] = "elu"
    hidden: tuple[Width, ...] = Field((128, 64), max_length=64)
    """Widths of the dense layers between convolutions and embedding; the decoder has them in reverse."""

    epochs: Count = 60
    batch: Count = 256
    """Most series per training step; fewer where there are few, so that an epoch still has 30 steps."""
    learning_rate: float = Field(1e-3, gt=0, le=1000)
    """Step of Adam; it falls to a hundredth of this along half a cosine, which steadies runs of different seeds."""
    validation: float = Field(0.1, gt=0, lt=1)
    """Share of the training fields that only tell when to stop."""
    patience: Count = 10
    """Epochs without a better validation loss after which training stops."""

    @model_validator(mode="after")
    def _one_entry_for_each_convolution(self) -> "Settings":
        for name in ("kernels", "strides", "pooling"):
            if len(getattr(self, name)) != len(self.filters):
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} entries and filters {len(self.filters)}; "
                    "give one of each for every convolution"
                )
        if self.padding == "same" and any(k % 2 == 0 for k in self.kernels):
            raise ValueError(f"kernels {self.kernels} must be odd with padding 'same'; choose odd ones, or 'valid'")
        return self

    def dense(self) -> "Settings":
        """The same without convolutions: the fully connected autoencoder that the convolutional one is compared with.

        >>> Settings(dims=3).dense().filters, Settings(dims=3).dense().hidden
        ((), (128, 64))
        """
        return self.model_copy(update=dict.fromkeys(("filters", "kernels", "strides", "pooling"), ()))


class Autoencoder(nn.Module):
    """Encoder of convolutions and dense layers, decoder of dense layers. In and out: scaled series (n, c, t)."""

    def __init__(self, bands: int, dates: int, settings: Settings) -> None:
        super().__init__()
        cells = cells_left(dates, settings)
        refuse_huge(((bands, dates),), settings)
        act = ACTIVATIONS[settings.activation]
        blocks = convolutions(bands, settings)
        widths = (settings.filters[-1] * cells, *settings.hidden, settings.dims)
        self.encoder = nn.Sequential(blocks | dense(widths, act))
        self.decoder = nn.Sequential(
            dense((*widths[:0:-1], bands * dates), act) | {"series": nn.Unflatten(1, (bands, dates))}
        )

    def forward(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n c t"]:
        """Reconstruct scaled series through their embedding."""
        return self.decoder(self.encoder(x))


def convolutions(bands: int, settings: Settings) -> "OrderedDict[str, nn.Module]":
    """The blocks of the encoder, and the flattening of what they give."""
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (before, after) in enumerate(pairwise((bands, *settings.filters))):
        k = settings.kernels[i]
        pad = k // 2 if settings.padding == "same" else 0
        blocks[f"conv{i + 1}"] = nn.Conv1d(before, after, k, stride=settings.strides[i], padding=pad)
        if settings.pooling[i] > 1:
            blocks[f"pool{i + 1}"] = nn.MaxPool1d(settings.pooling[i])
        blocks[f"activation{i + 1}"] = ACTIVATIONS[settings.activation]()
    blocks["flatten"] = nn.Flatten()
    return blocks


def dense(widths: tuple[int, ...], act: type[nn.Module]) -> "OrderedDict[str, nn.Module]":
    """Dense layers of these widths, with activations between them."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (before, after) in enumerate(pairwise(widths)):
        if i:
            layers[f"dense_activation{i}"] = act()
        layers[f"dense{i + 1}"] = nn.Linear(before, after)
    return layers


def cells_left(dates: int, settings: Settings) -> int:
    """How many cells the last block has when the season has this many dates.

    Raises BadInput when a convolution or a pooling is left with nothing.
    """
    t = dates
    for i, k in enumerate(settings.kernels):
        pad = k // 2 if settings.padding == "same" else 0
        t = (t + 2 * pad - k) // settings.strides[i] + 1
        t //= settings.pooling[i]
        if t < 1:
            raise BadInput(
                "settings",
                f"{dates} dates are too few for this network: convolution {i + 1} (kernel {k}, stride "
                f"{settings.strides[i]}, pooling {settings.pooling[i]}) leaves no cell. "
                "Give more dates, or fewer blocks, less pooling, or padding 'same'.",
            )
    return t


def weights_in(bands: int, dates: int, settings: Settings) -> int:
    """How many numbers training would choose, known without making the network.

    >>> weights_in(2, 61, Settings()) == parameters(Autoencoder(2, 61, Settings()))
    True
    """
    return weights_of(((bands, dates),), settings)


def weights_of(shapes: Sequence[tuple[int, int]], settings: Settings) -> int:
    """The same for several branches, each of so many bands and dates, whose cells the dense layers see together."""
    channels = [(bands, *settings.filters) for bands, _ in shapes]
    kernels = settings.kernels
    blocks = sum(b * a * k + a for each in channels for (b, a), k in zip(pairwise(each), kernels, strict=True))
    cells = sum(cells_left(dates, settings) for _, dates in shapes)
    widths = (settings.filters[-1] * cells, *settings.hidden, settings.dims)
    back = (*widths[:0:-1], sum(bands * dates for bands, dates in shapes))
    return blocks + sum(b * a + a for layers in (widths, back) for b, a in pairwise(layers))


def refuse_huge(shapes: Sequence[tuple[int, int]], settings: Settings) -> None:
    """Raise BadInput for a network of more weights than anybody trains here."""
    count = weights_of(shapes, settings)
    if count > MOST_WEIGHTS:
        dates = ", ".join(str(dates) for _, dates in shapes)
        raise BadInput(
            "settings",
            f"this network would have {count:,} weights for {dates} dates, and {MOST_WEIGHTS:,} are the most. Ask for "
            "fewer filters, smaller kernels or narrower layers.",
        )


def parameters(network: nn.Module) -> int:
    """How many numbers training chose."""
    return sum(p.numel() for p in network.parameters())


def scaled(x: Float[Tensor, "n c t"], mean: Float[Tensor, " c"], std: Float[Tensor, " c"]) -> Float[Tensor, "n c t"]:
    """z-scores per band: (x - mean) / std, without units."""
    return (x - mean[:, None]) / std[:, None]


def as_tensor(values: object, device: torch.device) -> Tensor:
    """float32 on the device, without a copy where none is needed."""
    return torch.as_tensor(values, dtype=torch.float32, device=device)
