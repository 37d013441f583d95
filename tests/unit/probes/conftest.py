"""Fixtures of the probes' tests: the steps' host."""

from tests.unit.steps.conftest import host

__all__ = ["host"]
