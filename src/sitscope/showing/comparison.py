"""Which methods find the classes better, and how sure is that?"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from sitscope.classes.splits import intervals
from sitscope.showing.colours import CLASSES, INK, MUTED, PAPER
from sitscope.showing.cure import called
from sitscope.showing.style import BODY, WIDTH_IN, styled


@styled
def comparison_figure(comparison: pd.DataFrame) -> Figure:
    """Overall accuracy and macro recall of each method: means over field-wise splits with 95 % intervals.

    comparison: a row for each method and split; see `sitscope.baselines.Result`. Methods that are told the classes are
    hollow and below a line; the convolutional autoencoder is in bold.

    >>> known = {"kind": "clustered", "test": 0.3, "overall_accuracy": 0.8, "macro_recall": 0.3}
    >>> rows = [{"method": m, "seed": s} | known for m in ("pca", "cae") for s in (0, 1)]
    >>> [text.get_text() for text in comparison_figure(pd.DataFrame(rows)).axes[0].get_yticklabels()]
    ['PCA', 'convolutional autoencoder']
    """
    methods = list(dict.fromkeys(comparison.method))
    figure = Figure(figsize=(WIDTH_IN, 0.36 * len(methods) + 1.15), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    told = [str(kind) == "supervised" for kind in comparison.drop_duplicates("method").kind]
    for axes, metric, title in zip(
        panels, ("overall_accuracy", "macro_recall"), ("Overall accuracy", "Macro recall"), strict=True
    ):
        table = intervals(comparison, metric)
        places = np.arange(len(table))
        colours = [INK if method == "cae" else CLASSES[0] for method in methods]
        axes.hlines(places, table.low.clip(0), table.high.clip(upper=1), color=colours, linewidth=1.6)
        for place, value, colour, hollow in zip(places, table.value, colours, told, strict=True):
            axes.plot(value, place, "o", markersize=7, color=colour, markerfacecolor=PAPER if hollow else colour)
        single = comparison[metric].to_numpy(dtype=float)
        rows = [methods.index(method) + 0.22 for method in comparison.method]
        axes.plot(single, rows, "|", markersize=5, color=MUTED)
        if any(told) and not all(told):
            axes.axhline(told.index(True) - 0.5, color=MUTED, linewidth=0.8, linestyle=":")
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        axes.set_xlim(left=max(0.0, axes.get_xlim()[0]), right=min(1.0, axes.get_xlim()[1]))
        axes.set_title(title)
        axes.grid(True, axis="x")
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(methods)), [called(method) for method in methods], fontsize=BODY)
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    for label, method in zip(panels[0].get_yticklabels(), methods, strict=True):
        label.set_fontweight("bold" if method == "cae" else "normal")
    return figure
