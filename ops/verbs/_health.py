"""What is wrong with a stack, from one look: the manual's five services and what joins them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ops.verbs._containers import Seen
from ops.verbs._look import Look
from rollout.shapes import Pointer, Release

NO_CONTAINER = Seen("", "gone")


@dataclass(frozen=True)
class Service:
    """One of the services that must run, with the containers that make it up."""

    name: str
    containers: tuple[Seen, ...]

    @property
    def fine(self) -> bool:
        return bool(self.containers) and all(c.fine for c in self.containers)

    @property
    def words(self) -> str:
        if not self.containers:
            return "gone"
        words = [container.words for container in self.containers]
        if len(set(words)) == 1:
            return words[0] + (f" ({len(words)})" if len(words) > 1 else "")
        return "; ".join(words)


def live(look: Look) -> Pointer | None:
    return look.observation.view.edge if look.observation else None


def live_release(look: Look) -> Release | None:
    pointer = live(look)
    if look.observation is None or pointer is None:
        return None
    return look.observation.view.state.releases.get(pointer.identity)


def services(look: Look) -> list[Service]:
    """nginx, app, postgres, redis, celery (manual 7.1), the switch, and the scheduler where one is
    wanted; empty when unknown."""
    if look.containers is None:
        return []
    names, pointer, release = look.names, live(look), live_release(look)
    expected = {
        "nginx": [names.edge],
        "app": [names.app(pointer.colour)] if pointer else [],
        "postgres": [names.postgres],
        "redis": [names.redis],
        "celery": _workers(look, pointer, release),
        "switch": [names.switch],
        "scheduler": [names.scheduler] if look.timetable else [],
    }
    found = look.containers
    return [
        Service(name, tuple(found.get(c, NO_CONTAINER) for c in containers))
        for name, containers in expected.items()
        if containers or name not in ("app", "celery", "scheduler")
    ]


def _workers(look: Look, pointer: Pointer | None, release: Release | None) -> list[str]:
    if pointer is None:
        return []
    if release:
        return list(look.names.workers(pointer.identity, release.worker_replicas))
    return [c.name for c in crew(look, pointer.identity)]


def crew(look: Look, identity: str) -> list[Seen]:
    """A release's worker containers."""
    found = (look.containers or {}).values()
    return [c for c in found if c.part == "worker" and c.release == identity]


def problems(look: Look) -> list[str]:
    """What keeps the stack from being `serving and healthy`, each in a few words."""
    return list(_problems(look))


def _problems(look: Look) -> Iterator[str]:
    yield from (f"{name} unknown" for name in ("observation", "containers") if name in look.unknown)
    pointer = live(look)
    if look.observation and pointer is None:
        yield "no release serves"
    yield from (f"{s.name} is {s.words}" for s in services(look) if not s.fine)
    if look.answer is None:
        yield "the edge does not answer from here"
    elif look.answer.status != 200:
        yield f"the edge answers {look.answer.status}"
    elif pointer and look.answer.release != pointer.identity:
        yield f"the edge answers as {look.answer.release or 'no release'}"
    if pointer and _beat_is_wrong(look, pointer):
        yield "the beat is not the live release's"
    if look.backups:
        yield from look.backups.problems(look.at)


def _beat_is_wrong(look: Look, pointer: Pointer) -> bool:
    release = live_release(look)
    if release is None or not release.beat_command or look.containers is None:
        return False
    container = look.containers.get(look.names.beat(pointer.identity), NO_CONTAINER)
    pending = look.observation and look.observation.view.state.pending
    elsewhere = look.beat is not None and look.beat != pointer.identity and not pending
    return elsewhere or not container.fine
