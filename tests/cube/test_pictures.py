"""An image leads to no program, no server and no file elsewhere, whatever its name and whatever it holds."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy

from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.errors import BadInput
from small_scenes import PLACE, decibels, four_fields, write_image, write_stack

DB = {"units": "dB"}


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    there = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=there.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{there.server_port}", asked
    there.shutdown()
    there.server_close()


def virtual(folder: Path, source: str, *, relative: int = 0, band: str = "", inside: str = "") -> Path:
    """A VRT of one source."""
    path = folder / "S1_20170103_VV.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="10" rasterYSize="8"><SRS>EPSG:32630</SRS>'
        "<GeoTransform>500000,10,0,4100000,0,-10</GeoTransform>"
        '<Metadata><MDI key="units">dB</MDI><MDI key="about">https://example.org</MDI></Metadata>'
        f'<VRTRasterBand dataType="Float32" band="1" {band}>{inside}<SimpleSource>'
        f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>1</SourceBand>'
        '<SrcRect xOff="0" yOff="0" xSize="10" ySize="8"/><DstRect xOff="0" yOff="0" xSize="10" ySize="8"/>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Somebody else's image, and a folder of mine beside it."""
    (tmp_path / "mine" / "raw").mkdir(parents=True)
    return write_image(tmp_path / "secret.tif", decibels(), tags=DB)


def test_a_virtual_image_of_files_beneath_its_folder_is_read(elsewhere: Path) -> None:
    mine = elsewhere.parent / "mine"
    copy(elsewhere, mine / "raw" / "a.tif", driver="GTiff")
    copy(mine / "raw" / "a.tif", mine / "raw" / "b.vrt", driver="VRT")
    for source, relative in (("raw/a.tif", 1), ("raw/b.vrt", 1), (str(mine / "raw" / "a.tif"), 0)):
        found = open_cube(virtual(mine, source, relative=relative))
        np.testing.assert_array_equal(found[0, 0], decibels())


@pytest.mark.parametrize("how", ["absolute", "above", "through"])
def test_a_virtual_image_of_files_elsewhere_is_not_followed(elsewhere: Path, how: str) -> None:
    mine = elsewhere.parent / "mine"
    source = {"absolute": str(elsewhere), "above": "../secret.tif", "through": "raw/../../secret.tif"}[how]
    path = virtual(mine, source, relative=int(how != "absolute"))
    with rasterio.open(path) as followed:
        np.testing.assert_array_equal(followed.read(1), decibels())  # GDAL alone would
    with pytest.raises(BadInput, match=r"images: .*secret\.tif.*not followed\. Make it an image of its own"):
        open_cube(path)


@pytest.mark.parametrize("name", ["S1_20170103_VV.vrt", "S1_20170103_VV.tif", "raw/a.tif"])
def test_no_server_is_asked(server: tuple[str, list[str]], elsewhere: Path, name: str) -> None:
    address, asked = server
    mine = elsewhere.parent / "mine"
    virtual(mine, f"/vsicurl/{address}/x.tif").rename(mine / name)
    path = mine / name
    if name == "raw/a.tif":
        path = virtual(mine, "raw/a.tif", relative=1)
    with pytest.raises(BadInput, match=r"not followed|does not begin like"):
        open_cube(path)
    assert asked == []
    service = f"<GDAL_WMS><Service name='TMS'><ServerUrl>{address}/${{z}}</ServerUrl></Service></GDAL_WMS>"
    (mine / "S1_20170103_VV.tif").write_text(service)
    with pytest.raises(BadInput, match="does not begin like"):
        open_cube(mine / "S1_20170103_VV.tif")
    assert asked == []


def test_even_where_gdal_is_allowed_to_an_image_runs_no_program(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    mine, mark = elsewhere.parent / "mine", elsewhere.parent / "mark"
    copy(elsewhere, mine / "raw" / "a.tif", driver="GTiff")
    code = f"def f(*a):\n    open({str(mark)!r}, 'w')"
    inside = (
        f"<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
        f"<PixelFunctionCode><![CDATA[{code}]]></PixelFunctionCode>"
    )
    path = virtual(mine, "raw/a.tif", relative=1, band='subClass="VRTDerivedRasterBand"', inside=inside)
    with pytest.raises(BadInput, match="holds a program, which is not followed"):
        open_cube(path)
    assert not mark.exists()


def test_raw_bytes_of_any_file_are_no_band(elsewhere: Path) -> None:
    mine = elsewhere.parent / "mine"
    (mine / "passwords").write_bytes(b"p" * 1000)
    path = virtual(mine, "passwords", relative=1, band='subClass="VRTRawRasterBand"')
    with pytest.raises(BadInput, match="passwords cannot be read as an image"):
        open_cube(path)


def test_a_virtual_image_without_end_ends(tmp_path: Path) -> None:
    path = virtual(tmp_path, "S1_20170103_VV.vrt", relative=1)
    with pytest.raises(BadInput, match="without end"):
        open_cube(path)
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    path.write_text(f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><VRTDataset rasterXSize="1">&a9;</VRTDataset>')
    with pytest.raises(BadInput, match="is no page of XML that can be read"):
        open_cube(path)


@pytest.mark.parametrize("given", ["/vsicurl/{}/x.tif", "{}/x.tif", "/vsizip/x.zip/x.tif", "zip://x.zip!x.tif"])
def test_only_files_are_images(server: tuple[str, list[str]], given: str) -> None:
    with pytest.raises(BadInput, match="matches no file"):
        open_cube(given.format(server[0]))
    assert server[1] == []


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "S1_20170103_VV.tif")
    with pytest.raises(BadInput, match="no regular file"):
        open_cube(tmp_path)


def endless(folder: Path, side: int, **profile: object) -> Path:
    """A GeoTIFF of a few hundred bytes that declares as many pixels as asked for."""
    shape = {"count": 1, "height": side, "width": side, "dtype": "float32", "crs": "EPSG:32630", "transform": PLACE}
    path = folder / "S1_20170103_NDVI.tif"
    with rasterio.open(path, "w", driver="GTiff", SPARSE_OK=True, BIGTIFF="YES", **shape, **profile):
        pass
    return path


def test_a_small_file_of_a_million_times_a_million_pixels_is_refused_before_it_is_drawn(tmp_path: Path) -> None:
    path = endless(tmp_path, 1_000_000, tiled=True, blockxsize=4096, blockysize=4096)
    assert path.stat().st_size < 2_000_000
    cube = open_cube(path)  # lazy: only the coordinates are there
    assert cube.shape == (1, 1, 1_000_000, 1_000_000)
    with pytest.raises(BadInput, match=r"images: the fields on 1000000 x 1000000 pixels would take .* GB of memory"):
        sample(cube, four_fields())


def test_a_block_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    path = endless(tmp_path, 500_000, blockysize=500_000, compress="deflate")
    with pytest.raises(BadInput, match=r"a single block of .* would take .* GB of memory, .* Write it in tiles"):
        open_cube(path)


def test_names_of_bands_are_no_paths(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    description = ["../../../tmp/evil\x1b[31m", "B\x07 /x"]
    path = tmp_path / "stack" / "S1_20170103.tif"
    write_image(path, decibels(0, (2, 8, 10)), descriptions=description)
    assert open_cube(path).band.values.tolist() == ["-..-..-tmp-evil[31m", "B -x"]


def test_a_stack_of_links_to_images_is_read(tmp_path: Path) -> None:
    write_stack(tmp_path / "archive", bands=("VV",))
    (tmp_path / "stack").mkdir()
    for path in (tmp_path / "archive").iterdir():
        (tmp_path / "stack" / path.name).symlink_to(path)
    assert open_cube(tmp_path / "stack").sizes["time"] == 5


def test_tags_of_unknown_letters_are_told(elsewhere: Path) -> None:
    """Found by fuzzing."""
    mine = elsewhere.parent / "mine"
    copy(elsewhere, mine / "raw" / "a.tif", driver="GTiff")
    path = virtual(mine, "raw/a.tif", relative=1)
    path.write_bytes(path.read_bytes().replace(b"https://example.org", b"\xff\xfe\xa5"))
    with pytest.raises(BadInput, match=r"S1_20170103_VV\.vrt"):
        open_cube(path)


def test_a_place_or_a_scale_that_is_no_number_is_told(tmp_path: Path) -> None:
    path = write_image(tmp_path / "S1_20170103_VV.tif", decibels(), tags=DB)
    with rasterio.open(path, "r+") as target:
        target.scales = (float("nan"),)
    with pytest.raises(BadInput, match="scale or an offset that is no number"):
        open_cube(path)
