"""How far can the explanations of a run be trusted? Measured on some of its test series, without its images.

n series, p series of the pool, c bands, t dates, m values explained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sitscope.attribution import controls, fidelity, sanity
from sitscope.attribution.correlation import spearman
from sitscope.attribution.evaluation import RANDOM_ORDERS, Method, Row, evaluate
from sitscope.attribution.faithfulness import completeness, faithfulness_correlation, random_subsets
from sitscope.attribution.gradslam import grad_slam
from sitscope.attribution.masking import Masking, standard
from sitscope.attribution.path import path
from sitscope.attribution.ranking import rank_dates
from sitscope.autoencoder.fitted import Fitted
from sitscope.errors import BadInput
from sitscope.mapping.methods import NODES

Talk = Callable[[int, int], object]
"""Told of progress: steps done, steps in all."""

DRAWS = 4
"""Of donors and noise in every run; `sitscope evaluate` takes more."""
CHANCES = 2
"""Random orders of each series in every run."""
SUBSETS = 64
"""Of half the dates, for the faithfulness correlation."""


@dataclass(frozen=True)
class Ground:
    """What explanations are measured on, as the encoder takes it."""

    encoder: nn.Module
    x: Float[Tensor, "n c t"]
    """Test series, spread over the classes."""
    pool: Float[Tensor, "p c t"]
    """Training series, from which dates that are removed are replaced."""
    curve: Float[Tensor, "c t"]
    """Mean curve of the training."""
    days: Float[Tensor, " t"]
    """Of the acquisitions, since the first."""


def ground(fitted: Fitted, x: Float[np.ndarray, "n c t"], samples: pd.DataFrame, series: int, seed: int = 0) -> Ground:
    """So many test series, one of each class in turn, and the training series.

    x, samples: what a run folder keeps, row by row. Raises BadInput where there are fewer test series.
    """
    test, train = (np.flatnonzero(samples.split == split) for split in ("test", "train"))
    if not 2 <= series <= len(test):
        raise BadInput(
            "series", f"{series} are asked for, the run keeps {len(test)} test series. Ask for 2 to {len(test)}."
        )
    mixed = pd.Series(np.random.default_rng(seed).permutation(test))
    turn = mixed.groupby(samples.label.to_numpy()[mixed]).cumcount()  # each class's first, then each class's second ...
    chosen = mixed.iloc[np.argsort(turn, kind="stable")[:series]].to_numpy()
    days = (fitted.dates - fitted.dates[0]) / np.timedelta64(1, "D")
    some, pool, curve = (fitted.z_scores(values) for values in (x[chosen], x[train], fitted.curve[None]))
    return Ground(fitted.network.encoder, some, pool, curve[0], torch.as_tensor(days).to(some))


def methods(on: Ground) -> dict[str, Method]:
    """Every method that is compared, by the name that a person types."""

    def by_layers(control: Callable[..., controls.Control]) -> Method:
        return lambda f, x: control(f, x, dates=on.days.cpu().numpy()).merged

    return {
        "path": lambda f, x: path(f, x, on.curve).merged,
        "rounds": lambda f, x: rank_dates(f, x, on.curve, pool=on.pool, days=on.days).merged,
        "letter": lambda f, x: grad_slam(f, x, dates=on.days.cpu().numpy()).merged,
        "element-wise": by_layers(controls.element_wise),
        "activation-only": by_layers(controls.activation_only),
        "grad-cam": by_layers(controls.grad_cam),
        "occlusion": lambda f, x: controls.occlusion(f, x, on.curve).merged,
        "integrated-gradients": lambda f, x: controls.integrated_gradients(f, x, on.curve).merged,
        "saliency": lambda f, x: controls.saliency(f, x).merged,
        "random": lambda f, x: controls.random_order(f, x).merged,
    }


# ---- what every run says of its maps


def quick(on: Ground, *, draws: int = DRAWS, seed: int = 0, progress: Talk | None = None) -> dict[str, Any]:
    """Fidelity of the path's map, the letter's and of random orders: means over the four maskings, with intervals.

    `half`: NLS after the half of the dates that a map ranks highest; `nls_auc`: area under NLS; `lift`: area above that
    of random orders of the same series; see `attribution.fidelity`. `path_over_letter`: difference of their areas.
    `residual`: what the path's contributions miss of the change of the embedding, median.
    """
    n, _, t = on.x.shape
    found = path(on.encoder, on.x, on.curve, nodes=NODES)
    maps = {"path": found.merged, "letter": methods(on)["letter"](on.encoder, on.x)}
    orders = {name: [fidelity.order_of(importance)] for name, importance in maps.items()}
    orders["random"] = list(fidelity.random_orders(n, t, CHANCES, seed).to(on.x.device))
    maskings = standard(on.pool, n, days=on.days, draws=draws, seed=seed)
    steps = len(maskings) * sum(map(len, orders.values()))
    shifts: dict[str, list[Tensor]] = {name: [] for name in orders}  # one (n, t + 1) for each masking
    done = 0
    for mask in maskings.values():
        for name, each in orders.items():
            moved = []
            for order in each:
                moved.append(fidelity.shifts(fidelity.along(on.encoder, on.x, order, mask)))
                done += 1
                if progress:
                    progress(done, steps)
            shifts[name].append(torch.stack(moved).mean(0))
    change = torch.linalg.vector_norm(found.values - found.reference_values, dim=1)
    residual = torch.linalg.vector_norm(found.residual, dim=1) / change
    return {
        "series": n,
        "draws": draws,
        "seed": seed,
        "residual": float(residual.median()),
        "methods": {name: _figures(shifts[name], shifts["random"], list(maskings)) for name in orders},
        "path_over_letter": _difference(shifts["path"], shifts["letter"]),
    }


def _figures(
    shifts: list[Float[Tensor, "n p"]], chance: list[Float[Tensor, "n p"]], names: Sequence[str]
) -> dict[str, Any]:
    t = shifts[0].shape[1] - 1
    return {
        "half": float(np.mean([float(fidelity.nls(shift)[t // 2]) for shift in shifts])),
        "nls_auc": float(np.mean([fidelity.nls_auc(shift) for shift in shifts])),
        "lift": _difference(shifts, chance),
        "by_masking": {name: fidelity.nls_auc(shift) for name, shift in zip(names, shifts, strict=True)},
    }


def _difference(a: list[Float[Tensor, "n p"]], b: list[Float[Tensor, "n p"]]) -> dict[str, float]:
    """Difference of the areas of the same series, mean over maskings, with its 95 % interval."""

    def of(rows: Int[Tensor, " n"]) -> float:
        pairs = zip(a, b, strict=True)
        return float(np.mean([fidelity.nls_auc(one[rows]) - fidelity.nls_auc(two[rows]) for one, two in pairs]))

    n = len(a[0])
    low, high = fidelity.bootstrap(of, n)
    return {"value": of(torch.arange(n)), "low": low, "high": high}


# ---- what `sitscope evaluate` says of every method


def table(
    on: Ground, names: Sequence[str] | None = None, *, draws: int, seed: int = 0, progress: Talk | None = None
) -> pd.DataFrame:
    """Every figure of every method: method, metric, baseline, value, low, high.

    Beside the metrics of `attribution.evaluation.evaluate`: `faithfulness` (correlation of importance and effect over
    halves of the dates set to the mean curve), and of the path and the letter's map, when all layers are random,
    `randomised` (Spearman's correlation with the map before; signs count) and `emprt`; of the path `residual`.

    names: of `methods`; all if not given. progress: of series without some of their dates.
    Raises BadInput for an unknown name.
    """
    known = methods(on)
    names = list(known) if names is None else list(names)
    if unknown := [name for name in names if name not in known]:
        raise BadInput("methods", f"there is no method {unknown[0]!r}. The methods are {', '.join(known)}.")
    maps = {name: known[name](on.encoder, on.x) for name in names}
    rows: list[Row] = []
    for name, importance in maps.items():
        rows += _faithfulness(on, name, importance, seed)
    rows += [row for name in ("path", "letter") if name in names for row in _sanity(on, name, known[name], seed)]
    if "path" in names:
        rows.append(_residual(on))
    maskings = standard(on.pool, len(on.x), days=on.days, draws=draws, seed=seed)
    fixed: Mapping[str, Method] = {name: lambda f, x, name=name: maps[name] for name in names}  # type: ignore[misc]
    rows = evaluate(on.encoder, on.x, fixed, _counted(maskings, on.x, len(names), progress), seed=seed) + rows
    return pd.DataFrame([row.as_dict() for row in rows])


def _faithfulness(on: Ground, name: str, importance: Float[Tensor, "n m t"], seed: int) -> list[Row]:
    with torch.no_grad():
        if importance.shape[1] != on.encoder(on.x[:1]).shape[1]:  # an order of dates, and no map of each dimension
            return []
    halves = random_subsets(SUBSETS, on.x.shape[2], on.x.shape[2] // 2, seed)
    found = faithfulness_correlation(on.encoder, importance, on.x, on.curve, halves)
    return [_mean(name, "faithfulness", "mean curve", found.nanmean(1))]


def _sanity(on: Ground, name: str, method: Method, seed: int) -> list[Row]:
    left = sanity.cascade(method, on.encoder, on.x, correlation=spearman, seed=seed)
    emprt = sanity.emprt(left.before, left.after)
    return [
        _mean(name, "randomised", "all layers random", left.spearman[-1].nanmean(1)),
        _mean(name, "emprt", "all layers random", emprt.nanmean(1)),
    ]


def _residual(on: Ground) -> Row:
    found = path(on.encoder, on.x, on.curve)
    missed = completeness(found.importance, found.values, found.reference_values).flatten()

    def of(rows: Int[Tensor, " n"]) -> float:
        return float(missed[rows].median())

    return Row("path", "residual", "mean curve", of(torch.arange(len(missed))), *fidelity.bootstrap(of, len(missed)))


def _mean(name: str, metric: str, baseline: str, values: Float[Tensor, " n"]) -> Row:
    def of(rows: Int[Tensor, " n"]) -> float:
        return float(values[rows].nanmean())

    return Row(name, metric, baseline, of(torch.arange(len(values))), *fidelity.bootstrap(of, len(values)))


def _counted(
    maskings: Mapping[str, Masking], x: Float[Tensor, "n c t"], count: int, progress: Talk | None
) -> dict[str, Masking]:
    """The maskings, which tell how many of the series that `evaluate` embeds for so many methods they have made."""
    n, _, t = x.shape
    none, first = (
        torch.zeros(1, t, dtype=torch.bool, device=x.device),
        torch.zeros(1, dtype=torch.long, device=x.device),
    )
    draws = sum(len(mask(x[:1], none, first)) for mask in maskings.values())
    ways = RANDOM_ORDERS + 1 + 2 * count  # chance, greedy, and each method there and back
    total = n * draws * (ways * (t + 1) + t * (t + 1) // 2)
    done = 0

    def counting(mask: Masking) -> Masking:
        def made(
            series: Float[Tensor, "m c t"], removed: Bool[Tensor, "m t"], which: Int[Tensor, " m"]
        ) -> Float[Tensor, "k m c t"]:
            nonlocal done
            drawn = mask(series, removed, which)
            done += len(drawn) * len(series)
            if progress:
                progress(done, total)
            return drawn

        return made

    return {name: counting(mask) for name, mask in maskings.items()}
