"""Engine events become steps in words."""

from __future__ import annotations

import json
from typing import Any

from ops.verbs._events import parse
from ops.verbs._progress import LONG_SECONDS, Progress

COMMAND = "command:local:Command"
CONTAINER = "docker:index/container:Container"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def line(kind: str, name: str, op: str = "create", what: str = COMMAND, **more: Any) -> str:
    metadata = {"op": op, "urn": f"urn:pulumi:sandbox::ytempire::{what}::{name}", "type": what}
    return json.dumps({"sequence": 1, kind: {"metadata": metadata, **more}})


def said(name: str, message: str, severity: str = "info") -> str:
    urn = f"urn:pulumi:sandbox::ytempire::{COMMAND}::{name}" if name else ""
    body = {"urn": urn, "message": message, "severity": severity}
    return json.dumps({"sequence": 1, "diagnosticEvent": body})


def lines(progress: Progress, *events: str) -> list[str]:
    return [text for event in map(parse, events) if event for text in progress.hear(event)]


def test_a_step_ends_with_what_it_said_last_and_how_long_it_took() -> None:
    progress = Progress(clock := Clock())
    lines(progress, line("resourcePreEvent", "green-healthy"), said("green-healthy", "starting\n"))
    clock.now = 4.3
    ended = lines(
        progress,
        said("green-healthy", "ready after 4.1 s\n"),
        line("resOutputsEvent", "green-healthy"),
    )
    assert ended == ["green-healthy    ready after 4.1 s ✓ 4.3 s"]


def test_a_container_is_named_as_such() -> None:
    progress = Progress(Clock())
    ended = lines(
        progress,
        line("resourcePreEvent", "green-app", what=CONTAINER),
        line("resOutputsEvent", "green-app", what=CONTAINER),
    )
    assert ended == ["green-app        container created ✓ 0.0 s"]


def test_a_replaced_step_is_one_line_and_its_bookkeeping_none() -> None:
    progress = Progress(Clock())
    events = [
        line(kind, "switch", op)
        for op in ("create-replacement", "replace", "delete-replaced")
        for kind in ("resourcePreEvent", "resOutputsEvent")
    ]
    assert lines(progress, *events) == ["switch           done ✓ 0.0 s"]


def test_what_stays_and_what_only_groups_is_not_told() -> None:
    progress = Progress(Clock())
    for op, what in (("same", COMMAND), ("refresh", CONTAINER), ("create", "ytempire:edge:Edge")):
        for kind in ("resourcePreEvent", "resOutputsEvent"):
            assert lines(progress, line(kind, "x", op, what)) == []
    assert progress.running == {}


def test_a_long_step_is_heard_while_it_runs() -> None:
    progress = Progress(clock := Clock())
    lines(progress, line("resourcePreEvent", "green-migrate"))
    clock.now = LONG_SECONDS + 1
    heard = lines(progress, said("green-migrate", "Applying app.0002… OK\n"))
    assert heard == ["green-migrate    Applying app.0002… OK"]


def test_a_failed_step_is_marked_and_its_words_wait_for_the_end() -> None:
    progress = Progress(clock := Clock())
    lines(progress, line("resourcePreEvent", "green-verify"))
    clock.now = 2.0
    assert lines(progress, line("resOpFailedEvent", "green-verify")) == [
        "green-verify     failed after 2.0 s"
    ]


def test_the_plan_is_told_once_though_preview_and_update_both_say_it() -> None:
    progress = Progress(Clock())
    plan = said("", "plan: deploy: 1.1.0+bbbb goes into green\n")
    assert lines(progress, plan, plan) == ["plan: deploy: 1.1.0+bbbb goes into green"]


def test_a_preview_runs_nothing_and_lists_what_would() -> None:
    progress = Progress(Clock())
    lines(
        progress,
        line("resourcePreEvent", "green-app", what=CONTAINER, planning=True),
        line("resourcePreEvent", "switch", "create-replacement", planning=True),
        line("resourcePreEvent", "switch", "replace", planning=True),
    )
    assert progress.planned == ["create container   green-app", "run                switch"]
    assert progress.running == {}


def test_lines_that_are_no_events_are_passed_over() -> None:
    for text in ("", "{", "[1]", '{"config": {}}', '{"sequence": 3, "cancelEvent": {}}'):
        assert parse(text) is None
