"""What do `compare` and `sweep` start from, and who does their work? The series that a run kept, task by task.

n series, c bands, t dates.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Int

from sitscope.applying import Machines
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.mapping import ledger
from sitscope.settings import RunSettings


def kept(run: str | Path) -> xr.Dataset:
    """The labelled series that a finished run kept, as `sample` gives them; read once in a process.

    Raises BadInput where there is no run, or one that keeps no series.
    """
    table = Path(run) / "samples.parquet"
    stamp = table.stat().st_mtime_ns if table.exists() else 0
    return _kept(str(Path(run).absolute()), stamp)


@lru_cache(maxsize=1)
def _kept(run: str, stamp: int) -> xr.Dataset:
    folder = RunFolder(Path(run))
    x, samples = folder.series()
    fitted, _ = folder.model()
    mine = np.flatnonzero(samples.label != "")
    columns = {name: ("series", samples[name].to_numpy()[mine]) for name in ("label", "field")}
    data = {"x": (("series", "band", "time"), x[mine]), **columns}
    return xr.Dataset(data, {"time": fitted.dates, "band": list(fitted.bands)}, {"units": fitted.units})


def settings_of(run: str | Path) -> RunSettings:
    """The settings of a run."""
    return RunFolder(Path(run)).facts().settings


def learners(train: xr.Dataset, settings: RunSettings, seed: int) -> Int[np.ndarray, " n"]:
    """Which of the series train a network: at most `train_series` of them, as in a run."""
    return np.sort(np.random.default_rng(seed).permutation(len(train.x))[: settings.train_series])


def do(
    tasks: Sequence[Any],
    job: Any,
    done: Callable[[Any], bool],
    machines: Machines,
    progress: Callable[[int, int], object],
) -> None:
    """Do what is not done yet; what was done when somebody interrupts stays done.

    job: see `sitscope.mapping.drive`. Raises BadInput where job.folder cannot be written.
    """
    work, *_ = machines.settled()
    with ledger.writing(job.folder):
        job.folder.mkdir(exist_ok=True)
    left = [task for task in tasks if not done(task)]
    count = len(tasks) - len(left)
    progress(count, len(tasks))
    for _ in work(left, job) if left else ():
        count += 1
        progress(count, len(tasks))


def require_counts(
    argument: str, values: Sequence[int], least: int, few: int = 1, most: int = 65_536
) -> tuple[int, ...]:
    """Whole numbers from `least` to `most`, in order, each once, `few` or more of them; or BadInput.

    >>> require_counts("dims", [8, 2, 2], least=1)
    (2, 8)
    """
    found = tuple(sorted(set(values)))
    if wrong := [value for value in found if value < least]:
        raise BadInput(argument, f"{wrong[0]} is too small. Give {least} or more.")
    if found and found[-1] > most:
        raise BadInput(argument, f"{found[-1]} is too large. Give {most} at most.")
    if len(found) < few:
        what = ", ".join(map(str, found)) or "nothing"
        raise BadInput(argument, f"{what} is too few to choose from. Give {few} or more, such as 2,4,8.")
    return found
