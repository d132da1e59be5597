"""A user's mistake is answered with the argument, what was found, and what to do."""

from pathlib import Path
from typing import Any

import pytest

from mistakes import MISTAKES, Mistake
from sitscope.cube.reading import open_cube
from sitscope.cube.sampling import sample
from sitscope.cube.splitting import split_by_field
from sitscope.errors import BadInput

OPENING = {"units", "bands", "start", "end", "orbit"}


def _whole_way(images: Any, fields: Path, options: dict[str, Any]) -> None:
    opening = {name: value for name, value in options.items() if name in OPENING}
    sampling = {name: value for name, value in options.items() if name not in OPENING | {"test"}}
    series = sample(open_cube(images, **opening), fields, **sampling)
    split_by_field(series, test=options.get("test", 0.3))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_answered_with_argument_findings_and_remedy(mistake: Mistake, tmp_path: Path) -> None:
    images, fields = mistake.make(tmp_path)
    with pytest.raises(BadInput) as caught:
        _whole_way(images, fields, mistake.options)
    assert caught.value.argument == mistake.argument, caught.value
    for words in mistake.says:
        assert words in caught.value.message


def test_what_the_mistakes_start_from_is_no_mistake(tmp_path: Path) -> None:
    from mistakes import good

    _whole_way(*good(tmp_path), {})


def test_two_orbits_of_real_images_are_refused(antwerp: Path, antwerp_orbit_b: Path) -> None:
    with pytest.raises(BadInput, match=r"orbit: .*A \(80 dates\), B \(77 dates\).*orbit='A'"):
        open_cube([antwerp, antwerp_orbit_b])
    assert open_cube([antwerp, antwerp_orbit_b], orbit="B").sizes["time"] == 77
