"""How is a run told, from data to confusion to importance, in one file?"""

import base64
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from sitscope.showing import cure, trust, verdicts, words
from sitscope.showing.findings import Findings
from sitscope.showing.plates import Plate, plate_name, plates, shown_groups
from sitscope.showing.story import Group, contrast, date_strength, field_counts, flows, row_shares, tested
from sitscope.showing.style import png, save, svg

DOI = "10.1109/LGRS.2023.3302906"
LARGEST_SVG = 400_000  # bytes above which a figure may be embedded as pixels
LARGEST_PNG = 500_000  # bytes above which these may lose some shades


def write_figures(folder: Path, findings: Findings, drawn: Iterable[Plate] | None = None) -> list[Path]:
    """Write every figure of a run to `folder` as SVG and PNG; the paths come back.

    drawn: the figures, if they were drawn already; `plates(findings)` if not said.
    """
    return [path for plate in drawn or plates(findings) for path in save(plate.figure, Path(folder), plate.name)]


def write_report(path: Path, findings: Findings, drawn: Iterable[Plate] | None = None) -> Path:
    """Write the report of a run: one HTML file that needs nothing else, neither files nor a network.

    drawn: the figures, if they were drawn already; `plates(findings)` if not said.
    """
    pictures = {plate.name: picture(plate) for plate in drawn or plates(findings)}
    page = (
        environment()
        .get_template("report.html")
        .render(findings=findings, pictures=pictures, many=words.many, span=words.span, doi=DOI, **_facts(findings))
    )
    path = Path(path)
    path.write_text(page, encoding="utf-8")
    return path


def environment() -> Environment:
    """Where the pages are made: every value escaped, none missing, numbers and dates in words."""
    made = Environment(
        loader=PackageLoader("sitscope.showing"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.filters.update(
        percent=words.percent,
        count=words.count,
        day=words.day,
        listed=words.listed,
        some=words.some,
        number=words.number,
    )
    return made


def picture(plate: Plate) -> dict[str, Any]:
    """What an img element needs: the figure itself in a data address, its size on the page, and its words."""
    wide, high = plate.figure.get_size_inches() * 96
    kind, data = "svg+xml", svg(plate.figure)
    if len(data) > LARGEST_SVG:  # dense: points would weigh more than pixels
        kind, data = min((kind, data), ("png", _light(png(plate.figure))), key=lambda picture: len(picture[1]))
    return {
        "src": f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}",
        "width": round(wide),
        "height": round(high),
        "caption": plate.caption,
        "alt": plate.alt,
    }


def _light(picture: bytes) -> bytes:
    """The same picture; a large one in 256 colours, which leaves a third of its bytes."""
    if len(picture) <= LARGEST_PNG:
        return picture
    out = BytesIO()
    image = Image.open(BytesIO(picture)).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(out, format="png", optimize=True)
    return out.getvalue()


def _facts(findings: Findings) -> dict[str, Any]:
    """What the sentences of the page say."""
    scores = findings.scores
    never = list(scores.classes_never_predicted)
    return {
        "chapters": _chapters(findings),
        "flows": flows(scores, least=0.25)[:8],
        "never": never,
        "untested": [name for name, n in zip(scores.classes, tested(scores), strict=True) if n == 0],
        "won": _won(findings),
        "rows": _class_rows(findings),
        "dims": _dimension_rows(findings),
        "groups": [_group(findings, group) for group in shown_groups(findings)],
        "interval": _interval(findings.dates),
        "missing": _missing(findings),
        "fields": field_counts(findings).sum().to_dict(),
        "why": verdicts.told(findings),
        "trust": _trust(findings),
        "cure": cure.facts(findings),
        "settings": list(flat(findings.settings)),
    }


def _chapters(findings: Findings) -> list[tuple[int, str, str]]:
    """Number, anchor and title of each chapter."""
    titles = {
        "data": "The data",
        "map": "The map",
        "confusion": "Which classes are confused",
        "clusters": "Embedding and clusters",
        "importance": "Which acquisitions matter",
        "why": "Why are they confused?",
        "trust": "How far to trust this",
        "sweep": "A larger embedding",
        "compare": "Other methods",
        "training": "The training",
        "method": "How to read this",
        "settings": "Settings",
    }
    if findings.maps is None:
        del titles["map"]
    if findings.diagnosis is None:
        del titles["why"]
    if findings.fidelity is None and findings.evaluation is None:
        del titles["trust"]
    for anchor, table in (("sweep", findings.sweep), ("compare", findings.comparison)):
        if table is None:
            del titles[anchor]
    if findings.origin is not None:
        ours = {"apart": "Where the images part them"} if findings.apart else {}
        ours["unknown"] = "What cannot be said"
        there = {name: titles[name] for name in ("data", "map", "confusion", "clusters") if name in titles}
        titles = there | ours | {"settings": titles["settings"]}
    return [(number, anchor, title) for number, (anchor, title) in enumerate(titles.items(), start=1)]


def _won(findings: Findings) -> list[tuple[str, int]]:
    """Classes that clusters stand for, with the number of their clusters, the most first."""
    counts = pd.Series([name for name in findings.assigned if name], dtype=object).value_counts()
    return [(str(name), int(n)) for name, n in counts.items()]


def _class_rows(findings: Findings) -> list[dict[str, Any]]:
    """The table of classes: fields, test series, recall, precision, F1, and where most of the lost series go."""
    scores, fields = findings.scores, field_counts(findings)
    shares = row_shares(scores)[:, :-1]
    series = tested(scores)
    rows = []
    for i, name in enumerate(scores.classes):
        lost = np.nan_to_num(np.where(np.arange(len(shares)) == i, 0, shares[i]))
        into = int(lost.argmax())
        rows.append(
            {
                "name": name,
                "fields": [int(n) for n in fields.loc[name]] if name in fields.index else [0, 0, 0],
                "series": int(series[i]),
                "recall": float(scores.recall[i]),
                "precision": float(scores.precision[i]),
                "f1": float(scores.f1[i]),
                "into": f"{scores.classes[into]}, {words.percent(lost[into])}" if lost[into] > 0 else "",
            }
        )
    return rows


def _dimension_rows(findings: Findings) -> list[tuple[int, str]]:
    """Each embedding dimension with its strongest acquisitions in words."""
    strength = date_strength(findings.profiles)
    return [(int(d), words.strongest_days(strength[d].to_numpy(dtype=float), findings.dates)) for d in strength]


def _group(findings: Findings, group: Group) -> dict[str, Any]:
    """A group of classes, and for each band its figure's name and its contrast."""
    contrasts = [contrast(findings.profiles, group.classes, band) for band in findings.bands]
    names = [plate_name(group, band) for band in findings.bands]
    bands = list(zip(findings.bands, names, contrasts, strict=True))
    letter = plate_name(group, findings.bands[0], "letter") if findings.letter is not None else ""
    return {"title": group.title, "classes": group.classes, "why": group.why, "bands": bands, "letter": letter}


def _trust(findings: Findings) -> dict[str, Any]:
    """What is said beside each map and in the chapter on trust; empty where nothing was measured."""
    said: dict[str, Any] = {"shown": trust.named(findings.method), "beside": "", "letter": "", "choice": "", "ways": []}
    if findings.fidelity is not None:
        said |= {
            "beside": trust.sentence(findings.fidelity, findings.method),
            "letter": trust.sentence(findings.fidelity, "letter"),
            "choice": trust.choice(findings.fidelity, findings.method),
            "ways": trust.ways(findings.fidelity),
        }
    if findings.evaluation is not None:
        tables = [trust.efficiency_rows(findings.evaluation), trust.figure_rows(findings.evaluation)]
        said |= {"tables": tables, "best": trust.best(findings.evaluation, findings.method)}
    return said


def _interval(dates: np.ndarray) -> str:
    """How often, in words: the middle interval, and the longest if it is longer."""
    if len(dates) < 2:
        return "a single acquisition"
    days = np.diff(dates.astype("datetime64[s]")).astype(float) / 86400
    middle, longest = round(float(np.median(days))), round(float(days.max()))
    every = "every day" if middle <= 1 else f"every {middle} days"
    return every if longest <= middle else f"mostly {every} and at most {longest} days apart"


def _missing(findings: Findings) -> str:
    share = findings.missing
    if not np.any(share > 0):
        return "No value is missing."
    worst = int(share.argmax())
    return (
        f"{words.many(int((share > 0).sum()), 'acquisition')} of {len(share)} miss values, "
        f"{words.percent(float(share.mean()))} of all values; most in that of {words.day(findings.dates[worst])}, "
        f"{words.percent(float(share[worst]))}."
    )


def flat(settings: Mapping[str, Any], outer: str = "") -> Iterable[tuple[str, str]]:
    """Nested settings as rows of name and value."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{outer}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{outer}{key}", ", ".join(map(str, value))
        else:
            yield f"{outer}{key}", "not set" if value is None else str(value)
