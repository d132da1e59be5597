"""How well do other methods do on the same fields: what any embedding must beat, and what labels could reach?

The baselines of the letter's reference [4] (Di Martino et al., IGARSS 2021) beside the convolutional autoencoder, each
clustered by k-means and named by the vote of the training series; and two methods that learn from labels.
n series, c bands, t dates, d dimensions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Shaped
from pydantic import BaseModel, ConfigDict
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier

from sitscope.applying import Machines
from sitscope.autoencoder.classifier import fit_classifier
from sitscope.autoencoder.training import fit, scaling
from sitscope.classes.codebook import fit_codebook, require_clusters
from sitscope.classes.scores import Scores, score_embedding
from sitscope.classes.scores import compare as scored
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput
from sitscope.folder import RunFolder
from sitscope.job import VOTES, Talk, show, silent
from sitscope.mapping import ledger
from sitscope.mapping.work import one_torch_thread
from sitscope.settings import RunSettings
from sitscope.trying import do, kept, learners, require_counts, settings_of
from sitscope.untrusted import content, parsed

SPLITS = 5
TREES = 300
"""Of the random forest."""

Embed = Callable[[Float[np.ndarray, "n c t"]], Float[np.ndarray, "n d"]]
"""Series, in the units of the cube, to what is clustered."""
Predict = Callable[[Float[np.ndarray, "n c t"]], Shaped[np.ndarray, " n"]]
"""Series to the names of their classes."""


def raw(some: xr.Dataset, settings: RunSettings, seed: int) -> Embed:
    """The z-scores of the series themselves: c t numbers, nothing learned."""
    mean, std = scaling(some.x.values, tuple(map(str, some.band.values)))
    return lambda x: ((x - mean[:, None]) / std[:, None]).reshape(len(x), -1)


def pca(some: xr.Dataset, settings: RunSettings, seed: int) -> Embed:
    """Principal components of the z-scores, as many as the embedding has dimensions."""
    flat = raw(some, settings, seed)
    components = PCA(settings.autoencoder.dims, random_state=seed).fit(flat(some.x.values))
    return lambda x: components.transform(flat(x)).astype(np.float32)


def connected(some: xr.Dataset, settings: RunSettings, seed: int) -> Embed:
    """The autoencoder without convolutions, trained in the same loop."""
    return fit(some, settings.autoencoder.dense(), seed=seed).embed


def convolutional(some: xr.Dataset, settings: RunSettings, seed: int) -> Embed:
    """The autoencoder of the run."""
    return fit(some, settings.autoencoder, seed=seed).embed


def forest(some: xr.Dataset, settings: RunSettings, seed: int) -> Predict:
    """A random forest on the values."""
    trees = RandomForestClassifier(TREES, random_state=seed, n_jobs=1)
    trees.fit(some.x.values.reshape(len(some.x), -1), some.label.values.astype(str))
    return lambda x: trees.predict(x.reshape(len(x), -1))


def cnn(some: xr.Dataset, settings: RunSettings, seed: int) -> Predict:
    """The encoder of the autoencoder, told the classes."""
    fitted = fit_classifier(some, some.label.values, settings.autoencoder, seed=seed)
    return lambda x: np.array(fitted.classes)[fitted.predict(x)]


CLUSTERED: Mapping[str, Callable[[xr.Dataset, RunSettings, int], Embed]] = {
    "raw": raw,
    "pca": pca,
    "connected": connected,
    "cae": convolutional,
}
"""Methods that see no label, by the name that a person types."""
SUPERVISED: Mapping[str, Callable[[xr.Dataset, RunSettings, int], Predict]] = {"forest": forest, "cnn": cnn}
"""Methods that learn from the labels of the training series."""
METHODS = (*CLUSTERED, *SUPERVISED)


def scores_of(method: str, series: xr.Dataset, settings: RunSettings, seed: int) -> Scores:
    """Scores of a method on the test fields of one split.

    As in a run, at most `train_series` series train, and all training series are clustered and vote.
    """
    train, test = split_by_field(series, test=settings.test, seed=seed)
    some = train.isel(series=learners(train, settings, seed))
    if method in CLUSTERED:
        embed = CLUSTERED[method](some, settings, seed)
        vote = VOTES[settings.vote]
        label = train.label.values
        book = fit_codebook(embed(train.x.values), label, clusters=settings.clusters, assign=vote, seed=seed)
        return score_embedding(embed(test.x.values), test.label.values, book)
    classes = np.unique(train.label.values[train.label.values != ""].astype(str))
    told = some.isel(series=np.flatnonzero(some.label.values != ""))
    known = test.isel(series=np.flatnonzero(np.isin(test.label.values, classes)))
    truth = np.searchsorted(classes, known.label.values.astype(str))
    found = np.searchsorted(classes, SUPERVISED[method](told, settings, seed)(known.x.values))
    return scored(truth, found, found, tuple(classes.tolist()))


# ---- all of them, wherever that is


@dataclass(frozen=True)
class Trial:
    """A method on a split."""

    method: str
    seed: int


class Result(BaseModel):
    """A row of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str
    kind: Literal["clustered", "supervised"]
    dims: int
    """Of what is clustered; 0 where nothing is."""
    clusters: int
    seed: int
    """Of split, training and clusters."""
    test: float
    """Share of the series that are tested."""
    overall_accuracy: float
    macro_recall: float
    test_series: int


def result(trial: Trial, series: xr.Dataset, settings: RunSettings) -> Result:
    """Train, predict and score."""
    found = scores_of(trial.method, series, settings, trial.seed)
    whole = series.x.shape[1] * series.x.shape[2]
    kind: Literal["clustered", "supervised"] = "clustered" if trial.method in CLUSTERED else "supervised"
    size = {"raw": whole, **dict.fromkeys(SUPERVISED, 0)}.get(trial.method, settings.autoencoder.dims)
    return Result(
        method=trial.method,
        kind=kind,
        dims=size,
        clusters=(settings.clusters or 0) if kind == "clustered" else 0,
        seed=trial.seed,
        test=found.n_test / int((series.label.values != "").sum()),
        overall_accuracy=found.overall_accuracy,
        macro_recall=found.macro_recall,
        test_series=found.n_test,
    )


@dataclass(frozen=True)
class Trials:
    """What is done to each `Trial`, here or on a worker that sees the run folder."""

    run: Path
    """Folder of the run, absolute."""
    settings: RunSettings
    """With dimensions and clusters as they are compared."""

    @property
    def folder(self) -> Path:
        """Finished trials: a JSON file each."""
        return self.run / "compare"

    def __call__(self, trial: Trial) -> Trial:
        """Do it, and keep its result."""
        with one_torch_thread():
            found = result(trial, kept(self.run), self.settings)
        with ledger.writing(self.folder):
            new = self.place(trial).with_suffix(".new")
            new.write_text(found.model_dump_json())
            new.replace(self.place(trial))
        return trial

    def read(self, trial: Trial) -> Result:
        """Its result; OSError or ValueError where there is none."""
        return parsed(Result, content(self.place(trial)))

    def done(self, trial: Trial) -> bool:
        """Whether its result is there."""
        try:
            there = self.read(trial)
        except (OSError, ValueError):
            return False
        return (there.method, there.seed) == (trial.method, trial.seed)

    def place(self, trial: Trial) -> Path:
        """Where its result lies."""
        size = f"d{self.settings.autoencoder.dims}-k{self.settings.clusters}"
        return self.folder / f"{trial.method}-{size}-s{trial.seed}.json"


def compare(
    run: str | Path,
    methods: Sequence[str] | None = None,
    *,
    splits: int = SPLITS,
    dims: int | None = None,
    clusters: int | None = None,
    machines: Machines | None = None,
    talk: Talk = silent,
) -> pd.DataFrame:
    """Score other methods beside the autoencoder on the series that a run kept, and tell it in the run's report.

    Args:
        run: folder of a finished run.
        methods: of METHODS; all if not given.
        splits: into training and test fields, drawn anew; the first is the run's own.
        dims: of embeddings and principal components; those of the run if not given.
        clusters: those of the run if not given.
        machines: who trains; processes of this machine if not said.
        talk: told of progress.

    Returns a row for each method and split; see `Result`. Writes compare.csv, and what is done into compare/, both in
    the run folder. Raises BadInput for an unknown method, for numbers that cannot be, and where there is no run or one
    that kept no series.
    """
    series, settings = kept(run), settings_of(run)
    settings = sized(settings, series, dims, clusters)
    trials = planned(methods, splits, series, settings)
    job = Trials(Path(run).absolute(), settings)
    do(trials, job, job.done, machines or Machines(), partial(talk, "comparing methods"))
    table = pd.DataFrame([job.read(trial).model_dump() for trial in trials])
    folder = RunFolder(Path(run))
    folder.write_comparison(table)
    show(folder, talk)
    return table


def sized(settings: RunSettings, series: xr.Dataset, dims: int | None, clusters: int | None) -> RunSettings:
    """The settings with other dimensions and clusters, the latter known: as many as classes unless said."""
    for name, value in (("dims", dims), ("clusters", clusters)):
        if value is not None:
            require_counts(name, [value], least=1)
    network = settings.autoencoder.model_copy(update={"dims": dims or settings.autoencoder.dims})
    many = clusters or settings.clusters or len(set(series.label.values.tolist()) - {""})
    return settings.model_copy(update={"autoencoder": network, "clusters": many})


def planned(methods: Sequence[str] | None, splits: int, series: xr.Dataset, settings: RunSettings) -> list[Trial]:
    """Every method on every split. Raises BadInput for what cannot be, before anything is trained."""
    names = METHODS if methods is None else tuple(dict.fromkeys(methods))
    if unknown := [name for name in names if name not in METHODS]:
        raise BadInput("methods", f"there is no method {unknown[0]!r}. The methods are {', '.join(METHODS)}.")
    require_counts("splits", [splits], least=2)
    seeds = range(settings.seed, settings.seed + splits)
    for seed in seeds:
        train, _ = split_by_field(series, test=settings.test, seed=seed)
        require_clusters(settings.clusters or 1, len(train.x))
    whole = series.x.shape[1] * series.x.shape[2]
    if "pca" in names and settings.autoencoder.dims > whole:
        raise BadInput("dims", f"series of {whole} values have no {settings.autoencoder.dims} principal components.")
    return [Trial(name, seed) for seed in seeds for name in names]
