"""Names and addresses on a host."""

from __future__ import annotations

import pytest

from rollout.names import MAX_STACK_LENGTH, Names, address, node, other

LONGEST = "1.22.333-rc.4444.5555.6666+abcdef123456"


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (Names("production").edge, "ytempire-production-nginx"),
        (Names("production").switch, "ytempire-production-switch"),
        (Names("production").app("blue"), "ytempire-production-blue"),
        (Names("production").network("data"), "ytempire-production-net-data"),
        (Names("production").volume("media"), "ytempire-production-vol-media"),
        (Names("drill").beat("1.2.0+ab12cd34ef56"), "ytempire-drill-beat-1.2.0-ab12cd34ef56"),
    ],
)
def test_everything_is_named_after_project_and_stack(got: str, expected: str) -> None:
    assert got == expected


def test_the_longest_worker_name_is_a_host_name() -> None:
    assert len(Names("s" * MAX_STACK_LENGTH).worker(LONGEST, 99)) <= 63


def test_long_versions_stay_apart_by_their_fingerprints() -> None:
    names = Names("production")
    assert names.worker(LONGEST, 1) != names.worker(LONGEST.replace("abc", "abd"), 1)


def test_workers_are_counted_from_one() -> None:
    assert list(Names("s").workers("1.0+f", 2)) == [
        "ytempire-s-worker-1.0-f-1",
        "ytempire-s-worker-1.0-f-2",
    ]


def test_celery_knows_a_worker_by_its_host_name() -> None:
    assert node("ytempire-s-worker-1.0-f-1") == "celery@ytempire-s-worker-1.0-f-1"


def test_the_other_slot_of_the_other_slot_is_the_slot() -> None:
    assert other(other("blue")) == "blue" != other("blue")


def test_each_place_has_an_address_of_its_own_inside_the_subnet() -> None:
    places = [address("172.30.1.0/24", p) for p in ("edge", "switch", "blue", "green")]
    assert places == ["172.30.1.64", "172.30.1.65", "172.30.1.66", "172.30.1.67"]
