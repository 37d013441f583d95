"""Fixtures of all unit tests: a checkout with its records, and a site that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.checkout import Checkout, Site, serving


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout.make(tmp_path)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site
