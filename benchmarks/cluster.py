"""How fast are 10^7 embeddings clustered, and how well?

k-means with 50 clusters on embeddings of 2 dimensions: `fit_codebook`, which fits a subsample and assigns all in
chunks, beside scikit-learn's KMeans on all of them, one thread each. The embeddings are sums of 60 clouds of unequal
size. k-means ends in one of many local optima, so three draws are compared.

    python -m benchmarks.cluster [series]    the last line is JSON

- time_over_kmeans: seconds of ours / seconds of KMeans(50), the median over draws; seconds are the processor's.
- inertia_over_kmeans: sum of squared distances to the nearest centre, ours / KMeans's, likewise; and the worst.
"""

import json
import sys
import time

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from sitscope.classes.codebook import Codebook, fit_codebook

CLUSTERS = 50


def embeddings(n: int, seed: int = 0) -> np.ndarray:
    """Clouds of unequal size and width (n, 2)."""
    rng = np.random.default_rng(seed)
    cloud = rng.choice(60, n, p=rng.dirichlet(np.full(60, 2.0)))
    centre, width = rng.normal(0, 3, (60, 2)), rng.uniform(0.1, 0.8, 60)
    return (centre[cloud] + width[cloud, None] * rng.normal(size=(n, 2))).astype(np.float32)


def inertia(e: np.ndarray, book: Codebook) -> float:
    """Sum of squared distances to the nearest centre, in chunks."""
    nearest = book.cluster(e)
    return sum(
        float(((e[i : i + 10**6] - book.centres[nearest[i : i + 10**6]]).astype(np.float64) ** 2).sum())
        for i in range(0, len(e), 10**6)
    )


def compared(n: int, seed: int) -> tuple[float, float, float]:
    """Seconds of ours and of KMeans, and ours over its inertia, for one draw."""
    e = embeddings(n, seed)
    label = np.full(n, "", "U3")  # few fields are labelled in a scene
    label[:1000:2], label[1:1000:2] = "oat", "rye"
    with threadpool_limits(1):
        start = time.process_time()
        book = fit_codebook(e, label, clusters=CLUSTERS, seed=seed)
        book.cluster(e)
        ours = time.process_time() - start
        start = time.process_time()
        full = KMeans(CLUSTERS, random_state=seed).fit(e)
        theirs = time.process_time() - start
        worse = inertia(e, book) / float(full.inertia_)
    print(f"{n} embeddings: ours {ours:.1f} s, KMeans {theirs:.1f} s ({full.n_iter_} iterations), inertia {worse:.4f}")
    return ours, theirs, worse


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10**7
    ours, theirs, worse = np.array([compared(n, seed) for seed in range(3)]).T
    found = {
        "seconds": float(np.median(ours)),
        "kmeans_seconds": float(np.median(theirs)),
        "time_over_kmeans": float(np.median(ours / theirs)),
        "inertia_over_kmeans": float(np.median(worse)),
        "worst_inertia_over_kmeans": float(worse.max()),
    }
    print(json.dumps({key: round(value, 4) for key, value in found.items()}))


if __name__ == "__main__":
    main()
