"""Fields on the ground and fields on the grid are the same fields."""

import numpy as np
import pytest
import shapely

from sitscope.simulation.layout import CANAL_PX, TRACK_PX, Layout, lay_out


@pytest.fixture(scope="module", params=[1, 3, 97])
def layout(request: pytest.FixtureRequest) -> Layout:
    return lay_out(request.param, 11.0, np.random.default_rng(0))


def test_a_pixel_is_labelled_when_its_centre_lies_in_the_polygon(layout: Layout) -> None:
    shapes = layout.polygons(0.0, 0.0, 1.0)
    y, x = np.indices(layout.label.shape) + 0.5
    for i, shape in enumerate(shapes):
        np.testing.assert_array_equal(shapely.contains_xy(shape, x, -y), layout.label == i)


def test_fields_do_not_touch(layout: Layout) -> None:
    shapes = np.array(layout.polygons(0.0, 0.0, 1.0))
    tree = shapely.STRtree(shapes)
    a, b = tree.query(shapes, predicate="dwithin", distance=min(TRACK_PX, CANAL_PX) - 1e-6)
    assert (a == b).all()


def test_fields_have_the_asked_size_on_average_and_vary() -> None:
    layout = lay_out(400, 20.0, np.random.default_rng(1))
    area = shapely.area(np.array(layout.polygons(0.0, 0.0, 1.0)))
    assert area.mean() == pytest.approx(20**2, rel=0.1)
    assert area.std() / area.mean() > 0.2
    assert np.bincount(layout.label[layout.label >= 0]).sum() == pytest.approx(area.sum(), rel=0.01)
