"""Do a layer's cells lie on the dates they see, and on no others?"""

import importlib.util
from datetime import date
from pathlib import Path
from types import ModuleType

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sitscope.attribution import merging
from sitscope.attribution.alignment import Geometry, Layer, Placed, in_days, placed, receptive_field

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "alignment.py"
Chain = list[tuple[int, int, int, int]]
"""Kernel, stride, padding, dilation of each step."""


def chains(most_padding: int = 3) -> st.SearchStrategy[Chain]:
    step = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, most_padding), st.integers(1, 3))
    return st.lists(step, min_size=1, max_size=3).filter(lambda chain: cells_of(chain, 31) >= 1)


def cells_of(chain: Chain, t: int) -> int:
    for kernel, stride, padding, dilation in chain:
        t = (t + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        if t < 1:
            return 0
    return t


def through(chain: Chain, t: int) -> Geometry:
    geometry = Geometry.season(t)
    for step in chain:
        geometry = geometry.through(*step)
    return geometry


def calendar(seed: int, t: int) -> Tensor:
    return torch.from_numpy(np.cumsum(np.random.default_rng(seed).integers(1, 40, t)).astype(float))


def place(geometry: Geometry, days: Tensor) -> Placed:
    return placed(Layer("layer", len(geometry.sees), days, geometry))


# ---- the slow twins


def slow_sees(chain: Chain, t: int) -> list[set[int]]:
    """Dates that each cell sees: sets, step by step."""
    sees = [{date} for date in range(t)]
    for kernel, stride, padding, dilation in chain:
        onward = []
        for cell in range(cells_of([(kernel, stride, padding, dilation)], len(sees))):
            taps = [cell * stride - padding + i * dilation for i in range(kernel)]
            onward.append(set().union(*(sees[tap] for tap in taps if 0 <= tap < len(sees))))
        sees = onward
    return sees


def slow_field(chain: Chain, cell: int) -> tuple[int, int]:
    """First and last acquisition of a cell's field in a season without ends: back from the cell, tap by tap."""
    taps = {cell}
    for kernel, stride, padding, dilation in reversed(chain):
        taps = {tap * stride - padding + i * dilation for tap in taps for i in range(kernel)}
    return min(taps), max(taps)


def slow_day(days: list[float], acquisition: float) -> float:
    i = min(max(int(np.floor(acquisition)), 0), len(days) - 2)
    return days[i] + (acquisition - i) * (days[i + 1] - days[i])


def slow_matrix(chain: Chain, days: list[float]) -> list[list[float]]:
    """Date by date: linear in days between the two centres around it, among the cells whose field it lies in."""
    sees = slow_sees(chain, len(days))
    fields = [slow_field(chain, cell) for cell in range(len(sees))]
    at = {cell: slow_day(days, sum(fields[cell]) / 2) for cell in range(len(sees)) if sees[cell]}
    if not at:  # every cell sees padding only
        return [[0.0] * len(sees) for _ in days]
    early, late = [a for a in at.values() if a <= days[0]], [a for a in at.values() if a >= days[-1]]
    for cell, a in at.items():  # of centres beyond the season the nearest lends its place to the others
        at[cell] = max(early) if a <= days[0] else min(late) if a >= days[-1] else a
    rows = []
    for at_date, day in enumerate(days):
        row = [0.0] * len(sees)
        before = max((a for a in at.values() if a <= day), default=min(at.values()))
        after = min((a for a in at.values() if a > day), default=max(at.values()))
        share = 1.0 if after == before else min(max((day - before) / (after - before), 0.0), 1.0)
        for place, weight in ((before, 1 - share), (after, share)):
            there = [cell for cell, a in at.items() if a == place]
            for cell in there:
                inside = fields[cell][0] <= at_date <= fields[cell][1] and any(at_date in each for each in sees)
                row[cell] += weight / len(there) * inside
        rows.append([weight / (sum(row) or 1) for weight in row])
    return rows


@settings(max_examples=150, deadline=None)
@given(chain=chains())
def test_geometry_equals_the_slow_twin(chain: Chain) -> None:
    geometry = through(chain, 31)
    assert [set(np.flatnonzero(cell)) for cell in geometry.sees.numpy()] == slow_sees(chain, 31)
    for cell in range(len(geometry.sees)):
        first, last = slow_field(chain, cell)
        assert geometry.centre + cell * geometry.step == (first + last) / 2
        assert geometry.width == last - first + 1


@settings(max_examples=150, deadline=None)
@given(chain=chains(), seed=st.integers(0, 10**6))
def test_placement_equals_the_slow_twin_on_irregular_calendars(chain: Chain, seed: int) -> None:
    days = calendar(seed, 31)
    found = place(through(chain, 31), days)
    slow = torch.tensor(slow_matrix(chain, days.tolist()), dtype=torch.float64)
    torch.testing.assert_close(found.matrix, slow, rtol=0, atol=1e-12)


# ---- laws


@settings(max_examples=100, deadline=None)
@given(chain=chains(), seed=st.integers(0, 10**6))
def test_no_mass_outside_the_fields_and_none_lost(chain: Chain, seed: int) -> None:
    geometry = through(chain, 31)
    matrix, sees = place(geometry, calendar(seed, 31)).matrix, slow_sees(chain, 31)
    for day in range(31):
        seen = any(day in each for each in sees)
        assert float(matrix[day].sum()) == pytest.approx(float(seen), abs=1e-12)
        for cell in range(len(sees)):
            first, last = slow_field(chain, cell)
            if not first <= day <= last or not seen or not sees[cell]:
                assert matrix[day, cell] == 0


@settings(max_examples=50, deadline=None)
@given(chain=chains(0), seed=st.integers(0, 10**6), shift=st.floats(-1e4, 1e4), scale=st.floats(0.1, 10))
def test_the_placement_does_not_know_the_unit_of_the_days(chain: Chain, seed: int, shift: float, scale: float) -> None:
    geometry, days = through(chain, 31), calendar(seed, 31)
    torch.testing.assert_close(place(geometry, scale * days + shift).matrix, place(geometry, days).matrix)


def test_a_cell_on_each_date_is_the_date_itself() -> None:
    same = Geometry.season(31).through(kernel=5, padding=2)
    for days in (calendar(0, 31), calendar(0, 31) / 7 + 0.1):
        assert torch.equal(place(same, days).matrix, torch.eye(31, dtype=torch.float64))


def test_a_ramp_in_days_stays_a_ramp() -> None:
    days = calendar(1, 61)
    found = place(Geometry.season(61).through(7, 3), days)
    between = (days >= found.centre_days[0]) & (days <= found.centre_days[-1])
    torch.testing.assert_close((found.matrix @ found.centre_days)[between], days[between])


def test_the_place_is_told_in_acquisitions_and_days() -> None:
    days = torch.tensor([0.0, 6, 12, 18, 60, 66, 72])
    found = place(Geometry.season(7).through(kernel=3, stride=2, padding=1), days)
    assert found.centre.tolist() == [0, 2, 4, 6]
    assert (found.first.tolist(), found.last.tolist()) == ([0, 1, 3, 5], [1, 3, 5, 6])
    assert found.centre_days.tolist() == [0, 12, 60, 72]
    assert found.width_days.tolist() == [6, 12, 48, 6]  # the gap in the calendar makes the third cell's place uncertain
    assert found.matrix[3].tolist() == [0, 42 / 48, 6 / 48, 0]
    pairs = place(Geometry.season(7).through(kernel=2, stride=2), days)
    assert pairs.centre_days.tolist() == [3, 15, 63]


# ---- what lies at the borders


def test_dates_left_over_by_a_layer_within_stay_without_mass() -> None:
    pooled = Geometry.season(61).through(kernel=2, stride=2)  # 30 cells: the last date is left over
    found = place(pooled.through(kernel=3, padding=1), torch.arange(61.0))
    assert int(found.last[-1]) == 59  # not 60, where padding lies on what is left over
    assert found.matrix[60].tolist() == [0] * 30
    assert torch.equal(found.matrix.sum(1)[:60], torch.ones(60, dtype=torch.float64))


def test_dates_between_the_fields_stay_without_mass() -> None:
    found = place(Geometry.season(7).through(kernel=1, stride=3), torch.arange(7.0))
    assert found.matrix.sum(1).tolist() == [1, 0, 0, 1, 0, 0, 1]


def test_cells_that_see_padding_only_give_nothing_and_others_share_the_first_date() -> None:
    causal = Geometry.season(9).through(kernel=5, padding=4, cells=9)
    found = place(causal, torch.arange(9.0))
    assert found.centre.tolist() == list(range(-2, 7))
    assert found.matrix[0, :4].tolist() == [1 / 3, 1 / 3, 1 / 3, 0]
    assert found.matrix[8].tolist() == [0] * 8 + [1]
    far = place(Geometry.season(9).through(kernel=2, padding=4), torch.arange(9.0))
    assert far.last[:3].tolist() == [-1, -1, -1]
    assert float(far.matrix[:, :3].sum()) == 0
    assert not place(Geometry.season(3).through(padding=9, cells=2), torch.arange(3.0)).matrix.any()


def test_one_cell_over_the_whole_season_holds_at_every_date() -> None:
    for t in (1, 6):
        found = place(Geometry.season(t).through(kernel=t, stride=t), torch.arange(float(t)))
        assert found.matrix.tolist() == [[1]] * t
        assert (found.centre.tolist(), found.width_days.tolist()) == ([(t - 1) / 2], [t - 1])


def test_branches_unite_to_their_hull() -> None:
    left, right = Geometry.season(9).through(cells=7), Geometry.season(9).through(kernel=3)
    both = left.united(right)
    assert (both.centre, both.step, both.width) == (1, 1, 3)
    assert torch.equal(both.sees, left.sees | right.sees)
    apart = left.united(Geometry.season(9).through(padding=-2, cells=7))
    assert (apart.centre, apart.width, apart.sees[0].tolist()) == (1, 3, [True, False, True] + [False] * 6)
    with pytest.raises(ValueError, match="1 and 2 acquisitions apart"):
        Geometry.season(9).through(cells=4).united(Geometry.season(9).through(stride=2, cells=4))


# ---- calendars


def test_dates_are_days() -> None:
    dates = np.array(["2017-05-01T06:00", "2017-05-07T18:00", "2017-06-01T06:00"], "datetime64[ns]")
    assert in_days(dates, 3).tolist() == [0, 6.5, 31]
    assert in_days(dates.astype("datetime64[D]"), 3).tolist() == [0, 6, 31]
    assert in_days(torch.tensor([3, 9, 21], dtype=torch.int32), 3).tolist() == [3, 9, 21]
    assert in_days(None, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("dates", "error", "said"),
    [
        (["2017-05-01", "2017-05-07"], TypeError, "datetime64"),
        ([date(2017, 5, 1), date(2017, 5, 7)], TypeError, "datetime64"),
        ([0.0, 6.0, 12.0], ValueError, r"shape \(3,\), but x has 2"),
        ([6.0, 0.0], ValueError, "dates 0 and 1 do not"),
        ([6.0, 6.0], ValueError, "each date once"),
        ([0.0, np.nan], ValueError, "missing"),
        ([0.0, np.inf], ValueError, "missing or infinite"),
        (np.array(["2017-05-01", "NaT"], "datetime64[D]"), ValueError, "missing"),
    ],
)
def test_what_is_no_calendar_is_refused(dates: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        in_days(dates, 2)


def test_an_unknown_geometry_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"'rnn'.*GRU mixes.*upsample=merging\.linear"):
        receptive_field(Layer("rnn", 5, torch.arange(9.0), unknown="GRU mixes dates"))


# ---- against what random encoders see


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("alignment_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("kernel", "padding", "plain"), [(3, 1, 3.3), (5, 0, 8.4)])
def test_plain_linear_is_as_wrong_as_said(benchmark: ModuleType, kernel: int, padding: int, plain: float) -> None:
    found = benchmark.errors([benchmark.Step("conv", kernel, 2, padding)] * 3, seed=0)
    assert round(found["plain_linear_error_max"], 1) == plain
    assert found["alignment_error_max"] < 1e-9


def test_impulses_lie_where_random_encoders_see(benchmark: ModuleType) -> None:
    found = benchmark.alignment_error_max(120)
    assert found["impulses"] > 3000
    assert found["alignment_error_max"] < 1e-9
    assert found["field_error_max"] == 0
    assert found["mass_outside_max"] == 0
    assert found["mass_lost_max"] < 1e-12
    assert found["plain_linear_error_max"] > 3.3


def test_the_measure_knows_a_shifted_placement(benchmark: ModuleType) -> None:
    layer = Layer("layer", 20, torch.arange(61, dtype=torch.float64), Geometry.season(61).through(3, 3))
    centres = 1 + 3 * np.arange(20)
    assert max(benchmark.impulse_errors(receptive_field(layer), centres)) < 1e-9
    assert max(benchmark.impulse_errors(receptive_field(layer).roll(1, 0), centres)) == pytest.approx(1)
    assert max(benchmark.impulse_errors(merging.linear(layer), centres)) == pytest.approx(0.975)
