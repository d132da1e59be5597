"""Which fields may a model not see, so that its scores say something about fields it has never seen?"""

import numpy as np
import xarray as xr

from sitscope.errors import BadInput


def split_by_field(series: xr.Dataset, *, test: float = 0.3, seed: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    """Part series into those to learn from and those to test on, each field wholly on one side.

    Pixels of one field are nearly copies of each other: split by pixel, a score says how well fields are remembered.

    Args:
        series: as sample gives them.
        test: share of the fields of each class to test on, between 0 and 1; at least one field of a class on each
            side. A class with a single field cannot be tested, is learned from, and is named in only_in_train.
        seed: of the draw.

    Returns:
        (train, test); series without a label are in train. Both have the attribute only_in_train, a list of classes.

    Raises:
        BadInput: test is no share, or no class has two fields.

    >>> labels = ["Wheat"] * 4 + ["Maize"] * 4
    >>> series = xr.Dataset({"label": ("series", labels), "field": ("series", [0, 0, 1, 1, 2, 2, 3, 3])})
    >>> train, test = split_by_field(series, test=0.5)
    >>> sorted(set(train.field.values) & set(test.field.values)), train.sizes["series"], test.sizes["series"]
    ([], 4, 4)
    """
    if not 0 < test < 1:
        raise BadInput("test", f"{test} is no share of the fields. Choose one between 0 and 1, for example 0.3.")
    rng = np.random.default_rng(seed)
    fields = _fields_by_class(series)
    if max(map(len, fields.values()), default=0) < 2:
        counts = ", ".join(f"{name} {len(members)}" for name, members in fields.items()) or "no labelled field"
        raise BadInput(
            "fields", f"no class has two fields, one to learn from and one to test on: {counts}. Add fields."
        )
    held_out = [rng.permutation(members)[: _held(len(members), test)] for members in fields.values()]
    tested = np.isin(series.field.values, np.concatenate(held_out)) & (series.label.values.astype(str) != "")
    alone = [name for name, members in fields.items() if len(members) == 1]
    whole = series.assign_attrs(only_in_train=alone)
    return whole.isel(series=np.flatnonzero(~tested)), whole.isel(series=np.flatnonzero(tested))


def _fields_by_class(series: xr.Dataset) -> dict[str, np.ndarray]:
    """The fields of each class, both in order."""
    labels, field = series.label.values.astype(str), series.field.values
    return {str(name): np.unique(field[labels == name]) for name in np.unique(labels[labels != ""])}


def _held(n: int, test: float) -> int:
    """How many of n fields are tested on: the nearest to the share that leaves one on each side."""
    return 0 if n < 2 else min(max(1, round(n * test)), n - 1)
