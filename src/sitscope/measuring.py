"""How fast is this machine, and how does it compare with the one of docs/speed.md?"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sitscope.attribution import fast
from sitscope.attribution.gradslam import grad_slam
from sitscope.autoencoder.network import Autoencoder, Settings

if TYPE_CHECKING:
    from sitscope.attribution.fast.code import Compiled

BANDS, DATES, SERIES = 2, 61, 512
EMBEDDED, EXPLAINED, GFLOPS = 42_700.0, 23_100.0, 114.0
"""Series per second of the default network on one core of the reference machine, and its torch.mm: docs/speed.md."""


@dataclass(frozen=True)
class Speed:
    """What one core of this machine does with the default network: 2 dimensions, 61 dates of 2 bands, float32."""

    processor: str
    instructions: str
    """AVX-512 or AVX2 where machine code serves the network; "" where torch does."""
    embed: float
    """Series embedded per second."""
    explain: float
    """Series explained per second: Grad-SLAM of all layers and both dimensions, merged."""
    general: float
    """Series explained per second by the general path, which needs no machine code."""
    sgemm_gflops: float
    """10^9 floating-point operations per second of torch.mm, the yardstick."""


def measure(rounds: int = 7, seconds: float = 0.3, progress: Callable[[int, int], object] | None = None) -> Speed:
    """The best of some rounds of each, in which all take turns: other processes only ever slow a round down.

    seconds: least time of each in a round; it is the processor's for this process.
    progress: called with rounds done and rounds.

    >>> found = measure(rounds=1, seconds=0.0)
    >>> found.embed > 0 and found.explain > 0
    True
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = Autoencoder(BANDS, DATES, Settings()).encoder.eval()
            x = torch.randn(SERIES, BANDS, DATES)
        quick = fast.compiled(encoder, DATES)

        @torch.no_grad()
        def embedded(part: Tensor) -> Tensor:
            return encoder(part)

        ways: dict[str, Callable[[Tensor], object]] = {
            "embed": quick.embed if quick else embedded,
            "explain": quick.grad_slam if quick else lambda part: grad_slam(encoder, part),
            "general": lambda part: grad_slam(encoder, part),
        }
        rates: dict[str, list[float]] = {name: [] for name in (*ways, "sgemm")}
        for done in range(rounds):
            for name, way in ways.items():
                rates[name].append(_rate(way, x, seconds))
            rates["sgemm"].append(1e-9 / sgemm(seconds))
            if progress:
                progress(done + 1, rounds)
    finally:
        torch.set_num_threads(before)
    best = {name: max(values) for name, values in rates.items()}
    return Speed(processor(), _instructions(quick), best["embed"], best["explain"], best["general"], best["sgemm"])


def _rate(way: Callable[[Tensor], object], x: Tensor, seconds: float) -> float:
    """Series per second; the first call, which compiles, is not counted."""
    way(x)
    start, calls = time.process_time(), 0
    while not calls or time.process_time() - start < seconds:
        way(x)
        calls += 1
    return calls * len(x) / max(time.process_time() - start, 1e-9)


def _instructions(quick: "Compiled | None") -> str:
    return "" if quick is None else "AVX-512" if quick.target.bytes == 64 else "AVX2"


def sgemm(at_least: float = 0.1) -> float:
    """Seconds per floating-point operation of a product of matrices at the size that suits it best."""
    best = float("inf")
    for size in (512, 1024):
        a, b, c = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
        torch.mm(a, b, out=c)
        start, calls = time.process_time(), 0
        while not calls or time.process_time() - start < at_least / 2:
            torch.mm(a, b, out=c)
            calls += 1
        best = min(best, (time.process_time() - start) / calls / (2 * size**3))
    return best


def processor() -> str:
    """What the machine calls itself."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.processor() or "unknown processor"


def compared(found: Speed) -> str:
    """The figures, and in a sentence how they compare."""
    how = f"machine code for {found.instructions}" if found.instructions else "torch: no machine code serves here"
    lines = (
        ("embedding", found.embed, "series/s"),
        ("explaining", found.explain, "series/s"),
        ("the general path", found.general, "series/s"),
        ("torch.mm", found.sgemm_gflops, "GFLOP/s"),
    )
    figures = "\n".join(f"{name:<18}{value:>10,.0f} {of}" for name, value, of in lines)
    minutes = 1e7 / found.explain / 60
    return (
        f"{found.processor}, one core; {how}\n{figures}\n"
        f"This core explains {_times(found.explain / EXPLAINED)} the reference machine ({EXPLAINED:,.0f} series/s, "
        f"docs/speed.md), embeds {_times(found.embed / EMBEDDED)} it, and multiplies matrices "
        f"{_times(found.sgemm_gflops / GFLOPS)} it: 10 million pixels are explained in {minutes:.0f} minutes."
    )


def _times(ratio: float) -> str:
    """In words.

    >>> _times(1.04), _times(0.52)
    ('about as fast as', '0.52 times as fast as')
    """
    return "about as fast as" if 0.9 <= ratio <= 1.1 else f"{ratio:.2g} times as fast as"
