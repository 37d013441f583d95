"""The story of a rotation: new values into the stack file, a deploy, the old ones made worthless,
and tried.

What is under way is read off the stack file and the host, so a rotation that was cut off anywhere
is gone on with by the next: a login that is out of use keeps its password in the stack file until
the server was seen to refuse it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from ops.agent import Session, who
from ops.backup import packing
from ops.credentials import Servers
from ops.engine import Engine
from ops.errors import OpsError
from ops.observe import observe
from ops.verbs import _database as database
from ops.verbs import up as deploy
from ops.verbs._exit import Failed, code_of
from ops.verbs._paper import OK, paint, say
from ops.verbs._place import Place
from rollout.credentials import (
    FINGERPRINT,
    IDENTITY,
    REPLICATION,
    AgeKey,
    beginning,
    credential,
    unfinished,
)
from rollout.logins import keys_of
from rollout.names import other
from rollout.plan import View
from rollout.settings import Settings
from rollout.shapes import Release

GOES_ON = "The rotation is not over. Next: the same command again, which goes on from there."
POLL_SECONDS = 1.0
SAY_SECONDS = 30.0
PATIENCE_SECONDS = 60.0  # beyond what a job may take: for the agent to hear of its end


@dataclass
class Rotation:
    """`names`: what gets another value; `given`: those values that were issued elsewhere. Without
    any, one that was cut off is brought to its end."""

    place: Place
    names: tuple[str, ...]
    given: Mapping[str, str] = field(default_factory=dict, repr=False)

    def go(self) -> None:
        before = database.settings(self.place)
        fresh = self._fresh(before)
        if fresh:
            self._begin(before, fresh)
        try:
            self._deploy()
            now = database.settings(self.place)
            if self._gives_away(now, fresh):
                deploy.up(self.place, "", yes=True, why="rotation: the old logins are closed")
            self._refused(before, now, fresh)
        except OpsError as error:
            raise Failed(f"{error}\n{GOES_ON}", code_of(error)) from error
        self._forget(now)

    def _fresh(self, settings: Settings) -> tuple[str, ...]:
        """What begins now; a datastore whose rotation is under way does not begin another."""
        under_way = {store.a.key for store in unfinished(settings.datastores)}
        for key in sorted(under_way):
            say(f"{key}: a rotation was cut off, and goes on")
        return tuple(name for name in self.names if name not in under_way)

    def _begin(self, settings: Settings, names: tuple[str, ...]) -> None:
        age = _age_keys(settings) if IDENTITY in names else None
        new = beginning(settings, names, self.given, datetime.now(UTC), age)
        if FINGERPRINT in names:
            known = settings.redis_operator_password
            deployment = settings.deployment.model_copy(
                update={"fingerprint_key": new.secrets[FINGERPRINT]}
            )
            then = settings.model_copy(update={"deployment": deployment})
            self._servers(settings).add_operator_password(known, then.redis_operator_password)
        self._engine.configure(new.secrets, new.plain)
        say(f"{self.place.file.name} has new values: {', '.join(names)}")

    def _deploy(self) -> None:
        """What serves, with the new values: of the release that is live, whatever the stack file
        names."""
        view = self._view()
        live = view.state.releases.get(view.edge.identity) if view.edge else None
        deploy.up(self.place, live.version if live else "", yes=True, why="rotation of secrets")

    def _gives_away(self, settings: Settings, fresh: tuple[str, ...]) -> bool:
        """Take the other slot from a release that was started with what shall be worthless, once
        its last job is done. Whether a run has something to do after that."""
        closing = {store.other.key for store in unfinished(settings.datastores)}
        replaced = any(one.is_of_release for name in fresh if (one := credential(name)))
        view = self._view()
        if view.edge is None:
            return bool(closing)
        colour = other(view.edge.colour)
        slot = view.state.slots.get(colour)
        kept = view.state.releases.get(slot.identity) if slot and slot.status == "ready" else None
        leaves = kept is not None and (replaced or bool(keys_of(kept) & closing))
        self._await_jobs(settings, closing, kept if leaves else None)
        if kept and leaves:
            with Session(self.place.docker, self.place.names.switch, say) as session:
                session.ask(
                    "claim",
                    colour=colour,
                    release=asdict(kept),
                    claim=view.state.claim + 1,
                    live=asdict(view.edge),
                    who=who(),
                )
            say(f"{kept.identity} was started with old secrets: {colour} is taken from it")
        return leaves or bool(closing)

    def _await_jobs(self, settings: Settings, closing: set[str], leaving: Release | None) -> None:
        """Until no worker has a job that was started with an old login: it could not end it."""
        deadline = time.monotonic() + settings.backend.worker_stop_seconds + PATIENCE_SECONDS
        told = 0.0
        while busy := self._busy(closing, leaving):
            if time.monotonic() > deadline:
                raise OpsError(
                    f"Workers of {', '.join(busy)} still have jobs, or do not say: they were "
                    "started with the old login. Next: `ytops status`"
                )
            if time.monotonic() - told > SAY_SECONDS:
                say(f"waiting for the jobs of {', '.join(busy)}")
                told = time.monotonic()
            time.sleep(POLL_SECONDS)

    def _busy(self, closing: set[str], leaving: Release | None) -> list[str]:
        view = self._view()
        return [
            identity
            for identity in sorted(view.busy)
            if (release := view.state.releases.get(identity))
            and (keys_of(release) & closing or (leaving and identity == leaving.identity))
        ]

    def _refused(self, before: Settings, now: Settings, fresh: tuple[str, ...]) -> None:
        """The old ones are tried. Raises OpsError when one is still good."""
        servers = self._servers(now)
        postgres, redis = now.datastores
        good = []
        if postgres.other.password and servers.postgres_takes(postgres.other):
            good.append(f"PostgreSQL that of {postgres.other.user}")
        if redis.other.password and servers.redis_takes(redis.other):
            good.append(f"Redis that of {redis.other.user}")
        if REPLICATION in fresh and servers.replication_takes(before.postgres.replication_password):
            good.append("PostgreSQL that of replication")
        if good:
            raise OpsError(f"An old password is still taken: {', '.join(good)}")

    def _forget(self, settings: Settings) -> None:
        old = [store.other for store in unfinished(settings.datastores)]
        if old:
            self._engine.configure({}, {}, forget=[login.key for login in old])
            users = ", ".join(login.user for login in old)
            say(f"{users}: the old password is refused, and gone from {self.place.file.name}")
        say(f"{paint(OK, 'green')} rotated; commit {self.place.file.name}")
        if self._view().edge:
            say("  Nothing can be rolled back to at once; the next `ytops up VERSION` changes that")

    @property
    def _engine(self) -> Engine:
        return Engine(self.place.root, self.place.stack)

    def _servers(self, settings: Settings) -> Servers:
        return Servers(self.place.docker, self.place.names, settings)

    def _view(self) -> View:
        return observe(self.place.docker, self.place.names).view


def _age_keys(settings: Settings) -> tuple[AgeKey, AgeKey]:
    """The one in use, and a new one."""
    known = settings.backups.identity
    old = str(packing.identity(known).to_public()) if known else ""
    return AgeKey(known, old), AgeKey(*packing.new_key())
