"""How often is the class right, and what do the wrong ones become?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from sitscope.errors import BadInput


@dataclass(frozen=True, eq=False)
class Scores:
    """A confusion matrix of test series and what follows from it."""

    classes: tuple[str, ...]
    confusion: Int[np.ndarray, "m m"]
    """Test series by (truth, prediction)."""
    unclassified: Int[np.ndarray, " m"]
    """Test series by truth that fell into a cluster without a class; they count as wrong."""
    ari: float
    """Adjusted Rand index of clusters against classes: 1 the same partition, 0 chance."""
    nmi: float
    """Normalised mutual information of clusters and classes, 0 to 1."""

    @property
    def n_test(self) -> int:
        """Test series counted."""
        return int(self.confusion.sum() + self.unclassified.sum())

    @property
    def support(self) -> Int[np.ndarray, " m"]:
        """Test series of each class."""
        return self.confusion.sum(axis=1) + self.unclassified

    @property
    def overall_accuracy(self) -> float:
        """Share of test series with the right class."""
        return float(np.trace(self.confusion) / self.n_test)

    @property
    def kappa(self) -> float:
        """Cohen's kappa: (p_o - p_e) / (1 - p_e), agreement beyond that of independent draws with the same shares."""
        expected = float((self.support / self.n_test) @ (self.confusion.sum(axis=0) / self.n_test))
        return (self.overall_accuracy - expected) / (1 - expected) if expected < 1 else float("nan")

    @property
    def recall(self) -> Float[np.ndarray, " m"]:
        """Share of each class's test series that were recognised (producer's accuracy); NaN for a class without any."""
        return _share(np.diag(self.confusion), self.support)

    @property
    def precision(self) -> Float[np.ndarray, " m"]:
        """Share of each predicted class that is right (user's accuracy); NaN where it is never predicted."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def f1(self) -> Float[np.ndarray, " m"]:
        """Harmonic mean of precision and recall: 2 right / (truth + predicted)."""
        return _share(2 * np.diag(self.confusion), self.support + self.confusion.sum(axis=0))

    @property
    def macro_recall(self) -> float:
        """Mean recall over the classes that have test series, each class alike."""
        return float(np.nanmean(self.recall))

    @property
    def row_percent(self) -> Float[np.ndarray, "m m"]:
        """Where each class's test series go, in % of the class."""
        return 100 * _share(self.confusion, self.support[:, None])

    @property
    def classes_never_predicted(self) -> list[str]:
        """Classes that no test series was given."""
        return [name for name, n in zip(self.classes, self.confusion.sum(axis=0), strict=True) if n == 0]

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers for scores.json; null where a share has no denominator."""
        by_class = {
            k: dict(zip(self.classes, _plain(getattr(self, k)), strict=True)) for k in ("recall", "precision", "f1")
        }
        return {
            "overall_accuracy": self.overall_accuracy,
            "kappa": None if np.isnan(self.kappa) else self.kappa,
            "macro_recall": self.macro_recall,
            **by_class,
            "classes_never_predicted": self.classes_never_predicted,
            "adjusted_rand_index": self.ari,
            "normalised_mutual_information": self.nmi,
            "n_test": self.n_test,
            "support": dict(zip(self.classes, self.support.tolist(), strict=True)),
            "confusion": self.confusion.tolist(),
            "unclassified": self.unclassified.tolist(),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Scores":
        """Scores from what `as_dict` wrote."""
        confusion, unclassified = np.array(plain["confusion"]), np.array(plain["unclassified"])
        ari, nmi = plain["adjusted_rand_index"], plain["normalised_mutual_information"]
        return cls(tuple(plain["recall"]), confusion, unclassified, ari, nmi)


def score(test: Any, fitted: Any, book: Any) -> Scores:
    """Scores of a model and its codebook on labelled series that they have not seen.

    test: what `split_by_field` returns, x (n, c, t) with labels; unlabelled series are left out. Raises BadInput
    when none is labelled.
    """
    return score_embedding(fitted.embed(test.x), np.asarray(test.label), book)


def score_embedding(embedding: Float[np.ndarray, "n d"], label: Shaped[np.ndarray, " n"], book: Any) -> Scores:
    """The same from embeddings (n, d) and label names (n,)."""
    known = np.isin(label, book.classes)
    if not known.any():
        raise BadInput("fields", "no test series has a label that was trained on; nothing can be scored. Add fields.")
    truth = np.searchsorted(book.classes, label[known].astype(str))
    cluster = book.cluster(embedding[known])
    return compare(truth, book.assigned[cluster], cluster, book.classes)


def compare(
    truth: Int[np.ndarray, " n"],
    predicted: Int[np.ndarray, " n"],
    cluster: Int[np.ndarray, " n"],
    classes: tuple[str, ...],
) -> Scores:
    """Scores from positions in `classes`: truth and prediction (-1 for none) of each series, and its cluster.

    >>> compare(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0, 1, 1]), ("oat", "rye")).confusion
    array([[1, 1],
           [0, 1]])
    """
    m = len(classes)
    table = np.zeros((m, m + 1), np.int64)
    np.add.at(table, (truth, np.where(predicted < 0, m, predicted)), 1)
    ari, nmi = adjusted_rand_score(truth, cluster), normalized_mutual_info_score(truth, cluster)
    return Scores(tuple(classes), table[:, :m], table[:, m], float(ari), float(nmi))


def _share(part: Shaped[np.ndarray, "..."], whole: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _plain(values: Float[np.ndarray, " m"]) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]
