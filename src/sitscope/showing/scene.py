"""Where are the fields, what was predicted there, and which date mattered most? (Fig. 2 of the letter, and maps)

Maps are xarray datasets on the cube's grid; what is larger than the page can show is thinned, never smoothed.
"""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from pyproj import CRS
from shapely.geometry import MultiPolygon, Polygon

from sitscope.showing.axes import band_label, class_legend, days_of, month_ticks, years
from sitscope.showing.colours import BACKSCATTER, DATES, INK, PAPER, class_colours
from sitscope.showing.style import SMALL, WIDTH_IN, styled
from sitscope.showing.words import day

PIXELS = 900  # along the longer side of a map: about 150 per inch


@styled
def scene_figure(maps: xr.Dataset, fields: gpd.GeoDataFrame | None, classes: Sequence[str]) -> Figure:
    """The scene with its fields by class (Fig. 2), and the predicted classes of all pixels beside it.

    Test fields have a dark outline, training fields none, unused fields are not filled. Fields are brought into the
    CRS of the maps. Colours are those of `classes` everywhere.
    """
    figure, panels = _panels(maps, 2, below_in=0.8 + 0.2 * -(-len(classes) // 8))
    colours = class_colours(list(classes))
    image = _backscatter(panels[0], maps["backscatter"])
    _scale(figure, panels, image, maps["backscatter"])
    if fields is not None:
        _fields(panels[0], fields.to_crs(_crs(maps)) if fields.crs and _crs(maps) else fields, colours)
    predicted = _codes(maps["class"])
    shown = np.ma.masked_equal(predicted, 0)
    panels[1].imshow(
        shown, cmap=ListedColormap([colours[name] for name in classes]), vmin=0.5, vmax=len(classes) + 0.5,
        extent=_extent(maps), interpolation="nearest",
    )  # fmt: skip
    panels[1].set_title("Predicted class of each pixel")
    _finish(panels, maps)
    present = {classes[i - 1] for i in np.unique(predicted) if i > 0}
    labels = set() if fields is None else set(fields["label"])
    class_legend(figure, classes, present | (labels & set(classes)))
    _trim(figure)
    return figure


@styled
def peak_date_figure(maps: xr.Dataset) -> Figure:
    """For each embedding dimension, the acquisition of largest importance at every pixel, with a calendar."""
    dates = np.array(maps["peak_date"].attrs["dates"], dtype="datetime64[D]")
    days = days_of(dates)
    dims = [int(dim) for dim in maps["dim"].to_numpy()]
    figure, panels = _panels(maps, len(dims), below_in=0.75)
    for axes, dim in zip(panels, dims, strict=True):
        number = _codes(maps["peak_date"].sel(dim=dim))
        shown = np.ma.masked_where(number == 0, days[np.maximum(number, 1) - 1])
        image = axes.imshow(
            shown,
            cmap=DATES,
            vmin=days[0],
            vmax=days[-1] + (len(days) == 1),
            extent=_extent(maps),
            interpolation="nearest",
        )
        axes.set_title(f"Embedding dimension {dim}")
    _finish(panels, maps)
    bar = figure.colorbar(image, ax=panels, orientation="horizontal", aspect=60, pad=0.02)
    bar.outline.set_visible(False)
    month_ticks(bar.ax, dates)
    bar.set_label(f"Acquisition of largest importance (either sign), {years(dates)}")
    _trim(figure)
    return figure


def _panels(maps: xr.Dataset, number: int, below_in: float) -> tuple[Figure, list[Axes]]:
    """Panels for `number` maps, with `below_in` inches left under them."""
    aspect = maps.sizes["y"] / maps.sizes["x"]
    columns = 1 if aspect < 0.3 else {1: 1, 2: 2, 3: 3, 4: 2}.get(number, 4)
    rows = -(-number // columns)
    wide = min((WIDTH_IN - 0.9) / columns, 6.5 / aspect)
    size = (min(WIDTH_IN, columns * wide + 0.9), rows * (wide * aspect + 0.45) + 0.5 + below_in)
    figure = Figure(figsize=size, layout="compressed")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for spare in grid[number:]:
        spare.remove()
    return figure, list(grid[:number])


def _trim(figure: Figure) -> None:
    """Cut the paper that maps of a fixed shape leave over, and lay out again."""
    figure.draw_without_rendering()
    figure.set_figheight(figure.get_tightbbox().height + 0.12)


def _thin(band: xr.DataArray) -> xr.DataArray:
    """Every so manyth pixel, so that no more are drawn than a page can show."""
    step = max(1, -(-max(band.sizes["y"], band.sizes["x"]) // PIXELS))
    return band.isel(y=slice(step // 2, None, step), x=slice(step // 2, None, step))


def _codes(band: xr.DataArray) -> NDArray[np.int64]:
    """Whole numbers, 0 where nothing is known."""
    return np.nan_to_num(_thin(band).to_numpy()).astype(np.int64)


def _extent(maps: xr.Dataset) -> tuple[float, float, float, float]:
    """Outer edges of the grid: left, right, bottom, top, in the unit of the CRS."""
    x, y = maps["x"].to_numpy(), maps["y"].to_numpy()
    half_x = (x[-1] - x[0]) / max(len(x) - 1, 1) / 2
    half_y = (y[-1] - y[0]) / max(len(y) - 1, 1) / 2
    return float(x[0] - half_x), float(x[-1] + half_x), float(y[-1] + half_y), float(y[0] - half_y)


def _crs(maps: xr.Dataset) -> CRS | None:
    text = maps["spatial_ref"].attrs.get("crs_wkt") if "spatial_ref" in maps.variables else None
    return CRS.from_wkt(text) if text else None


def _backscatter(axes: Axes, band: xr.DataArray) -> AxesImage:
    values = _thin(band).to_numpy().astype(float)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [2, 98]) if known.size else (0.0, 1.0)
    high = high if high > low else low + 1
    axes.set_facecolor(PAPER)
    return axes.imshow(
        values, cmap=BACKSCATTER, vmin=low, vmax=high, extent=_extent(band.to_dataset()), interpolation="nearest"
    )


def _scale(figure: Figure, panels: Sequence[Axes], image: AxesImage, band: xr.DataArray) -> None:
    name, date = str(band.attrs.get("band", "")), band.attrs.get("date")
    when = f", {day(np.datetime64(date))}" if date else ""
    panels[0].set_title(f"Fields by class over {name}{when}")
    bar = figure.colorbar(
        image, ax=list(panels), orientation="horizontal", aspect=40, shrink=0.45, anchor=(0.0, 1.0), pad=0.02
    )
    bar.outline.set_visible(False)
    said = band_label(name, str(band.attrs.get("units", "1")))
    bar.set_label(said[:1].upper() + said[1:], fontsize=SMALL)


def _fields(axes: Axes, fields: gpd.GeoDataFrame, colours: dict[str, str]) -> None:
    """Filled by class; one collection per class and split keeps thousands of fields quick."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    for (label, split), part in fields.groupby(["label", "split"], observed=True):
        paths = [path for shape in part.geometry if (path := outline(shape)) is not None]
        if label not in colours or not paths:
            continue
        used = split != "unused"
        look: dict[str, Any] = {"facecolor": colours[label] if used else "none", "alpha": 0.9}
        edge = INK if split == "test" else colours[label]
        axes.add_collection(
            PathCollection(paths, edgecolor=edge, linewidth=0.9 if split == "test" else 0.5, gid=str(label), **look)
        )
    axes.set(xlim=(left, right), ylim=(bottom, top))


def outline(shape: Any) -> Path | None:
    """A polygon with its holes as one path; None for what has no area."""
    parts = shape.geoms if isinstance(shape, MultiPolygon) else [shape]
    rings = [ring for part in parts if isinstance(part, Polygon) for ring in (part.exterior, *part.interiors)]
    rings = [ring for ring in rings if not ring.is_empty]
    if not rings:
        return None
    return Path.make_compound_path(*(Path(np.asarray(ring.coords)[:, :2], closed=True) for ring in rings))


def _finish(panels: Sequence[Axes], maps: xr.Dataset) -> None:
    """Coordinates with their CRS along the outer axes, and a bar of a round length in the first map."""
    crs = _crs(maps)
    unit = "no CRS" if crs is None else "°" if crs.is_geographic else "m"
    names = ("Longitude", "Latitude") if crs is not None and crs.is_geographic else ("Easting", "Northing")
    code = f", EPSG:{crs.to_epsg()}" if crs is not None and crs.to_epsg() else ""
    for axes in panels:
        axes.set(xlabel=f"{names[0]} ({unit}{code})", ylabel=f"{names[1]} ({unit})")
        axes.spines[:].set_visible(True)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4 if len(panels) <= 4 else 2))
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}" if unit == "m" else f"{v:g}"))
        axes.label_outer()
    if unit == "m":
        length_bar(panels[0])


def length_bar(axes: Axes) -> None:
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    rough = abs(right - left) / 5
    length = next(
        n * 10 ** np.floor(np.log10(rough)) for n in (5, 2, 1) if n * 10 ** np.floor(np.log10(rough)) <= rough
    )
    start, height = left + 0.03 * (right - left), bottom + 0.04 * (top - bottom)
    for colour, width in ((PAPER, 5.0), (INK, 2.0)):
        axes.plot([start, start + length], [height, height], color=colour, linewidth=width, solid_capstyle="butt")
    said = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.annotate(
        said, (start, height), (0, 4), textcoords="offset points", fontsize=SMALL,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
    )  # fmt: skip
