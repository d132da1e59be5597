"""What was learned, and for which images? Embed, reconstruct, explain; save and load without pickle."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from sitscope.attribution.fast import compiled
from sitscope.attribution.gradslam import grad_slam
from sitscope.attribution.path import integrated, path
from sitscope.attribution.targets import dimensions
from sitscope.autoencoder.network import Autoencoder, Settings, as_tensor, scaled
from sitscope.autoencoder.storing import SCHEMA, read_model
from sitscope.errors import BadInput

BATCH = 512
"""Series embedded at once: small enough for the activations to stay in cache."""


Values = Any
"""Series (n, c, t): a numpy array, or an xarray.DataArray, whose dates and bands are then checked."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained autoencoder with all that is needed to apply it: scaling, dates and bands."""

    network: Autoencoder
    """In evaluation mode, its parameters frozen."""
    settings: Settings
    mean: Float32[np.ndarray, " c"]
    """Mean of each band over the training series, in the units of the cube."""
    std: Float32[np.ndarray, " c"]
    """Standard deviation of each band, likewise."""
    curve: Float32[np.ndarray, "c t"]
    """Mean of each band on each date over the training series, likewise: what contributions are measured from."""
    dates: np.ndarray
    """datetime64[ns] (t,), the acquisitions it was trained on."""
    bands: tuple[str, ...]
    units: str
    """Units of the series: dB for backscatter, 1 for anything else."""
    losses: dict[str, list[float]]
    """Mean squared error of z-scores per epoch: train, validation."""
    best_epoch: int
    """The epoch, from 1, whose weights were kept."""
    seed: int
    home: tuple[str, str] | None = None
    """The folder it was loaded from and the hash of its model.json: what travels to other processes in its place."""

    def __reduce__(self) -> Any:
        """For other processes: the folder and the hash, so that each loads it once; itself where it has no folder."""
        return (at_home, self.home) if self.home else super().__reduce__()

    def embed(self, x: Values) -> Float32[np.ndarray, "n d"]:
        """Embedding (n, d) of series x (n, c, t) in the units of the cube. Raises BadInput for other dates or bands."""
        fast = compiled(self.network.encoder, len(self.dates))
        with torch.no_grad():
            parts = [(fast.embed if fast else self.network.encoder)(z) for z in self._scaled(x)]
        return torch.cat(parts).cpu().numpy() if parts else np.empty((0, self.settings.dims), np.float32)

    def reconstruct(self, x: Values) -> Float32[np.ndarray, "n c t"]:
        """Series (n, c, t) as the network gives them back, in the units of the cube."""
        fast = compiled(self._chain, len(self.dates))
        with torch.no_grad():
            parts = [(fast.embed if fast else self._chain)(z).cpu().numpy() for z in self._scaled(x)]
        flat = np.concatenate(parts) if parts else np.empty((0, len(self.bands) * len(self.dates)), np.float32)
        z = flat.reshape(-1, len(self.bands), len(self.dates))
        return z * self.std[:, None] + self.mean[:, None]

    @cached_property
    def _chain(self) -> nn.Sequential:
        """Encoder and decoder as one chain of layers, for which there is machine code: (n, c, t) -> (n, c * t)."""
        return nn.Sequential(*self.network.encoder, *list(self.network.decoder)[:-1]).eval()

    def anomaly(self, x: Values) -> tuple[Float32[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """How far each series lies off what the network gives back, and the acquisition to blame most.

        The root mean squared error over bands and dates, in the units of the cube; and the position of the acquisition
        with the largest share of the squared error. Every date's error is that of its own reconstruction, the letter's
        output layer (Section II.C).
        """
        values = np.asarray(x, np.float32)
        squared = ((values - self.reconstruct(x)) ** 2).mean(axis=1)  # (n, t)
        return np.sqrt(squared.mean(axis=1)), squared.argmax(axis=1)

    def explain(self, x: Values, **options: Any) -> Float32[np.ndarray, "n d t"]:
        """Grad-SLAM importance (n, d, t) of each date for each embedding dimension, layers scaled and merged.

        Options are those of `sitscope.attribution.gradslam.grad_slam`; the defaults are the letter's Eqs. 3-4, on the
        dates of the training. With the default scaling and merge an importance lies in [-1, 1].
        """
        return self.embed_and_explain(x, **options)[1]

    def embed_and_explain(
        self, x: Values, **options: Any
    ) -> tuple[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n d t"]]:
        """What `embed` and `explain` give, for the price of `explain`: one forward pass serves both."""
        encoder = self.network.encoder
        fast = compiled(encoder, len(self.dates)) if not options else None
        options = {"dates": self.dates} | options
        d, t = self.settings.dims, len(self.dates)
        embedding, importance = [np.empty((0, d), np.float32)], [np.empty((0, d, t), np.float32)]
        for z in self._scaled(x):
            found = (fast.grad_slam if fast else partial(grad_slam, encoder))(z, **options)
            embedding.append(found.embedding.cpu().numpy())
            importance.append(found.merged.cpu().numpy())
        return np.concatenate(embedding), np.concatenate(importance)

    def contributions(
        self, x: Values, reference: Float[np.ndarray, "c t"] | None = None, **options: Any
    ) -> Float32[np.ndarray, "n d c t"]:
        """Contribution (n, d, c, t) of each band and date to each embedding dimension, in units of the embedding.

        reference: the series they are measured from, in the units of the cube; the mean curve of the training if not
        given. Over bands and dates they sum to embed(x) - embed(reference), within 1 % of its length. Options are those
        of `sitscope.attribution.path.path`, such as `nodes`.
        """
        (start,) = next(self._scaled((self.curve if reference is None else np.asarray(reference))[None]))
        encoder = self.network.encoder
        if options.keys() == {"nodes"} and options["nodes"]:  # nothing to choose, so nobody asks what they miss
            found = (integrated(encoder, z, start.expand_as(z), dimensions, options["nodes"]) for z in self._scaled(x))
        else:
            found = (path(encoder, z, start, **options).importance for z in self._scaled(x))
        parts = [importance.cpu().numpy() for importance in found]
        shape = (0, self.settings.dims, len(self.bands), len(self.dates))
        return np.concatenate(parts) if parts else np.empty(shape, np.float32)

    def check(self, dates: np.ndarray, bands: tuple[str, ...], units: str) -> None:
        """Raise BadInput, with both facts, unless the images are of the dates, bands and units of the training."""
        if tuple(bands) != self.bands:
            raise BadInput(
                "images",
                f"the images have bands {', '.join(bands)}, the model was trained on {', '.join(self.bands)}. "
                "Select and order the bands alike, or train again.",
            )
        if units != self.units:
            raise BadInput("images", f"the images are in {units}, the model was trained in {self.units}. Convert them.")
        there, wanted = (np.asarray(d).astype("datetime64[D]") for d in (dates, self.dates))
        if len(there) != len(wanted) or (there != wanted).any():
            raise BadInput("images", _other_dates(there, wanted))

    def z_scores(self, x: Values) -> Float[Tensor, "n c t"]:
        """Series as the network takes them, on its device; at least one."""
        return torch.cat(list(self._scaled(x)))

    def _scaled(self, x: Values) -> Iterator[Float[Tensor, "n c t"]]:
        """z-scores in batches, on the network's device."""
        if hasattr(x, "time") and hasattr(x, "band"):
            self.check(np.asarray(x.time), tuple(map(str, np.asarray(x.band))), self.units)
        values = np.asarray(x, dtype=np.float32)
        if values.ndim != 3 or values.shape[1:] != (len(self.bands), len(self.dates)):
            raise BadInput(
                "series",
                f"series of shape {values.shape} do not fit the model, which reads (n, {len(self.bands)} bands, "
                f"{len(self.dates)} dates). Bring the axes into this order, or train again.",
            )
        device = next(self.network.parameters()).device
        mean, std = as_tensor(self.mean, device), as_tensor(self.std, device)
        return (scaled(as_tensor(values[i : i + BATCH], device), mean, std) for i in range(0, len(values), BATCH))

    def save(self, folder: str | Path) -> Path:
        """Write weights.safetensors and model.json into the folder, which is made where it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = safetensors.torch.save({k: v.cpu() for k, v in self.network.state_dict().items()})
        facts = {
            "schema": SCHEMA,
            "sha256": hashlib.sha256(weights).hexdigest(),
            "settings": self.settings.model_dump(mode="json"),
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "curve": self.curve.tolist(),
            "dates": np.datetime_as_string(self.dates).tolist(),
            "bands": list(self.bands),
            "units": self.units,
            "losses": self.losses,
            "best_epoch": self.best_epoch,
            "seed": self.seed,
        }
        (folder / "weights.safetensors").write_bytes(weights)
        (folder / "model.json").write_text(json.dumps(facts, indent=1))
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "Fitted":
        """Read what `save` wrote. Raises BadInput when files are missing, damaged, or of an unknown schema."""
        folder = Path(folder)
        stored, network, sha256 = read_model(folder)
        return cls(
            network=network.eval().requires_grad_(False),
            settings=stored.settings,
            mean=np.array(stored.mean, np.float32),
            std=np.array(stored.std, np.float32),
            curve=np.array(stored.curve, np.float32),
            dates=stored.datetimes(),
            bands=stored.bands,
            units=stored.units,
            losses=stored.losses,
            best_epoch=stored.best_epoch,
            seed=stored.seed,
            home=(str(folder.absolute()), sha256),
        )


@lru_cache(maxsize=4)
def at_home(folder: str, sha256: str) -> Fitted:
    """The model of this folder, loaded once in a process. Raises BadInput where it is another than it was."""
    found = Fitted.load(folder)
    if found.home != (folder, sha256):
        raise BadInput("model", f"{folder} has changed since this work began (sha256). Start it again.")
    return found


def _other_dates(there: np.ndarray, wanted: np.ndarray) -> str:
    missing, more = np.setdiff1d(wanted, there), np.setdiff1d(there, wanted)
    first = (
        f"first missing: {missing[0]}"
        if len(missing)
        else f"first that it does not know: {more[0]}"
        if len(more)
        else "their order differs"
    )
    return (
        f"the images have {len(there)} dates, the model was trained on {len(wanted)}; {first}. "
        "Select the model's dates with cube.sel(time=fitted.dates), or train again."
    )
