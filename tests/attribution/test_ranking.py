"""Does the order of dates follow what the encoder looks at, and are the fast sums those of the slow twin?"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sitscope.attribution import masking, targets
from sitscope.attribution.ranking import along_hats, rank_dates


class Window(nn.Module):
    """Sees a few dates only: e = W tanh(x on these dates)."""

    def __init__(self, dates: list[int], bands: int = 2, d: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.dates = dates
        self.dense = nn.Linear(bands * len(dates), d)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(torch.tanh(x[:, :, self.dates]).flatten(1))


def series(n: int = 6, t: int = 16, seed: int = 1) -> Tensor:
    return torch.randn(n, 2, t, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_dates_that_the_encoder_sees_come_first() -> None:
    encoder = Window([3, 4, 11]).double()
    x = series(40)
    order = rank_dates(encoder, x, rounds=16).order
    assert order.shape == (40, 16)
    # once a date is gone its neighbours stand in for it, so that they may come before a date whose value says little
    seen = torch.isin(order, torch.tensor([3, 4, 11]))
    assert seen[:, 0].all()
    assert float(seen[:, :3].double().mean()) > 0.6


def test_every_date_is_ranked_once() -> None:
    found = rank_dates(Window([0, 5]).double(), series(), rounds=5)
    assert torch.equal(found.order.sort(1).values, torch.arange(16).expand(6, 16))
    assert torch.equal(found.merged[:, 0].argsort(1, descending=True), found.order)
    assert float(found.merged.max()) == 1.0
    assert float(found.merged.min()) == pytest.approx(1 / 16)


def slow_hats(slope: Tensor, removed: list[bool], days: list[float]) -> list[float]:
    """One band: move each date that is left by 1, fill the gaps again, and add up slope times movement."""
    t = len(removed)
    kept = [i for i in range(t) if not removed[i]]
    found = []
    for date in range(t):
        left = max((i for i in kept if i < date), default=None)
        right = min((i for i in kept if i > date), default=None)
        total = 0.0
        for s in range(t):
            if s <= date:
                start = None if left is None else days[left]
                moved = 1.0 if start is None else max(0.0, (days[s] - start) / (days[date] - start))
            else:
                end = None if right is None else days[right]
                moved = 1.0 if end is None else max(0.0, (end - days[s]) / (end - days[date]))
            total += moved * float(slope[s])
        found.append(total)
    return found


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0, 1))
def test_sums_over_hats_equal_the_slow_twin(seed: int, share: float) -> None:
    g = torch.Generator().manual_seed(seed)
    slope = torch.randn(3, 2, 9, dtype=torch.float64, generator=g)
    removed = torch.rand(3, 9, generator=g) < share
    days = torch.rand(9, dtype=torch.float64, generator=g).cumsum(0)
    found = along_hats(slope, masking.neighbours(removed), days)
    for i in range(3):
        for band in range(2):
            slow = slow_hats(slope[i, band], removed[i].tolist(), days.tolist())
            torch.testing.assert_close(found[i, band], torch.tensor(slow, dtype=torch.float64))


def test_a_hat_is_what_gap_filling_does() -> None:
    """The sum is the derivative of <slope, filled series> with respect to a date that is left."""
    g = torch.Generator().manual_seed(3)
    removed = torch.rand(4, 12, generator=g) < 0.4
    x = torch.randn(4, 2, 12, dtype=torch.float64, generator=g).requires_grad_()
    slope = torch.randn(4, 2, 12, dtype=torch.float64, generator=g)
    filled = masking.filled(x, removed, torch.zeros(2, 12, dtype=torch.float64))
    (derivative,) = torch.autograd.grad((filled * slope).sum(), x)
    found = along_hats(slope, masking.neighbours(removed), None)
    torch.testing.assert_close(found.masked_fill(removed[:, None], 0), derivative)


def test_chunks_and_threads_do_not_matter() -> None:
    encoder, x = Window([2, 3, 9]).double(), series(9)
    whole = rank_dates(encoder, x).order
    assert torch.equal(rank_dates(encoder, x, batch=2).order, whole)


def test_margin_is_ranked_by_its_own_reference_and_pool() -> None:
    encoder, x = Window([3, 4, 11]).double(), series()
    why = targets.margin(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    order = rank_dates(encoder, x, x.flip(0), pool=x.flip(0), target=why, rounds=16).order
    assert set(order[:, 0].tolist()) <= {3, 4, 11}


@pytest.mark.parametrize(
    ("options", "said"),
    [({"rounds": 0}, "rounds is 0"), ({"pool": torch.zeros(0, 2, 16)}, "pool is empty")],
)
def test_what_cannot_be_ranked_is_refused(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rank_dates(Window([1]).double(), series(), **options)
