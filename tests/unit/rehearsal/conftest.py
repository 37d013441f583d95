"""The host on paper, as in the steps' tests."""

from tests.unit.steps.conftest import eventually, host

__all__ = ["eventually", "host"]
