"""What names and tags say about date, band, units and orbit."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from sitscope.cube import names

MOMENTS = some.datetimes(datetime(1972, 1, 1), datetime(2099, 12, 31)).map(lambda moment: moment.replace(microsecond=0))
# how a date is written, and to what it is exact
FORMS = {
    "S1_%Y%m%dT%H%M%S_VV": "s",
    "%Y-%m-%dT%H:%M:%S": "s",
    "SENTINEL-1_RTC_22LKK_VV_%Y-%m-%d": "D",
    "NDVI_%Y_%m_%d_v2": "D",
    "20LKP_%Y%m%d": "D",
    "Sigma0_VV_mst_%d%b%Y": "D",
    "MOD13Q1.A%Y%j.h12v10": "D",
    "HLS.S30.T31UFS.%Y%jT%H%M%S.v2.0.B04": "s",
    "composite_%Y-%m": "M",
}


@given(MOMENTS, some.sampled_from(sorted(FORMS)))
def test_a_date_is_found_however_it_is_written(moment: datetime, form: str) -> None:
    expected = np.datetime64(moment.strftime("%Y-%m-%dT%H:%M:%S"), FORMS[form]).astype("datetime64[s]")
    assert names.date_in(moment.strftime(form)) == expected


@pytest.mark.parametrize("text", ["", "dem", "tile_012010", "orbit_029739", "12345678", "S1_20171332_VV", "v1.0.0"])
def test_numbers_that_are_no_date_are_not_taken_for_one(text: str) -> None:
    assert names.date_in(text) is None


@pytest.mark.parametrize(
    ("stem", "date", "band", "orbit"),
    [
        ("S1_20180802T173216_VV", "2018-08-02T17:32:16", "VV", ("", "")),
        ("SENTINEL-1_RTC_22LKK_VV_2020-06-04", "2020-06-04", "VV", ("", "")),
        ("SENTINEL-2_MSI_20LKP_B8A_2020-06-04", "2020-06-04", "B8A", ("", "")),
        ("TERRA_MODIS_012010_NDVI_2013-09-14", "2013-09-14", "NDVI", ("", "")),
        (
            *("S1A_IW_GRDH_1SDV_20170909T175748_20170909T175813_018302_01EC88_98A1_Sigma0_VH", "2017-09-09T17:57:48"),
            *("VH", ("30", "")),
        ),
        (
            *("s1b-iw-grd-vv-20170903t175659-20170903t175724-007231-00cbef-001", "2017-09-03T17:56:59"),
            *("VV", ("30", "")),
        ),
        ("S1A_IW_20170103T063000_DVP_RTC30_G_gpuned_1234_VV", "2017-01-03T06:30", "VV", ("", "")),
        ("s1a_33NWB_vv_DES_007_20200108txxxxxx", "2020-01-08", "VV", ("7", "descending")),
        ("S2A_20170103_NDVI", "2017-01-03", "NDVI", ("", "")),
        ("S1_VV_VH_20170103", "2017-01-03", None, ("", "")),
        ("20170103", "2017-01-03", None, ("", "")),
    ],
)
def test_a_name_says_date_band_and_orbit(stem: str, date: str, band: str | None, orbit: tuple[str, str]) -> None:
    assert names.date_in(stem) == np.datetime64(date)
    assert names.band_in_name(stem) == band
    assert names.orbit_of({}, stem) == orbit


@pytest.mark.parametrize(
    ("description", "band"),
    [
        *[("sigma0_vv", "VV"), ("Gamma0VH", "VH"), ("Sigma0_VV_slv1_09Jan2017", "VV"), ("2017-01-03_VH", "VH")],
        *[("2015-07-11T10:00:08", None), ("Band 1", None), ("", None), ("NDVI", "NDVI"), ("coh_VV", "coh_VV")],
        *[("VV_VH_ratio", "VV_VH_ratio"), ("B04", "B04")],
    ],
)
def test_a_description_says_the_band(description: str, band: str | None) -> None:
    assert names.band_in_description(description) == band


@pytest.mark.parametrize(
    ("tags", "orbit"),
    [
        ({"RELATIVE_ORBIT_GROUP": "A"}, ("A", "")),
        ({"sat:relative_orbit": 52, "sat:orbit_state": "descending"}, ("52", "descending")),
        ({"relativeOrbitNumber": "052.0", "orbitProperties_pass": "ASCENDING"}, ("52", "ascending")),
        ({"ORBIT": "DESC"}, ("", "descending")),
        ({"orbit": "18302"}, ("", "")),  # counted since launch: another one on every date
        ({}, ("", "")),
    ],
)
def test_tags_say_the_orbit(tags: dict[str, object], orbit: tuple[str, str]) -> None:
    assert names.orbit_of(tags) == orbit


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("dB", "dB"),
        ("DB", "dB"),
        ("decibel", "dB"),
        ("1", "linear"),
        ("m2 m-2", "linear"),
        ("Intensity", "linear"),
        ("?", None),
        ("", None),
    ],
)
def test_units_are_understood_or_not_but_never_guessed(text: str, units: str | None) -> None:
    assert names.units_in(text) == units


ODD = ["²", "٢٠١٧-٠١-٠٣", "9" * 5000, "A2017000", "A2017999T996199", "\x00", "\udcff", "٣" * 400]


@pytest.mark.parametrize("odd", ODD)
def test_letters_that_only_look_like_numbers_are_no_numbers(odd: str) -> None:
    """Found by fuzzing."""
    assert names.date_in(odd) is None or names.date_in(odd) == np.datetime64("2017-01-03")
    assert names.orbit_of({"RELATIVE_ORBIT": odd}, odd) in [("", ""), (odd, "")]
    for reader in (names.band_in_name, names.radar_band, names.units_in):
        reader(odd)


def test_a_name_of_a_hundred_thousand_letters_is_read_at_once() -> None:
    for part in ("S1A_IW_", "2017-", "20170103T", "_VV", "a_", "."):
        names.band_in_name(part * 20_000)
        names.orbit_of({}, f"S1A_IW_GRDH_{part * 20_000}")
