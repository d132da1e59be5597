"""Is the shift that of the slow twin, and does the table tell a good explanation from a bad one?"""

import math

import pytest
import torch
from torch import Tensor, nn

from sitscope.attribution import fidelity, masking
from sitscope.attribution.evaluation import evaluate, yardstick
from sitscope.attribution.path import path
from sitscope.attribution.ranking import rank_dates


@pytest.fixture
def encoder() -> nn.Module:
    torch.manual_seed(0)
    return (
        nn.Sequential(
            nn.Conv1d(2, 4, 3, padding=1), nn.ELU(), nn.Flatten(), nn.Linear(40, 8), nn.ELU(), nn.Linear(8, 2)
        )
        .double()
        .eval()
    )


def series(n: int = 8, seed: int = 1) -> Tensor:
    return torch.randn(n, 2, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


POOL = series(30, 7)


def slow_fill(x: list[list[float]], removed: list[bool], kind: str, i: int, draw: int) -> list[list[float]]:
    """One series (c, t) with dates removed, by loops; donors and noise are read off the fast masking's full removal."""
    mean = POOL.mean(0).tolist()
    t = len(removed)
    kept = [s for s in range(t) if not removed[s]]
    out = [row[:] for row in x]
    for band, row in enumerate(out):
        for s in range(t):
            if not removed[s]:
                continue
            if kind == "mean curve" or not kept:
                row[s] = mean[band][s]
                continue
            left, right = [k for k in kept if k < s], [k for k in kept if k > s]
            low, high = (left or right)[-1 if left else 0], (right or left)[0 if right else -1]
            share = 0 if high == low else (s - low) / (high - low)
            row[s] = x[band][low] + share * (x[band][high] - x[band][low])
    return out


@pytest.mark.parametrize("kind", ["mean curve", "gap filling"])
def test_shift_equals_the_slow_twin(encoder: nn.Module, kind: str) -> None:
    x = series(3)
    order = fidelity.random_orders(3, 10, 1)[0]
    found = fidelity.shifts(fidelity.along(encoder, x, order, masking.standard(POOL, 3)[kind]))
    for i in range(3):
        for p in (0, 1, 4, 9, 10):
            removed = [s in order[i, :p].tolist() for s in range(10)]
            z = torch.tensor([slow_fill(x[i].tolist(), removed, kind, i, 0)], dtype=torch.float64)
            moved = (encoder(z) - encoder(x[i : i + 1])).detach()[0].tolist()
            assert float(found[i, p]) == pytest.approx(sum(v * v for v in moved), abs=1e-12)


@pytest.mark.parametrize("kind", ["donor", "noise"])
def test_draws_replace_removed_dates_only_and_stay_the_same(kind: str) -> None:
    x, mask = series(5), masking.standard(POOL, 5)[kind]
    removed = torch.rand(5, 10, generator=torch.Generator().manual_seed(2)) < 0.5
    whole, part = mask(x, torch.ones_like(removed), torch.arange(5)), mask(x, removed, torch.arange(5))
    assert whole.shape == (masking.DRAWS, 5, 2, 10)
    for k in range(masking.DRAWS):
        torch.testing.assert_close(part[k], torch.where(removed[:, None], whole[k], x))
    torch.testing.assert_close(mask(x[[3]], removed[[3]], torch.tensor([3]))[:, 0], part[:, 3])
    if kind == "donor":
        assert all((lent == POOL).all((1, 2)).any() for lent in whole.flatten(0, 1))


def test_gaps_are_filled_on_true_days() -> None:
    x = torch.tensor([[[0.0, 9.0, 3.0]]])
    removed = torch.tensor([[False, True, False]])
    days = torch.tensor([0.0, 1.0, 3.0])
    assert masking.filled(x, removed, torch.zeros(1, 3), days)[0, 0].tolist() == [0.0, 1.0, 3.0]


def test_greedy_order_equals_trying_every_date(encoder: nn.Module) -> None:
    x, mask = series(2), masking.mean_curve(POOL.mean(0))
    found = fidelity.greedy_order(encoder, x, mask)
    for i in range(2):
        gone: list[int] = []
        for _ in range(10):
            moved = {}
            for date in set(range(10)) - set(gone):
                removed = torch.tensor([[s in [*gone, date] for s in range(10)]])
                z = mask(x[i : i + 1], removed, torch.tensor([i]))[0]
                moved[date] = float((encoder(z) - encoder(x[i : i + 1])).detach().square().sum())
            gone.append(max(moved, key=lambda date: moved[date]))
        assert found[i].tolist() == gone


def test_chance_is_zero_and_greedy_one(encoder: nn.Module) -> None:
    measure = yardstick(encoder, series(), masking.mean_curve(POOL.mean(0)))
    assert measure.efficiency(measure.chance) == pytest.approx(0)
    assert measure.efficiency(measure.greedy) == pytest.approx(1)
    low, high = measure.interval(measure.greedy)
    assert low == pytest.approx(1)
    assert high == pytest.approx(1)


def test_curves_of_a_known_walk() -> None:
    """An embedding that moves 1, back 1, then 2 along one axis: by hand."""
    moving = torch.tensor([0.0, 1.0, 0.0, 2.0]).view(1, 1, 4, 1)
    shift = fidelity.shifts(moving)
    assert shift.tolist() == [[0.0, 1.0, 0.0, 4.0]]
    assert fidelity.nls(shift).tolist() == [0.0, 0.25, 0.0, 1.0]
    assert fidelity.nls_auc(shift) == pytest.approx((0.125 + 0.125 + 0.5) / 3)
    assert fidelity.cumulative_shift(moving).tolist() == [4.0]
    assert fidelity.cumulative_shift(moving, 2).tolist() == [2.0]
    assert fidelity.insertion_auc(shift) == pytest.approx(1 - (0.125 + 0.125 + 0.5) / 3)


def test_degradation_is_linear_between_dates() -> None:
    most, least = torch.tensor([[0.0, 1.0, 1.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    # NLS differs by 2s up to half the dates (s = share): mean of 2s for s = 2 %, 4 %, ..., 50 %
    assert fidelity.degradation(most, least) == pytest.approx(sum(2 * 0.02 * k for k in range(1, 26)) / 25)
    assert fidelity.degradation(least, most) == pytest.approx(-fidelity.degradation(most, least))


class Apart(nn.Module):
    """Each dimension sees dates of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, :, :3].sum((1, 2)), x[:, :, 5:8].sum((1, 2))], dim=1)


def test_specificity_tells_dimensions_apart() -> None:
    x, mask = series(20), masking.mean_curve(POOL.mean(0))
    own = torch.zeros(20, 2, 10, dtype=torch.float64)
    own[:, 0, :3] = own[:, 1, 5:8] = 1
    right, wrong = (fidelity.specificity(Apart(), x, a, mask) for a in (own, own.flip(1)))
    assert right > 0.6 > 0.4 > wrong
    assert right + wrong == pytest.approx(1, abs=0.05)


def test_table_puts_better_explanations_first(encoder: nn.Module) -> None:
    x = series(16)
    methods = {
        "random": lambda f, s: torch.rand(16, 1, 10, generator=torch.Generator().manual_seed(0)),
        "path": lambda f, s: path(f, s, POOL.mean(0)).merged,
        "rounds": lambda f, s: rank_dates(f, s, POOL.mean(0), pool=POOL).merged.double(),
    }
    told: list[tuple[int, int]] = []
    table = evaluate(encoder, x, methods, masking.standard(POOL, 16, draws=4), progress=lambda *at: told.append(at))
    assert told[-1] == (16, 16)
    every = {row.method: row for row in table if row.metric == "efficiency" and row.baseline == "all"}
    assert every["rounds"].value > every["path"].value > 0.3 > every["random"].value
    for row in table:
        assert row.low <= row.value + 1e-9
        assert row.high >= row.value - 1e-9 or row.metric == "efficiency"
        assert all(math.isfinite(v) for v in (row.value, row.low, row.high))
    assert len({(row.method, row.metric, row.baseline) for row in table}) == len(table) == 3 * (4 * 5 + 1)


def test_chunks_do_not_matter(encoder: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    x, mask = series(5), masking.standard(POOL, 5, draws=3)["donor"]
    whole = fidelity.greedy_order(encoder, x, mask)
    monkeypatch.setattr(fidelity, "CHUNK", 4)
    assert torch.equal(fidelity.greedy_order(encoder, x, mask), whole)


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    g = torch.Generator().manual_seed(0)
    inside = 0
    for trial in range(100):
        values = torch.randn(60, generator=g)
        low, high = fidelity.bootstrap(lambda rows, v=values: float(v[rows].mean()), 60, seed=trial)
        inside += low <= 0 <= high
    assert inside >= 86
