"""How does every figure look, and how does it reach the disk?

One scale of type (8, 9, 11 points at 10 inches of width), one ink, set in a context and never globally. Figures are
finished when they are returned: laid out, with all ticks made, so that whoever saves them gets what was drawn.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

from sitscope.showing.colours import INK, MUTED, PAPER, RULE

WIDTH_IN = 10.0
SMALL, BODY, HEAD = 8.0, 9.0, 11.0

STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.labelcolor": INK,
    "axes.labelsize": BODY,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 6,
    "axes.titlesize": BODY,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "figure.facecolor": PAPER,
    "figure.titlesize": HEAD,
    "font.family": ["DejaVu Sans"],  # matplotlib brings it along: the same figure on every machine
    "font.size": BODY,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",
    "svg.hashsalt": "sitscope",
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5 rye"
    "text.usetex": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": SMALL,
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw under the house style and finish the figure there, whatever the caller's own style is.

    >>> styled(lambda: Figure())().get_facecolor()
    (1.0, 1.0, 1.0, 1.0)
    """

    @wraps(draw)
    def finished(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _house():
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # keep the layout now found: saving again must not move anything
        return figure

    return finished


def svg(figure: Figure) -> bytes:
    """The figure as SVG, the same bytes each time.

    >>> svg(Figure())[:5]
    b'<?xml'
    """
    return _written(figure, "svg", {"Date": None, "Creator": "sitscope"})


def png(figure: Figure) -> bytes:
    """The figure as PNG at 150 dots per inch, the same bytes each time.

    >>> png(Figure())[1:4]
    b'PNG'
    """
    return _written(figure, "png", {"Software": "sitscope"})


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write folder/name.svg and folder/name.png; the folder is made. The two paths come back.

    >>> from tempfile import mkdtemp
    >>> [path.name for path in save(Figure(), Path(mkdtemp()), "empty")]
    ['empty.svg', 'empty.png']
    """
    folder.mkdir(parents=True, exist_ok=True)
    vector, raster = folder / f"{name}.svg", folder / f"{name}.png"
    vector.write_bytes(svg(figure))
    raster.write_bytes(png(figure))
    return vector, raster


@contextmanager
def _house() -> Iterator[None]:
    """The house style over matplotlib's own defaults, and the caller's style again afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def _written(figure: Figure, kind: str, metadata: dict[str, str | None]) -> bytes:
    out = BytesIO()
    with _house():
        figure.savefig(out, format=kind, metadata=metadata)
    return out.getvalue()
