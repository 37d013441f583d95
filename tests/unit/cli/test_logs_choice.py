"""Which containers a part's name means."""

from __future__ import annotations

import pytest

from ops.verbs.logs import Part, choose
from tests.unit.cli.happy import GREEN, NAMES, NEW, OLD, containers


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (Part.nginx, [NAMES.edge]),
        (Part.app, [NAMES.app("green")]),
        (Part.blue, [NAMES.app("blue")]),
        (Part.worker, list(NAMES.workers(NEW.identity, 2))),
        (Part.beat, [NAMES.beat(NEW.identity)]),
    ],
)
def test_of_what_each_release_has_it_is_the_live_releases(part: Part, names: list[str]) -> None:
    assert choose(part, containers(), GREEN) == names


def test_while_no_release_is_live_it_is_all_of_them() -> None:
    both = [NAMES.beat(OLD.identity), NAMES.beat(NEW.identity)]
    assert choose(Part.beat, containers(), None) == both
