"""How do sitscope and the peers compare at a glance? Draws what `benchmarks.explain` found, on a log scale.

python -m benchmarks.explain 9 | tail -1 > docs/speed.json
python -m benchmarks.chart    # writes docs/images/speed.png from docs/speed.json; the last line is JSON
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from sitscope.showing.colours import ACCENT, INK, MUTED
from sitscope.showing.style import styled

FOUND = Path(__file__).parents[1] / "docs" / "speed.json"
PICTURE = FOUND.parent / "images" / "speed.png"
KEY = "thousand_series_per_s_d2"
OURS = {
    "embed": "embedding, sitscope",
    "explain": "Grad-SLAM, sitscope",
    "path, two points": "path, two points, sitscope",
    "general path": "Grad-SLAM in torch, sitscope",
}
OTHERS = {"torch embedding": "embedding, torch"}
TITLES = {"pool": 'network "pool"', "default": "default network"}


@styled
def chart(found: Mapping[str, Mapping[str, float]]) -> Figure:
    """Series per second of each way, the fastest on top, a panel per network. found: {network: {way: thousands}}."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    first = next(iter(found.values()))
    ways = sorted(first, key=lambda way: first[way])
    panels = figure.subplots(1, len(found), sharey=True)
    for axes, (network, rates) in zip(panels, found.items(), strict=True):
        for row, way in enumerate(ways):
            ours = way in OURS
            axes.plot([rates[way] * 1e3], [row], "o", color=ACCENT if ours else MUTED, markersize=6)
            number = f"{rates[way] * 1e3:,.0f}"
            axes.annotate(number, (rates[way] * 1e3, row), (7, -3), textcoords="offset points", color=INK, fontsize=8)
        axes.set_xscale("log")
        axes.set_xlim(20, 2e6)
        axes.set_xticks([100, 1000, 10_000, 100_000, 1_000_000], ["100", "1,000", "10,000", "100,000", "1,000,000"])
        axes.set_yticks(range(len(ways)), [(OURS | OTHERS).get(way, way) for way in ways])
        axes.grid(axis="both")
        axes.set(title=TITLES.get(network, network), xlabel="series per second, one processor (log scale)")
    for label, way in zip(panels[0].get_yticklabels(), ways, strict=True):
        label.set(color=ACCENT if way in OURS else INK)
    return figure


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FOUND
    found = json.loads(path.read_text().strip().splitlines()[-1])
    rates = {network: each[KEY] for network, each in found.items()}
    chart(rates).savefig(PICTURE, dpi=110)
    print(json.dumps({"picture": PICTURE.name, "ways": {network: len(each) for network, each in rates.items()}}))


if __name__ == "__main__":
    main()
