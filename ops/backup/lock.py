"""The lock of a job: held by a process beside the drives, gone with it, whoever started it.

A file in a volume of its own, which a helper on the host and the scheduler's container both have;
the kernel of the host lets go of it when its holder dies, so nobody has to clear it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from ops.backup.shell import Shell, close
from ops.errors import OpsError
from ops.verbs._exit import Refused
from ops.verbs._pulumi_lock import PulumiLock
from rollout.names import Names

VOLUME = "backup-lock"
FOLDER = "/lock"  # where the volume is mounted
SCHEDULER = "scheduler"  # as the owner of a job

TAKEN = "taken"
HELD = "held by "
# Until our end of the pipe is closed. The descriptor goes to what it becomes, and to nothing else.
HOLD = f"""
exec 9<>"$0" || exit 1
flock -n 9 || {{ printf '{HELD}'; cat "$0"; exit 0; }}
printf '%s' "$OWNER" >"$0"
echo {TAKEN}
exec cat >/dev/null
"""


@contextmanager
def held(shell: Shell, name: str, names: Names, owner: PulumiLock) -> Iterator[None]:
    """Ours from here. Raises Refused while another job has it."""
    holder = shell.spawn(
        HOLD, f"{FOLDER}/{name}", stdin=True, errors=subprocess.STDOUT,
        variables={"OWNER": owner.label},
    )  # fmt: skip
    try:
        assert holder.stdout
        said = holder.stdout.readline().decode(errors="replace").strip()
        if said.startswith(HELD):
            raise Refused(_refusal(PulumiLock.of_label(said.removeprefix(HELD)), names))
        if said != TAKEN:
            raise OpsError(
                f"The lock of the backup jobs can't be taken on {shell.where}: {said}\n"
                f"Next: `docker volume inspect {names.volume(VOLUME)}` there"
            )
        yield
    finally:
        close(holder)


def _refusal(other: PulumiLock | None, names: Names) -> str:
    words = (
        f"A backup or restore of {names.stack} is under way, by {other or 'nobody knows whom'}.\n"
    )
    if other and other.who == SCHEDULER:
        return words + (
            "Next: wait for it (`ytops logs scheduler --follow`); on the host, `docker restart "
            f"{names.part(SCHEDULER)}` ends it."
        )
    return words + (
        f"Next: wait for it, or end it{f' on {other.host}' if other else ''}; then this again."
    )
