"""A checkout and a cache of a test's own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("YTEMPIRE_PULUMI_RELEASES", "YTEMPIRE_PLUGIN_SERVER", "PULUMI_CONFIG_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "ytempire" / "toolchain"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with as many files as the tests need."""
    root = tmp_path / "checkout"
    (root / "toolchain" / "go").mkdir(parents=True)
    (root / "toolchain" / "versions.py").write_text("PULUMI = '1'\n")
    (root / "toolchain" / "go" / "go.mod").write_text("module m\n")
    for name in ("requirements.txt", "pyproject.toml"):
        (root / name).write_text("")
    return root
