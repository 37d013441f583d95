"""`ytops rollback [VERSION]`: back to the release that stands warm in the other slot."""

from __future__ import annotations

from ops.observe import observe
from ops.verbs._change import Change
from ops.verbs._deploy import Deploy
from ops.verbs._paper import say
from ops.verbs._place import Place
from ops.verbs._run import Run
from ops.verbs._target import choose


def rollback(place: Place, version: str, *, yes: bool = False, why: str = "") -> None:
    """The question comes at once, and no preview: the slots stand, only traffic moves."""
    run = Run(place, f"ytops rollback {version}".rstrip(), why=why, yes=yes, straight=True)
    run.ready()
    view = observe(place.docker, place.names).view
    target = choose(view, version)
    say(f"{view.edge.identity if view.edge else ''} → {target.identity} on {target.colour}")
    Deploy(run, Change(place.file, target.name), view).go()
