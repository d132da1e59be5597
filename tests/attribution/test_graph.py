"""Is the geometry found in any encoder, however it is written, and refused where there is none?"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from sitscope.attribution import merging
from sitscope.attribution.alignment import Geometry, Layer, receptive_field
from sitscope.attribution.gradslam import grad_slam
from sitscope.attribution.graph import geometries

T = 24


def conv(k_in: int = 3, k: int = 4, kernel: int = 3, **how: Any) -> nn.Conv1d:
    torch.manual_seed(0)
    return nn.Conv1d(k_in, k, kernel, **how).double()


def series() -> Tensor:
    return torch.rand(2, 3, T, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()


def found(maps: Callable[[Tensor], Tensor], x: Tensor | None = None) -> Geometry | str:
    x = series() if x is None else x
    return geometries({"layer": get_gradient_edge(maps(x.clone()))}, get_gradient_edge(x))["layer"]


def seen(maps: Callable[[Tensor], Tensor]) -> Tensor:
    """Which dates each cell sees, by the gradient of each cell."""
    x = series()
    h = maps(x.clone())
    weights = torch.rand(h.shape[1], dtype=h.dtype)  # the sum of normalised filters has no gradient
    gradients = [torch.autograd.grad((h[..., i] * weights).sum(), x, retain_graph=True)[0] for i in range(h.shape[2])]
    return torch.stack([(gradient != 0).any(0).any(0) for gradient in gradients])


def spliced(x: Tensor) -> Tensor:
    y = conv(padding=1)(x)
    return torch.cat([y[:, :2], F.avg_pool1d(x, 3, 1, 1)], dim=1)


def in_place(x: Tensor) -> Tensor:
    h = F.avg_pool1d(conv(padding=1)(x), 2).mul_(2)  # what pooling gives is a view
    return F.elu_(h.add_(F.avg_pool1d(conv(kernel=5, padding=2)(x), 2)))


def deep(x: Tensor) -> Tensor:
    for _ in range(1200):  # deeper than Python's stack
        x = x + 0.01 * x.tanh()
    return conv()(x)


def stacked(x: Tensor) -> Tensor:
    both = torch.stack([x, F.pad(x[..., 1:], (0, 1))], dim=1)  # (n, 2, c, t)
    return both.mean(1) + both.unbind(1)[0] + both.select(1, 1) + both.amax((1, 2))[:, None]


def split(x: Tensor) -> Tensor:
    early, late = x.split(T // 2, dim=-1)
    one, two = conv()(late).split([1, 3], dim=1)
    return torch.cat([one, two + early[..., 2:].mean(1, keepdim=True)], dim=1)


def dense_over_bands(x: Tensor) -> Tensor:
    dense = nn.Linear(3, 4).double()
    return F.layer_norm(dense(x.transpose(1, 2)), (4,)).movedim(2, 1)


def dense_in_a_row(x: Tensor) -> Tensor:
    dense = nn.Sequential(nn.Linear(3, 5), nn.ELU(), nn.Linear(5, 4)).double()
    return conv(4)(dense(x.mT.contiguous()).swapaxes(1, 2))


def over_bands(x: Tensor) -> Tensor:
    """Bands as the height of an image, dates as its width."""
    torch.manual_seed(0)
    image = nn.Conv2d(1, 4, (3, 5), stride=(1, 2), padding=(0, 1), dilation=(1, 2)).double()(x[:, None])
    return F.avg_pool2d(image, (1, 2)).squeeze(2)


LOCAL: dict[str, Callable[[Tensor], Tensor]] = {
    "convolution": lambda x: conv(kernel=4, stride=2, padding=3, dilation=2)(x),
    "functional": lambda x: F.gelu(F.conv1d(x, conv().weight, stride=3, padding=1)),
    "groups": lambda x: conv(3, 3, groups=3)(x),
    "even kernel, same": lambda x: conv(kernel=4, padding="same")(x),
    "even kernel, same, dilated": lambda x: conv(kernel=6, padding="same", dilation=3)(x),
    "weight norm": lambda x: parametrizations.weight_norm(conv())(x),
    "average": lambda x: F.avg_pool1d(conv()(x), 3, 2, 1),
    "average, ceil": lambda x: F.avg_pool1d(x, 3, 2, ceil_mode=True),
    "powers": lambda x: F.lp_pool1d(x, 2, 4, 3),
    "adaptive": lambda x: F.adaptive_avg_pool1d(x, 6),
    "whole season": lambda x: F.adaptive_avg_pool1d(conv()(x), 1),
    "mean over time": lambda x: conv()(x).mean(-1, keepdim=True),
    "batch norm": lambda x: nn.BatchNorm1d(4).double().eval()(conv()(x)),
    "residual": lambda x: conv(3, 3, 5, padding=2)(x) + x,
    "residual, cropped": lambda x: conv(3, 3, 5)(x) + x[..., 4:],
    "branches": spliced,
    "pad left": lambda x: conv(kernel=3, dilation=2)(F.pad(x, (4, 0))),
    "pad less than nothing": lambda x: conv()(F.pad(x, (-2, 1))),
    "every other date": lambda x: conv()(x[..., 1::2]),
    "the last dates": lambda x: conv()(x[:, :, -9:-1]),
    "differences": lambda x: x.diff(dim=-1),
    "in place": in_place,
    "transposed in place": lambda x: F.elu_(x.transpose(1, 2)).transpose(1, 2),
    "deep": deep,
    "stacked": stacked,
    "split": split,
    "dense over bands": dense_over_bands,
    "dense over bands, in a row": dense_in_a_row,
    "product": lambda x: torch.rand(4, 3, dtype=torch.float64) @ x,
    "einsum": lambda x: torch.einsum("nct,kc->nkt", x, torch.rand(4, 3, dtype=torch.float64)),
    "two axes": over_bands,
    "gated linear": lambda x: F.glu(conv()(x), dim=1),
    "normalised over filters": lambda x: F.normalize(conv()(x), dim=1).softmax(1),
    "masked": lambda x: torch.where(x > -1, x, 0 * x).masked_fill(x < -1, 0.0).clamp(min=0),
    "permuted": lambda x: conv()(x.permute(2, 0, 1).permute(1, 2, 0)),
    "reshaped": lambda x: conv()(x.reshape(1, 6, T).unflatten(1, (2, 3)).squeeze(0)),
}


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even")
def test_geometry_is_what_gradients_say(name: str) -> None:
    geometry = found(LOCAL[name])
    assert isinstance(geometry, Geometry), geometry
    assert torch.equal(geometry.sees, seen(LOCAL[name]))


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("functional", [True, False])
def test_max_pooling_sees_what_averaging_sees(kernel: int, functional: bool) -> None:
    how = {"stride": 2, "padding": 1, "dilation": 2} if kernel == 3 else {"ceil_mode": True}
    most = found(lambda x: F.max_pool1d(x, kernel, **how) if functional else nn.MaxPool1d(kernel, **how)(x))
    assert isinstance(most, Geometry)
    if kernel == 2:
        assert torch.equal(most.sees, seen(lambda x: F.avg_pool1d(x, 2, ceil_mode=True)))
    else:
        twin = Geometry.season(T).through(3, 2, 1, 2)
        assert (most.centre, most.step, most.width) == (twin.centre, twin.step, twin.width) == (1, 2, 5)
        assert torch.equal(most.sees, twin.sees)


@pytest.mark.parametrize(
    "shared",
    [
        lambda h: h * h.mean(-1, keepdim=True).sigmoid(),
        lambda h: h * nn.Linear(4, 4).double()(h.mean(-1)).sigmoid()[..., None],
        lambda h: h * h.mean(-1, keepdim=True).expand_as(h),
        lambda h: F.group_norm(h, 2),
        lambda h: F.instance_norm(h),
        lambda h: F.layer_norm(h, h.shape[1:]),
        lambda h: h * h.softmax(-1),
    ],
)
def test_what_all_cells_share_moves_none(shared: Callable[[Tensor], Tensor]) -> None:
    with_it, without = found(lambda x: shared(conv()(x))), found(conv())
    assert isinstance(with_it, Geometry)
    assert isinstance(without, Geometry)
    assert with_it.centre == without.centre == 1
    assert torch.equal(with_it.sees, without.sees)


def test_frozen_weights_do_not_matter() -> None:
    frozen = conv().requires_grad_(False)
    geometry = found(frozen)
    assert isinstance(geometry, Geometry)
    assert torch.equal(geometry.sees, seen(frozen))


class _OfOnesOwn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def attention(x: Tensor) -> Tensor:
    h = x.transpose(1, 2)
    return nn.MultiheadAttention(3, 1, batch_first=True).double()(h, h, h, need_weights=False)[0].transpose(1, 2)


MIXED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "gru": (lambda x: nn.GRU(3, 4, batch_first=True).double()(x.mT)[0].mT, "StackBackward0"),
    "lstm": (lambda x: nn.LSTM(3, 4, batch_first=True)(x.mT.float())[0].mT, "RnnLayerBackward0|StackBackward0"),
    "attention": (attention, "AttentionForCpuBackward0"),
    "attention by hand": (lambda x: (x.mT @ x).softmax(-1) @ x.mT, "BmmBackward0"),
    "dense over time": (nn.Linear(T, 9).double(), "AddmmBackward0"),
    "product over time": (lambda x: x @ torch.rand(T, T, dtype=torch.float64), "MmBackward0"),
    "running sum": (lambda x: x.cumsum(-1), "CumsumBackward0"),
    "backwards": (lambda x: x.flip(-1), "FlipBackward0"),
    "dates in a row": (lambda x: torch.cat([x, x], dim=-1), "CatBackward0"),
    "circular": (conv(padding=1, padding_mode="circular"), "CopySlices"),
    "upsampled": (lambda x: F.interpolate(x, scale_factor=2), "UpsampleNearest1DBackward0"),
    "uneven": (lambda x: F.adaptive_avg_pool1d(x, 5), "AdaptiveAvgPool2DBackward0"),
    "transposed": (lambda x: F.conv_transpose1d(x, conv(4, 3).weight), "ConvolutionBackward0"),
    "chosen": (lambda x: x[:, :, torch.arange(0, T, 2)], "IndexBackward0"),
    "folded": (lambda x: x.reshape(2, 3, T // 2, 2).mean(-1), "(2, 3, 24) are folded"),
    "folded into filters": (lambda x: conv(6)(x.reshape(2, 6, T // 2)), "(2, 3, 24) are folded"),
    "of one's own": (_OfOnesOwn.apply, "_OfOnesOwnBackward"),
    "steps that differ": (lambda x: x[..., ::2] + x[..., : T // 2], "2 and 1 acquisitions|1 and 2 acquisitions"),
    "only a gate": (lambda x: torch.rand(2, 4, T, dtype=torch.float64) * x.mean((1, 2), keepdim=True), "share"),
    "cut off": (lambda x: x.detach() + torch.zeros(3, T, dtype=torch.float64, requires_grad=True), "no_grad or detach"),
}


@pytest.mark.parametrize("name", MIXED)
def test_what_mixes_dates_is_refused_by_name(name: str) -> None:
    maps, said = MIXED[name]
    why = found(maps)
    assert isinstance(why, str)
    assert any(word in why for word in said.split("|")), why


# ---- in Grad-SLAM


class Functional(nn.Module):
    """(n, 3, t) -> (n, 2), all by functions but the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = conv(padding=1), conv(4, 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = F.max_pool1d(F.relu(self.one(x)), 2)
        return F.elu(self.two(h))[:, :2].mean(-1)


def test_grad_slam_places_by_receptive_field() -> None:
    days = torch.cat([torch.arange(12.0), 50 + 2 * torch.arange(12.0)])
    result = grad_slam(Functional(), series(), scale=merging.none, merge=merging.total, dates=days)
    twins = {"one": Geometry.season(T).through(3, padding=1), "two": None}
    twins["two"] = twins["one"].through(2, 2).through(5)
    expected = torch.zeros(2, 2, T, dtype=torch.float64)
    for name, twin in twins.items():
        layer = Layer(name, len(twin.sees), days, twin)
        assert result.placed[name].centre[0] == twin.centre
        assert torch.equal(result.placed[name].matrix, receptive_field(layer))
        for date in range(T):
            for cell in range(layer.cells):
                expected[:, :, date] += float(receptive_field(layer)[date, cell]) * result.maps[name][:, :, cell]
    torch.testing.assert_close(result.merged, expected)


def test_dates_matter_and_their_form_does_not() -> None:
    days = torch.tensor([*range(12), *range(40, 52)])
    dates = (days.numpy() * 24).astype("timedelta64[h]") + torch.zeros(1).numpy().astype("datetime64[h]")
    one, other = (grad_slam(Functional(), series(), dates=each) for each in (days, dates))
    assert torch.equal(one.merged, other.merged)
    assert (one.merged - grad_slam(Functional(), series()).merged).abs().max() > 0.01
    with pytest.raises(ValueError, match=r"\(3,\), but x has 24 dates"):
        grad_slam(Functional(), series(), dates=torch.arange(3))


def test_batches_and_precision_do_not_matter() -> None:
    x = torch.cat([series().detach()] * 3)
    whole = grad_slam(Functional(), x)
    assert torch.equal(grad_slam(Functional(), x, batch=2).merged, whole.merged)
    single = grad_slam(Functional().float(), x.float())
    assert single.merged.dtype == torch.float32
    torch.testing.assert_close(single.merged.double(), whole.merged, rtol=0, atol=1e-4)
    assert grad_slam(Functional(), x[:0]).merged.shape == (0, 2, T)


def test_an_unknown_geometry_is_refused_with_the_remedy_which_helps() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.early, self.rnn, self.late = conv(), nn.GRU(4, 4, batch_first=True).double(), conv(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.late(self.rnn(self.early(x).mT)[0].mT).mean(-1)

    with pytest.raises(ValueError, match=r"'late'.*StackBackward0.*upsample=merging\.linear"):
        grad_slam(Recurrent(), series())
    assert list(grad_slam(Recurrent(), series(), "early").placed) == ["early"]
    result = grad_slam(Recurrent(), series(), upsample=merging.linear)
    assert list(result.maps) == ["early", "late"]
    assert list(result.placed) == ["early"]
