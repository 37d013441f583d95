"""Each resource is read once, not once a rule.

Before each rule, also where it is about another type, Pulumi's SDK for Python (1.21) turns the
engine's message into Python's own values: sixty times for each resource, while the engine waits.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pulumi_policy import policy

KEPT = 8  # for each of the SDK's four threads, a resource and its provider


class Once:
    """A function whose last results are kept, and given again to who comes with the same object.
    Nobody may change them: rules only read."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._kept: list[tuple[object, Any]] = []

    def __call__(self, given: object, *more: Any) -> Any:
        if more:
            return self._function(given, *more)
        for known, result in self._kept:
            if known is given:
                return result
        result = self._function(given)
        self._kept = [(given, result), *self._kept[: KEPT - 1]]
        return result


def remember() -> None:
    """From now on, before the pack is served. Raises AttributeError where the SDK has changed."""
    sdk: Any = policy
    sdk.json_format = SimpleNamespace(MessageToDict=Once(sdk.json_format.MessageToDict))
    sdk.deserialize_properties = Once(sdk.deserialize_properties)
    sdk.unknown_checking_proxy = Once(sdk.unknown_checking_proxy)
