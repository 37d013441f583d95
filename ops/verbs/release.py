"""`ytops release new VERSION`: the release record, with what can be known already."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ops.errors import OpsError
from ops.git import Git
from ops.observe import image_identity
from ops.records import parse, place, schema_line
from ops.releases import before
from ops.verbs._exit import Misused
from ops.verbs._night import limits
from ops.verbs._paper import say
from ops.verbs._place import Place
from rollout.records import ReleaseRecord, release_path

RECORD = """\
{schema}# The release record of {version} (manual 7.1), reviewed in the pull request of its deploy.
# `ytops checklist {version}` says what is missing. What isn't said here is unknown, and stops it.
version: {quoted}
digest: {digest}
commit: {commit}
change: {change}
notes: {notes}
documentation: []  # files that were written or changed for {version}, each naming it
tests: ""  # the JUnit report of that commit; its property `commit` names it
reviewed_by: []  # who looked at it and wrote none of it, as git names them
migrations: null  # true or false: does the schema change?
announcement: null  # true or false: do users have to be told beforehand?
critical_bugs:  # where no forge is configured: the statement, signed
  status: unknown  # pass, when none is open
  source: ""  # where you looked
  by: ""
  at: null
rollback:
  steps:
    - ytops rollback
  data: "nothing is written back: the previous release works on the new schema"
  reviewed_by: ""
  reviewed_at: null
"""
NOTES = """\
# {version}

What users get, in their words.
"""


def new(root: Place, version: str, change: str = "") -> None:
    """Raises Misused when there is one: a record is edited, not made anew."""
    path = release_path(version)
    if (root.root / path).exists():
        raise Misused(f"There is a {path} already. Next: `ytops checklist {version}`")
    notes = path.with_suffix(".md")
    found = {
        "digest": lambda: _digest(root, version),
        "commit": lambda: _commit(root, version),
    }
    known = {key: _known(key, look) for key, look in found.items()}
    text = RECORD.format(
        schema=schema_line(path, "release"),
        version=version,
        quoted=json.dumps(version),
        change=change or "null  # CR-N: `ytops change new`",
        notes=notes,
        digest=known["digest"] or "null  # of the image, sha256:…",
        commit=json.dumps(known["commit"]) if known["commit"] else "null  # it was built from",
    )
    parse(ReleaseRecord, text.encode(), path)
    place(root.root / path, text)
    if not (root.root / notes).exists():
        place(root.root / notes, NOTES.format(version=version))
    last = before(root.root, version)
    say(f"{path} and {notes}" + (f", after {last.version}" if last else ", the first release"))
    command = "ytops change new --release" if not change else "ytops checklist"
    say(f"Next: fill them in, commit them, then `{command} {version}`")


def _known(key: str, look: Callable[[], str]) -> str:
    try:
        return look()
    except OpsError as error:
        say(f"{key} is left open: {str(error).splitlines()[0]}")
        return ""


def _digest(root: Place, version: str) -> str:
    return image_identity(root.docker, f"{root.configuration.get('backendImage')}:{version}").digest


def _commit(root: Place, version: str) -> str:
    """The commit that carries the version's tag, in the product's checkout."""
    source: Path = (root.root / limits(root).checklist.source).resolve()
    git = Git(source)
    for tag in (version, f"v{version}"):
        found = git.lines("tag", "--list", tag)
        if found:
            return git.commit(f"refs/tags/{tag}")
    raise OpsError(f"{source} has no tag {version} or v{version}")
