"""How fast does the autoencoder learn, and what share of the machine does that use?

`fit` on simulated noise in memory, 2 bands and 61 dates, one processor and one thread, beside a loop over a DataLoader
that collates series one by one, with Adam as torch makes it by default.

    python -m benchmarks.train [rounds]    the last line is JSON

- series_per_s: training series per second of an epoch, validation left out.
- share_of_sgemm: floating-point operations per second / those of torch.mm in the same round. Counted are the products
  of convolutions and dense layers, two operations each, once forward and twice backward (gradients of inputs and of
  weights; of the first layer, of weights only).
- ratio_vs_dataloader: time of the loop over a DataLoader / time of `fit`'s epoch.
"""

import json
import statistics
import sys

import torch
from benchmarks import measuring
from benchmarks.explain import DATES, series
from benchmarks.measuring import Side
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from sitscope.autoencoder.network import Autoencoder, Settings
from sitscope.autoencoder.training import one_epoch

SERIES = 2048


def operations(network: nn.Module, x: Tensor) -> int:
    """Floating-point operations of a training step, for a series."""
    forward: list[int] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        cells = output.shape[2] if output.ndim == 3 else 1
        forward.append(2 * module.weight.numel() * cells)

    layers = [module for module in network.modules() if isinstance(module, nn.Conv1d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    network(x[:1])
    for hook in hooks:
        hook.remove()
    return 3 * sum(forward) - forward[0]


def ours(network: nn.Module, x: Tensor, batch: int) -> Side:
    """An epoch of `fit`."""
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    loss = nn.functional.mse_loss
    return Side(lambda part: one_epoch(network, part, part, batch, optimiser, loss), len(x))


def one_by_one(network: nn.Module, x: Tensor, batch: int) -> Side:
    """An epoch as tutorials write it."""
    optimiser = torch.optim.Adam(network.parameters())
    loader = DataLoader(TensorDataset(x), batch_size=batch, shuffle=True)

    def epoch(_: Tensor) -> None:
        for (part,) in loader:
            optimiser.zero_grad()
            nn.functional.mse_loss(network(part), part).backward()
            optimiser.step()

    return Side(epoch, len(x))


def main() -> None:
    measuring.alone()
    torch.manual_seed(0)
    settings, x = Settings(), series(SERIES)
    network = Autoencoder(x.shape[1], DATES, settings).train()
    sides = {"fit": ours(network, x, settings.batch), "DataLoader": one_by_one(network, x, settings.batch)}
    print(f"{measuring.processor()}, torch {torch.__version__}")
    taken = measuring.rounds(sides, x, int(sys.argv[1]) if len(sys.argv) > 1 else 7)
    for name in sides:
        print(f"  {name:<12}{1e-3 / statistics.median(taken[name]):>8.2f} thousand series/s")
    found = {
        "series_per_s": round(1 / statistics.median(taken["fit"])),
        "share_of_sgemm": round(operations(network, x) * measuring.ratio(taken, "sgemm", "fit"), 3),
        "ratio_vs_dataloader": round(measuring.ratio(taken, "DataLoader", "fit"), 3),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
