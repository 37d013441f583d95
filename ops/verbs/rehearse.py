"""`ytops rehearse VERSION`: its migrations on a copy of the data, then the live release on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ops.docker import Docker
from ops.errors import OpsError
from ops.observe import image_identity, observe
from ops.rehearsal.scratch import Scratch
from ops.rehearsal.story import Story
from ops.steps._signals import Stopped, listening
from ops.steps._voice import Voice
from ops.verbs._database import live_image, ourselves
from ops.verbs._database import settings as settings_of
from ops.verbs._exit import DONE, FAILED, Interrupted
from ops.verbs._paper import BAD, OK, paint, say
from ops.verbs._place import Place
from rollout.migrations import longest_block
from rollout.records import Rehearsal, Status, rehearsal_path
from rollout.release import image_tag, wanted_release
from rollout.settings import Settings
from rollout.shapes import Release

WIDTH = 10
STATEMENTS_SHOWN = 20


def rehearse(place: Place, version: str, *, fresh: bool = False, as_json: bool = False) -> int:
    """Exit code 0: it can be deployed, and rolled back without restoring data."""
    settings = settings_of(place, version=version)
    previous = _live(place)
    release = _wanted(place.docker, settings)
    image = live_image(place, "to rehearse with")
    scratch = Scratch(place.docker, place.names, settings, image, ourselves())
    voice = Voice([*settings.secrets.values(), *scratch.passwords.values()])

    width = max(WIDTH, *(len(one.version) for one in (release, previous) if one), 0)

    def tell(name: str, ok: bool, seconds: float, words: str) -> None:
        if not as_json:
            say(voice.clean(line(name, ok, seconds, words, width)))

    if not as_json:
        after = f"after {previous.identity}, which is live" if previous else "before any is live"
        say(f"{release.identity}, {after}, on a copy on {place.docker.host}")
    story = Story(scratch, release, previous, fresh, tell)
    try:
        with listening(), scratch.standing(_quiet if as_json else say):
            record = story.go()
    except Stopped:
        raise Interrupted("Stopped; the copy is removed, and nothing was recorded.") from None
    except OpsError as error:
        raise type(error)(voice.clean(str(error))) from None
    path = place.root / rehearsal_path(release.version)
    text = voice.clean(record.model_dump_json(indent=2))
    _write(path, text)
    failures = [voice.clean(failure) for failure in story.failures]
    report = (
        [text] if as_json else [*screen(record, failures), f"In {path.relative_to(place.root)}"]
    )
    for printed in report:
        say(printed)
    return DONE if record.verdict == Status.PASS else FAILED


def line(name: str, ok: bool, seconds: float, words: str, width: int = WIDTH) -> str:
    mark = paint(OK, "green") if ok else paint(BAD, "red")
    return f"{mark} {name:<{width}} {seconds:6.2f} s  {words}"


def screen(record: Rehearsal, failures: list[str]) -> Iterator[str]:
    """What the migrations did, and the verdict; what is wrong comes before it, at length."""
    if record.statements:
        yield paint("statements", "dim")
    for statement in record.statements[:STATEMENTS_SHOWN]:
        lock = f"{statement.lock} on {statement.relation}" if statement.lock else "-"
        yield f"  {statement.seconds:8.3f} s  {lock:<32}  {statement.sql}"
    more = len(record.statements) - STATEMENTS_SHOWN
    if more > 0:
        yield f"  and {more} more"
    if record.longest_lock_seconds is not None:
        yield _lock_words(record)
    for failure in failures:
        yield f"{paint(BAD, 'red')} {failure}"
    yield _verdict(record)


def _lock_words(record: Rehearsal) -> str:
    longest = longest_block(record.locks)
    if longest is None:
        return "No table was closed to readers or writers"
    return (
        f"{longest.relation} was closed to {longest.blocks} for {longest.seconds:.3f} s "
        f"({longest.mode}), longer than any other table"
    )


def _verdict(record: Rehearsal) -> str:
    total = f"{record.seconds.get('total', 0):.1f} s"
    if record.verdict != Status.PASS:
        return f"{record.version} must not be deployed as it is ({total})"
    if not record.previous:
        return f"{record.version} can be deployed ({total})"
    return (
        f"{record.version} can be deployed, and rolled back to {record.previous} without a restore "
        f"({total})"
    )


def _live(place: Place) -> Release | None:
    view = observe(place.docker, place.names).view
    return view.state.releases.get(view.edge.identity) if view.edge else None


def _wanted(docker: Docker, settings: Settings) -> Release:
    """The release, its image on the host."""
    tag = image_tag(settings)
    release = wanted_release(settings, image_identity(docker, tag))
    if docker.image(release.image) is None and not docker.pull(release.image, _quiet):
        raise OpsError(
            f"The image {tag} can't be pulled on {docker.host}.\nNext: there, `docker pull {tag}`"
        )
    return release


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text + "\n", encoding="utf-8")
    aside.replace(path)


def _quiet(_line: str) -> None:
    pass
