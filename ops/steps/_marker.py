"""What a step leaves on the host, so that it does its work once for each occupancy of a slot."""

from __future__ import annotations

from ops.agent import Session
from ops.docker import Docker, Say
from rollout.names import Colour, marker


class Marker:
    """`{colour}-{step}#{key}`, kept by the switch agent. Sessions are short: work takes minutes."""

    def __init__(
        self, docker: Docker, switch: str, colour: Colour, step: str, key: str, say: Say
    ) -> None:
        self._docker, self._switch, self._say = docker, switch, say
        self.name = marker(colour, step, key)

    def note(self, session: Session | None = None) -> str | None:
        """What was noted when the step was done, None when it was not."""
        if session is None:
            with Session(self._docker, self._switch, self._say) as session:
                return self.note(session)
        answer = session.ask("marked", key=self.name)
        return str(answer["note"]) if answer["marked"] else None

    def set(self, note: str) -> None:
        with Session(self._docker, self._switch, self._say) as session:
            session.ask("mark", key=self.name, note=note)
