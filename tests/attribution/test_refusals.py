"""Is what cannot be explained refused, with what was found and what to do?"""

from collections.abc import Callable

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from sitscope.attribution import merging
from sitscope.attribution.gradslam import grad_slam


def encoder_of() -> nn.Sequential:
    """(n, 2, 12) -> (n, 2): two blocks."""
    return nn.Sequential(
        *(nn.Conv1d(2, 3, 3, padding=1), nn.ELU()),
        *(nn.Conv1d(3, 4, 3, padding=1), nn.AvgPool1d(2), nn.ELU()),
        *(nn.Flatten(), nn.Linear(24, 5), nn.Tanh(), nn.Linear(5, 2)),
    ).eval()


def series() -> Tensor:
    return torch.randn(3, 2, 12)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user runs it: without the type checks of the tests, which would answer first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def refused(error: type[Exception], *said: str, encoder: object = None, x: object = None, **choices: object) -> None:
    with pytest.raises(error) as caught:
        grad_slam(encoder_of() if encoder is None else encoder, series() if x is None else x, **choices)  # type: ignore[arg-type]
    for word in said:
        assert word in str(caught.value)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_encoder_and_no_series_is_refused() -> None:
    refused(TypeError, "function", "torch.nn.Module", encoder=lambda x: x)
    refused(TypeError, "int64", ".float()", x=torch.ones(3, 2, 12, dtype=torch.int64))
    refused(TypeError, "ndarray", "torch.as_tensor", x=series().numpy())
    refused(ValueError, "(2, 12)", "x[None]", x=series()[0])
    refused(ValueError, "batch is 0", batch=0)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_embedding_is_refused() -> None:
    refused(ValueError, "(3, 4, 6)", "(n, d)", encoder=encoder_of()[:5])
    refused(ValueError, "(3, 0)", encoder=nn.Sequential(encoder_of(), _Call(lambda e: e[:, :0])))
    refused(ValueError, "(1, 2)", "3 series", encoder=nn.Sequential(encoder_of(), _Call(lambda e: e[:1])))
    refused(TypeError, "tuple", encoder=nn.Sequential(encoder_of(), _Call(lambda e: (e, e))))
    refused(ValueError, "autograd", encoder=nn.Sequential(encoder_of(), _Call(lambda e: e.detach())))


def test_layers_that_are_not_there_are_refused_with_those_that_are() -> None:
    refused(ValueError, "no layer 'conv9'", "0, 1, 2, 3", layers="conv9")
    refused(ValueError, "this Conv1d", layers=[nn.Conv1d(1, 1, 1)])
    refused(ValueError, "empty", layers=[])
    refused(ValueError, "none of these was selected", layers=lambda ran: [])
    refused(ValueError, "Conv1d", encoder=nn.Sequential(nn.Flatten(), nn.Linear(24, 2)))


@pytest.mark.usefixtures("unchecked")
def test_layers_that_are_neither_names_nor_modules_are_refused() -> None:
    refused(TypeError, "int", layers=[0])


def test_a_layer_that_does_not_run_is_refused() -> None:
    encoder = encoder_of()
    encoder[0].unused = nn.Conv1d(2, 2, 1)
    refused(ValueError, "'0.unused' did not run", "['2']", encoder=encoder, layers=["2", "0.unused"])
    assert list(grad_slam(encoder, series()).maps) == ["0", "2"]  # every convolution that runs


def test_no_convolution_running_is_refused() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    encoder[1].unused = nn.Conv1d(2, 2, 1)
    refused(ValueError, "1.unused", "0 ran", encoder=encoder)


def test_a_convolution_that_runs_twice_is_refused_unless_left_out() -> None:
    twice = nn.Conv1d(3, 3, 3, padding=1)
    encoder = nn.Sequential(*encoder_of()[:2], twice, nn.ELU(), twice, *encoder_of()[2:])
    refused(ValueError, "'2' runs more than once", encoder=encoder)
    assert list(grad_slam(encoder, series(), ["0"]).maps) == ["0"]


def test_a_named_module_that_runs_twice_is_refused() -> None:
    encoder = encoder_of()
    encoder[4] = encoder[1]
    refused(ValueError, "'1' runs more than once", encoder=encoder, layers="1")
    assert grad_slam(encoder, series()).tapped == {"0": "1", "2": "1"}  # an activation may serve two blocks


def test_a_layer_that_does_not_influence_the_embedding_is_refused() -> None:
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.aside = encoder_of(), nn.Conv1d(2, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.seen = self.aside(x)
            return self.main(x)

    refused(ValueError, "'aside' does not influence", encoder=Aside())
    assert list(grad_slam(Aside(), series(), ["main.0"]).maps) == ["main.0"]


def test_a_layer_cut_off_from_autograd_is_refused() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = encoder_of()

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                h = self.body[:2](x)
            return self.body[2:](h)

    refused(ValueError, "'body.0'", "cut off from autograd", encoder=Frozen())
    refused(ValueError, "'body.2'", "no_grad", "upsample=merging.linear", encoder=Frozen(), layers=["body.2"])
    assert list(grad_slam(Frozen(), series(), ["body.2"], upsample=merging.linear).maps) == ["body.2"]


def test_what_is_no_feature_map_is_refused() -> None:
    refused(ValueError, "'6'", "(3, 5)", "(n, k, t)", layers=["6"])
    folded = nn.Sequential(_Call(lambda x: x.reshape(-1, 1, 12)), nn.Conv1d(1, 1, 1), _Call(lambda h: h.view(3, -1)))
    refused(ValueError, "(6, 1, 12)", "3 series", encoder=folded)


@pytest.mark.parametrize("moody", [nn.BatchNorm1d(4), nn.Dropout(0.1), nn.RReLU()])
def test_a_module_in_train_mode_that_mixes_series_or_draws_is_refused(moody: nn.Module) -> None:
    encoder = nn.Sequential(*encoder_of()[:3], moody, *encoder_of()[3:]).train()
    refused(ValueError, "'3'", type(moody).__name__, "train mode", "encoder.eval()", encoder=encoder)
    assert grad_slam(encoder.eval(), series()).tapped["2"] == "5"
    assert encoder_of().train()[0].training
    assert grad_slam(encoder_of().train(), series()).merged.shape == (3, 2, 12)  # nothing in it minds


class _Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)
