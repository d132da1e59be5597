"""What do the name and the tags of an image say about its date, its band, its units and its orbit?"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sitscope.errors import BadInput
from sitscope.untrusted import printable

# Delimited by anything but letters and digits, or glued to the radiometry as in Sigma0VV.
RADAR = re.compile(r"(?:^|[^A-Za-z0-9]|(?:sigma|gamma|beta)0?)(VV|VH|HH|HV)(?![A-Za-z0-9])", re.IGNORECASE)
# These carry a polarisation in their name and are no backscatter.
DERIVED = re.compile(r"coh|ratio|alpha|entropy|anisotropy|rvi|mask|angle", re.IGNORECASE)
OPTICAL = re.compile(r"(?<![A-Za-z0-9])(B\d{1,2}A?)(?![A-Za-z0-9])", re.IGNORECASE)
SITS = re.compile(r"[^_]+_[^_]+_[^_]+_([^_]+)_\d{4}-\d{2}-\d{2}")
PLATFORM = re.compile(
    r"S[123][A-D]?|SENTINEL-?[123][A-D]?|L[CET]?0?\d|LANDSAT-?\d?|IW|GRD[HM]?|RTC|MSI|L2A", re.IGNORECASE
)
NAMELESS = re.compile(r"(?:band|layer|channel)?[ _]?\d*", re.IGNORECASE)

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CLOCK = r"[Tt ](?P<h>\d{2})[:-]?(?P<min>\d{2})(?:[:-]?(?P<s>\d{2}))?"
DATES = (
    re.compile(r"(?<!\d)(?P<y>\d{4})[-_.]?(?P<m>\d{2})[-_.]?(?P<d>\d{2})" + CLOCK),
    re.compile(r"(?<!\d)(?P<y>\d{4})(?P<sep>[-_.]?)(?P<m>\d{2})(?P=sep)(?P<d>\d{2})(?!\d)"),
    re.compile(r"(?<!\d)(?P<d>\d{2})(?P<mon>" + "|".join(MONTHS) + r")(?P<y>\d{4})(?!\d)", re.IGNORECASE),  # SNAP
    re.compile(r"(?:A|\.)(?P<y>\d{4})(?P<doy>\d{3})(?:" + CLOCK + r")?(?!\d)"),  # MODIS, HLS
    re.compile(r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{2})(?![-\d])"),  # monthly composites
)

DECIBEL = {"db", "decibel", "decibels", "db (sigma0)", "intensity_db", "10*log10(linear)"}
LINEAR = {"linear", "1", "m2 m-2", "m2/m2", "m^2/m^2", "m²/m²", "power", "linear power", "intensity", "natural"}

TIME_TAGS = ("acquisition_time", "acquisition_date", "sensing_time", "datetime", "time", "date")
ORBIT_TAGS = (
    *("relative_orbit", "relative_orbit_number", "relative_orbit_group", "relativeorbitnumber"),
    *("sat:relative_orbit", "relative orbit", "rel_orbit", "orbit", "track"),
)
PASS_TAGS = (
    *("orbit_direction", "orbitproperties_pass", "sat:orbit_state", "orbit_state", "orbit_pass"),
    *("pass_direction", "flight_direction", "pass", "orbit"),
)
# Absolute to relative orbit, (platform, offset): ESA's mission performance centre. S1C was moved in orbit: not here.
PRODUCT = re.compile(r"(S1[AB])_\w{2}_.*?\d{8}T\d{6}_\d{8}T\d{6}_(\d{6})_", re.IGNORECASE)
PRODUCT_FILE = re.compile(r"(s1[ab])-\w{2}-.*?\d{8}t\d{6}-\d{8}t\d{6}-(\d{6})-", re.IGNORECASE)
OFFSET = {"S1A": 73, "S1B": 27}
S1TILING = re.compile(r"_(ASC|DES)_(\d{3})_", re.IGNORECASE)


def date_in(text: str) -> np.datetime64 | None:
    """The first date that a name or a tag holds, to the second where it is given.

    >>> date_in("S1_20170103T063000_VV"), date_in("SENTINEL-1_RTC_22LKK_VV_2020-06-04")
    (np.datetime64('2017-01-03T06:30:00'), np.datetime64('2020-06-04T00:00:00'))
    """
    found = [(match.start(), rank, match) for rank, form in enumerate(DATES) for match in form.finditer(text)]
    for _, _, match in sorted(found, key=lambda each: each[:2]):
        time = _time(match.groupdict())
        if time is not None:
            return time
    return None


def _time(parts: Mapping[str, str | None]) -> np.datetime64 | None:
    """None where the digits are no date after 1970: tiles and orbits are numbers too."""
    year, month = parts["y"], parts.get("m") or "01"
    if not 1970 <= int(year or 0) <= 2100:
        return None
    if parts.get("mon"):
        month = f"{MONTHS.index((parts['mon'] or '').lower()) + 1:02d}"
    clock = f"{parts.get('h') or '00'}:{parts.get('min') or '00'}:{parts.get('s') or '00'}"
    try:
        time = np.datetime64(f"{year}-{month}-{parts.get('d') or '01'}T{clock}", "s")
    except ValueError:
        return None
    if parts.get("doy"):
        if not 1 <= int(parts["doy"] or 0) <= 366:
            return None
        return time + np.timedelta64(int(parts["doy"] or 0) - 1, "D")
    return time


def without_date(text: str) -> str:
    """What remains of a name when its dates are taken out."""
    for form in DATES:
        text = form.sub("", text)
    return text.strip(" _-.")


def radar_band(text: str) -> str | None:
    """VV, VH, HH or HV where a name says one of them and means backscatter.

    >>> radar_band("sigma0_vv"), radar_band("coherence_vv"), radar_band("VV_VH_ratio"), radar_band("B04")
    ('VV', None, None, None)
    """
    found = {match.upper() for match in RADAR.findall(text)}
    return found.pop() if len(found) == 1 and not DERIVED.search(text) else None


def band_in_description(text: str) -> str | None:
    """The band that a layer's description names, None for a date alone or a mere number."""
    rest = without_date(text)
    return radar_band(text) or (None if NAMELESS.fullmatch(rest) else rest)


def band_in_name(stem: str) -> str | None:
    """The band that a file's name says: a polarisation, sits's fourth word, an optical code, or the only word left."""
    sits, optical, words = SITS.fullmatch(stem), OPTICAL.findall(stem), re.split(r"[_ .]+", without_date(stem))
    if radar_band(stem):
        return radar_band(stem)
    if sits:
        return sits.group(1)
    if len(set(optical)) == 1:
        return str(optical[0]).upper()
    if date_in(stem) is None:  # a whole stack in one file: all of its name is the band's
        return stem
    left = [word for word in words if word and not PLATFORM.fullmatch(word)]
    return left[0] if len(left) == 1 and not RADAR.search(stem) else None


def band_name(said: str | None) -> str | None:
    """The same fit for the name of a file and of a variable: what others wrote into a tag may be a path.

    >>> band_name("../VV\x07"), band_name(" ")
    ('-VV', None)
    """
    plain = re.sub(r"[/\\\\]+", "-", printable(said or "")).strip(". ")[:80]
    return plain or None


def units_in(text: str) -> str | None:
    """ "dB" or "linear" where a tag says so; None where it is silent or says something else."""
    word = text.strip().lower()
    return "dB" if word in DECIBEL else "linear" if word in LINEAR else None


def tag(tags: Mapping[str, object], names: Sequence[str]) -> str:
    """The first of these tags that is there and says something, whatever its case; "" where none does."""
    lowered = {key.lower(): str(value).strip() for key, value in tags.items()}
    return next((lowered[name] for name in names if lowered.get(name)), "")


def time_of(tags: Mapping[str, object]) -> np.datetime64 | None:
    """The time of acquisition that the tags give."""
    return date_in(tag(tags, TIME_TAGS))


def orbit_of(tags: Mapping[str, object], stem: str = "") -> tuple[str, str]:
    """Relative orbit and direction of an acquisition from its tags or a Sentinel-1 product's name; "" = not said.

    >>> orbit_of({"RELATIVE_ORBIT": "52", "ORBIT_DIRECTION": "DESCENDING"}), orbit_of({"ORBIT": "ascending"})
    (('52', 'descending'), ('', 'ascending'))
    """
    product, tiling = PRODUCT.match(stem) or PRODUCT_FILE.match(stem), S1TILING.search(stem)
    relative = _relative(tag(tags, ORBIT_TAGS))
    direction = _direction(tag(tags, PASS_TAGS))
    if product and not relative:
        relative = str((int(product.group(2)) - OFFSET[product.group(1).upper()]) % 175 + 1)
    if tiling:
        relative, direction = relative or str(int(tiling.group(2))), direction or _direction(tiling.group(1))
    return relative, direction


def _relative(text: str) -> str:
    text = re.sub(r"\.0$", "", text)
    absolute = (
        re.fullmatch(r"[0-9]{1,9}", text) and int(text) > 175
    )  # Sentinel-1 repeats after 175 orbits: a larger number is a count
    return "" if absolute or len(text) > 40 or _direction(text) or text.lower() in ("nan", "none") else text.lstrip("0")


def _direction(text: str) -> str:
    word = text.lower()
    return "ascending" if word.startswith("asc") else "descending" if word.startswith("desc") or word == "des" else ""


def few(items: Iterable[object], most: int = 4) -> str:
    """The first few of a list, and how many more there are."""
    names = [str(item) for item in items]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def iso(time: np.datetime64) -> str:
    """A date as people write it; the time of day only where there is one."""
    text = str(time.astype("datetime64[s]"))
    return text.removesuffix("T00:00:00")


def parsed(argument: str, date: str) -> tuple[np.datetime64, np.datetime64]:
    """First and last second of the year, month, day or moment that a user names; BadInput where it is none.

    >>> print(*parsed("end", "2018-11"))
    2018-11-01T00:00:00 2018-11-30T23:59:59
    """
    try:
        named = np.datetime64(date)
    except ValueError:
        named = np.datetime64("NaT")
    if np.isnat(named):
        message = f"{date!r} is no date. Write it as year-month-day, for example 2018-11-25."
        raise BadInput(argument, message)
    return named.astype("datetime64[s]"), (named + 1).astype("datetime64[s]") - np.timedelta64(1, "s")


def suffix_units(text: str) -> str:
    """SNAP's way to name units: Sigma0_VV_db."""
    return "dB" if re.search(r"_db$", text, re.IGNORECASE) and radar_band(text) else ""
