"""`ytops backup status`, as far as it is about the database's log: which times can be reached, how
much would be lost now, and whether the database still keeps what the receiver has not had."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ops.backup.stores import Stores
from ops.errors import OpsError
from ops.verbs._paper import when
from ops.verbs._place import Place
from rollout.backups import Catalogue
from rollout.recovery import Range, bases_of, ranges
from rollout.schedule import BASE_LATE
from rollout.wal import (
    CLOSE_SECONDS,
    LATE,
    SLOT_SQL,
    Piece,
    Segment,
    Slot,
    is_segment,
)

# By the container's own socket, as its superuser: the same look without any password.
ASK = f"""
exec psql -X -qAt -v ON_ERROR_STOP=1 -U "${{POSTGRES_USER:-postgres}}" -d template1 -c "
    SELECT json_build_object('position', pg_current_wal_lsn(),
        'system', (SELECT system_identifier::text FROM pg_control_system()),
        'slot', ({SLOT_SQL}))"
"""


@dataclass(frozen=True)
class Server:
    """What the live database says of its log."""

    system: str
    position: str
    slot: Slot = field(default_factory=Slot)


@dataclass(frozen=True)
class LogReport:
    """server: None where it does not answer."""

    now: datetime
    base: datetime | None
    reach: tuple[Range, ...]
    newest: Piece | None
    server: Server | None

    @classmethod
    def of(
        cls, place: Place, found: Stores, catalogues: Mapping[str, Catalogue], now: datetime
    ) -> LogReport | None:
        """None where no log is received, nor ever was."""
        named = [p for p in (found.bucket, *found.drives) if p and p.name in catalogues]
        best = named[0] if named else None
        bases = bases_of(catalogues[best.name].backups) if best else []
        if not bases and place.docker.inspect(place.names.wal) is None:
            return None
        pieces = best.wal(min((base.started for base in bases), default=None)) if best else ()
        server = ask(place)
        return cls(
            now=now,
            base=bases[0].started if bases else None,
            reach=ranges(bases, pieces),
            newest=_newest(pieces, server),
            server=server,
        )

    @property
    def rpo(self) -> timedelta | None:
        """How much would be lost with the host: what is younger than the newest segment that was
        shipped. Where the database still writes the one after it, that is no more than a segment
        stays open for."""
        if self.newest is None:
            return None
        age = max(self.now - self.newest.closed, timedelta())
        if self.server is None:
            return age
        current = Segment.ending(self.server.position, 0).number
        is_next = Segment.of(self.newest.name).number + 1 >= current
        return min(age, timedelta(seconds=CLOSE_SECONDS)) if is_next else age

    @property
    def is_well(self) -> bool:
        return all(ok for ok, _ in self.lines())

    def lines(self) -> Iterator[tuple[bool, str]]:
        yield self._base_line()
        for one in self.reach:
            words = f"any time from {_time(one.since)} until {_time(one.until)} can be reached"
            gap = f"; the log goes on after segment {one.missing}, which is missing"
            if one.missing and one is self.reach[-1]:
                # A slot that is lost while nothing waits to be received is taken up again as if
                # nothing had happened: this is what remains of it.
                yield False, f"{words}{gap}. Next: `ytops backup run base`"
            else:
                yield True, words + (gap if one.missing else "")
        yield self._rpo_line()
        if self.server:
            slot = self.server.slot
            behind = f"the receiver is {slot.behind / 1e6:.1f} MB behind"
            yield not slot.wrong, slot.wrong or behind

    def _base_line(self) -> tuple[bool, str]:
        if self.base is None:
            return False, "there is no base backup. Next: `ytops backup run base`"
        words = f"newest base backup: {when(self.base.isoformat(), self.now)}"
        if self.now - self.base > BASE_LATE:
            return False, f"{words}; one is made daily. Next: `ytops backup run base`"
        return True, words

    def _rpo_line(self) -> tuple[bool, str]:
        if self.newest is None or self.rpo is None:
            return False, "no WAL was shipped. Next: `ytops backup run wal`"
        words = f"newest WAL: {when(self.newest.closed.isoformat(), self.now)}; with the host "
        words += f"{self.rpo.total_seconds():.0f} s would be lost"
        ok = self.rpo <= LATE
        return ok, words if ok else f"{words}. Next: `ytops backup run wal`"

    def values(self) -> dict[str, object]:
        return {
            "base": self.base.isoformat() if self.base else None,
            "reachable": [
                {"since": one.since.isoformat(), "until": one.until.isoformat()}
                for one in self.reach
            ],
            "newest_wal": self.newest.closed.isoformat() if self.newest else None,
            "rpo_seconds": self.rpo.total_seconds() if self.rpo is not None else None,
            "slot": self.server.slot.state if self.server else None,
            "behind_bytes": self.server.slot.behind if self.server else None,
        }


def ask(place: Place) -> Server | None:
    try:
        answer = place.docker.exec(place.names.postgres, "sh", "-c", ASK)
    except OpsError:
        return None
    if answer.code:
        return None
    told = json.loads(answer.out)
    return Server(told["system"], told["position"], Slot.of(told["slot"]))


def _newest(pieces: tuple[Piece, ...], server: Server | None) -> Piece | None:
    """Of the system that is live: another's says nothing of what would be lost."""
    mine = [p for p in pieces if is_segment(p.name) and (not server or p.system == server.system)]
    return max(mine, key=lambda piece: (piece.closed, piece.name), default=None)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
