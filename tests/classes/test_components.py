"""Principal components: a slow twin by singular values, and the laws that hold for any embedding."""

import numpy as np
import pytest

from sitscope.classes.components import principal_components


@pytest.mark.parametrize("shape", [(50, 2), (50, 7), (5, 30), (1, 4), (400, 64)])
def test_components_are_those_of_the_singular_value_decomposition(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    e = rng.normal(size=shape) * np.geomspace(5, 0.5, shape[1]) + 3
    found = principal_components(e, most=2)
    apart = e - e.mean(axis=0)
    _, size, axes = np.linalg.svd(apart, full_matrices=False)
    some = min(2, len(size), shape[0] - 1)
    np.testing.assert_allclose(np.abs(found(e)[:, :some]), np.abs(apart @ axes[:some].T), atol=1e-8)
    np.testing.assert_allclose(found.share[:some], (size**2 / max((size**2).sum(), 1e-300))[:some], atol=1e-9)
    assert found.axes.shape == (min(2, shape[1]), shape[1])
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(len(found.axes)), atol=1e-9)
    assert (np.take_along_axis(found.axes, np.abs(found.axes).argmax(axis=1)[:, None], axis=1) > 0).all()


def test_an_embedding_that_never_varies_has_no_variance_to_share() -> None:
    assert principal_components(np.ones((9, 3))).share.tolist() == [0, 0]
    assert principal_components(np.empty((0, 3))).mean.tolist() == [0, 0, 0]
