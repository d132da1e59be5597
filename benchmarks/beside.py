"""How do our confusion matrix and the letter's look side by side? Draws docs/story.md's two tables.

python -m benchmarks.beside   # writes docs/images/story.png
"""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sitscope.showing.colours import INK, MUTED, PAPER, RULE, SHARE
from sitscope.showing.style import styled

STORY = Path(__file__).parents[1] / "docs" / "story.md"
PICTURE = STORY.parent / "images" / "story.png"
TITLES = ("The letter, Fig. 3", "Simulated, mean of five years")


def tables(page: str) -> list[tuple[list[str], np.ndarray]]:
    """Classes and row percentages (m, m) of every confusion matrix of a page in Markdown; an empty cell is 0."""
    found: list[tuple[list[str], np.ndarray]] = []
    for block in page.split("\n\n"):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        if block.startswith("| truth |"):
            classes = lines[0][1:]
            found.append((classes, np.array([[float(cell or 0) for cell in row[1:]] for row in lines[2:]])))
    return found


@styled
def beside(matrices: list[tuple[list[str], np.ndarray]], titles: tuple[str, ...]) -> Figure:
    """Confusion matrices in a row, classes in the order of the first."""
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    classes = matrices[0][0]
    for axes, (names, rows), title in zip(
        figure.subplots(1, len(matrices), sharey=True), matrices, titles, strict=True
    ):
        assert names == classes
        axes.imshow(rows, cmap=SHARE, vmin=0, vmax=100)
        axes.set_title(title, loc="left")
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="Predicted class")
        axes.set_xticks(np.arange(len(names)) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(names)) - 0.5, minor=True)
        axes.grid(which="minor", color=RULE, linewidth=0.5)
        axes.grid(which="major", visible=False)
        axes.tick_params(which="both", length=0)
        for j in np.flatnonzero(rows.max(axis=0) <= 1):  # a rounded 1 % at most
            axes.get_xticklabels()[j].set(color=MUTED, style="italic")
        for i, j in np.argwhere(rows >= 1):
            colour = PAPER if rows[i, j] > 45 else INK
            axes.text(j, i, f"{rows[i, j]:.0f}", ha="center", va="center", color=colour, fontsize=7)
    figure.axes[0].set(ylabel="True class")
    return figure


def main() -> None:
    ours, letter = tables(STORY.read_text())
    beside([letter, ours], TITLES).savefig(PICTURE, dpi=110)
    print(json.dumps({"picture": str(PICTURE.name), "classes": len(letter[0])}))


if __name__ == "__main__":
    main()
