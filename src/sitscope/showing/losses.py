"""Did the training settle, and which epoch's weights were kept?"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from sitscope.showing.axes import spread
from sitscope.showing.colours import CLASSES, MUTED
from sitscope.showing.style import BODY, SMALL, WIDTH_IN, styled
from sitscope.showing.words import number


@styled
def loss_figure(losses: Mapping[str, Sequence[float]], best_epoch: int) -> Figure:
    """Mean squared error of the scaled series per epoch: training dashed, validation solid, the kept epoch marked.

    best_epoch counts from 1. The axis is logarithmic where the losses span more than a factor of 5.

    >>> loss_figure({"train": [1.0, 0.5], "validation": [1.1, 0.7]}, best_epoch=2).axes[0].get_xlabel()
    'Epoch'
    """
    figure = Figure(figsize=(WIDTH_IN * 0.72, 3.0), layout="constrained")
    axes = figure.add_subplot()
    looks = {"train": (CLASSES[0], "--", "training"), "validation": (CLASSES[3], "-", "validation")}
    everything = np.array([value for name in looks for value in losses.get(name, [])], dtype=float)
    if np.all(everything > 0) and everything.max(initial=1) > 5 * everything.min(initial=1):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: number(v)))
        axes.yaxis.set_minor_locator(NullLocator())
    shown = {name: np.asarray(losses[name], dtype=float) for name in looks if len(losses.get(name, []))}
    for name, values in shown.items():
        colour, dash, _ = looks[name]
        axes.plot(np.arange(1, len(values) + 1), values, dash, color=colour, linewidth=1.6, gid=name)
    axes.set(xlabel="Epoch", ylabel="Mean squared error\nof the scaled series (no unit)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True, axis="y")
    axes.axvline(best_epoch, color=MUTED, linewidth=0.9, linestyle=":")
    axes.annotate(f"epoch {best_epoch} kept", (best_epoch, 1), (4, -2), xycoords=("data", "axes fraction"),
                  textcoords="offset points", va="top", fontsize=SMALL, color=MUTED)  # fmt: skip
    figure.draw_without_rendering()
    _name(axes, shown, looks)
    return figure


def _name(axes: Axes, shown: Mapping[str, np.ndarray], looks: Mapping[str, tuple[str, str, str]]) -> None:
    """Each curve by its name at its end."""
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [float(to_axes.transform((len(values), values[-1]))[1]) for values in shown.values()]
    for name, place in zip(shown, spread(ends, gap=0.085), strict=True):
        axes.annotate(looks[name][2], (1, place), (4, 0), xycoords="axes fraction", textcoords="offset points",
                      va="center", fontsize=BODY, color=looks[name][0], annotation_clip=False)  # fmt: skip
