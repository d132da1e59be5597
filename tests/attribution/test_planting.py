"""Are the dates of a planted encoder its true dates: all of them, and no others?"""

import importlib.util
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest
import torch
from torch import Tensor

from sitscope.attribution.planting import Planted, planted_encoder

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "planted.py"


@pytest.fixture(scope="module")
def changed() -> Callable[[Planted, int], Tensor]:
    """(d, t): by how much at most each dimension moves when one date alone is changed."""
    spec = importlib.util.spec_from_file_location("planted_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.changed


@pytest.mark.parametrize("seeds", [range(k, k + 25) for k in range(0, 100, 25)])
def test_every_true_date_counts_and_no_other(seeds: range, changed: Callable[[Planted, int], Tensor]) -> None:
    for seed in seeds:
        made = planted_encoder(seed)
        found = changed(made, seed)
        assert (found[made.truth] > 1e-9).all(), (seed, made.recipe)
        assert (found[~made.truth] < 1e-12).all(), (seed, made.recipe)
        assert made.truth.any(1).all()
        assert (made.truth.double().mean(1) <= 0.6).all()


def test_encoders_are_of_many_kinds() -> None:
    made = [planted_encoder(seed) for seed in range(300)]
    assert len(Counter(one.recipe for one in made)) == 2 * 3 * 3
    assert {one.bands for one in made} == {1, 2, 3, 4}
    assert {one.truth.shape[0] for one in made} == {2, 3, 4, 5, 6}
    assert {one.truth.shape[1] for one in made} == set(range(40, 81))
    widths = torch.cat([one.truth.sum(1) for one in made])
    assert widths.min() < 5
    assert widths.max() > 30


def test_the_seed_alone_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the type checks of the tests draw themselves
    torch.manual_seed(1)
    random.seed(1)
    before, python = torch.get_rng_state(), random.getstate()
    a = planted_encoder(7)
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python
    torch.manual_seed(2)
    b, c = planted_encoder(7), planted_encoder(8)
    x = torch.randn(3, a.bands, a.truth.shape[1])
    assert torch.equal(a.encoder(x), b.encoder(x))
    assert a.recipe == b.recipe
    assert a.truth.shape != c.truth.shape or not torch.equal(a.truth, c.truth)


def test_embeddings_neither_vanish_nor_explode() -> None:
    for seed in range(100):
        made = planted_encoder(seed)
        x = torch.randn(200, made.bands, made.truth.shape[1], generator=torch.Generator().manual_seed(seed))
        spread = made.encoder(x).std(0)
        assert (spread > 0.02).all(), (seed, made.recipe, spread)
        assert (spread < 20).all(), (seed, made.recipe, spread)


def test_what_may_be_read_stays_when_weights_are_drawn_anew(changed: Callable[[Planted, int], Tensor]) -> None:
    made = planted_encoder(11)
    for module in made.encoder:
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert (changed(made, 0)[~made.truth] < 1e-12).all()


def test_what_cannot_be_planted_is_refused() -> None:
    with pytest.raises(ValueError, match="dates = 29"):
        planted_encoder(0, dates=29)
    with pytest.raises(ValueError, match="bands = 0"):
        planted_encoder(0, bands=0)
    assert planted_encoder(0, dates=30, bands=5, dims=9).truth.shape == (9, 30)
