"""In which colours and under which names do QGIS and GDAL show a map?"""

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as xml

Limits = tuple[float, float]


def paletted(colours: Mapping[int, str], names: Mapping[int, str]) -> str:
    """A QGIS style for classes: value to "#rrggbb" and to name."""
    style, renderer = _style("paletted", band="1")
    palette = xml.SubElement(renderer, "colorPalette")
    for value, colour in sorted(colours.items()):
        label = names.get(value, str(value))
        xml.SubElement(palette, "paletteEntry", value=str(value), color=colour, label=label, alpha="255")
    return _text(style)


def pseudocolour(ramp: Sequence[str], limits: Limits) -> str:
    """A QGIS style for numbers of one band: colours evenly spaced between two limits, smooth between them."""
    low, high = limits
    ends = {"classificationMin": f"{low:.6g}", "classificationMax": f"{high:.6g}"}
    style, renderer = _style("singlebandpseudocolor", band="1", **ends)
    shader = xml.SubElement(xml.SubElement(renderer, "rastershader"), "colorrampshader")
    shader.attrib.update(colorRampType="INTERPOLATED", classificationMode="1", clip="0")
    shader.attrib.update(minimumValue=f"{low:.6g}", maximumValue=f"{high:.6g}")
    for i, colour in enumerate(ramp):
        value = f"{low + (high - low) * i / max(1, len(ramp) - 1):.6g}"
        xml.SubElement(shader, "item", value=value, color=colour, label=value, alpha="255")
    return _text(style)


def composite(limits: Sequence[Limits]) -> str:
    """A QGIS style for numbers of two or more bands: red, green and blue, of two bands magenta and green.

    Magenta and green are told apart by the colour-blind too, red and green are not.
    """
    shown = (0, 1, 2 if len(limits) > 2 else 0)
    colours = ("red", "green", "blue")
    style, renderer = _style("multibandcolor", **{f"{c}Band": str(i + 1) for c, i in zip(colours, shown, strict=True)})
    for colour, (low, high) in zip(colours, (limits[i] for i in shown), strict=True):
        stretch = xml.SubElement(renderer, f"{colour}ContrastEnhancement")
        xml.SubElement(stretch, "minValue").text = f"{low:.6g}"
        xml.SubElement(stretch, "maxValue").text = f"{high:.6g}"
        xml.SubElement(stretch, "algorithm").text = "StretchToMinimumMaximum"
    return _text(style)


def categorised(column: str, looks: Mapping[str, tuple[str, str]]) -> str:
    """A QGIS style for polygons: by the text in a column, its colour "#rrggbb" and its name."""
    style = xml.Element("qgis", version="3.34", styleCategories="Symbology")
    renderer = xml.SubElement(style, "renderer-v2", type="categorizedSymbol", attr=column, symbollevels="0")
    categories = xml.SubElement(renderer, "categories")
    symbols = xml.SubElement(renderer, "symbols")
    for i, (value, (colour, name)) in enumerate(looks.items()):
        xml.SubElement(categories, "category", value=value, label=name, symbol=str(i), render="true", type="string")
        symbol = xml.SubElement(symbols, "symbol", type="fill", name=str(i), alpha="1", clip_to_extent="1")
        layer = xml.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
        options = xml.SubElement(layer, "Option", type="Map")
        rgba = ",".join(str(int(colour[k : k + 2], 16)) for k in (1, 3, 5)) + ",255"
        for key, said in {
            "color": rgba,
            "style": "solid",
            "outline_color": "102,112,124,255",
            "outline_width": "0.2",
        }.items():
            xml.SubElement(options, "Option", name=key, value=said, type="QString")
    return _text(style)


def _style(kind: str, **attributes: str) -> tuple[xml.Element, xml.Element]:
    style = xml.Element("qgis", version="3.34", styleCategories="Symbology")
    pipe = xml.SubElement(style, "pipe")
    common = {"opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    return style, xml.SubElement(pipe, "rasterrenderer", {"type": kind, **common, **attributes})


def categories(names: Mapping[int, str], bands: int) -> str:
    """GDAL's file beside a raster (.aux.xml) that names its values from 0 on; a GeoTIFF has no place for them."""
    beside = xml.Element("PAMDataset")
    for band in range(1, bands + 1):
        listed = xml.SubElement(xml.SubElement(beside, "PAMRasterBand", band=str(band)), "CategoryNames")
        for value in range(max(names, default=0) + 1):
            xml.SubElement(listed, "Category").text = names.get(value, "")
    return _text(beside)


def _text(root: xml.Element) -> str:
    xml.indent(root)
    return xml.tostring(root, encoding="unicode") + "\n"
