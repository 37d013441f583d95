"""Whether a change allows a maintenance: the records of the checkout, asked as a deploy's are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ops.errors import OpsError
from ops.probes.requested import named
from rollout.changes import allows_maintenance
from rollout.items import Status
from rollout.steps import Maintenance


def allowed(root: Path, name: str, hours: float) -> Maintenance | str:
    """The maintenance; or why this change allows none, and what would help. A record that is not
    whole allows none, and raises nothing."""
    try:
        verdict = allows_maintenance(named(root, name), datetime.now(UTC), hours)
    except OpsError as error:
        return " ".join(str(error).split())
    if verdict.status in (Status.PASS, Status.WAIVED):
        return Maintenance(change=name, word=verdict.words)
    return f"{verdict.words}. Next: {verdict.next}"
