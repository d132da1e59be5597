"""The fast path is taken where it applies, and nowhere else; it follows the encoder's weights, in any thread."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from sitscope.attribution import fast
from sitscope.attribution.fast import machine
from sitscope.attribution.gradslam import grad_slam, gradient_only
from sitscope.autoencoder.network import Autoencoder, Settings

pytestmark = pytest.mark.skipif(machine.processor() is None, reason="this processor has no fast path")


def _encoder(*steps: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 4, 3), *steps, nn.Flatten(), nn.Linear(4 * 18, 2))


def _hooked() -> nn.Sequential:
    encoder = _encoder(nn.ReLU())
    encoder[1].register_forward_hook(lambda module, inputs, output: output * 2)
    return encoder


def _twice() -> nn.Sequential:
    once = nn.ReLU()
    return nn.Sequential(nn.Conv1d(2, 4, 3), once, nn.Conv1d(4, 4, 3), once, nn.Flatten(), nn.Linear(64, 2))


class Scaled(nn.Conv1d):
    """A convolution that does more."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "hooks": _hooked,
    "a module that runs twice": _twice,
    "a convolution of its own kind": lambda: nn.Sequential(Scaled(2, 4, 3), nn.Flatten(), nn.Linear(72, 2)),
    "dilation": lambda: nn.Sequential(nn.Conv1d(2, 4, 2, dilation=2), nn.Flatten(), nn.Linear(72, 2)),
    "groups": lambda: nn.Sequential(nn.Conv1d(2, 4, 3, groups=2), nn.Flatten(), nn.Linear(72, 2)),
    "circular padding": lambda: nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1, padding_mode="circular"), nn.Flatten(), nn.Linear(80, 2)
    ),
    "another activation": lambda: _encoder(nn.SiLU()),
    "GELU by tanh": lambda: _encoder(nn.GELU(approximate="tanh")),
    "two activations": lambda: _encoder(nn.ReLU(), nn.ELU()),
    "pooling of overlapping cells": lambda: _encoder(nn.MaxPool1d(3, stride=1, padding=1)),
    "half precision": lambda: _encoder(nn.ReLU()).half(),
    "two precisions": lambda: nn.Sequential(*_encoder(nn.ReLU())[:-1], nn.Linear(72, 2).double()),
    "dropout": lambda: _encoder(nn.Dropout()),
    "an activation at the end": lambda: _encoder().append(nn.ReLU()),
    "no convolution": lambda: nn.Sequential(nn.Flatten(), nn.Linear(40, 2)),
    "no dense layer": lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten()),
    "another length": lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(), nn.Linear(4 * 17, 2)),
    "no Sequential": lambda: Autoencoder(2, 20, Settings(filters=(4,), kernels=(3,), strides=(1,), pooling=(1,))),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_encoders_take_the_general_path(what: str) -> None:
    assert fast.compiled(OTHERS[what](), 20) is None


def test_nested_chains_are_chains() -> None:
    flat = _encoder(nn.ReLU())
    nested = nn.Sequential(nn.Sequential(flat[0], flat[1]), flat[2], nn.Sequential(flat[3]))
    compiled, x = fast.compiled(nested, 20), torch.randn(3, 2, 20)
    assert compiled is not None
    found = grad_slam(nested, x)
    torch.testing.assert_close(compiled.grad_slam(x).merged, found.merged)
    assert compiled.grad_slam(x).tapped == found.tapped == {"0.0": "0.1"}


def test_without_llvmlite_there_is_no_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "find_spec", lambda name: None)
    assert fast.compiled(_encoder(nn.ReLU()), 20) is None


@pytest.mark.parametrize("why", ["another kind", "unknown to LLVM", "no AVX2"])
def test_other_processors_have_no_fast_path(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> dict[str, bool]:
        raise RuntimeError("LLVM cannot tell")

    if why == "another kind":
        monkeypatch.setattr(machine.platform, "machine", lambda: "riscv64")
    else:
        features = unknown if why == "unknown to LLVM" else machine.llvm.FeatureMap
        monkeypatch.setattr(machine.llvm, "get_host_cpu_features", features)
    machine.processor.cache_clear()
    try:
        assert machine.processor() is None
        assert fast.compiled(_encoder(nn.ReLU()), 20) is None
    finally:
        machine.processor.cache_clear()


@pytest.mark.parametrize("change", ["in place", "behind autograd's back", "another tensor"])
def test_changed_weights_are_seen(change: str) -> None:
    encoder, x = _encoder(nn.ReLU()), torch.randn(3, 2, 20)
    before = fast.compiled(encoder, 20)
    assert before is not None
    assert fast.compiled(encoder, 20) is before
    with torch.no_grad():
        if change == "in place":
            encoder[0].weight.mul_(2)
        elif change == "behind autograd's back":
            encoder[0].weight.data.mul_(2)
        else:
            encoder[0].weight = nn.Parameter(encoder[0].weight * 2)
    after = fast.compiled(encoder, 20)
    assert after is not None
    torch.testing.assert_close(after.embed(x), encoder(x))


def test_threads_share_an_encoder() -> None:
    encoder, x = _encoder(nn.ELU()), torch.randn(4, 200, 2, 20)
    one_by_one = [grad_slam(encoder, part).merged for part in x]

    def explained(part: torch.Tensor) -> torch.Tensor:
        compiled = fast.compiled(encoder, 20)
        assert compiled is not None
        return compiled.grad_slam(part).merged

    with ThreadPoolExecutor(4) as pool:
        for ours, theirs in zip(pool.map(explained, x), one_by_one, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_series_that_do_not_fit_are_refused() -> None:
    compiled = fast.compiled(_encoder(nn.ELU()), 20)
    assert compiled is not None
    for x in (torch.randn(3, 2, 21), torch.randn(3, 3, 20), torch.randn(3, 2, 20).double()):
        with pytest.raises(ValueError, match=r"compiled for torch.float32 \(n, 2, 20\)"):
            compiled.embed(x)
    with pytest.raises(ValueError, match="no machine code is written for alpha"):
        compiled.grad_slam(torch.randn(3, 2, 20), gradient_only)
