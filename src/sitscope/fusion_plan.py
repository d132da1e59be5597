"""What does a person ask of several sensors: which images, read how, joined how?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from sitscope.autoencoder.branches import Join
from sitscope.cube.source import Source
from sitscope.errors import BadInput
from sitscope.settings import READING, RunSettings, chosen, from_toml


@dataclass(frozen=True)
class Plan:
    """What a settings file and a person ask of sitscope fuse."""

    sensors: Mapping[str, Source]
    """Images of each sensor with the options they are read with, the sensor whose pixels count first."""
    settings: RunSettings
    join: Join
    balance: bool


def read_plan(file: Path | None, asked: Mapping[str, Any], images: Sequence[str], how: Mapping[str, Any]) -> Plan:
    """A plan from a TOML file, over which what was asked has the last word.

    The file holds what a run's may, and `join`, `balance` and a table for each sensor, [sensors.s1], with its images
    and the options they are read with; options of reading outside the tables hold for every sensor. images:
    "s1=stack/". how: join and balance, None where not asked. Raises BadInput as `read_settings`, and for two sensors of
    a name, or one without images.

    >>> plan = read_plan(None, {}, ["s1=stack", "s2=S2.zarr"], {})
    >>> list(plan.sensors), plan.join
    (['s1', 's2'], 'branches')
    """
    given = dict(from_toml(file)) if file is not None else {}
    tables = given.pop("sensors", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise BadInput("settings", "sensors is no table of tables. Write [sensors.s1], and below it images = ...")
    own = {"join": given.pop("join", "branches"), "balance": given.pop("balance", False)}
    own |= {key: value for key, value in how.items() if value is not None}
    if own["join"] not in get_args(Join) or not isinstance(own["balance"], bool):
        raise BadInput("join", f"join is {own['join']!r} and balance {own['balance']!r}. join is branches or stacked.")
    for text in images:
        name, found, where = text.partition("=")
        if not (found and name and where):
            raise BadInput("sensor", f"{text!r} names no sensor with its images. Write --sensor s1=stack/.")
        tables[name] = {**tables.get(name, {}), "images": where}
    names = [text.partition("=")[0] for text in images]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise BadInput("sensor", f"sensor {double} is given twice. Give each once, several images of it as a glob.")
    last = {key: value for key, value in asked.items() if key in READING and value is not None}
    shared = {key: value for key, value in given.items() if key in READING}
    sources = {name: _source(name, {**shared, **table, **last}, file) for name, table in tables.items()}
    return Plan(sources, chosen(given, asked, file), own["join"], own["balance"])


def _source(name: str, table: Mapping[str, Any], file: Path | None) -> Source:
    options = {key: value for key, value in table.items() if key != "images"}
    if unknown := sorted(set(options) - READING):
        known = ", ".join(["images", *sorted(READING)])
        raise BadInput("settings", f"sensors.{name} has {unknown[0]!r}, which is unknown. Known names: {known}.")
    if "images" not in table:
        raise BadInput("sensors", f"sensor {name} has no images. Write them below [sensors.{name}]: images = ...")
    return Source.of(table["images"], chosen(options, {}, file).model_dump(include=READING))
