"""A function of series gives the same map at once, lazily and in a loop."""

import numpy as np
import pytest
import rioxarray  # noqa: F401 - arrays gain .rio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as some

from sitscope.cube import over
from sitscope.cube.over import over_pixels


def cube(rows: int, columns: int, missing: float, seed: int = 0) -> xr.DataArray:
    """(time 4, band 2, y, x) with some gaps."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(4, 2, rows, columns)).astype("float32")
    values[rng.random(values.shape) < missing] = np.nan
    dims = ("time", "band", "y", "x")
    coords = {"band": ["VV", "VH"], "y": np.arange(rows) * -10.0, "x": np.arange(columns) * 10.0}
    return xr.DataArray(values, coords, dims, "backscatter", {"units": "dB"}).rio.write_crs("EPSG:32630")


def weights(x: np.ndarray) -> np.ndarray:
    """(n, c, t) -> (n, 3), order of bands and dates matters; row by row, so that no row's company moves a bit of it."""
    factors = np.arange(24, dtype="float32").reshape(2, 4, 3) / 24
    out = np.zeros((len(x), 3), "float32")
    for c, t in np.ndindex(2, 4):
        out += x[:, c, t, None] * factors[c, t]
    return out


def _looped(image: xr.DataArray) -> np.ndarray:
    """The definition: pixel by pixel."""
    out = np.full((image.sizes["y"], image.sizes["x"], 3), np.nan, "float32")
    for row, column in np.ndindex(out.shape[:2]):
        series = image.values[:, :, row, column].T
        if not np.isnan(series).any():
            out[row, column] = weights(series[None])[0]
    return out


@given(
    some.integers(1, 7), some.integers(1, 7), some.integers(1, 7), some.integers(1, 5), some.sampled_from([0, 0.1, 1])
)
def test_at_once_lazily_and_in_a_loop_are_the_same(
    rows: int, columns: int, chunk: int, batch: int, missing: float
) -> None:
    image = cube(rows, columns, missing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(over, "BATCH", batch)
        eager = over_pixels(weights, image, outputs=3)
        lazy = over_pixels(weights, image.chunk({"y": chunk, "x": chunk, "time": 3}), outputs=3)
        np.testing.assert_array_equal(eager, _looped(image))
        xr.testing.assert_identical(lazy.compute(), eager)
    assert (eager.dims, eager.dtype) == (("y", "x", "output"), np.float32)


def test_a_lazy_cube_stays_lazy_and_keeps_its_blocks_and_place() -> None:
    calls: list[int] = []

    def seen(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return x.mean(axis=2)

    image = cube(5, 7, 0)
    found = over_pixels(seen, image.chunk({"y": 2, "x": 4}), outputs=2)
    assert not calls
    assert found.chunks == ((2, 2, 1), (4, 3), (2,))
    assert found.rio.crs == image.rio.crs
    assert (found.name, found.attrs) == (None, {})  # no longer backscatter in dB
    np.testing.assert_array_equal(found.x, image.x)
    found.compute()
    assert sorted(calls) == [3, 4, 6, 6, 8, 8]


def test_the_function_never_sees_a_gap_nor_nothing_nor_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over, "BATCH", 16)

    def strict(x: np.ndarray) -> np.ndarray:
        assert 0 < len(x) <= 16
        assert x.dtype == np.float32
        assert not np.isnan(x).any()
        assert x.flags.c_contiguous
        return x[:, :, 0]

    over_pixels(strict, cube(9, 9, 0.1), outputs=2)
    assert np.isnan(over_pixels(strict, cube(3, 3, 1), outputs=2)).all()


def test_results_have_the_axes_asked_for() -> None:
    image = cube(3, 4, 0.2)
    classes = over_pixels(lambda x: (x.mean(axis=(1, 2)) > 0) + 1, image, outputs={}, dtype="int16", missing=0)
    assert (classes.dims, classes.dtype) == (("y", "x"), np.int16)
    np.testing.assert_array_equal(classes == 0, np.isnan(image).any(("band", "time")))
    whole = over_pixels(lambda x: np.stack([x.sum(1)] * 3, axis=1), image.chunk(), outputs={"dim": 3, "time": 4})
    assert dict(whole.sizes) == {"y": 3, "x": 4, "dim": 3, "time": 4}
    expected = image.where(classes > 0).sum("band", skipna=False).transpose("y", "x", "time")
    np.testing.assert_allclose(whole[:, :, 1], expected, rtol=1e-5)
