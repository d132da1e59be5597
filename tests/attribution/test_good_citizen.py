"""Does an encoder, and all else in the process, stay as it was while it is explained?"""

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from sitscope.attribution import merging, taps
from sitscope.attribution.gradslam import GradSlam, grad_slam

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class Encoder(nn.Module):
    """(n, 2, 16) -> (n, 3), with all that is awkward: in-place activations, batch-norm, residual adds, dropout."""

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inplace = inplace
        self.conv1, self.norm1 = nn.Conv1d(2, 6, 5, padding=2), nn.BatchNorm1d(6)
        self.conv2, self.drop = nn.Conv1d(6, 6, 3, padding=1), nn.Dropout(0.5)
        self.act1, self.act2, self.act3 = (nn.ReLU(inplace=inplace) for _ in range(3))
        self.pool = nn.MaxPool1d(2)
        self.dense = nn.Linear(48, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act1(self.norm1(self.conv1(x)))
        h2 = self.conv2(h)
        h = self.drop(self.act2(h2.add_(h) if self.inplace else h2 + h))
        h = self.act3(self.pool(h))
        return self.dense(h.flatten(1))


@pytest.fixture
def encoder() -> Encoder:
    return Encoder().eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 2, 16, generator=torch.Generator().manual_seed(1))


def hooks(encoder: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in encoder.modules() for kind in kinds)


def test_no_hook_is_left_after_success(encoder: Encoder, x: Tensor) -> None:
    encoder.conv1.register_forward_hook(lambda *_: None)
    grad_slam(encoder, x)
    assert hooks(encoder) == 1  # the user's own


@pytest.mark.parametrize("where", ["conv2", "tap", "embedding", "alpha", "merge"])
def test_no_hook_is_left_after_an_exception(encoder: Encoder, x: Tensor, where: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("on purpose")

    if where == "conv2":
        encoder.conv2.forward = fail  # type: ignore[method-assign, assignment]
    if where == "embedding":
        encoder.dense = nn.Identity()  # type: ignore[assignment]
        encoder.forward = lambda x: fail()  # type: ignore[method-assign, assignment, return-value]
    choices = {where: fail} if where in ("tap", "alpha", "merge") else {}
    with pytest.raises(RuntimeError, match="on purpose"):
        grad_slam(encoder, x, **choices)  # type: ignore[arg-type]
    assert hooks(encoder) == 0


def test_no_hook_is_left_after_a_refusal(encoder: Encoder, x: Tensor) -> None:
    with pytest.raises(ValueError, match="more than one feature map"):
        grad_slam(nn.Sequential(encoder.conv2, encoder.conv2), x.repeat(1, 3, 1))
    assert hooks(encoder) == 0


def test_train_and_eval_flags_stay(encoder: Encoder, x: Tensor) -> None:
    encoder.train()
    encoder.norm1.eval()
    encoder.drop.eval()
    flags = [module.training for module in encoder.modules()]
    grad_slam(encoder, x)
    assert [module.training for module in encoder.modules()] == flags
    assert True in flags
    assert False in flags


def test_parameters_buffers_and_gradients_stay(encoder: Encoder, x: Tensor) -> None:
    encoder.dense.weight.grad = torch.ones_like(encoder.dense.weight)
    before = copy.deepcopy(encoder.state_dict())
    x.requires_grad_()
    grad_slam(encoder, x)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert torch.equal(encoder.dense.weight.grad, torch.ones_like(encoder.dense.weight))
    assert all(p.grad is None for name, p in encoder.named_parameters() if name != "dense.weight")
    assert all(p.requires_grad for p in encoder.parameters())
    assert x.grad is None


def test_global_state_stays(encoder: Encoder, x: Tensor) -> None:
    def state() -> tuple[object, ...]:
        return (
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.are_deterministic_algorithms_enabled(),
        )

    before = state()
    grad_slam(encoder, x)
    assert state() == before


def test_results_ask_for_no_gradient_and_the_series_are_not_written(encoder: Encoder, x: Tensor) -> None:
    class Overwriting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sub_(1)

    kept = x.clone()
    found = grad_slam(nn.Sequential(Overwriting(), encoder), x)
    assert torch.equal(x, kept)
    assert torch.equal(found.merged, grad_slam(encoder, x - 1).merged)
    assert not any(v.requires_grad for v in (found.merged, found.embedding, *found.maps.values()))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_caller_s_grad_mode_neither_matters_nor_changes(
    encoder: Encoder, x: Tensor, mode: Callable[[], AbstractContextManager[object]]
) -> None:
    expected = grad_slam(encoder, x).merged
    with mode():
        enabled = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        inside = x.clone()  # under inference_mode an inference tensor
        for found in (grad_slam(encoder, x), grad_slam(encoder, inside)):
            assert torch.equal(found.merged, expected)
            assert not found.merged.is_inference()
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == enabled
    assert torch.equal(grad_slam(encoder, inside).merged, expected)


def test_frozen_parameters_do_not_matter(encoder: Encoder, x: Tensor) -> None:
    expected = grad_slam(encoder, x).merged
    encoder.requires_grad_(False)
    assert torch.equal(grad_slam(encoder, x).merged, expected)
    assert not any(p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize("tap", [taps.block_output, taps.convolution_output])
def test_in_place_activations_and_adds_rewrite_nothing(x: Tensor, tap: taps.Tap) -> None:
    found = grad_slam(Encoder(inplace=True).eval(), x, tap=tap)
    plain = grad_slam(Encoder(inplace=False).eval(), x, tap=tap)
    assert found.tapped == plain.tapped
    assert torch.equal(found.embedding, plain.embedding)
    for layer, cells in plain.maps.items():
        torch.testing.assert_close(found.maps[layer], cells)


def test_a_pooling_s_view_overwritten_in_place_is_still_read(x: Tensor) -> None:
    found, plain = (grad_slam(Encoder(inplace).eval(), x, "pool") for inplace in (True, False))
    torch.testing.assert_close(found.maps["pool"], plain.maps["pool"])


def test_an_in_place_activation_whose_result_is_dropped_is_still_read(x: Tensor) -> None:
    class Dropping(Encoder):
        def forward(self, x: Tensor) -> Tensor:
            h = self.conv1(x)
            self.act1(h)
            return self.dense(self.pool(h).flatten(1))

    class Using(Encoder):
        def forward(self, x: Tensor) -> Tensor:
            return self.dense(self.pool(self.act1(self.conv1(x))).flatten(1))

    found, plain = grad_slam(Dropping().eval(), x, "act1"), grad_slam(Using(inplace=False).eval(), x, "act1")
    torch.testing.assert_close(found.maps["act1"], plain.maps["act1"])


def test_results_do_not_depend_on_the_company_in_a_batch(encoder: Encoder, x: Tensor) -> None:
    whole = grad_slam(encoder.double(), x.double()).merged
    for i in range(4):
        alone = grad_slam(encoder, x[i : i + 1].double()).merged
        torch.testing.assert_close(alone, whole[i : i + 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "scale", [merging.max_abs, merging.min_max, merging.l1, merging.l2, merging.none], ids=lambda s: s.__name__
)
def test_device_and_dtype_out_are_those_in(
    encoder: Encoder, x: Tensor, device: str, dtype: torch.dtype, scale: merging.Scale
) -> None:
    x = x.to(device, dtype)
    found = grad_slam(encoder.to(device, dtype), x, scale=scale)
    for value in (found.merged, found.embedding, *found.maps.values()):
        assert (value.dtype, value.device) == (dtype, x.device)


def test_result_and_function_are_picklable(encoder: Encoder, x: Tensor) -> None:
    explain = partial(grad_slam, encoder, layers=taps.last, scale=merging.l2, sign=merging.absolute_before)
    found = pickle.loads(pickle.dumps(explain))(x)
    again: GradSlam = pickle.loads(pickle.dumps(found))
    assert torch.equal(again.merged, explain(x).merged)
    assert again.tapped == found.tapped == {"conv2": "act3"}


def test_threads_may_share_an_encoder(encoder: Encoder) -> None:
    parts = [torch.randn(n, 2, 16) for n in range(1, 25)]
    expected = [grad_slam(encoder, part).merged for part in parts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: grad_slam(encoder, part, batch=2).merged, parts))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert hooks(encoder) == 0


def test_the_encoder_can_be_trained_on_as_before(encoder: Encoder, x: Tensor) -> None:
    other = copy.deepcopy(encoder)
    with nullcontext(grad_slam(encoder, x)):
        for each in (encoder, other):
            each(x).square().sum().backward()
    assert torch.equal(encoder.conv1.weight.grad, other.conv1.weight.grad)  # type: ignore[arg-type]
