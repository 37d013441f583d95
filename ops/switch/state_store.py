"""state.json and history.jsonl: written so that no crash loses them, and read with suspicion."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ops.switch import files
from ops.switch.config import Clock, complaints
from rollout.state import HISTORY_FILE, STATE_FILE, Event, HostState

log = logging.getLogger(__name__)


class StateStore:
    """The only writer of the control volume. `broken` says why nothing may be decided, if so."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / STATE_FILE
        self._previous = folder / f"{STATE_FILE}.previous"
        self._history = folder / HISTORY_FILE
        self._clock = clock
        self._text: str | None = None
        self.state = HostState()
        self.recovered = False
        self.broken = ""

    def load(self) -> None:
        """Read state.json; else the one before it; else know nothing and say so."""
        text = files.read(self._path)
        before = files.read(self._previous)
        if text is None and before is None:
            return
        state = _parse(text)
        if isinstance(state, HostState):
            self.state, self._text = state, text
            return
        aside = self._set_aside(text)
        previous = _parse(before)
        if isinstance(previous, HostState):
            log.error("state.json was unusable (%s); recovered from the one before%s", state, aside)
            self.state, self._text, self.recovered = previous, before, True
            return
        log.error("state.json and state.json.previous are unusable (%s)%s", state, aside)
        self.broken = f"state.json is unusable ({state}) and so is the one before it{aside}"

    def save(self, state: HostState) -> None:
        """Keep `state`, and the one it replaces as state.json.previous."""
        text = state.model_dump_json(indent=1) + "\n"
        if self._text is not None:
            # From memory: what is on the disk may have been damaged since it was written.
            files.write(self._previous, self._text)
        files.write(self._path, text)
        self.state, self._text = state, text

    def update(self, **changes: Any) -> HostState:
        """Save the state with some fields changed, checked like any other state."""
        self.save(HostState.model_validate({**dict(self.state), **changes}))
        return self.state

    def record(self, event: Event) -> None:
        """Add a line to the history."""
        files.append(self._history, event.model_dump_json())

    def repair_history(self) -> None:
        """A crash between state and history leaves the last event in only one of them."""
        if self.state.last is None:
            return
        lines = (files.read(self._history) or "").splitlines()
        if not any(_same_event(line, self.state.last) for line in lines[-5:]):
            self.record(self.state.last)

    def _set_aside(self, text: str | None) -> str:
        if text is None:
            return ""
        name = f"{STATE_FILE}.broken-{self._clock.utc().replace(':', '')}"
        files.write(self._path.with_name(name), text)
        return f", kept as {name}"


def _parse(text: str | None) -> HostState | str:
    """The state, or what is wrong with the text."""
    if text is None:
        return "it is missing"
    try:
        return HostState.model_validate_json(text)
    except ValidationError as error:
        return complaints(error)[:200]


def _same_event(line: str, event: Event) -> bool:
    try:
        return bool(json.loads(line) == event.model_dump())
    except ValueError:
        return False
