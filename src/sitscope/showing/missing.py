"""On which dates are values missing?"""

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.figure import Figure

from sitscope.showing.axes import date_axis, days_of
from sitscope.showing.colours import ACCENT, MUTED, PAPER
from sitscope.showing.profile import HOLLOW
from sitscope.showing.style import WIDTH_IN, styled


@styled
def missing_figure(dates: Shaped[np.ndarray, " t"], missing: Float[np.ndarray, " t"]) -> Figure:
    """A bar per acquisition: the share of its values that are missing; ticks below the axis mark all acquisitions.

    A hollow bar is of more than half, as the markers of the other figures are.

    >>> dates = np.array(["2017-01-03", "2017-01-09"], "datetime64[D]")
    >>> missing_figure(dates, np.array([0.0, 0.5])).axes[0].get_ylabel()
    'Values missing (%)'
    """
    figure = Figure(figsize=(WIDTH_IN, 1.7), layout="constrained")
    axes = figure.add_subplot()
    days = days_of(dates)
    step = float(np.median(np.diff(days))) if len(days) > 1 else 1.0
    hollow = missing > HOLLOW
    faces = [PAPER if each else ACCENT for each in hollow]
    axes.bar(days, 100 * missing, width=0.6 * step, color=faces, edgecolor=ACCENT, linewidth=0.6)
    axes.plot(days, np.full(len(days), -0.03), "|", color=MUTED, markersize=4, clip_on=False,
              transform=axes.get_xaxis_transform())  # fmt: skip
    axes.set(ylabel="Values missing (%)", ylim=(0, 100), yticks=[0, 50, 100])
    axes.grid(True, axis="y")
    date_axis(axes, dates)
    axes.tick_params(axis="x", pad=7)
    return figure
