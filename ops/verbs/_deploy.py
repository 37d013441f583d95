"""From a version to the last word: the stack file, the run, and what serves afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ops.errors import OpsError
from ops.observe import observe
from ops.stackfile import VERSION
from ops.verbs._change import Change
from ops.verbs._exit import Failed, code_of
from ops.verbs._paper import OK, paint, say
from ops.verbs._place import Place
from ops.verbs._run import Run
from ops.verbs._target import Candidate, at_once
from rollout.plan import View
from rollout.state import Pointer


@dataclass(frozen=True)
class Deploy:
    """A run that was decided on. `before` is the host as it was seen beforehand."""

    run: Run
    change: Change
    before: View

    def go(self) -> None:
        begun = time.monotonic()
        self.change.begin()
        try:
            self.run.update()
        except OpsError as error:
            raise Failed("\n".join((str(error), *self._after_failure())), code_of(error)) from error
        except BaseException:
            self.change.settle(_version(_seen(self.run.place)))
            raise
        for line in self._after(time.monotonic() - begun):
            say(line)

    def _after(self, seconds: float) -> list[str]:
        view = _seen(self.run.place)
        told = self.change.settle(_version(view))
        if view is None:
            return [f"Done in {seconds:.1f} s, but the host does not answer now.", told]
        return [line for line in (*outcome(self, view, seconds), told, _next(view)) if line]

    def _after_failure(self) -> list[str]:
        view = _seen(self.run.place)
        told = self.change.settle(_version(view))
        return [line for line in (_serving(self.before, view, self.run.place), told) if line]


def outcome(deploy: Deploy, view: View, seconds: float) -> list[str]:
    """What serves where, and how long it took."""
    if view.edge is None:
        return [f"{paint(OK, 'green')} Everything is up in {seconds:.1f} s; no release serves yet."]
    serves = f"{view.edge.identity} is live on {view.edge.colour}"
    if deploy.before.edge == view.edge:
        what = "nothing to change" if not deploy.run.changed else "the rest was brought up to date"
        return [f"{paint(OK, 'green')} {serves}, as before: {what} ({seconds:.1f} s)"]
    address = deploy.run.place.configuration.address
    return [f"{paint(OK, 'green')} {serves} after {seconds:.1f} s: {address}"]


def _next(view: View) -> str:
    back = at_once(view)
    if isinstance(back, Candidate):
        return f"Next: `ytops status`; back to {back.version} within seconds: `ytops rollback`"
    return "Next: `ytops status`"


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


def _seen(place: Place) -> View | None:
    try:
        return observe(place.docker, place.names).view
    except OpsError:
        return None


def _version(view: View | None) -> str | None:
    if view is None:
        return None
    return version_of(view.edge)


def version_of(pointer: Pointer | None) -> str:
    return pointer.identity.rpartition("+")[0] if pointer else ""
