"""What a job of the scheduler has at hand: its configuration, the places, the live database."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from ops.backup import lock
from ops.backup.host import PART as LOCK
from ops.backup.local import LocalShell
from ops.backup.stores import Stores, at_hand
from ops.docker import Say
from ops.errors import OpsError
from ops.verbs._pulumi_lock import PulumiLock
from rollout.names import Names
from rollout.scheduler import CONFIG, FILE, LIVE, SchedulerConfig, drive


def configured(folder: Path = Path(CONFIG)) -> SchedulerConfig:
    try:
        return SchedulerConfig.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise OpsError(f"{folder / FILE}: {error.strerror}. Next: `ytops up`") from None
    except ValidationError as error:
        where = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
        raise OpsError(
            f"{folder / FILE} is not this program's: {where}. Next: `ytops up`"
        ) from None


@dataclass(frozen=True)
class Desk:
    """One job's."""

    config: SchedulerConfig
    say: Say

    @property
    def names(self) -> Names:
        return Names(self.config.stack)

    @contextmanager
    def places(self, name: str = LOCK) -> Iterator[Stores]:
        """To write to. Raises Refused while another job of this lock, here or by hand, has them."""
        owner = PulumiLock(
            lock.SCHEDULER, socket.gethostname(), os.getpid(), datetime.now(UTC).isoformat()
        )
        with lock.held(LocalShell(), name, self.names, owner):
            yield self.looking(writes=True)

    def looking(self, writes: bool = False) -> Stores:
        settings = self.config.backups
        shell = LocalShell()
        paths = {name: drive(number) for number, name in enumerate(settings.drives)}
        there = {n: at for n, at in paths.items() if shell.run('[ -w "$0" ]', at).code == 0}
        found = at_hand(shell, there, self.config.stack, settings, writes, self.config.offsite)
        found.lost |= {n: f"{n} can't be written to" for n in paths if n not in there}
        return found

    def live(self) -> str:
        """The release that serves; empty when none does."""
        try:
            return (Path(LIVE) / "release").read_text(encoding="utf-8").strip()
        except OSError:
            return ""
