"""What the bench makes a host remember."""

from __future__ import annotations

from typing import Any

from bench.growth import grown


def state(*identities: str) -> dict[str, Any]:
    """These releases, the first two of them in slots."""
    releases = {}
    for identity in identities:
        version, _, fingerprint = identity.partition("+")
        releases[identity] = {"version": version, "fingerprint": fingerprint}
    slots = dict(zip(("blue", "green"), [{"identity": name} for name in identities], strict=False))
    return {"serial": 3, "slots": slots, "releases": releases}


def test_a_state_grows_by_copies_beside_what_is_in_the_slots() -> None:
    releases = grown(state("1.0.0+ab", "1.1.0+cd", "1.2.0+ef"), 20)["releases"]
    assert len(releases) == 20
    assert all(f"{r['version']}+{r['fingerprint']}" == key for key, r in releases.items())
    assert {"1.0.0+ab", "1.1.0+cd"} <= set(releases)


def test_a_state_never_loses_what_is_in_a_slot() -> None:
    two = state("1.0.0+ab", "1.1.0+cd")
    assert grown(two, 1) == two
