"""All the evidence for a version, gathered at once. A probe that can't look says why: nothing is
raised, and nothing is assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ops.backup.looking import Everywhere
from ops.docker import Docker
from ops.errors import OpsError
from ops.git import Git
from ops.observe import Observation, observe
from ops.probes import (
    backup,
    bugs,
    documents,
    host,
    junit,
    load,
    network,
    people,
    requested,
    review,
)
from ops.probes.forge import Forge
from ops.records import read
from ops.releases import before
from rollout.checklist import evaluate
from rollout.evidence import Evidence, Unknown
from rollout.items import Item
from rollout.judge import Limits, Phase
from rollout.names import Names
from rollout.records import ReleaseRecord, release_path
from rollout.settings import PRODUCTION, Checklist, load_backups, load_checklist

OF_THE_HOST = ("load", "network", "image", "standby", "history")
AT_ONCE = 6  # each call over ssh is a connection of its own, and sshd begins to drop at ten


@dataclass(frozen=True)
class Sources:
    """Where evidence is looked for."""

    root: Path
    names: Names
    docker: Docker
    ops_image: str
    backend_image: str
    limits: Limits
    kept: backup.Store | None = None
    """The backups that the job keeps; `checklistBackups` names a copy to look at instead."""
    away: str = ""
    """Why the host is not asked: it has just failed to answer, and each question would wait."""

    @property
    def settings(self) -> Checklist:
        return self.limits.checklist

    @property
    def backups(self) -> backup.Store | None:
        folder = self.settings.backups
        return backup.Folder(self.root / folder, self.names.stack) if folder else self.kept

    @cached_property
    def source(self) -> Git:
        """The product's checkout."""
        return Git((self.root / self.settings.source).resolve())


def sources(
    root: Path, names: Names, docker: Docker, raw: Mapping[str, str], away: str = ""
) -> Sources:
    """Where a deploy of this stack looks, by its configuration: keys to text, its secrets not
    needed. Raises SettingsError."""
    image, offsite = raw["postgresImage"], raw["environment"] == PRODUCTION
    return Sources(
        root=root,
        names=names,
        docker=docker,
        ops_image=raw["opsImage"],
        backend_image=raw["backendImage"],
        limits=Limits(*load_checklist(names.stack, raw)),
        kept=Everywhere(docker, names, load_backups(names.stack, raw), image, offsite),
        away=away,
    )


def items(
    sources: Sources, version: str, phase: Phase, seen: Observation | None = None
) -> tuple[Item, ...]:
    """The checklist of a version, as it stands now."""
    now = datetime.now(UTC)
    return evaluate(gather(sources, version, seen), sources.limits, now, phase)


def gather(sources: Sources, version: str, seen: Observation | None = None) -> Evidence:
    """The record first, for it names most of the rest; then everything else at once. `seen` is the
    host as the caller has just observed it; else it is looked at here."""
    release = _try(lambda: read_release(sources.root, version))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        looks: dict[str, Callable[[], Any]]
        if sources.away:
            looks = dict.fromkeys(OF_THE_HOST, lambda: Unknown(why=sources.away))
        else:
            observed = pool.submit(_try, lambda: seen or observe(sources.docker, sources.names))
            looks = _host(sources, version, observed)  # first: they take longest
        looks |= _papers(sources, version, release)
        running = {name: pool.submit(_try, look) for name, look in looks.items()}
        found = {name: future.result() for name, future in running.items()}
    return Evidence(version=version, release=release, **found)


def read_release(root: Path, version: str) -> ReleaseRecord:
    path = release_path(version)
    record = read(ReleaseRecord, root, path, f"`ytops release new {version}`")
    if record.version != version:
        raise OpsError(f"{path}: version: expected {version!r}, got {record.version!r}")
    return record


def _host(sources: Sources, version: str, observed: Future[Any]) -> dict[str, Callable[[], Any]]:
    s, docker, image = sources.settings, sources.docker, sources.ops_image

    def of_observation(look: Callable[[Observation], Any]) -> Any:
        found = observed.result()
        return found if isinstance(found, Unknown) else look(found)

    return {
        "load": lambda: load.load(docker, sources.names, image, s.sample_seconds, s.mounts),
        "network": lambda: network.network(docker, image, s.endpoints),
        "image": lambda: host.image(docker, f"{sources.backend_image}:{version}"),
        "standby": lambda: of_observation(lambda found: host.standby(docker, sources.names, found)),
        "history": lambda: of_observation(lambda found: host.history(docker, found)),
    }


def _papers(
    sources: Sources, version: str, release: ReleaseRecord | Unknown
) -> dict[str, Callable[[], Any]]:
    root = sources.root
    looks: dict[str, Callable[[], Any]] = {
        "rehearsal": lambda: people.rehearsed(root, version),
        "announced": lambda: people.announced(root, version),
        "on_call": lambda: people.on_call(root),
        "backup": lambda: backup.backup(sources.backups),
    }
    if isinstance(release, Unknown):
        names = ("tests", "review", "bugs", "documentation", "notes", "change")
        return {**looks, **dict.fromkeys(names, lambda: release)}
    forge, git = Forge.of(sources.settings), Git(root)
    notes = (release.notes,) if release.notes else ()
    return {
        **looks,
        "tests": lambda: junit.suite(root, release),
        "review": lambda: review.review(sources.source, forge, release, before(root, version)),
        "bugs": lambda: bugs.bugs(forge, sources.settings.forge_label, release),
        "documentation": lambda: documents.documents(
            git, release.documentation, release, before(root, version)
        ),
        "notes": lambda: documents.documents(git, notes, release, before(root, version)),
        "change": lambda: requested.requested(root, release),
    }


def _try(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except OpsError as error:
        why, _, next = str(error).partition("Next: ")
        return Unknown(why=_in_a_line(why), next=next.strip())
    except Exception as error:
        return Unknown(why=f"unexpected {type(error).__name__}: {' '.join(str(error).split())}")


def _in_a_line(text: str) -> str:
    """A message of several lines, whose first may end with a colon."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return "; ".join(lines).replace(":; ", ": ")
