"""The engine's event stream, cut down to what a deployer is told."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from ops.engine import CONTAINER

Kind = Literal["started", "done", "failed", "said", "warned", "trouble", "noise", "refused", "end"]

STEP = "command:local:Command"
_NOUNS = {
    CONTAINER: "container",
    "docker:index/network:Network": "network",
    "docker:index/volume:Volume": "volume",
}
_SEVERITIES: dict[str, Kind] = {
    "info": "said",
    "warning": "warned",
    "error": "trouble",
    "info#err": "noise",
}


@dataclass(frozen=True)
class Event:
    """One thing that happened. `planning`: in a preview; `policy`: the rule that says it."""

    kind: Kind
    urn: str = ""
    type: str = ""
    op: str = ""
    text: str = ""
    planning: bool = False
    policy: str = ""

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]

    @property
    def noun(self) -> str:
        return _NOUNS.get(self.type) or self.type.rsplit(":", 1)[-1].lower()

    @property
    def is_step(self) -> bool:
        return self.type == STEP


def parse(line: str) -> Event | None:
    """An event worth knowing; None for all others, and for what isn't one."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, dict) or "sequence" not in message:
        return None
    for key, read in _READERS.items():
        if isinstance(message.get(key), dict):
            return read(message[key])
    return None


def _resource(kind: Kind, body: dict[str, Any]) -> Event:
    metadata = body.get("metadata") or {}
    return Event(
        kind,
        urn=str(metadata.get("urn", "")),
        type=str(metadata.get("type", "")),
        op=str(metadata.get("op", "")),
        planning=bool(body.get("planning")),
    )


def _diagnostic(body: dict[str, Any]) -> Event | None:
    kind = _SEVERITIES.get(str(body.get("severity")))
    text = plain(str(body.get("message", "")))
    return Event(kind, urn=str(body.get("urn", "")), text=text) if kind and text else None


def _policy(body: dict[str, Any]) -> Event:
    kind: Kind = "refused" if body.get("enforcementLevel") == "mandatory" else "warned"
    rule = str(body.get("policyName"))
    text = f"{rule}: {plain(str(body.get('message', '')))}"
    return Event(kind, urn=str(body.get("resourceUrn", "")), text=text, policy=rule)


def _summary(body: dict[str, Any]) -> Event:
    text = str(body.get("result", ""))
    return Event("end", text=text, planning=bool(body.get("isPreview")))


_READERS = {
    "resourcePreEvent": lambda body: _resource("started", body),
    "resOutputsEvent": lambda body: _resource("done", body),
    "resOpFailedEvent": lambda body: _resource("failed", body),
    "diagnosticEvent": _diagnostic,
    "policyEvent": _policy,
    "summaryEvent": _summary,
}


def plain(text: str) -> str:
    """Without Pulumi's colour marks and the terminal's."""
    return re.sub(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m", "", text).strip("\n")
