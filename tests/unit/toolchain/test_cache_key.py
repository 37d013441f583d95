"""The cache's key names exactly what decides the build."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain import places


def test_key_changes_with_a_source_of_the_build(checkout: Path) -> None:
    before = places.cache_key(checkout)
    (checkout / "toolchain" / "go" / "main.go").write_text("package main\n")
    assert places.cache_key(checkout) != before


def test_key_changes_with_a_renamed_source(checkout: Path) -> None:
    before = places.cache_key(checkout)
    (checkout / "toolchain" / "go" / "go.mod").rename(checkout / "toolchain" / "go" / "other.mod")
    assert places.cache_key(checkout) != before


def test_key_ignores_what_the_build_does_not_read(checkout: Path) -> None:
    before = places.cache_key(checkout)
    (checkout / "toolchain" / "engine.py").write_text("")
    (checkout / "toolchain" / "go" / "main_test.go").write_text("package main\n")
    assert places.cache_key(checkout) == before


def test_key_ignores_where_the_checkout_is(checkout: Path, tmp_path: Path) -> None:
    before = places.cache_key(checkout)
    assert places.cache_key(checkout.rename(tmp_path / "moved")) == before


def test_key_differs_between_kinds_of_machine(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = places.cache_key(checkout)
    monkeypatch.setattr(places, "system", lambda: ("linux", "riscv"))
    assert places.cache_key(checkout) != before
