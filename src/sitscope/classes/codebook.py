"""Which class does each cluster of the embedding stand for, and how clear was the vote?"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from sitscope.errors import BadInput
from sitscope.untrusted import Single, content, parsed

CHUNK = 1 << 13
"""Embeddings assigned at once, so that the distances stay in the cache."""

STARTS = 20_000
"""Of a subsample, those on which the ten starts of k-means are tried; from the best, the whole subsample goes on."""

NUMBERS = 2_000_000
"""Numbers of the subsample, from 20 dimensions on: k-means takes as long as there are numbers and clusters."""

Assign = Callable[[Int[np.ndarray, "k m"]], Int[np.ndarray, " k"]]
"""From votes (clusters, classes) to the class of each cluster; -1 for none."""


def majority(votes: Int[np.ndarray, "k m"]) -> Int[np.ndarray, " k"]:
    """Each cluster takes the class with most votes in it, as in the letter; -1 where nobody voted.

    >>> majority(np.array([[3, 1], [0, 2], [0, 0]]))
    array([ 0,  1, -1])
    """
    return np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1)


def one_to_one(votes: Int[np.ndarray, "k m"]) -> Int[np.ndarray, " k"]:
    """The pairing of clusters and classes that keeps most votes, each used at most once; -1 for clusters left over.

    The optimal assignment behind "clustering accuracy". Majority would give both clusters here to the first class:

    >>> one_to_one(np.array([[9, 1], [5, 4]]))
    array([0, 1])
    """
    assigned = np.full(len(votes), -1)
    clusters, classes = linear_sum_assignment(votes, maximize=True)
    voted = votes[clusters, classes] > 0
    assigned[clusters[voted]] = classes[voted]
    return assigned


@dataclass(frozen=True, eq=False)
class Codebook:
    """Clusters of the embedding, and the class that each one stands for."""

    centres: Float32[np.ndarray, "k d"]
    """Centres of the clusters, in embedding units; the first holds most of the training series."""
    votes: Int[np.ndarray, "k m"]
    """Labelled training series per cluster and class: the whole table, not only its winner."""
    classes: tuple[str, ...]
    """Names of the m classes, sorted."""
    assigned: Int[np.ndarray, " k"]
    """Position in `classes` of each cluster's class; -1 where no labelled series fell into it."""

    def cluster(self, embedding: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        """The nearest centre of each embedding, in chunks."""
        return self.cluster_and_confidence(embedding)[0]

    def cluster_and_confidence(
        self, embedding: Float[np.ndarray, "n d"]
    ) -> tuple[Int[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """The nearest centre, and 1 - its distance / that of the second-nearest: 0 between the two, 1 at a centre.

        Nobody's neighbours in the array matter, to the last bit: each distance is a sum in the order of the dimensions.
        With a single centre there is no second, and confidence is 1.
        """
        e = np.asarray(embedding, np.float32)
        cluster, confidence = np.empty(len(e), np.int64), np.ones(len(e), np.float32)
        for i in range(0, len(e), CHUNK):
            squared = _squared_distance(e[i : i + CHUNK], self.centres)
            cluster[i : i + CHUNK] = squared.argmin(axis=1)
            if len(self.centres) > 1:
                near, second = np.partition(squared, 1, axis=1)[:, :2].T
                ratio = np.divide(near, second, out=np.ones_like(near), where=second > 0)
                confidence[i : i + CHUNK] = 1 - np.sqrt(ratio)
        return cluster, confidence

    def classify(self, embedding: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        """The class of each embedding, as a position in `classes`; -1 where its cluster has none."""
        return self.assigned[self.cluster(embedding)]

    def save(self, path: str | Path) -> Path:
        """Write as JSON."""
        facts = {name: getattr(self, name).tolist() for name in ("centres", "votes", "assigned")}
        Path(path).write_text(json.dumps(facts | {"classes": list(self.classes)}, indent=1))
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "Codebook":
        """Read what `save` wrote. Raises BadInput when it is missing or damaged."""
        try:
            facts = parsed(StoredCodebook, content(path))
            arrays = np.array(facts.centres, np.float32), np.array(facts.votes, np.int64)
            return cls(*arrays, facts.classes, np.array(facts.assigned, np.int64))
        except (OSError, ValueError) as error:
            raise BadInput("model", f"{path} holds no codebook ({error}). Name the folder of a whole run.") from error


class StoredCodebook(BaseModel):
    """codebook.json, as `Codebook.save` writes it: k clusters, d dimensions, m classes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centres: tuple[tuple[Single, ...], ...] = Field(min_length=1)
    votes: tuple[tuple[Annotated[int, Field(ge=0, lt=2**53)], ...], ...]
    assigned: tuple[Annotated[int, Field(ge=-1)], ...]
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _of_one_size(self) -> "StoredCodebook":
        k, m = len(self.centres), len(self.classes)
        if len({len(centre) for centre in self.centres}) > 1 or not self.centres[0]:
            raise ValueError("the centres have different numbers of dimensions")
        if [len(row) for row in self.votes] != [m] * k or len(self.assigned) != k:
            raise ValueError(f"votes and assigned are not of {k} clusters and {m} classes")
        if max(self.assigned) >= m:
            raise ValueError(f"a cluster is assigned class {max(self.assigned)}, and there are {m}")
        if list(self.classes) != sorted(set(self.classes)):
            raise ValueError("the classes are not in order, each once")
        return self


def fit_codebook(
    embedding: Float[np.ndarray, "n d"],
    label: Shaped[np.ndarray, " n"],
    *,
    clusters: int | None = None,
    assign: Assign = majority,
    seed: int = 0,
    subsample: int = 100_000,
) -> Codebook:
    """k-means on a subsample of the embeddings, all assigned, then a vote of the labelled ones in each cluster.

    The subsample is smaller for more than 20 dimensions, NUMBERS // d, and never below STARTS.

    embedding (n, d); label (n,) names, "" for unlabelled series, which shape clusters but do not vote. `clusters` is
    the number of classes unless given. Raises BadInput for fewer than two classes and for more clusters than series.

    >>> e = np.array([[0.0], [0.1], [5.0], [5.1]], np.float32)
    >>> book = fit_codebook(e, np.array(["rye", "rye", "oat", ""]), clusters=2)
    >>> [book.classes[i] for i in book.classify(e)]
    ['rye', 'rye', 'oat', 'oat']
    """
    label = np.asarray(label).astype(str)
    classes = tuple(sorted(set(label.tolist()) - {""}))
    if len(classes) < 2:
        raise BadInput("label", f"clusters cannot vote for one class only ({', '.join(classes) or 'none'}). Label two.")
    clusters = len(classes) if clusters is None else clusters
    require_clusters(clusters, len(embedding))
    subsample = min(subsample, max(STARTS, NUMBERS // embedding.shape[1]))
    rng = np.random.default_rng(seed)
    some = embedding if len(embedding) <= subsample else embedding[rng.choice(len(embedding), subsample, replace=False)]
    some = np.asarray(some, np.float32)
    few = some[:STARTS] if len(some) < len(embedding) else some  # a subsample is in random order
    with threadpool_limits(1):  # sums in one order only: the same centres on any number of cores
        fitted = KMeans(clusters, n_init=10, random_state=seed).fit(few)
        if len(few) < len(some):
            fitted = KMeans(clusters, init=fitted.cluster_centers_, n_init=1).fit(some)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=clusters), kind="stable")
    centres = fitted.cluster_centers_[order].astype(np.float32)
    book = Codebook(centres, np.zeros((clusters, len(classes)), np.int64), classes, np.full(clusters, -1))
    labelled = label != ""
    votes = _vote(book.cluster(embedding[labelled]), label[labelled], clusters, classes)
    return Codebook(centres, votes, classes, assign(votes))


def require_clusters(clusters: int, series: int) -> None:
    """Raise BadInput where so many clusters cannot be made of so many series; cheap, so ask before training."""
    if not 1 <= clusters <= series:
        raise BadInput(
            "clusters",
            f"{clusters} clusters cannot be made of {series} series. Ask for 2 to {series}, or add fields.",
        )


def _vote(
    cluster: Int[np.ndarray, " n"], label: Shaped[np.ndarray, " n"], clusters: int, classes: tuple[str, ...]
) -> Int[np.ndarray, "k m"]:
    votes = np.zeros((clusters, len(classes)), np.int64)
    np.add.at(votes, (cluster, np.searchsorted(classes, label)), 1)
    return votes


def _squared_distance(e: Float32[np.ndarray, "n d"], centres: Float32[np.ndarray, "k d"]) -> Float32[np.ndarray, "n k"]:
    """Dimension by dimension: a product of matrices rounds a row differently in company."""
    squared = np.zeros((len(e), len(centres)), np.float32)
    for mine, theirs in zip(e.T, centres.T, strict=True):
        squared += (mine[:, None] - theirs) ** 2
    return squared
