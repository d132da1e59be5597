"""How fast is explaining, beside embedding, beside other libraries, beside what the machine can do?

Two networks, D = 2 and 16 dimensions, all layers, 61 dates of 2 bands, one processor and one thread:

- "pool": 32, 64, 128 filters of 5, 3, 3 dates, each with ReLU and pooling by 2, dense layers of 64 and D;
- "default": the network of `Settings()`, with ELU.

Feature maps are read where `taps.block_output` reads them, by all sides. Peers are those of `benchmarks/peers.py`;
at D = 16 Captum only.

    python -m benchmarks.explain [rounds]    the last line is JSON

Its keys, each a median over rounds of a ratio within a round:

- ratio_vs_captum_d2, _d16: time of Captum's LayerGradCam / time of Grad-SLAM.
- explain_over_embed_d2: time of Grad-SLAM / time of torch's own embedding.
- share_of_sgemm_d2: floating-point operations of Grad-SLAM per second / those of torch.mm. Counted are the products
  that are carried out, two operations each: convolutions and dense layers forward; for each dimension the dense layers
  and all convolutions but the two lowest backward, the lowest but one as its time-sum, the maps and the merging. Not
  counted: activations, poolings, sums over time, copies.
- direct_share_of_sgemm_d2: the same, had every convolution backward been summed directly.
- path_over_embed_d2: time of the gradient of every dimension at two points of a path / time of torch's embedding.
- ratio_vs_integrated_gradients_d2: time of Captum's IntegratedGradients with 50 steps / the same two points.
- thousand_series_per_s_d2: by side, the best of the rounds; what `benchmarks/chart.py` draws.
- max_error: largest difference from the general path in float64, relative to the largest magnitude of each map.
- p999_error_float32, outliers_float32: 99.9th percentile of that in float32; share of values above 1e-5.
"""

import copy
import json
import sys
import warnings
from typing import Any

import torch
from benchmarks import measuring, peers
from benchmarks.measuring import Side
from torch import Tensor, nn

from sitscope.attribution import fast
from sitscope.attribution.fast.backward import filtered, phases
from sitscope.attribution.fast.plan import Block, Plan
from sitscope.attribution.gradslam import GradSlam, element_wise, grad_slam, letter
from sitscope.autoencoder.network import Autoencoder, Settings

BANDS, DATES, SERIES = 2, 61, 1024
NODES = (0.5 - 12**-0.5, 0.5 + 12**-0.5)
"""Of Gauss and Legendre on [0, 1]; both weigh 1/2."""

INTEGRATED = "Captum IntegratedGradients, 50 steps"


def pool(dims: int) -> nn.Module:
    """The trial encoder."""
    steps: list[nn.Module] = []
    for before, after, width in ((BANDS, 32, 5), (32, 64, 3), (64, 128, 3)):
        steps += [nn.Conv1d(before, after, width, padding=width // 2), nn.ReLU(), nn.MaxPool1d(2)]
    return nn.Sequential(*steps, nn.Flatten(), nn.Linear(128 * 7, 64), nn.ReLU(), nn.Linear(64, dims))


def default(dims: int) -> nn.Module:
    """The network of `Settings()`."""
    return Autoencoder(BANDS, DATES, Settings(dims=dims)).encoder


NETWORKS = {"pool": pool, "default": default}


def series(n: int) -> Tensor:
    """Seasons of random phase and height, with noise (n, c, t), in z-scores."""
    random = torch.Generator().manual_seed(1)
    angle = torch.linspace(0, 2 * torch.pi, DATES) + 2 * torch.pi * torch.rand(n, 1, 1, generator=random)
    height = torch.rand(n, BANDS, 1, generator=random)
    return height * angle.sin() + 0.3 * torch.randn(n, BANDS, DATES, generator=random)


def compiled(encoder: nn.Module) -> "fast.code.Compiled":
    """The fast path; without one there is nothing to measure."""
    found = fast.compiled(encoder, DATES)
    if found is None:
        raise SystemExit("no fast path here: llvmlite is missing, or the processor has neither AVX2 nor AVX-512")
    return found


def operations(plan: Plan, executed: bool) -> int:
    """Floating-point operations of Grad-SLAM for a series; see above."""
    forward = sum(block.t_used * block.width * block.channels * block.filters for block in plan.blocks)
    forward += sum(layer.inputs * layer.outputs for layer in plan.dense)
    each = sum(layer.inputs * layer.outputs for layer in plan.dense[:-1])
    each += sum(_backward(block, executed) for block in plan.blocks[2:])
    each += sum(block.width * block.channels * block.filters for block in plan.blocks[1:2])
    each += sum(block.t_map * block.filters for block in plan.blocks) + sum(plan.cells) * plan.dates
    return 2 * (forward + plan.dims * each)


def _backward(block: Block, executed: bool) -> int:
    """Products of a convolution backward."""
    total = 0
    for phase in phases(block):
        how = filtered(block, phase) if executed else None
        cells = -(-phase.rows // how.m) * how.n if how else phase.rows * len(phase.taps)
        total += cells * block.channels * block.filters
    return total


def _relative(ours: GradSlam, theirs: GradSlam) -> Tensor:
    """Of every value of the maps and of the merged map."""
    pairs = [(ours.maps[layer], theirs.maps[layer]) for layer in theirs.maps] + [(ours.merged, theirs.merged)]
    each = []
    for a, b in pairs:
        largest = b.abs().amax(-1, keepdim=True)
        each.append(((a - b).abs() / largest.where(largest > 0, 1)).flatten())
    return torch.cat(each)


def agreement(encoder: nn.Module, x: Tensor) -> dict[str, float]:
    """How far the fast path is from the general one, in both precisions."""
    double = copy.deepcopy(encoder).double()
    exact = [
        _relative(compiled(double).grad_slam(x.double(), alpha), grad_slam(double, x.double(), alpha=alpha))
        for alpha in (letter, element_wise)
    ]
    single = torch.cat(
        [_relative(compiled(encoder).grad_slam(x, a), grad_slam(encoder, x, alpha=a)) for a in (letter, element_wise)]
    )
    return {
        "max_error": float(torch.cat(exact).max()),
        "p999_error_float32": float(single.kthvalue(int(0.999 * len(single))).values),
        "outliers_float32": float((single > 1e-5).double().mean()),
    }


def sides(encoder: nn.Module, dims: int, x: Tensor) -> dict[str, Side]:
    """All that is compared, each at its best batch; what raises is said so and left out."""
    quick = compiled(encoder)
    names = [block.tapped for block in quick.plan.blocks]

    def embedding(part: Tensor) -> Tensor:
        with torch.no_grad():
            return encoder(part)

    def two_points(part: Tensor) -> Tensor:
        return sum(quick.gradient(node * part)[1] for node in NODES) * part[:, None] / 2

    found = {
        "explain": Side(quick.grad_slam),
        "embed": Side(quick.embed),
        "torch embedding": Side(embedding),
        "general path": Side(lambda part: grad_slam(encoder, part, batch=len(part))),
        "path, two points": Side(two_points),
    }
    others = dict(peers.MAPS.values()) | {INTEGRATED: peers.captum_path}
    if dims > 2:  # the others would take longer than all else
        others = dict([peers.MAPS["captum"]])
    for name, peer in others.items():
        try:
            run = peer(copy.deepcopy(encoder), names, dims)  # some leave hooks behind
            if run is not None:
                run(x[:16])
                found[name] = Side(run)
        except Exception as error:  # noqa: BLE001, whatever a peer raises is its answer
            print(f"  {name} does not run here: {error}")
    for side in found.values():
        measuring.settle(side, x)
    return found


def measure(name: str, number: int) -> dict[str, Any]:
    """All figures of one network; a table on the way."""
    torch.manual_seed(0)
    x = series(SERIES)
    result: dict[str, Any] = {}
    for dims in (2, 16):
        encoder = NETWORKS[name](dims).eval()
        print(f"{name}, D = {dims}")
        taken = measuring.rounds(sides(encoder, dims, x), x, number)
        for side in taken:
            if side != "sgemm":
                rate = 1e-3 / min(taken[side])
                print(f"  {side:<40}{rate:>9.2f} thousand series/s{measuring.ratio(taken, side, 'explain'):>9.2f} x")
        if "Captum LayerGradCam" in taken:
            result[f"ratio_vs_captum_d{dims}"] = measuring.ratio(taken, "Captum LayerGradCam", "explain")
        if dims == 2:
            result |= _at_two(taken, compiled(encoder).plan) | agreement(encoder, x)
            rates = {side: 1e-3 / min(seconds) for side, seconds in taken.items() if side != "sgemm"}
            result["thousand_series_per_s_d2"] = rates
    return result


def _at_two(taken: dict[str, list[float]], plan: Plan) -> dict[str, float]:
    """The keys of D = 2."""
    share = measuring.ratio(taken, "sgemm", "explain")  # seconds per operation / seconds per series
    found = {
        "explain_over_embed_d2": measuring.ratio(taken, "explain", "torch embedding"),
        "share_of_sgemm_d2": operations(plan, executed=True) * share,
        "direct_share_of_sgemm_d2": operations(plan, executed=False) * share,
        "path_over_embed_d2": measuring.ratio(taken, "path, two points", "torch embedding"),
        "sgemm_gflops": 1e-9 / min(taken["sgemm"]),
    }
    if INTEGRATED in taken:
        found["ratio_vs_integrated_gradients_d2"] = measuring.ratio(taken, INTEGRATED, "path, two points")
    return found


def _rounded(found: Any) -> Any:
    """To four digits."""
    if isinstance(found, dict):
        return {key: _rounded(value) for key, value in found.items()}
    return float(f"{found:.4g}")


def main() -> None:
    warnings.filterwarnings("ignore", category=UserWarning)  # of peers
    measuring.alone()
    print(f"{measuring.processor()}, torch {torch.__version__}, llvmlite {peers.version('llvmlite')}")
    for package in peers.MAPS:
        print(f"{package} {peers.version(package) or 'is not installed: left out'}")
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    found = {name: measure(name, number) for name in NETWORKS}
    print(json.dumps(_rounded(found)))


if __name__ == "__main__":
    main()
