"""`ytops evidence DIR`: a breached stack, kept as it was found, before anything is stopped."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from ops.backup import packing
from ops.docker import elapsed
from ops.forensics import CONTENTS, SUMS, Forensics
from ops.steps._signals import Stopped, listening
from ops.verbs._exit import DONE, FAILED, Interrupted, Misused
from ops.verbs._paper import BAD, paint, say
from ops.verbs._place import Place
from ops.verbs._store import configured, image
from rollout.dumps import STAMP


def evidence(place: Place, folder: Path) -> int:
    """Exit code 0: all of it was had. Needs nobody's secrets: only whom it is encrypted to."""
    recipients = configured(place).recipients
    if not recipients:
        raise Misused(
            "backupRecipients: expected at least one age recipient, got none: evidence holds "
            "everybody's data and is never written in the clear.\nNext: `ytops backup key`"
        )
    begun, folder = time.monotonic(), folder.resolve()
    if not folder.is_dir():
        raise Misused(f"There is no folder {folder}.\nNext: `mkdir -p {folder}`, then this again")
    found = Forensics(
        place.docker,
        place.names,
        image(place),
        [packing.recipient(one) for one in recipients],
        say,
    )
    found.require_room(folder)
    target = folder / f"evidence-{place.stack}-{datetime.now(UTC):{STAMP}}"
    try:
        with listening():
            found.collect(target)
    except Stopped:
        raise Interrupted(f"Stopped: {target} is not whole, and has no {SUMS}.") from None
    for path, why in found.missing.items():
        say(f"{paint(BAD, 'red')} {path}: {why}")
    say(f"In {target}, in {elapsed(begun)}; {CONTENTS} has the sums of what is inside")
    say(f"Next: `cd {target} && sha256sum -c {SUMS}`; then copy it to where the host can't reach")
    return FAILED if found.missing else DONE
