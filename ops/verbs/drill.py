"""`ytops drill`: the recovery, tried: the newest backup in a stack of its own, and does it work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ops import records
from ops.agent import who
from ops.backup import packing
from ops.docker import Docker
from ops.drill.site import Site, make_room, standing
from ops.drill.story import Story
from ops.errors import OpsError
from ops.observe import observe
from ops.steps._signals import Stopped, listening
from ops.steps._voice import Voice
from ops.verbs._database import ourselves
from ops.verbs._database import settings as settings_of
from ops.verbs._exit import DONE, FAILED, Interrupted, Misused
from ops.verbs._hold import remember as on_the_host
from ops.verbs._paper import BAD, OK, paint, say
from ops.verbs._place import Place
from ops.verbs.rehearse import line
from rollout.drills import MARKER, PAGE, STACK, metrics, page, remember, remembered, span
from rollout.records import DRILLS, Drill, Status, drill_path
from rollout.settings import Settings


def drill(
    place: Place,
    *,
    host: str = "",
    drive: str = "",
    keep: bool = False,
    metrics_file: Path | None = None,
) -> int:
    """Exit code 0: recovered, within both goals. What it made is gone afterwards."""
    _require_another(place)
    settings = settings_of(place)
    key = _key(settings)
    held = _held(place.root)
    docker = Docker(host or settings.deployment.docker_host)
    voice = Voice([*settings.secrets.values(), settings.backups.identity])

    def tell(name: str, ok: bool, seconds: float, words: str) -> None:
        say(voice.clean(line(name, ok, seconds, words)))

    story = Story(place, settings, key, drive, docker.host, who(), tell)
    try:
        with listening(), standing(docker, ourselves(), say) as site:
            say(f"The newest backup of {place.stack}, recovered on {docker.host}")
            record = story.go(site)
            _write(place.root, voice, [*held, record], metrics_file)
            _remember(place, record)
            site.kept = keep
    except Stopped:
        raise Interrupted("Stopped; the drill is removed, and nothing was recorded.") from None
    except OpsError as error:
        raise type(error)(voice.clean(str(error))) from None
    for text in screen(record):
        say(voice.clean(text))
    for text in _standing(site, host) if keep else ():
        say(text)
    return DONE if record.verdict is Status.PASS else FAILED


def remove(place: Place, host: str = "") -> int:
    """Whatever drill stands there. That its owner is gone is the asker's word, unless it is seen
    not to be."""
    docker = Docker(host or place.configuration.get("dockerHost"))
    if not make_room(docker, say, certain=True):
        say(f"No drill stands on {docker.host}")
    return DONE


def screen(record: Drill) -> Iterator[str]:
    good = record.verdict is Status.PASS
    mark = paint(OK, "green") if good else paint(BAD, "red")
    goals = [
        f"{name} {span(value) if value is not None else 'not known'} (goal {span(goal)})"
        for name, value, goal in (
            ("RTO", record.rto_seconds, record.rto_goal_seconds),
            ("RPO", record.rpo_seconds, record.rpo_goal_seconds),
        )
    ]
    yield f"{mark} {record.stack} {'was' if good else 'was not'} recovered: {', '.join(goals)}"
    if record.detail:
        yield f"  {record.detail}"
    yield f"In {drill_path(record.started)} and {PAGE}"


def _standing(site: Site, host: str) -> Iterator[str]:
    get = site.place.configuration.get
    where = f"http://{get('edgeBindAddress')}:{get('edgeHttpPort')}{get('backendHealthPath')}"
    asked = f"curl -H 'Host: {get('edgeDomain')}' {where}"
    yield f"It stands on {site.place.docker.host}; there, `{asked}`"
    yield f"Next: `ytops drill --remove{f' --host {host}' if host else ''}` takes it away"


def _write(root: Path, voice: Voice, held: list[Drill], metrics_file: Path | None) -> None:
    """The record, the page of all, the metrics."""
    last = held[-1]
    text = voice.clean(last.model_dump_json(indent=2))
    records.place(root / drill_path(last.started), text + "\n")
    records.place(root / PAGE, voice.clean(page(held)))
    if metrics_file:
        records.place(metrics_file, metrics(held, last.stack))


def _remember(place: Place, record: Drill) -> None:
    """On the host of the stack, which may be what was lost: the drill is none the worse for it."""
    try:
        before = remembered(observe(place.docker, place.names).view.state.markers)
        on_the_host(place, MARKER, remember(before, record).model_dump_json())
    except OpsError as error:
        say(f"The host of {place.stack} does not know of it: {str(error).splitlines()[0]}")


def _held(root: Path) -> list[Drill]:
    """All drills before; one whose record can't be read is said now, and not in half an hour."""
    paths = sorted((root / DRILLS).glob("*.json"))
    return [records.read(Drill, root, path.relative_to(root)) for path in paths]


def _require_another(place: Place) -> None:
    if place.stack == STACK:
        raise Misused(
            f"--stack: expected the stack whose backup is to be restored, got {STACK}.\n"
            "Next: `ytops --stack production drill`"
        )


def _key(settings: Settings) -> packing.Identity:
    if not settings.backups.identity:
        raise Misused(
            "backupIdentity: expected the age identity that opens the backups, got none: nothing "
            "can be restored.\nNext: `pulumi config set --secret backupIdentity`"
        )
    return packing.identity(settings.backups.identity)
