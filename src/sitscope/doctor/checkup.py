"""The whole checkup: images, fields, a look at the values, and what a run will need."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sitscope.doctor.costs import examine_costs
from sitscope.doctor.fields import classes_of, examine_fields
from sitscope.doctor.images import examine_images, facts_of_images
from sitscope.doctor.notebook import Notebook, Problem
from sitscope.doctor.values import Looked, Progress, facts_of_values, look
from sitscope.errors import BadInput
from sitscope.job import require_free, silent
from sitscope.settings import READING, RunSettings, read_settings


@dataclass(frozen=True)
class Checkup:
    """What is there, and every problem found."""

    there: dict[str, str]
    """what is there, by what is asked"""
    dates: tuple[dict[str, Any], ...]
    """date, orbit and share of pixels missing of each"""
    classes: tuple[dict[str, Any], ...]
    """class, fields, those too small, pixels of each"""
    problems: tuple[Problem, ...]
    """errors first"""

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way of a run."""
        return not any(problem.severity == "error" for problem in self.problems)

    def as_dict(self) -> dict[str, Any]:
        """Plain, for JSON."""
        return asdict(self) | {"ready": self.ready}


def examine(
    images: Any,
    fields: Any,
    *,
    settings_file: Path | None = None,
    asked: Mapping[str, Any] | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Checkup:
    """Examine what a run would be given, without computing any of it; nothing is raised for a user's mistakes.

    images: whatever `open_cube` reads; fields: whatever `sample` reads; settings_file and asked: as `read_settings`
    has them; out: folder of the run, if it is to be looked at too. The checks are those that a run goes through, one
    by one: after a mistake the others go on as far as they can. Values are seen in windows where fields are, of a
    large cube 256 MB at most, so the share of nodata of each date is then an estimate.

    >>> from sitscope.simulation.scene import simulate
    >>> scene = simulate(fields=60, field_px=6, seed=0)
    >>> found = examine(scene.cube, scene.fields)
    >>> found.ready, found.there["bands and units"], len(found.dates)
    (True, 'VV dB, VH dB', 61)
    >>> bad = examine(scene.cube, scene.fields, asked={"label": "crp", "start": "2031-01-01"})
    >>> [problem.argument for problem in bad.problems if problem.severity == "error"]
    ['start', 'label']
    """
    note = Notebook()
    settings = _settings(settings_file, asked or {}, note)
    if out is not None:
        note.tried(lambda: require_free(out, overwrite))
    progress("reading headers", 0, 1)
    opened = examine_images(images, settings.model_dump(include=READING), note)
    progress("reading headers", 1, 1)
    frame, drawn = examine_fields(fields, None if opened is None else opened.grid, settings, note)
    there: dict[str, str] = {} if opened is None else facts_of_images(opened)
    if frame is not None:
        there["fields"] = f"{len(frame)}, columns {', '.join(map(str, frame.columns.drop(frame.geometry.name)))}"
    looked = None
    if opened is not None:
        looked = look(opened, drawn, settings.fill, note, progress)
        there |= examine_costs(opened, drawn, settings, out, note)
    if looked is not None:
        there["looked at"] = _seen(looked)
    dates = () if looked is None else tuple(facts_of_values(looked)["dates"])
    return Checkup(there, dates, () if drawn is None else tuple(classes_of(drawn)), note.told())


def _seen(looked: Looked) -> str:
    if looked.whole:
        return f"all {looked.pixels:,} pixels through all dates"
    return f"{looked.pixels:,} pixels through all dates, from which the share of nodata is estimated"


def _settings(file: Path | None, asked: Mapping[str, Any], note: Notebook) -> RunSettings:
    """As read; without the file, and then without the options, where there is a mistake in them."""
    for given, options in ((file, asked), (None, asked)):
        try:
            return read_settings(given, options)
        except BadInput as error:
            note.error(error)
    plain = {name: asked[name] for name in ("label", *READING) if isinstance(asked.get(name), str | tuple)}
    return note.tried(lambda: read_settings(None, plain)) or RunSettings()
