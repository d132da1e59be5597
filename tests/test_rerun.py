"""A run repeated is the same run, to the last byte, whoever repeats it and from where."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from sitscope.again import rerun
from sitscope.autoencoder.network import Settings
from sitscope.errors import BadInput
from sitscope.job import run
from sitscope.settings import RunSettings
from sitscope.simulation.scene import simulate, write_scene

QUICK = RunSettings(
    clusters=8,
    max_pixels=20,
    autoencoder=Settings(filters=(8, 8), kernels=(5, 3), strides=(1, 1), pooling=(2, 2), hidden=(16,), epochs=3),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, fields and a run, of which the images were given as a relative list."""
    home = tmp_path_factory.mktemp("project")
    write_scene(simulate(fields=60, field_px=8, seed=1), home / "scene")
    stood, threads = Path.cwd(), torch.get_num_threads()
    os.chdir(home)
    torch.set_num_threads(2)  # which give other weights than one or three
    try:
        images = sorted(str(path) for path in Path("scene").glob("*.tif"))
        run(images, Path("scene/fields.gpkg"), "RUN", QUICK)
    finally:
        os.chdir(stood)
        torch.set_num_threads(threads)
    return home


def repeated(project: Path, *options: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sitscope.cli", "rerun", str(project / "RUN"), *options]
    env = os.environ | environment
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def bytes_of(run: Path, name: str) -> dict[str, bytes]:
    """Each file under the name."""
    files = [run / name] if (run / name).is_file() else [p for p in (run / name).rglob("*") if p.is_file()]
    return {str(p.relative_to(run)): p.read_bytes() for p in files}


def test_another_process_elsewhere_makes_the_same_bytes(project: Path, tmp_path: Path) -> None:
    environment = {"PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = repeated(project, "--out", str(tmp_path / "again"), cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr + done.stdout
    for name in ("maps/class.tif", "atlas.zarr/class", "profiles.parquet"):
        before, after = bytes_of(project / "RUN", name), bytes_of(tmp_path / "again", name)
        assert before == after
        assert before
    assert "differs" not in done.stdout
    for name in (
        "maps/class.tif",
        "atlas.zarr/class",
        "profiles.parquet",
        "pixels.parquet",
        "model/weights.safetensors",
    ):
        assert f"equal    {name}\n" in done.stdout
    facts = [json.loads((path / "run.json").read_text()) for path in (project / "RUN", tmp_path / "again")]
    assert facts[0]["inputs"]["torch_threads"] == facts[1]["inputs"]["torch_threads"]
    assert facts[0]["data"] | {"images": ""} == facts[1]["data"] | {"images": ""}


def test_run_json_keeps_lists_and_both_ways_to_the_data(project: Path) -> None:
    inputs = json.loads((project / "RUN" / "run.json").read_text())["inputs"]
    assert len(inputs["images"]["from_root"]) == len(inputs["images"]["from_run"]) == 122
    assert all(Path(path).is_absolute() for path in inputs["images"]["from_root"])
    assert inputs["fields"]["from_run"] == "../scene/fields.gpkg"
    assert len(inputs["fields_sha256"]) == 64


def test_a_project_may_move_as_a_whole(project: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(project, moved, ignore=shutil.ignore_patterns("*again*"))
    facts = json.loads((moved / "RUN" / "run.json").read_text())
    text = json.dumps(facts).replace(str(project), str(tmp_path / "gone"))
    (moved / "RUN" / "run.json").write_text(text)
    before = torch.get_num_threads()
    again = rerun(moved / "RUN")
    assert torch.get_num_threads() == before == 1, "the run had two, and they are given back"
    assert again.out == moved / "RUN-again"
    assert again.different == ()
    assert any("times of the image files" in note for note in again.notes)


def changed(project: Path, folder: Path) -> Path:
    """A copy of the project in which run.json points to the copy."""
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("*again*"))
    path = folder / "RUN" / "run.json"
    path.write_text(path.read_text().replace(str(project), str(folder)))
    return folder


def test_other_images_are_refused_with_both_hashes(project: Path, tmp_path: Path) -> None:
    home = changed(project, tmp_path / "project")
    image = sorted((home / "scene").glob("*.tif"))[7]
    with rasterio.open(image, "r+") as target:
        target.write(target.read() + np.float32(0.001))
    with pytest.raises(
        BadInput, match=r"^images: .* SHA-256 ([0-9a-f]{64}), and then (?!\1)[0-9a-f]{64}\. Give the data"
    ):
        rerun(home / "RUN")
    assert not list(home.glob("RUN-again*"))


def test_other_fields_are_refused_with_both_hashes(project: Path, tmp_path: Path) -> None:
    import geopandas as gpd

    home = changed(project, tmp_path / "project")
    fields = gpd.read_file(home / "scene" / "fields.gpkg")
    fields.loc[0, "crop"] = "Quinoa" if fields.crop[0] != "Quinoa" else "Cotton"
    fields.to_file(home / "scene" / "fields.gpkg")
    with pytest.raises(BadInput, match=r"^fields: .* SHA-256 [0-9a-f]{64}, and then [0-9a-f]{64}"):
        rerun(home / "RUN")
    assert not list(home.glob("RUN-again*"))


def test_what_differs_is_named_with_code_5_and_other_versions_are_said_aloud(project: Path, tmp_path: Path) -> None:
    home = changed(project, tmp_path / "project")
    path = home / "RUN" / "run.json"
    facts = json.loads(path.read_text())
    facts["versions"]["numpy"] = "0.9"
    path.write_text(json.dumps(facts))
    profiles = home / "RUN" / "confusion.csv"
    profiles.write_text(profiles.read_text() + "\n")
    done = repeated(home, cwd=tmp_path)
    assert done.returncode == 5, done.stderr
    assert "differs  confusion.csv\n" in done.stdout
    assert f"numpy is {np.__version__}, and was 0.9." in done.stderr


def test_a_run_on_a_cube_in_memory_cannot_be_repeated_but_with_the_cube(tmp_path: Path) -> None:
    scene = simulate(fields=60, field_px=6, seed=0)
    run(scene.cube, scene.fields, tmp_path / "RUN", QUICK)
    with pytest.raises(BadInput, match=r"run: .* was made from a cube in memory, which no other process has"):
        rerun(tmp_path / "RUN")
    with pytest.raises(BadInput, match=r"run: .* was made from fields in memory"):
        rerun(tmp_path / "RUN", images=scene.cube)
    assert rerun(tmp_path / "RUN", images=scene.cube, fields=scene.fields).different == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda facts: facts.pop("inputs"), "older sitscope, which did not write where its data lie"),
        (lambda facts: facts["inputs"].update(torch_threads=10**9), "run.json is damaged"),
        (lambda facts: facts["inputs"].update(images=["a"]), "run.json is damaged"),
        (lambda facts: facts["settings"].update(clusters=-1), "holds no whole run .settings.clusters"),
        (lambda facts: facts["data"].pop("sha256_of_series"), "run.json is damaged"),
        (
            lambda facts: facts["inputs"].update(fields={"from_root": "/no/f.gpkg", "from_run": "f.gpkg"}),
            "fields: neither /no/f.gpkg nor .* is there any more. Bring them back, or say where: --fields",
        ),
    ],
)
def test_a_run_json_that_tells_too_little_is_refused(change, says: str, project: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shutil.copytree(project / "RUN", tmp_path / "RUN")
    path = tmp_path / "RUN" / "run.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))
    with pytest.raises(BadInput, match=says):
        rerun(tmp_path / "RUN")
    assert [p.name for p in tmp_path.iterdir()] == ["RUN"]


def test_a_run_is_never_compared_with_itself(project: Path) -> None:
    with pytest.raises(BadInput, match="is the run itself"):
        rerun(project / "RUN", project / "RUN", overwrite=True)
