"""Fixtures of the probes' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.checkout import Checkout, Site, serving
from tests.unit.steps.conftest import host

__all__ = ["checkout", "host", "site"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout.make(tmp_path)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site
