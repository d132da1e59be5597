"""Is the report one file that anyone can read, anywhere?"""

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sitscope.showing.findings import Findings
from sitscope.showing.plates import Plate, plates
from sitscope.showing.report import write_figures, write_report


class Page(HTMLParser):
    """The elements and the words of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.bytes = path.stat().st_size
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def drawn(findings: Findings) -> list[Plate]:
    return list(plates(findings))


@pytest.fixture(scope="module")
def page(findings: Findings, drawn: list[Plate], tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(write_report(tmp_path_factory.mktemp("report") / "report.html", findings, drawn))


def test_nothing_is_loaded_from_anywhere(page: Page, findings: Findings) -> None:
    for tag, attrs in page.elements:
        for name in ("src", "srcset", "data", "poster", "action"):
            assert (attrs.get(name) or "data:").startswith("data:"), (tag, attrs.get(name))
        if tag != "a" and "href" in attrs:
            assert (attrs["href"] or "").startswith("data:"), (tag, attrs["href"])
    assert not page.all("script")
    assert not page.all("iframe")
    assert "url(" not in (Path(__file__).parents[2] / "src/sitscope/showing/templates/report.css").read_text()


def test_links_lead_to_the_letter_or_to_a_chapter_that_exists(page: Page) -> None:
    anchors = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    for link in (attrs["href"] for attrs in page.all("a")):
        assert link == "https://doi.org/10.1109/LGRS.2023.3302906" or (link or "")[1:] in anchors


def test_every_element_is_closed_and_every_id_is_one(page: Page) -> None:
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_every_figure_has_words_for_those_who_cannot_see_it(page: Page, drawn: list[Plate]) -> None:
    pictures = page.all("img")
    assert [picture["alt"] for picture in pictures] == [plate.alt for plate in drawn_in_order(page, drawn)]
    assert all(len(plate.alt) > 30 for plate in drawn)
    assert all(picture["width"] and picture["height"] for picture in pictures)


def drawn_in_order(page: Page, drawn: list[Plate]) -> list[Plate]:
    by_name = {f"figure_{plate.name}": plate for plate in drawn}
    return [by_name[attrs["id"]] for attrs in page.all("figure")]  # type: ignore[index]


def test_every_figure_is_on_the_page_once(page: Page, drawn: list[Plate]) -> None:
    assert sorted(attrs["id"] for attrs in page.all("figure")) == sorted(f"figure_{plate.name}" for plate in drawn)  # type: ignore[type-var]


def test_it_says_the_headline_numbers(page: Page, findings: Findings) -> None:
    scores = findings.scores
    for number, what in (
        (f"{100 * scores.overall_accuracy:.0f} %", "overall accuracy"),
        (f"{scores.kappa:.2f}", "kappa"),
        (f"{100 * scores.macro_recall:.0f} %", "macro recall"),
        ("7 of 16", "classes never predicted"),
        ("10,259", "test series"),
    ):
        assert number in page.text, what


def test_it_tells_flows_clusters_and_dates_in_sentences(page: Page) -> None:
    assert "Pepper becomes Cotton: 75 % of its test series" in page.text
    assert "8 classes own at least one of the 16 clusters, so 8 classes cannot be predicted at all" in page.text
    assert "embedding dimension 1 looks most at 8–14 Feb, 27 Apr to 2 Jun and 12–24 Oct" in page.text
    assert "Worst confused: Cotton, Sweet Potato and Pepper" in page.text
    assert "3 acquisitions of 61 miss values" in page.text


def test_every_profile_says_how_far_its_own_map_can_be_trusted(page: Page, drawn: list[Plate]) -> None:
    own = "this map ranks highest moves the embedding by 81 % of what removing all does; a random half 47 %; the letter"
    letter = (
        "this map ranks highest moves the embedding by 62 % of what removing all does; a random half 47 %; the map of"
    )
    names = [plate.name for plate in drawn if plate.name.startswith("profile_")]
    by_letter = [name for name in names if name.endswith("_letter")]
    assert len(by_letter) == 3, "of the first band of each group"
    assert page.text.count(own) == len(names) - len(by_letter)
    assert page.text.count(letter) == len(by_letter)


def test_it_says_which_method_it_shows_and_why(page: Page) -> None:
    assert "This page shows path attribution. It is complete" in page.text
    assert "they miss 0.4 % of it (median). And its order of the acquisitions moves the embedding further" in page.text
    assert "difference +0.14, 95 % interval +0.11 to +0.17" in page.text
    assert (
        "Most efficient here is dates removed in rounds, 0.98 over all maskings. Path attribution, which" in page.text
    )
    assert "random order 0.09 -0.09 to 0.11 0.01 0.03 0.05 0.07" in page.text


def test_captions_say_which_method_is_shown_and_keep_the_meaning_of_colours(drawn: list[Plate]) -> None:
    captions = {plate.name: plate.caption for plate in drawn}
    assert "by path attribution, in units of the embedding" in captions["profile_confused_VV"]
    assert "red raises the embedding dimension, blue lowers it" in captions["profile_confused_VV"]
    assert "by the letter's Grad-SLAM" in captions["profile_confused_VV_letter"]
    assert "blue may therefore stand for a strong negative influence" in captions["profile_confused_VV_letter"]
    assert "Importance is the mean over at most 400 of the series." in captions["profile_confused_VV"]
    assert "by path attribution" in captions["importance_overview"]
    assert "by path attribution" in captions["peak_dates"]


def test_a_run_without_figures_of_trust_says_that_nothing_is_known(findings: Findings, tmp_path: Path) -> None:
    old = replace(findings, method="letter", letter=None, fidelity=None, evaluation=None, maps=None)
    page = Page(write_report(tmp_path / "report.html", old))
    assert "Nothing on this page measures how faithful the importance is" in page.text
    assert "How far to trust this" not in page.text
    assert "Trust:" not in page.text
    assert "path attribution" not in page.text


def test_it_is_honest_about_the_method(page: Page) -> None:
    assert "measured for the embedding as a whole, not for each class and acquisition" in page.text
    assert "blue may stand for a strong negative influence" in page.text
    assert "Eq. 3" in page.text
    assert "Eq. 4" in page.text


def test_settings_seed_and_versions_are_in_the_table(page: Page) -> None:
    for row in ("seed 0", "settings.filters 64, 128, 256", "versions.torch 2.13.0"):
        assert row in page.text


def test_it_is_small_enough_to_send(page: Page) -> None:
    assert page.bytes < 6e6


def test_the_same_run_gives_the_same_page(findings: Findings, drawn: list[Plate], tmp_path: Path) -> None:
    some = [plate for plate in drawn if plate.name in ("confusion", "losses")]
    one, two = (write_report(tmp_path / name, findings, some).read_bytes() for name in ("a.html", "b.html"))
    assert one == two


def test_names_are_text_and_never_markup(make: Callable[..., Findings], tmp_path: Path) -> None:
    run = make(classes=3, maps=False, clusters=3)
    names = ("<b>Rye & oats", 'x" onload="y', "Tomato")
    new = dict(zip(run.classes, names, strict=True))
    scores = SimpleNamespace(**{**vars(run.scores), "classes": names})
    renamed = replace(
        run,
        title="<script>alert(1)</script>",
        scores=scores,
        assigned=tuple(new[name] for name in run.assigned),
        votes=run.votes.rename(columns=new),
        samples=run.samples.replace({"label": new, "predicted": new}),
        profiles=run.profiles.replace({"class": new}),
        letter=None,
        fields=None,
    )
    page = Page(write_report(tmp_path / "report.html", renamed))
    assert not page.all("b")
    assert not page.all("script")
    assert all("onload" not in attrs for _, attrs in page.elements)
    assert "<b>Rye & oats" in page.text
    assert "<script>alert(1)</script>" in page.text


@pytest.mark.parametrize(("classes", "dims", "clusters"), [(2, 1, 2), (60, 1, 8), (4, 8, 4)])
def test_small_and_large_runs_are_told_too(
    make: Callable[..., Findings], tmp_path: Path, classes: int, dims: int, clusters: int
) -> None:
    run = make(classes=classes, dims=dims, clusters=clusters, maps=False, dates=20)
    run = replace(run, bands=("VV",), missing=np.zeros(20))
    page = Page(write_report(tmp_path / "report.html", run))
    assert f"{classes} classes" in page.text
    assert "The map" not in page.text
    assert "No value is missing." in page.text
    assert "nan" not in page.text


def test_classes_without_test_series_and_votes_do_not_break_it(make: Callable[..., Findings], tmp_path: Path) -> None:
    run = make(classes=3, clusters=3, maps=False)
    confusion = np.array([[5, 0, 0], [2, 1, 0], [0, 0, 0]])
    nan = float("nan")
    scores = SimpleNamespace(
        classes=run.classes, confusion=confusion, unclassified=np.array([1, 0, 0]), overall_accuracy=6 / 9, kappa=nan,
        macro_recall=0.58, recall=np.array([5 / 6, 1 / 3, nan]), precision=np.array([5 / 7, 1.0, nan]),
        f1=np.array([0.77, 0.5, nan]), classes_never_predicted=["Sugar Beet"], n_test=9,
    )  # fmt: skip
    profiles = run.profiles[run.profiles["class"] != "Sugar Beet"]
    votes = run.votes.copy()
    votes.loc[3] = 0
    odd = replace(run, scores=scores, profiles=profiles, votes=votes, assigned=(*run.assigned[:2], ""), losses={})
    text = Page(write_report(tmp_path / "report.html", odd)).text
    assert "0 n/a n/a n/a" in text
    assert "n/a" in text
    assert "nan" not in text


def test_figures_are_written_as_svg_and_png(findings: Findings, drawn: list[Plate], tmp_path: Path) -> None:
    some = [plate for plate in drawn if plate.name in ("confusion", "losses")]
    paths = write_figures(tmp_path / "figures", findings, some)
    assert [path.name for path in paths] == ["confusion.svg", "confusion.png", "losses.svg", "losses.png"]
    assert all(path.stat().st_size > 5000 for path in paths)
