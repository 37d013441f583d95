"""`ytops up [VERSION]`: deploy, or converge from whatever a fault has left."""

from __future__ import annotations

from ops.observe import observe
from ops.verbs._change import Change, permission
from ops.verbs._deploy import Deploy
from ops.verbs._paper import say
from ops.verbs._place import Place
from ops.verbs._run import Run
from rollout.plan import View


def up(place: Place, version: str, *, yes: bool = False, why: str = "") -> None:
    run = Run(place, f"ytops up {version}".rstrip(), why=why, yes=yes)
    run.ready()
    view = observe(place.docker, place.names).view
    Deploy(run, _change(place, view, version), view).go()


def preview(place: Place, version: str) -> None:
    """The plan. The stack file is as before afterwards."""
    run = Run(place, f"ytops preview {version}".rstrip())
    run.engine.check()
    view = observe(place.docker, place.names).view
    change = _change(place, view, version)
    change.begin()
    try:
        run.preview()
    finally:
        change.settle("")
    say(f"Next: `ytops up {version}`" if version else "Next: `ytops up`")


def _change(place: Place, view: View, version: str) -> Change:
    """Asking for a withdrawn version by name brings it back on purpose."""
    return Change(place.file, version, permission(view.state, version))
