"""From a version to the last word: the stack file, the run, and what serves afterwards."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from ops.docker import Docker
from ops.errors import OpsError
from ops.observe import observe
from ops.stackfile import VERSION
from ops.verbs import _ports as ports
from ops.verbs._change import Change
from ops.verbs._closing import closing, following
from ops.verbs._exit import Failed, code_of
from ops.verbs._paper import say
from ops.verbs._place import Place
from ops.verbs._run import Run
from rollout.plan import View

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Deploy:
    """A run that was decided on. `before` is the host as it was seen beforehand."""

    run: Run
    change: Change
    before: View

    def go(self) -> None:
        begun = time.monotonic()
        ports.check(self.run.place)
        self.change.begin()
        try:
            self.run.update()
        except OpsError as error:
            raise Failed("\n".join((str(error), *self._after_failure())), code_of(error)) from error
        except BaseException:
            self.change.settle(_live(_seen(self.run.place)))
            raise
        for line in self._after(time.monotonic() - begun):
            say(line)
        self._back_up()

    def _after(self, seconds: float) -> list[str]:
        view = _seen(self.run.place)
        told = self.change.settle(_live(view))
        if view and view.edge:
            _await_boot(self.run.place, self.run.place.names.app(view.edge.colour))
        if view is None:
            return [f"Done in {seconds:.1f} s, but the host does not answer now.", told]
        place = self.run.place
        ended = closing(place, self.before, view, self.run.changed, seconds)
        words = [line for line in (told, *self._traced(view)) if line]
        return [*ended, *(f"  {line}" for line in words), "", *following(place, view)]

    def _traced(self, view: View) -> list[str]:
        """Nothing of a rollback: it is no change's deploy."""
        if self.run.straight or view.edge is None:
            return []
        from ops.verbs import _trace as trace  # with git and the records

        place, engine = self.run.place, self.run.engine
        return [
            *trace.deployed(place, engine, view.edge.identity),
            *trace.maintained(place, engine),
        ]

    def _back_up(self) -> None:
        """What was declared and what runs now, last of all: nobody waits for it. A rollback leaves
        it to the next deploy: seconds count."""
        if self.run.straight or not self.run.place.configuration.backs_up:
            return
        # Imported here: the better part of a second, and until now nobody needed it.
        from ops.verbs.backup import after_deploy

        for line in after_deploy(self.run.place):
            say(line)

    def _after_failure(self) -> list[str]:
        view = _seen(self.run.place)
        told = self.change.settle(_live(view))
        return [line for line in (_serving(self.before, view, self.run.place), told) if line]


def _serving(before: View, view: View | None, place: Place) -> str:
    """Which release serves after a failed run."""
    if view is None:
        return "What serves now is not known: the host does not answer. Next: `ytops status`"
    if view.edge is None:
        return "No release serves, as before." if before.edge is None else "No release serves."
    serves = f"{view.edge.identity} is live on {view.edge.colour}"
    if before.edge == view.edge:
        return f"{serves}, as before."
    version = place.file.get(VERSION)
    return f"{serves}, but the run did not finish. Next: `ytops up {version}`, which goes on."


def _await_boot(place: Place, app: str) -> None:
    """What serves may have been made anew, because it was lost: done is when it is healthy."""
    deadline = time.monotonic() + int(place.configuration.get("bootTimeout") or 0)
    told = False
    while time.monotonic() < deadline:
        with suppress(OpsError):
            if not _boots(place.docker, app):
                return
        if not told:
            say(f"{app} is booting: until it is healthy, nothing serves")
        told = True
        time.sleep(POLL_SECONDS)


def _boots(docker: Docker, app: str) -> bool:
    """By its own check: to Docker it is starting for the check's interval, and for minutes after a
    restart of the daemon."""
    found = docker.inspect(app)
    if found is None or not found.running or found.health != "starting":
        return False
    return not docker.is_well(found)


def _seen(place: Place) -> View | None:
    try:
        return observe(place.docker, place.names).view
    except OpsError:
        return None


def _live(view: View | None) -> str | None:
    """The identity that serves; empty when none does, None when that is not known."""
    if view is None:
        return None
    return view.edge.identity if view.edge else ""
