"""A model on images of another year, from the command line to the maps."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sitscope import cli
from sitscope.cube.store import write_zarr

from .conftest import Home


def sitscope(*arguments: Any) -> int:
    """Run the command in this process; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sitscope", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


@pytest.fixture(scope="module")
def later(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same values a year later, each date up to two days off, and three acquisitions more."""
    cube = home.cube()
    off = np.random.default_rng(0).integers(-2, 3, cube.sizes["time"])
    off[[5, 20, 40]] = 0  # else one of those further acquisitions might be the nearer
    times = cube.time.values + np.timedelta64(365, "D") + off * np.timedelta64(1, "D")
    moved = cube.assign_coords(time=times)
    more = moved.isel(time=[5, 20, 40])
    more = (more + 7).assign_coords(time=more.time.values + np.timedelta64(72, "h"))
    both = xr.concat([moved, more], "time").sortby("time")
    bands = {str(band): both.sel(band=band, drop=True).assign_attrs(units="dB") for band in both.band.values}
    path = tmp_path_factory.mktemp("later") / "2018.zarr"
    write_zarr(xr.Dataset(bands), path)
    return path


def test_another_year_is_mapped_on_the_dates_of_the_model(home: Home, later: Path, tmp_path: Path) -> None:
    out = tmp_path / "MAP"
    asked = ("map", home.run, "--images", later, "--tolerance", 3, "--workers", 1, "--fields", home.fields)
    assert sitscope(*asked, "--out", out) == 0
    found, own = xr.open_zarr(out / "atlas.zarr"), xr.open_zarr(home.run / "atlas.zarr")
    for name in ("embedding", "cluster", "class", "confidence", "peak_date"):
        np.testing.assert_array_equal(found[name].values, own[name].values, err_msg=name)
    facts = json.loads((out / "map.json").read_text())
    assert facts["tolerance"] == 3
    said = " ".join(facts["notes"])
    assert "2018" in said
    assert "matched by day of the year" in said
    assert "3 of 64 acquisitions match no date of the model" in said
    item = json.loads((out / "item.json").read_text())["properties"]
    assert item["start_datetime"].startswith(("2017-12", "2018-01"))
    assert item["end_datetime"].startswith("2018-12") or item["end_datetime"].startswith("2019-01")
    pixels = pd.read_parquet(out / "pixels.parquet")
    pd.testing.assert_frame_equal(pixels, pd.read_parquet(home.run / "pixels.parquet"))
    assert (out / "fields.parquet").exists()


def test_a_tolerance_too_small_is_answered_with_one_that_would_do(
    home: Home, later: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("map", home.run, "--images", later, "--workers", 1, "--out", tmp_path / "MAP")
    assert sitscope(*asked, "--tolerance", 1) == 3
    said = capsys.readouterr().err
    assert "dates of the model have no image within 1 days of the day of the year" in said
    assert "A tolerance of 2 days would do" in said
    assert sitscope(*asked) == 3
    assert list(tmp_path.iterdir()) == []
