"""Names that somebody else chose are words on the page and in the styles, never markup, a program or a path."""

import base64
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from defusedxml import ElementTree as xml

from sitscope.cube import styles
from sitscope.showing.findings import Findings
from sitscope.showing.plates import plates
from sitscope.showing.report import write_figures, write_report

SCRIPT = "<script>alert(1)</script>"
NAMES = (SCRIPT, "\"><img src=x onerror='alert(1)'>", "]]> <!-- & &lt; {{ 7 * 7 }} $\\frac{$ %s", "../../../etc/passwd")
BAND = "V<b>V\" onload='x'"


def hostile(findings: Findings) -> Findings:
    """The same run, its first four classes, its first band and its title called as above."""
    renamed = dict(zip(findings.classes, NAMES, strict=False))

    def name(old: str) -> str:
        return renamed.get(old, old)

    def columns(column: str) -> str:
        return column.replace("VV", BAND) if column.startswith(("VV", "importance_VV")) else column

    findings.scores.classes = tuple(map(name, findings.classes))  # type: ignore[misc]
    findings.scores.classes_never_predicted = [name(each) for each in findings.scores.classes_never_predicted]  # type: ignore[misc]
    tables = {}
    for which in ("profiles", "letter"):
        table = getattr(findings, which)
        tables[which] = table.assign(**{"class": table["class"].map(name)}).rename(columns=columns)
    assert findings.fields is not None
    return replace(
        findings,
        title=SCRIPT,
        notes=[f"A note {SCRIPT}."],
        settings={"data": {SCRIPT: [SCRIPT]}},
        bands=(BAND, *findings.bands[1:]),
        votes=findings.votes.rename(columns=name),
        assigned=tuple(map(name, findings.assigned)),
        samples=findings.samples.assign(label=findings.samples.label.map(name)),
        fields=findings.fields.assign(label=findings.fields.label.map(name)),
        chosen=[NAMES[:3]],
        **tables,
    )


class Page(HTMLParser):
    """The elements of a page, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def drawn(make: Callable[..., Findings], tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, list[Path], Path]:
    findings, folder = hostile(make(classes=6, clusters=6, dates=12, size=40)), tmp_path_factory.mktemp("run")
    figures = list(plates(findings))
    page = write_report(folder / "report.html", findings, figures).read_text(encoding="utf-8")
    return Page(page), write_figures(folder / "figures", findings, figures), folder


def test_names_are_words_on_the_page(drawn: tuple[Page, list[Path], Path]) -> None:
    page = drawn[0]
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "b"}
    for tag, attrs in page.elements:
        assert not any(key.startswith("on") for key in attrs), (tag, attrs)
        assert (attrs.get("src") or "data:image/").startswith("data:image/")
    text = " ".join(page.words)
    for name in (*NAMES[:3], BAND, f"A note {SCRIPT}."):
        assert name in text, name


def test_names_are_words_in_the_figures(drawn: tuple[Page, list[Path], Path]) -> None:
    page, paths, _ = drawn
    figures = [path.read_bytes() for path in paths if path.suffix == ".svg"]
    for _, attrs in page.elements:
        kind, _, data = (attrs.get("src") or "").partition(";base64,")
        if kind == "data:image/svg+xml":
            figures.append(base64.b64decode(data))
    assert len(figures) > 10
    for figure in figures:
        for element in xml.fromstring(figure).iter():
            assert not str(element.tag).endswith(("script", "foreignObject", "image}script"))
            assert not any(key.startswith("on") for key in element.attrib)


def test_names_are_no_paths(drawn: tuple[Page, list[Path], Path]) -> None:
    _, paths, folder = drawn
    assert all(path.resolve().parent == folder / "figures" for path in paths)


def test_names_are_words_in_the_styles() -> None:
    names = dict(enumerate(NAMES, start=1))
    style = xml.fromstring(styles.paletted(dict.fromkeys(names, "#e69f00"), names))
    assert [entry.get("label") for entry in style.iter("paletteEntry")] == list(NAMES)
    assert len(list(style.iter())) == 4 + len(NAMES)
    beside = xml.fromstring(styles.categories(names, 1))
    assert [entry.text or "" for entry in beside.iter("Category")] == ["", *NAMES]
