"""What several verbs ask."""

from typing import Annotated, Any

import typer

# what every verb that reads images asks
Images = Annotated[
    list[str],
    typer.Option(
        help="Folder, glob or file of images: GeoTIFFs of a date each, NetCDF, Zarr, STAC. May be given several times.",
        show_default=False,
    ),
]
Units = Annotated[str | None, typer.Option(help="Units of backscatter where the images do not say: dB or linear.")]
Start = Annotated[str | None, typer.Option(help="First date to use, such as 2017-01-01.")]
End = Annotated[str | None, typer.Option(help="Last date to use.")]
Orbit = Annotated[str | None, typer.Option(help="Relative orbit to use where the images have several.")]
Mask = Annotated[str | None, typer.Option(help="Mask of clouds: a band of the images, or a file of its own.")]
MaskValues = Annotated[
    str | None,
    typer.Option(help="Values of the mask that mean no measurement: 3,8,9,10. Known for SCL and for 0 and 1."),
]
BorderNoise = Annotated[float | None, typer.Option(help="dB below which dark patches are borders, such as -35.")]
BorderPixels = Annotated[int | None, typer.Option(help="Pixels to take off around borders and nodata. [0]")]
Doubles = Annotated[str | None, typer.Option(help="mosaic: put slices of one pass together.")]
Speckle = Annotated[str | None, typer.Option(help="Filter against speckle: temporal or boxcar.")]
Window = Annotated[int | None, typer.Option(help="Pixels along the side of the filter's window, odd. [7]")]
Bands = Annotated[str | None, typer.Option(help="Bands to use, with commas: VV,VH. [all]")]


def cleaning(
    mask: str | None,
    mask_values: str | None,
    border_noise: float | None,
    border_pixels: int | None,
    doubles: str | None,
    speckle: str | None,
    window: int | None,
) -> dict[str, Any]:
    """The options that clean a cube, by the names of `open_cube`; what is not asked is not there."""
    values = tuple(value.strip() for value in mask_values.split(",")) if mask_values else None
    asked = {"mask": mask, "mask_values": values, "border_noise": border_noise, "border_pixels": border_pixels}
    asked |= {"doubles": doubles, "speckle": speckle, "window": window}
    return {key: value for key, value in asked.items() if value is not None}


def names(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(name.strip() for name in text.split(","))
