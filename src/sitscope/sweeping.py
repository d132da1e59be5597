"""How many dimensions must an embedding have, so that it looks at the dates that a small one missed?

The letter's Section III.B proposes larger embeddings against confusion. Here they are trained, a task for each size and
seed, each seed with a field-wise split of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from sitscope.applying import Machines
from sitscope.autoencoder.fitted import Fitted
from sitscope.autoencoder.network import Settings
from sitscope.autoencoder.training import fit
from sitscope.classes.codebook import require_clusters
from sitscope.covering import compared, learn
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import Talk, show, silent
from sitscope.mapping import ledger
from sitscope.mapping.work import one_torch_thread
from sitscope.settings import RunSettings
from sitscope.trying import do, kept, learners, require_counts, settings_of

SIZES = (2, 3, 4, 8, 16)
SEEDS = 3


@dataclass(frozen=True)
class Training:
    """One of the embeddings that are compared."""

    dims: int
    seed: int


@dataclass(frozen=True)
class Trainings:
    """What is done to each `Training`, here or on a worker that sees the run folder."""

    run: Path
    """Folder of the run, absolute."""
    settings: RunSettings
    """Of the run, but for `train_series`, which a quick sweep lowers."""

    @property
    def folder(self) -> Path:
        """Finished trainings: a model folder each."""
        return self.run / "sweep"

    def __call__(self, task: Training) -> Training:
        """Train, and keep the model."""
        with one_torch_thread():
            train, _ = split_by_field(kept(self.run), test=self.settings.test, seed=task.seed)
            some = train.isel(series=learners(train, self.settings, task.seed))
            fitted = fit(some, self.network(task.dims), seed=task.seed)
        with ledger.writing(self.folder):
            fitted.save(self.place(task))
        return task

    def done(self, task: Training) -> bool:
        """Whether the model of this very training is there."""
        try:
            there = Fitted.load(self.place(task))
        except BadInput:  # none, or one of which a part was written
            return False
        return (there.settings, there.seed) == (self.network(task.dims), task.seed)

    def place(self, task: Training) -> Path:
        """Where its model lies."""
        return self.folder / f"d{task.dims}-s{task.seed}-n{self.settings.train_series}"

    def network(self, dims: int) -> Settings:
        """That of the run, embedding in another size."""
        return self.settings.autoencoder.model_copy(update={"dims": dims})


def sweep(
    run: str | Path,
    sizes: Sequence[int] = SIZES,
    *,
    seeds: int = SEEDS,
    clusters: Sequence[int] | None = None,
    train_series: int | None = None,
    machines: Machines | None = None,
    talk: Talk = silent,
) -> pd.DataFrame:
    """Train embeddings of several sizes on the series that a run kept, compare them, and tell it in the run's report.

    Args:
        run: folder of a finished run.
        sizes: dimensions of the embeddings, two or more; the smallest is what the others are compared with.
        seeds: trainings of each size, from the run's own seed on, each with another field-wise split.
        clusters: numbers of clusters; those of the run and four times as many if not given.
        train_series: most series that train each; as many as in the run if not given, fewer are faster.
        machines: who trains; processes of this machine if not said.
        talk: told of progress.

    Returns a row for each size, number of clusters and seed; see `sitscope.covering.compared`; train_series is
    the most that trained each. Writes sweep.csv,
    sweep_dates.csv and the trained models, sweep/, into the run folder: trainings that are there already are kept.
    Raises BadInput for numbers that cannot be, and where there is no run or one that kept no series.
    """
    sizes = require_counts("dims", sizes, least=1, few=2)
    series, settings = kept(run), settings_of(run)
    if clusters is None:
        own = settings.clusters or len(np.unique(series.label.values))
        clusters = (own, 4 * own)
    clusters = require_counts("clusters", clusters, least=2)
    require_counts("seeds", [seeds], least=1)
    if train_series is not None:
        require_counts("train_series", [train_series], least=2, most=2**31)
        settings = settings.model_copy(update={"train_series": train_series})
    job = Trainings(Path(run).absolute(), settings)
    tasks = [Training(dims, settings.seed + i) for i in range(seeds) for dims in sizes]
    for seed in range(settings.seed, settings.seed + seeds):
        require_clusters(clusters[-1], len(split_by_field(series, test=settings.test, seed=seed)[0].x))
    do(tasks, job, job.done, machines or Machines(), partial(talk, "training"))
    learned = {}
    for i, task in enumerate(tasks):
        talk("comparing", i, len(tasks))
        fitted = Fitted.load(job.place(task))
        learned[task.dims, task.seed] = learn(fitted, series, clusters, settings, task.seed)
    table, dates = compared(learned, series, settings.seed)
    table.insert(3, "train_series", settings.train_series)
    talk("comparing", len(tasks), len(tasks))
    folder = RunFolder(Path(run))
    folder.write_sweep(table, dates)
    show(folder, talk)
    return table
