"""Do the figures of several sensors show what the tables hold, each sensor on its own dates?"""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from sitscope.showing.axes import date_edges
from sitscope.showing.contributions import contributions_figure, margins_figure

DATES = {
    "s1": pd.date_range("2017-01-03", periods=10, freq="12D"),
    "s2": pd.date_range("2017-02-15", periods=4, freq="30D"),
}
BANDS = {"s1": ["VV", "VH"], "s2": ["B8", "B4", "B11"]}


def cells(dims: int) -> pd.DataFrame:
    """contributions.parquet of two classes."""
    rng = np.random.default_rng(0)
    rows = [
        {"class": name, "dim": dim, "sensor": sensor, "band": band, "date": date, "size": rng.random(), "n": n}
        for name, n in (("rye", 30), ("oats", 10))
        for dim in range(1, dims + 1)
        for sensor, bands in BANDS.items()
        for band in bands
        for date in DATES[sensor]
    ]
    return pd.DataFrame(rows)


def drawn(dims: int) -> tuple[pd.DataFrame, Figure]:
    table = cells(dims)
    letter = table.drop_duplicates(["class", "dim", "sensor", "date"]).rename(columns={"size": "importance"})
    shares = table.assign(share=table["size"]).groupby(["dim", "sensor"], as_index=False)["share"].sum()
    shares["share"] /= shares.groupby("dim")["share"].transform("sum")
    return table, contributions_figure(table, letter, shares.assign(share_low=0.1, share_high=0.9))


def meshes(figure: Figure) -> list[QuadMesh]:
    """Heat maps; the colour bars have theirs too, and no names of bands."""
    heats = [axes for axes in figure.axes if axes.get_yticklabels() and axes.get_yticklabels()[0].get_text() in "VVB8"]
    return [child for axes in heats for child in axes.collections if isinstance(child, QuadMesh)]


@pytest.mark.parametrize("dims", [1, 2, 5])
def test_heat_maps_are_the_shares_of_each_sensor_on_its_own_dates(dims: int) -> None:
    table, figure = drawn(dims)
    heats = meshes(figure)
    assert len(heats) == 2 * dims
    for i, heat in enumerate(heats):
        sensor = ("s1", "s2")[i % 2]
        mine = table[table["dim"] == i // 2 + 1]
        weighed = mine.assign(size=mine["size"] * mine["n"])
        wide = weighed[weighed.sensor == sensor].pivot_table(index="band", columns="date", values="size", aggfunc="sum")
        expected = wide.loc[BANDS[sensor]].to_numpy() / weighed["size"].sum()
        np.testing.assert_allclose(np.asarray(heat.get_array()).reshape(expected.shape), expected)
        np.testing.assert_allclose(heat.get_coordinates()[0, :, 0], date_edges(DATES[sensor].to_numpy()))


def test_bands_say_their_shares_and_sensors_theirs_with_intervals() -> None:
    table, figure = drawn(1)
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    weighed = table.assign(size=table["size"] * table["n"]).groupby("band", sort=False)["size"].sum()
    assert said == [f"{100 * share:.0f} %" for share in weighed / weighed.sum()]
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles[0].startswith("Embedding dimension 1 · s1 ")
    assert titles[1].endswith("(10 % to 90 %)")


def test_what_narrows_a_margin_is_blue_and_all_adds_up() -> None:
    parts = cells(1).drop_duplicates(["sensor", "band", "date"]).drop(columns=["dim", "n"])
    parts = parts.assign(other="oats", contribution=np.where(parts["band"] == "VH", -1, 1) * parts["size"])
    figure = margins_figure(parts)
    one, two = meshes(figure)
    assert (np.asarray(one.get_array())[1] < 0).all()
    total = float(np.sum(one.get_array()) + np.sum(two.get_array()))
    assert total == pytest.approx(1)
    assert one.norm.vmin == -one.norm.vmax  # type: ignore[operator]
    assert any(text.get_text().startswith("−") for axes in figure.axes for text in axes.texts)
