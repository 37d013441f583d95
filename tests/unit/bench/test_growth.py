"""What the bench makes a host remember."""

from __future__ import annotations

from bench.growth import grown


def test_a_state_grows_by_copies_and_keeps_what_it_had() -> None:
    state = {"serial": 3, "releases": {"1.0.0+ab": {"version": "1.0.0", "fingerprint": "ab"}}}
    releases = grown(state, 3)["releases"]
    assert len(releases) == 3
    assert all(f"{r['version']}+{r['fingerprint']}" == key for key, r in releases.items())
    assert "1.0.0+ab" in releases


def test_a_state_never_loses_a_release_by_growing() -> None:
    state = {"releases": {f"1.0.{n}+ab": {"version": "", "fingerprint": ""} for n in range(2)}}
    assert grown(state, 1) == state
