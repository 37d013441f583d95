"""What a step leaves on the host, so that it does its work once for each occupancy of a slot."""

from __future__ import annotations

from contextlib import suppress

from ops.agent import Lost, Session
from ops.docker import Docker, Say
from ops.errors import HostUnreachable
from rollout.names import Colour, marker


class Marker:
    """`{colour}-{step}#{key}`, kept by the switch agent."""

    def __init__(
        self, docker: Docker, switch: str, colour: Colour, step: str, key: str, say: Say
    ) -> None:
        self._docker, self._switch, self._say = docker, switch, say
        self.name = marker(colour, step, key)

    def note(self, session: Session) -> str | None:
        """What was noted when the step was done, None when it was not."""
        answer = session.ask("marked", key=self.name)
        return str(answer["note"]) if answer["marked"] else None

    def set(self, note: str, session: Session) -> None:
        """On this line, or on another one where it broke meanwhile."""
        with suppress(Lost, HostUnreachable):
            session.ask("mark", key=self.name, note=note)
            return
        with Session(self._docker, self._switch, self._say) as another:
            another.ask("mark", key=self.name, note=note)
