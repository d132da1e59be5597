"""On which dates does the input part two classes, whatever an embedding makes of it?

Fields are the independent draws: differences are between means over fields, intervals come from a bootstrap over
fields, and pixels count only as the noise within them. n series, f fields, c bands, t dates, r draws of the bootstrap.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.stats import false_discovery_control

from sitscope.errors import BadInput

LEAST_JM = 2 * (1 - np.exp(-1 / 8))
"""0.235: the distance of two Gaussians one standard deviation apart. Such a date alone puts 69 of 100 pixels on the
right side, and several of them add up; below it a difference may be certain and yet of no use."""
FALSE = 0.05
"""Share of the dates said to part that may be false: Benjamini and Hochberg's procedure over all dates."""
PRIOR = 4.0
"""Fields that the spread common to both classes is worth (as in Smyth's moderated t, 2004): the spread of three fields
is too uncertain to divide by, and with one field there is none."""
DRAWS = 499
POOL = 2000
"""Most fields from which the bootstrap draws."""
TINY = 1e-9
"""Of a band's variance and squared difference: keeps bands that never vary from dividing by zero."""


@dataclass(frozen=True, eq=False)
class Parting:
    """How far two classes lie apart on each date, and how certain that is."""

    a: str
    b: str
    fields: tuple[int, int]
    """Of each class."""
    difference: Float[np.ndarray, "c t"]
    """Mean over the fields of a, minus that of b, in the units of the series."""
    low: Float[np.ndarray, "c t"]
    """Lower end of its 95 % interval, each date for itself; infinite where both classes have one field."""
    high: Float[np.ndarray, "c t"]
    effect: Float[np.ndarray, "c t"]
    """The difference in standard deviations between fields; NaN where none is known."""
    jm: Float[np.ndarray, " t"]
    """Jeffries-Matusita distance of pixels of the two classes, 0 to 2, all bands together."""
    jm_low: Float[np.ndarray, " t"]
    jm_high: Float[np.ndarray, " t"]
    p: Float[np.ndarray, " t"]
    """Chance of such a difference between fields of one class, bands together, adjusted for the number of dates."""
    parts: Bool[np.ndarray, " t"]
    """The dates that part the two: p <= FALSE and jm >= LEAST_JM."""

    @property
    def excluded(self) -> bool:
        """Whether the fields suffice to say of every date that does not part the two that it hardly could."""
        return bool(np.all(self.parts | (self.jm_high < LEAST_JM)))


def missed(parting: Parting, importance: Float[np.ndarray, " t"]) -> Bool[np.ndarray, " t"]:
    """The dates that part two classes and get less than their share, 1/t, of the importance, whatever its sign.

    >>> few = parting(np.arange(16.0).reshape(8, 1, 2) // 8 * 9, np.repeat(["a", "b"], 4), np.arange(8), "a", "b")
    >>> missed(few, np.array([3.0, -1.0])).tolist()
    [False, True]
    """
    size = np.abs(np.asarray(importance, np.float64))
    if size.shape != parting.parts.shape:
        raise ValueError(f"importance has shape {size.shape}, the classes were compared on {len(parting.parts)} dates")
    return parting.parts & (size * len(size) < max(size.sum(), np.finfo(float).tiny))


@dataclass(frozen=True, eq=False)
class _Class:
    """What the fields of one class say; f of them."""

    means: Float[np.ndarray, "f c t"]
    within: Float[np.ndarray, "t c c"]
    """Covariance of pixels about the mean of their field."""
    pixels: float
    """Of a field, harmonic mean: a field's mean keeps 1/pixels of the noise within it."""

    @property
    def n(self) -> int:
        return len(self.means)

    @property
    def mean(self) -> Float[np.ndarray, "c t"]:
        return np.asarray(self.means.mean(axis=0))

    @property
    def scatter(self) -> Float[np.ndarray, "t c c"]:
        """Sum of squares and products of the fields' means about their mean."""
        about = self.means - self.mean
        return np.einsum("fct,fdt->tcd", about, about)


def parting(
    x: Float[np.ndarray, "n c t"],
    label: Shaped[np.ndarray, " n"],
    field: Int[np.ndarray, " n"],
    a: str,
    b: str,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Parting:
    """How far class a lies from class b on each date, from series x (n, c, t) with the label and field of each.

    Per band the difference of the means over fields, with an interval; the bands together as Jeffries-Matusita distance
    2 (1 - exp(-B)), B = d' S^-1 d / 8 + ln(|S| / sqrt(|Sa| |Sb|)) / 2 of two Gaussians (Richards, Remote Sensing
    Digital Image Analysis, 1986), whose covariances are that between fields plus the noise within them, and whose
    d' S^-1 d is freed of what chance adds to it. The test on each date is Hotelling's T^2 of the fields' means, each
    class with its own covariance drawn towards the common one (PRIOR); its distribution, and that of Student's t behind
    the intervals, comes from `draws` draws of fields from the residuals of both classes.

    Raises BadInput where a class has no series, and for values that are missing.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(40, 1, 3)) + np.array([0.0, 0, 5]) * (np.arange(40) < 20)[:, None, None]
    >>> found = parting(x, np.repeat(["rye", "oat"], 20), np.arange(40), "rye", "oat")
    >>> found.parts.tolist(), found.fields, round(found.difference[0, 2])
    ([False, False, True], (20, 20), 5)
    """
    one, two = (_fields(x, label, field, name) for name in (a, b))
    d = one.mean - two.mean  # (c, t)
    shape = {"a": a, "b": b, "fields": (one.n, two.n), "difference": d}
    if one.n + two.n == 2:
        return _unknown(shape, d)
    spread = _spread(one.scatter, two.scatter, one.n, two.n)  # of the fields' means: (2, t, c, c)
    of_mean = spread[0] / one.n + spread[1] / two.n
    whole = [s + k.within * (1 - 1 / k.pixels) for s, k in zip(spread, (one, two), strict=True)]
    floor = TINY * (np.einsum("tcc->ct", whole[0] + whole[1]) + d**2).max(axis=1) + np.finfo(float).tiny ** 0.5
    whole, of_mean = [s + np.diag(floor) for s in whole], of_mean + np.diag(floor)
    error, t_star, t2_star = _draws(one, two, spread, np.diag(floor), draws, seed)
    half = np.quantile(t_star, 0.95) * np.sqrt(np.einsum("tcc->ct", of_mean))
    t2 = _square(d.T, of_mean)
    chance = np.sort(t2_star.ravel())
    p = (1 + len(chance) - np.searchsorted(chance, t2, side="left")) / (1 + len(chance))
    jm, jm_low, jm_high = _jm(d, whole, of_mean, error)
    p = false_discovery_control(p)
    return Parting(
        **shape,
        low=d - half,
        high=d + half,
        effect=d / np.sqrt(np.einsum("tcc->ct", spread.mean(axis=0) + np.diag(floor))),
        jm=jm,
        jm_low=jm_low,
        jm_high=jm_high,
        p=p,
        parts=(p <= FALSE) & (jm >= LEAST_JM),
    )


def _fields(
    x: Float[np.ndarray, "n c t"], label: Shaped[np.ndarray, " n"], field: Int[np.ndarray, " n"], name: str
) -> _Class:
    mine = np.flatnonzero(np.asarray(label).astype(str) == name)
    if not len(mine):
        raise BadInput("classes", f"no series is of class {name!r}. Name one of {', '.join(sorted(set(label)))}.")
    values = np.asarray(x)[mine].astype(np.float64)
    if not np.isfinite(values).all():
        raise BadInput("series", f"{int((~np.isfinite(values)).sum())} values of {name!r} are missing. Fill them.")
    _, group = np.unique(np.asarray(field)[mine], return_inverse=True)
    count = np.bincount(group)
    means = np.zeros((len(count), *values.shape[1:]))
    np.add.at(means, group, values)
    means /= count[:, None, None]
    about = (values - means[group]).transpose(2, 1, 0)  # (t, c, n)
    within = about @ about.mT / max(len(mine) - len(count), 1)
    return _Class(means, within, float(len(count) / (1 / count).sum()))


def _spread(
    a: Float[np.ndarray, "*r t c c"], b: Float[np.ndarray, "*r t c c"], n_a: int, n_b: int
) -> Float[np.ndarray, "2 *r t c c"]:
    """Covariances between fields from sums of squares: each drawn towards the common one, and that to its diagonal."""
    free, c = n_a + n_b - 2, a.shape[-1]
    common = (a + b) / free
    keep = free / (free + c)  # few fields know little of how bands go together
    common = common * (keep + (1 - keep) * np.eye(c))
    return np.stack([(PRIOR * common + own) / (PRIOR + n - 1) for own, n in ((a, n_a), (b, n_b))])


def _draws(
    one: _Class,
    two: _Class,
    spread: Float[np.ndarray, "2 t c c"],
    floor: Float[np.ndarray, "c c"],
    draws: int,
    seed: int,
) -> tuple[Float[np.ndarray, "r t c"], Float[np.ndarray, "r t c"], Float[np.ndarray, "r t"]]:
    """What chance makes of the difference when fields are drawn anew: error, |t| of each band, T^2 of all bands.

    Residuals of both classes, each in standard deviations of its own, are drawn together, since those of three fields
    say little of how far a fourth may lie; they are whole series, so that dates go together as they do.
    """
    rng = np.random.default_rng(seed)
    scale = np.sqrt(np.einsum("ktcc->kct", spread) + np.diag(floor)[:, None])  # (2, c, t)
    both = zip((one, two), scale, strict=True)
    pool = np.concatenate([(k.means - k.mean) / s * np.sqrt(k.n / max(k.n - 1, 1)) for k, s in both if k.n > 1])
    pool = (pool if len(pool) <= POOL else pool[rng.choice(len(pool), POOL, replace=False)]).transpose(2, 0, 1)
    t, f, c = pool.shape
    even = np.full(f, 1 / f)
    means, scatters = [], []
    for k, s in zip((one, two), scale, strict=True):
        times = rng.multinomial(k.n, even, size=draws).astype(np.float64)  # (r, f): how often each field is drawn
        drawn = pool * s.T[:, None]  # (t, f, c)
        mean = (times @ drawn).transpose(1, 0, 2) / k.n  # (r, t, c)
        pairs = (drawn[..., :, None] * drawn[..., None, :]).reshape(t, f, c * c)
        square = (times @ pairs).transpose(1, 0, 2).reshape(draws, t, c, c)
        means.append(mean)
        scatters.append(square - k.n * mean[..., :, None] * mean[..., None, :])
    error = means[0] - means[1]
    again = _spread(scatters[0], scatters[1], one.n, two.n)
    of_mean = again[0] / one.n + again[1] / two.n
    least = 1e-3 * (spread[0] / one.n + spread[1] / two.n) * np.eye(c)  # a draw of one field again and again
    of_mean = of_mean + least + floor
    student = np.abs(error) / np.sqrt(np.einsum("rtcc->rtc", of_mean))
    return error, student, _square(error, of_mean)


def _square(d: Float[np.ndarray, "*r t c"], s: Float[np.ndarray, "*r t c c"]) -> Float[np.ndarray, "*r t"]:
    """d' S^-1 d."""
    return np.einsum("...c,...c->...", d, np.linalg.solve(s, d[..., None])[..., 0])


def _jm(
    d: Float[np.ndarray, "c t"],
    whole: list[Float[np.ndarray, "t c c"]],
    of_mean: Float[np.ndarray, "t c c"],
    error: Float[np.ndarray, "r t c"],
) -> list[Float[np.ndarray, " t"]]:
    """Jeffries-Matusita distance of two Gaussians and its 95 % interval, from draws of the difference."""
    s = (whole[0] + whole[1]) / 2
    log = [np.linalg.slogdet(m)[1] for m in (s, *whole)]
    shape = np.maximum(log[0] - (log[1] + log[2]) / 2, 0) / 2
    chance = np.einsum("tcc->t", np.linalg.solve(s, of_mean))  # what d' S^-1 d is for two samples of one class
    here = np.maximum(_square(d.T, s) - chance, 0)
    drawn = np.maximum(_square(d.T + error, np.broadcast_to(s, (len(error), *s.shape))) - 2 * chance, 0)
    ends = np.quantile(drawn, [0.025, 0.975], axis=0)
    lowest = np.minimum(ends[0], here) / 8  # that two classes spread differently is no certain difference
    return [2 * (1 - np.exp(-b)) for b in (here / 8 + shape, lowest, np.maximum(ends[1], here) / 8 + shape)]


def _unknown(shape: dict[str, object], d: Float[np.ndarray, "c t"]) -> Parting:
    """One field of each class: nothing is known of how far fields of a class lie apart."""
    t = d.shape[1]
    known = {"low": np.full_like(d, -np.inf), "high": np.full_like(d, np.inf), "effect": np.full_like(d, np.nan)}
    jm = {"jm": np.zeros(t), "jm_low": np.zeros(t), "jm_high": np.full(t, 2.0)}
    return Parting(**shape, **known, **jm, p=np.ones(t), parts=np.zeros(t, dtype=bool))  # type: ignore[arg-type]
