"""What lies in a run folder, and how is it read back?

run.json (settings, fingerprint of the data, versions, seed), model/ (weights.safetensors, model.json, codebook.json),
scores.json, confusion.csv, profiles.parquet (of each method), samples.parquet, series.zarr (the values of the same
rows), fields.parquet, fidelity.json, diagnosis.json, atlas.zarr, maps/*.tif with .qml, item.json, figures/*.png and
*.svg, report.html; and evaluation.csv where `sitscope evaluate` was asked, compare.csv where `compare` was, sweep.csv,
sweep_dates.csv and the models in sweep/ where `sweep` was.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr
from jaxtyping import Float
from pyproj.exceptions import CRSError

from sitscope import stored, tried
from sitscope.autoencoder.fitted import Fitted
from sitscope.classes.codebook import Codebook
from sitscope.classes.scores import Scores
from sitscope.classes.verdicts import Diagnosis
from sitscope.cube.item import write_item
from sitscope.cube.store import consolidate, write_zarr
from sitscope.cube.writing import Progress, write_fields
from sitscope.errors import BadInput
from sitscope.mapping import ledger
from sitscope.mapping.products import write_maps
from sitscope.showing.findings import Findings
from sitscope.untrusted import content, parsed, printable, require_own

TIME = {"standard_name": "time", "long_name": "acquisition"}


@dataclass(frozen=True)
class RunFolder:
    """A run folder being written or read; each file has one writer here and, where it is read back, one reader."""

    path: Path

    @classmethod
    def begin(cls, out: Path, facts: dict[str, Any]) -> "RunFolder":
        """The folder `out`.partial: with what an interrupted run of the same facts left there, else with run.json only.

        Raises BadInput where it cannot be written.
        """
        folder = cls(out.with_name(out.name + ".partial"))
        if folder.path.exists() and folder._holds(facts):
            return folder
        shutil.rmtree(folder.path, ignore_errors=True)
        try:
            folder.path.mkdir(parents=True)
            _write_json(folder.path / "run.json", facts)
        except OSError as error:
            raise BadInput(
                "out", f"{folder.path} cannot be written ({error.strerror}). Name another folder."
            ) from error
        return folder

    def _holds(self, facts: dict[str, Any]) -> bool:
        try:
            require_own(self.path, "out")
            there = json.loads(content(self.path / "run.json"))
        except (OSError, ValueError, RecursionError):  # BadInput is a ValueError: what somebody put there goes
            return False
        return isinstance(there, dict) and all(
            there.get(key) == json.loads(json.dumps(facts[key])) for key in ("settings", "data", "versions")
        )

    def discard(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.path, ignore_errors=True)

    def finish(self, out: Path) -> None:
        """Give the folder its name; a run that was there goes, and the marks of what is done, needed until now."""
        if out.exists():
            shutil.rmtree(out)
        os.replace(self.path, out)
        ledger.clear(out)

    def fitted(self) -> Fitted | None:
        """The trained model, where training has ended."""
        return Fitted.load(self.path / "model") if (self.path / "model" / "model.json").exists() else None

    def write_model(self, fitted: Fitted) -> None:
        """model/weights.safetensors and model.json; the latter last, as the mark that training has ended."""
        fitted.save(self.path / "model")

    def write_codebook(self, book: Codebook) -> None:
        """model/codebook.json."""
        (self.path / "model").mkdir(exist_ok=True)
        book.save(self.path / "model" / "codebook.json")

    def write_scores(self, scores: Scores, by_clusters: list[dict[str, float | int]]) -> None:
        """scores.json, and confusion.csv: test series by truth (rows) and prediction (columns)."""
        _write_json(self.path / "scores.json", scores.as_dict() | {"by_clusters": by_clusters})
        table = pd.DataFrame(scores.confusion, index=list(scores.classes), columns=list(scores.classes))
        table.assign(**{"no class": scores.unclassified}).to_csv(self.path / "confusion.csv", index_label="truth")

    def write_profiles(self, profiles: pd.DataFrame) -> None:
        """profiles.parquet: one row per class, dim and date."""
        profiles.to_parquet(self.path / "profiles.parquet", index=False)

    def write_samples(self, samples: pd.DataFrame) -> None:
        """samples.parquet: series with label, prediction, cluster, place and embedding."""
        samples.to_parquet(self.path / "samples.parquet", index=False)

    def write_series(self, x: Float[np.ndarray, "n c t"], fitted: Fitted) -> None:
        """series.zarr: x (series, band, time) of the rows of samples.parquet, in the units of the cube."""
        facts = {"long_name": "series of the rows of samples.parquet", "units": fitted.units}
        coords = {"band": ("band", list(fitted.bands), {"long_name": "band"}), "time": ("time", fitted.dates, TIME)}
        series = xr.Dataset({"x": (("series", "band", "time"), x, facts)}, coords)
        write_zarr(series, self.path / "series.zarr")

    def series(self) -> tuple[Float[np.ndarray, "n c t"], pd.DataFrame]:
        """Series (n, c, t), in the units of the cube, with a row of samples.parquet for each.

        Raises BadInput where this is no run, or one of a sitscope that did not keep them.
        """
        if not (self.path / "run.json").exists():
            raise BadInput("run", f"{self.path} holds no run. Name the folder of a finished run.")
        require_own(self.path, "run")
        with self._whole():
            self._require_encoder()
        if not (self.path / "series.zarr").exists():
            raise BadInput(
                "run",
                f"{self.path} was made by an older sitscope, which kept no series: series.zarr is missing. "
                "Run it again with --overwrite.",
            )
        fitted, book = self.model()
        with self._whole():
            samples = stored.samples(self.path / "samples.parquet", fitted, book)
            return stored.series(self.path / "series.zarr", fitted, len(samples)), samples

    def model(self) -> tuple[Fitted, Codebook]:
        """The trained model, and the clusters of its embedding. Raises BadInput where they do not belong together."""
        fitted, book = Fitted.load(self.path / "model"), Codebook.load(self.path / "model" / "codebook.json")
        if book.centres.shape[1] != fitted.settings.dims:
            here = f"{book.centres.shape[1]} dimensions, the model embeds in {fitted.settings.dims}"
            raise BadInput("model", f"the clusters in {self.path} are of {here}. Copy the run again.")
        return fitted, book

    def facts(self) -> stored.Facts:
        """run.json. Raises BadInput where there is none, and for a folder whose links lead out of it."""
        with self._whole():
            require_own(self.path, "run")
            self._require_encoder()
            return parsed(stored.Facts, content(self.path / "run.json"))

    def _require_encoder(self) -> None:
        """BadInput where the embedding is somebody else's."""
        there = json.loads(content(self.path / "run.json"))
        if isinstance(there, dict) and there.get("kind") == "adopted":
            raise BadInput(
                "run",
                f"{self.path} holds an embedding that somebody else computed, and no encoder that could be asked or "
                "that could embed other images. Adopt again, with --overwrite, to draw its report; adopt the embedding "
                "of other ground to map it.",
            )

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """BadInput for whatever else is wrong with a file of this folder."""
        try:
            yield
        except BadInput:
            raise
        except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException, CRSError) as error:
            why = str(error) or type(error).__name__
            raise BadInput(
                "run", f"{self.path} holds no whole run ({why}). Name the folder of a finished run."
            ) from error

    def write_fidelity(self, figures: dict[str, Any]) -> None:
        """fidelity.json: how far the maps of the run's profiles can be trusted; see `sitscope.trust.quick`."""
        _write_json(self.path / "fidelity.json", figures)

    def write_evaluation(self, table: pd.DataFrame) -> None:
        """evaluation.csv: method, metric, baseline, value, low, high; see `sitscope.trust.table`."""
        table.to_csv(self.path / "evaluation.csv", index=False)

    def write_sweep(self, table: pd.DataFrame, dates: pd.DataFrame) -> None:
        """sweep.csv and sweep_dates.csv; see `sitscope.covering.compared`."""
        dates.to_csv(self.path / "sweep_dates.csv", index=False)
        table.to_csv(self.path / "sweep.csv", index=False)

    def write_comparison(self, table: pd.DataFrame) -> None:
        """compare.csv; see `sitscope.baselines.compare`."""
        table.to_csv(self.path / "compare.csv", index=False)

    def write_diagnosis(self, found: Diagnosis) -> None:
        """diagnosis.json: why classes are confused; see `sitscope.classes.diagnosis`."""
        _write_json(self.path / "diagnosis.json", {"verdicts": asdict(found)})

    def write_fields(self, fields: gpd.GeoDataFrame) -> None:
        """fields.parquet: GeoParquet of the fields with what was found in each."""
        write_fields(fields, self.path / "fields.parquet")

    def write_pixel_profiles(self, profiles: pd.DataFrame) -> None:
        """pixels.parquet: means over all pixels of each cluster and class; see `sitscope.mapping.pixels`."""
        profiles.to_parquet(self.path / "pixels.parquet", index=False)

    def write_maps(self, book: Codebook, progress: Progress | None = None) -> None:
        """In maps/ a GeoTIFF with its QGIS style for each map of atlas.zarr, and the atlas ready for readers."""
        for store in ("atlas.zarr", "importance.zarr"):
            if (self.path / store).exists():
                consolidate(self.path / store)
        with xr.open_zarr(self.path / "atlas.zarr") as maps:
            write_maps(maps, self.path / "maps", book, progress)

    def write_item(self, model: Path | None = None, dates: np.ndarray | None = None) -> None:
        """item.json: a STAC item of all that is there, so the last; see `sitscope.cube.item`."""
        write_item(self.path, model, dates)

    def findings(self) -> Findings:
        """All that the figures and the report show, read from the files. Raises BadInput where this is no whole run."""
        facts = self.facts()
        fitted, book = self.model()
        with self._whole():
            plain = parsed(stored.StoredScores, content(self.path / "scores.json"))
            if sorted(plain.recall) != list(book.classes) or len(facts.missing) != len(fitted.dates):
                raise ValueError("scores.json and run.json are of other classes or dates than the model")
            scores = Scores.from_dict(plain.model_dump())
            profiles = stored.profiles(self.path / "profiles.parquet", facts.settings, fitted, scores.classes)
            samples = stored.samples(self.path / "samples.parquet", fitted, book)
            fields = stored.fields(self.path / "fields.parquet")
            maps = stored.maps(self.path / "atlas.zarr", fitted, book)
            trust = self.path / "fidelity.json"
            fidelity = parsed(stored.Fidelity, content(trust)).model_dump() if trust.exists() else None
            verdicts = self.path / "diagnosis.json"
            diagnosis = stored.diagnosis(verdicts, fitted, book.classes) if verdicts.exists() else None
            table = self.path / "evaluation.csv"
            evaluation = stored.evaluation(table) if table.exists() else None
            later = tried.found(self.path)
        return Findings(
            title=printable(facts.title),
            settings=facts.model_dump(mode="json", include={"data", "settings", "versions"}),
            dates=fitted.dates,
            bands=fitted.bands,
            units=fitted.units,
            scores=scores,
            method=facts.settings.method,
            **_by_method(profiles, facts.settings.method),
            votes=pd.DataFrame(book.votes, index=range(1, len(book.votes) + 1), columns=list(book.classes)),
            assigned=tuple(book.classes[i] if i >= 0 else "" for i in book.assigned),
            samples=samples,
            centres=book.centres,
            losses=fitted.losses,
            best_epoch=fitted.best_epoch,
            missing=np.array(facts.missing),
            maps=maps,
            fields=fields,
            notes=facts.notes,
            chosen=facts.settings.groups,
            by_clusters=plain.model_dump()["by_clusters"],
            fidelity=fidelity,
            evaluation=evaluation,
            diagnosis=diagnosis,
            **later,
        )


def _by_method(profiles: pd.DataFrame, method: str) -> dict[str, pd.DataFrame | None]:
    """The profiles of the run's method, and the letter's where that is another."""
    letter = profiles[profiles.method == "letter"] if method != "letter" else None
    return {"profiles": profiles[profiles.method == method], "letter": letter}


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=1))
