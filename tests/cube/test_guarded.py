"""A store of numbers holds numbers: no program, no file elsewhere, no axis without end; damage is told."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sitscope.cube.ingest import ingest
from sitscope.cube.reading import open_cube
from sitscope.errors import BadInput
from small_scenes import DATES, NORTH, WEST, decibels


def cube() -> xr.Dataset:
    coords = {"time": pd.to_datetime(list(DATES)), "y": NORTH - 10.0 * np.arange(8), "x": WEST + 10.0 * np.arange(10)}
    vv = xr.DataArray(decibels(0, (5, 8, 10)), coords, ("time", "y", "x"), attrs={"units": "dB"})
    return xr.Dataset({"VV": vv}).rio.write_crs("EPSG:32630")


def store(folder: Path, version: int) -> Path:
    cube().to_zarr(folder / "cube.zarr", zarr_format=version, consolidated=False)
    return folder / "cube.zarr"


def rewrite(path: Path, change: Any) -> None:
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


class Ran:
    """What pickle runs when it is read."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["SITSCOPE_RAN"],)


def test_no_pickle_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.setenv("SITSCOPE_RAN", str(tmp_path / "ran"))
    monkeypatch.setattr("numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)  # as older ones do
    path = store(tmp_path, 2)
    for chunk in (path / "VV").glob("[0-9]*"):
        chunk.write_bytes(pickle.dumps(Ran()))
    rewrite(path / "VV" / ".zarray", lambda facts: facts.update(compressor={"id": "pickle", "protocol": 5}))
    with pytest.raises(BadInput, match=r"is packed with 'pickle', which is not read: .* could run any program"):
        open_cube(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("codec", ["pickle", "numcodecs.pickle", "msgpack2", "json2", "my-own"])
@pytest.mark.parametrize("where", ["compressor", "filters", "metadata", "codecs", "inside a shard"])
def test_only_codecs_that_unpack_numbers_are_used(tmp_path: Path, codec: str, where: str) -> None:
    path = store(tmp_path, 2 if where in ("compressor", "filters", "metadata") else 3)
    named = {"id": codec, "name": codec, "configuration": {}}
    match where:
        case "compressor":
            rewrite(path / "VV" / ".zarray", lambda facts: facts.update(compressor=named))
        case "filters":
            rewrite(path / "VV" / ".zarray", lambda facts: facts.update(filters=[{"id": "delta"}, named]))
        case "metadata":
            (path / ".zmetadata").write_text(json.dumps({"metadata": {"VV/.zarray": {"filters": [named]}}}))
        case "codecs":
            rewrite(path / "VV" / "zarr.json", lambda facts: facts["codecs"].append(named))
        case _:
            shard = {
                "name": "sharding_indexed",
                "configuration": {"codecs": [{"name": "bytes"}], "index_codecs": [named]},
            }
            rewrite(path / "VV" / "zarr.json", lambda facts: facts.update(codecs=[shard]))
    with pytest.raises(BadInput, match="is packed with"):
        open_cube(path)


def test_the_words_of_an_attribute_are_no_codec(tmp_path: Path) -> None:
    path = store(tmp_path, 3)
    rewrite(path / "zarr.json", lambda facts: facts.update(attributes={"codecs": ["pickle"]}))
    assert open_cube(path).sizes["time"] == 5


@pytest.mark.parametrize("version", [2, 3])
def test_an_axis_without_end_is_refused_before_it_is_read(tmp_path: Path, version: int) -> None:
    path = store(tmp_path, version)
    name = ".zarray" if version == 2 else "zarr.json"
    for variable in ("x", "VV"):
        rewrite(path / variable / name, lambda facts: facts["shape"].__setitem__(-1, 10**12))
    with pytest.raises(BadInput, match="1,000,000,000,000 long along an axis, and 16,777,216 are the most"):
        open_cube(path)


def test_a_chunk_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    path = store(tmp_path, 2)
    rewrite(path / "VV" / ".zarray", lambda facts: facts.update(chunks=[5, 10**6, 10**6]))
    with pytest.raises(BadInput, match=r"a single chunk of .* would take .* GB of memory"):
        open_cube(path)


def test_a_damaged_chunk_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = ingest(cube(), tmp_path / "CUBE.zarr")
    opened = open_cube(path)
    for chunk in (path / "VV").rglob("*"):
        if chunk.is_file() and not chunk.name.startswith("."):
            chunk.write_bytes(b"damaged")
    with pytest.raises(BadInput, match=r"images: .* is damaged: VV cannot be read .* Copy it again"):
        opened.compute(scheduler="synchronous")
    with pytest.raises(BadInput, match="is damaged"):
        open_cube(path)


def test_a_pipe_in_a_store_is_not_waited_for(tmp_path: Path) -> None:
    path = store(tmp_path, 3)
    shutil.rmtree(path / "VV" / "c")
    os.mkfifo(path / "VV" / "c")
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        open_cube(path)


@pytest.mark.parametrize("how", ["external link", "virtual dataset", "external values"])
def test_values_in_another_file_are_not_followed(tmp_path: Path, how: str) -> None:
    path = tmp_path / "cube.nc"
    cube().to_netcdf(path, engine="h5netcdf")
    cube().to_netcdf(tmp_path / "secret.nc", engine="h5netcdf")
    (tmp_path / "secret").write_bytes(decibels(0, (5, 8, 10)).tobytes())
    with h5py.File(path, "r+") as file:
        del file["VV"]
        if how == "external link":
            file["VV"] = h5py.ExternalLink(str(tmp_path / "secret.nc"), "VV")
        elif how == "virtual dataset":
            layout = h5py.VirtualLayout((5, 8, 10), "float32")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.nc"), "VV", (5, 8, 10))
            file.create_virtual_dataset("VV", layout)
        else:
            file.create_dataset("VV", (5, 8, 10), "float32", external=[(str(tmp_path / "secret"), 0, 1600)])
    with pytest.raises(BadInput, match="leaves the values of 'VV' to another file, which is not followed"):
        open_cube(path)


def test_an_hdf5_file_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cube.nc"
    cube().to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "r+") as file:
        file.create_dataset("long", (10**12,), "float64", chunks=(1000,))
    assert path.stat().st_size < 100_000
    with pytest.raises(BadInput, match="long along an axis"):
        open_cube(path)


def test_a_conversion_does_not_go_on_from_what_somebody_else_left(tmp_path: Path) -> None:
    out = tmp_path / "CUBE.zarr"
    out.with_name("CUBE.zarr.partial").mkdir()
    mark = out.with_name("CUBE.zarr.partial") / "done.json"
    for said in ("[]", "3", "[" * 100_000, '{"facts": null, "rows": "x"}'):
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(said)
        assert open_cube(ingest(cube(), out, overwrite=True)).sizes["time"] == 5


@pytest.mark.parametrize("cut", [0, 8, 20, 300])
def test_a_chunk_of_blosc_that_was_cut_short_is_not_unpacked(tmp_path: Path, cut: int) -> None:
    """Blosc itself would read what lies behind it in memory, or end the program."""
    for path in (store(tmp_path / "2", 2), ingest(cube(), tmp_path / "3" / "CUBE.zarr")):
        (chunk,) = [each for each in (path / "VV").rglob("*") if each.name in ("0.0.0", "0") and each.is_file()]
        chunk.write_bytes(chunk.read_bytes()[:cut])
        with pytest.raises(BadInput, match="is cut short or damaged"):
            open_cube(path)


def test_blosc_is_read_only_where_it_can_be_checked(tmp_path: Path) -> None:
    path, blosc = store(tmp_path, 3), {"name": "blosc", "configuration": {"cname": "zstd", "clevel": 1}}
    shard = {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "bytes"}, blosc], "index_codecs": []}}
    for codecs in ([{"name": "bytes"}, blosc, {"name": "crc32c"}], [shard]):
        rewrite(path / "VV" / "zarr.json", lambda facts, codecs=codecs: facts.update(codecs=codecs))
        with pytest.raises(BadInput, match="within shards or below other codecs"):
            open_cube(path)


ODD: dict[str, tuple[Any, str]] = {
    "units in numbers": (lambda d: d.VV.attrs.update(units=np.array([1, 2])), "units: no tag or attribute says"),
    "a place with two axes": (lambda d: d.assign_coords(x=(("y", "x"), np.ones((8, 10)))), "coordinate x is missing"),
    "places that are no numbers": (lambda d: d.assign_coords(x=np.array(list("abcdefghij"))), "x is missing"),
    "places without end": (lambda d: d.assign_coords(x=np.r_[np.inf, d.x.values[1:]]), "coordinate x is missing"),
    "no dates": (lambda d: d.isel(time=slice(0)), "time holds no dates"),
    "dates that are none": (lambda d: d.assign_coords(time=np.full(5, "NaT", "datetime64[ns]")), "time holds no dates"),
    "a system that is none": (lambda d: d.spatial_ref.attrs.update(crs_wkt="²", spatial_ref="²"), "no coordinate ref"),
    "a system of digits": (lambda d: d.spatial_ref.attrs.update(crs_wkt="9" * 9, spatial_ref="²"), "no coordinate ref"),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_what_stands_in_the_attributes_of_a_cube_is_told_where_it_is_none(what: str) -> None:
    """Found by fuzzing."""
    odd, (change, said) = cube(), ODD[what]
    made = change(odd)
    with pytest.raises(BadInput, match=said):
        open_cube(odd if made is None else made)


@pytest.mark.parametrize("nodata", ["none", np.array([1.0, 2.0]), None])
def test_a_nodata_that_is_no_number_is_none(nodata: Any) -> None:
    odd = cube()
    odd.VV.attrs |= {"nodata": nodata, "transform": "abcdefg"}
    np.testing.assert_array_equal(open_cube(odd)[:, 0], cube().VV)
