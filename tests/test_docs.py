"""The how-tos run as they are written."""

import json
import re
from pathlib import Path

import pytest

from sitscope import measuring

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("page", ["own_encoder.md"])
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    table = names["table"]
    assert {row.method for row in table} == {"path", "rounds", "letter", "random"}  # type: ignore[attr-defined]


def test_the_figures_of_the_speed_page_are_those_of_the_chart_and_of_bench() -> None:
    """docs/speed.json is what benchmarks.explain printed; the page rounds it, bench compares with it."""
    found = json.loads((DOCS / "speed.json").read_text())
    rates = {network: each["thousand_series_per_s_d2"] for network, each in found.items()}
    table = (DOCS / "speed.md").read_text()
    for way, name in (("explain", "**Grad-SLAM, sitscope**"), ("embed", "embedding, sitscope")):
        (row,) = (line.replace("*", "") for line in table.splitlines() if line.startswith(f"| {name} |"))
        cells = [cell.strip() for cell in row.split("|")[2:-1]]
        assert [float(cells[0]), float(cells[2])] == [round(rates["pool"][way], 1), round(rates["default"][way], 1)]
    assert rates["default"]["explain"] == pytest.approx(measuring.EXPLAINED / 1000, rel=0.01)
    assert rates["default"]["embed"] == pytest.approx(measuring.EMBEDDED / 1000, rel=0.01)
