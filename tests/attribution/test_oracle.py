"""Does Grad-SLAM agree with Captum on random encoders?"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "oracle.py"


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("oracle", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_captum_agrees_on_300_random_encoders(oracle: ModuleType) -> None:
    found = oracle.compare(300)
    assert found["comparisons"] > 5000
    assert found["max_error_float64"] < 1e-12
    assert found["p999_error_float32"] < 1e-5
