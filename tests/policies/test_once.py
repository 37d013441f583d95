"""Properties are converted once for all rules, by the SDK's own functions."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    policy,
)
from pulumi_policy.proxy import UnknownValueError

from policies import once


@pytest.fixture(autouse=True)
def remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one test."""
    for name in ("json_format", "deserialize_properties", "unknown_checking_proxy"):
        monkeypatch.setattr(policy, name, getattr(policy, name))
    once.remember()


def analyzer(*seen_by: list[Any]) -> Any:
    """The SDK's own, with a rule for each list, which keeps what it was shown."""

    def rule(number: int, seen: list[Any]) -> ResourceValidationPolicy:
        def validate(args: ResourceValidationArgs, _: Any) -> None:
            seen.append(args.props)

        return ResourceValidationPolicy(name=f"rule-{number}", description="it", validate=validate)

    rules: list[Policy] = [rule(number, seen) for number, seen in enumerate(seen_by)]
    return policy._PolicyAnalyzerServicer("pack", "1.0.0", rules, EnforcementLevel.MANDATORY)


def request(**properties: Any) -> analyzer_pb2.AnalyzeRequest:
    told = struct_pb2.Struct()
    told.update(properties)
    return analyzer_pb2.AnalyzeRequest(type="a:b:C", urn="urn", name="it", properties=told)


def test_all_rules_are_shown_the_same() -> None:
    one: list[Any] = []
    two: list[Any] = []
    analyzer(one, two).Analyze(request(image="app:1", ports=[{"internal": 80}]), None)
    assert one[0] is two[0]
    assert one[0]["image"] == "app:1"
    assert one[0]["ports"][0]["internal"] == 80


def test_a_value_that_is_not_known_yet_is_still_refused_to_a_rule() -> None:
    seen: list[Any] = []
    analyzer(seen).Analyze(request(image="04da6b54-80e4-46f7-96ec-b56ff0331ba9"), None)
    with pytest.raises(UnknownValueError):
        seen[0]["image"]


def test_each_resource_is_shown_as_it_is() -> None:
    seen: list[Any] = []
    judge = analyzer(seen)
    for number in range(3 * once.KEPT):
        judge.Analyze(request(image=f"app:{number}"), None)
    assert [props["image"] for props in seen] == [f"app:{n}" for n in range(3 * once.KEPT)]


def test_what_was_given_before_is_not_converted_again() -> None:
    turns = itertools.count(1)
    kept = once.Once(lambda _: next(turns))
    a, b = object(), object()
    assert [kept(a), kept(b), kept(a)] == [1, 2, 1]
