"""Which method names the dates that the embedding hangs on, and how sure is that?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sitscope.showing.colours import CLASSES, INK, MUTED, PAPER
from sitscope.showing.style import BODY, SMALL, WIDTH_IN, styled
from sitscope.showing.trust import baselines, named, ranked

MARKERS = "osD^vPX*"
COLOURS = (CLASSES[0], CLASSES[3], CLASSES[2], CLASSES[5])  # blue, vermilion, green, purple of Okabe and Ito


@styled
def fidelity_figure(evaluation: pd.DataFrame, shown: str) -> Figure:
    """Efficiency of every method (rows, the best first) under every masking: dots with 95 % intervals.

    0 is what random orders reach, 1 greedy removal; the large diamond is the mean over the maskings. evaluation: the
    table of a run (method, metric, baseline, value, low, high); shown: the method of the run's maps, in bold.

    >>> rows = [{"method": "path", "metric": "efficiency", "baseline": b, "value": 0.8, "low": 0.7, "high": 0.9}
    ...     for b in ("mean curve", "all")]
    >>> fidelity_figure(pd.DataFrame(rows), "path").axes[0].get_yticklabels()[0].get_text()
    'path attribution'
    """
    found = evaluation[evaluation.metric == "efficiency"]
    methods, maskings = ranked(evaluation), baselines(evaluation)
    figure = Figure(figsize=(WIDTH_IN * 0.82, 0.55 * len(methods) + 1.35), layout="constrained")
    axes = figure.add_subplot()
    for value, name in ((0, "random orders"), (1, "greedy removal")):
        axes.axvline(value, color=MUTED, linewidth=0.9, linestyle=":")
        axes.annotate(name, (value, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
                      ha="center", fontsize=SMALL, color=MUTED)  # fmt: skip
    places = np.linspace(-0.3, 0.3, len(maskings) + 1)
    for i, masking in enumerate([*maskings, "all"]):
        table = found[found.baseline == masking].set_index("method").loc[methods]
        look = {"marker": MARKERS[i % 4], "color": COLOURS[i % 4], "markersize": 5}
        if masking == "all":
            look = {"marker": "D", "color": INK, "markersize": 7}
        _dots(axes, table, np.arange(len(methods)) + places[i], look, "mean of them" if masking == "all" else masking)
    axes.set_yticks(range(len(methods)), [named(method) for method in methods], fontsize=BODY)
    for label, method in zip(axes.get_yticklabels(), methods, strict=True):
        label.set_fontweight("bold" if method == shown else "normal")
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlabel("Efficiency of the order in which dates are removed (no unit)")
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower center", ncols=len(maskings) + 1, handletextpad=0.4, columnspacing=1.4)
    return figure


def _dots(axes: Axes, table: pd.DataFrame, places: np.ndarray, look: dict[str, object], name: str) -> None:
    value, low, high = (table[column].to_numpy(dtype=float) for column in ("value", "low", "high"))
    axes.hlines(places, low, high, color=str(look["color"]), linewidth=1.1)
    axes.plot(value, places, linestyle="none", markeredgecolor=PAPER, markeredgewidth=0.6, label=name, gid=name, **look)  # type: ignore[arg-type]
