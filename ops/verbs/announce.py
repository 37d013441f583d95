"""`ytops announce VERSION`: tells team or users of a deploy, and records that it was said."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from datetime import UTC
from http.client import HTTPException
from pathlib import Path

from ops.engine import Engine
from ops.gather import read_release
from ops.records import write
from ops.verbs._exit import Failed, Misused
from ops.verbs._night import limits, moment, now
from ops.verbs._paper import say
from ops.verbs._place import Place
from rollout.judge import Limits
from rollout.records import Announcement, Evidence, ReleaseRecord, Status, announcement_path

WEBHOOK = "YTOPS_WEBHOOK"
SECONDS = 10


def announce(place: Place, version: str, to: str, *, at: str = "", text: str = "") -> None:
    """Raises Failed when it did not arrive: nothing is recorded then."""
    if to not in ("team", "users"):
        raise Misused(f"--to: expected team or users, got {to!r}")
    release = read_release(place.root, version)
    planned = _planned(release, limits(place), to, at, text)
    path = _free(place, planned)
    planned = planned.model_copy(update={"id": path.stem})
    sent = _sent(planned, webhook(place))
    write(place.root, path, sent, "announcement")
    say(f"{sent.channels[0]} was told: {sent.text.splitlines()[0]}")
    say(f"{path}: message {sent.message_id}. Next: commit it, then `ytops checklist {version}`")


def webhook(place: Place) -> str:
    """Where people are told; a secret. Raises Misused where there is none."""
    url = os.environ.get(WEBHOOK) or Engine(place.root, place.stack).secret("notifyWebhook")
    if not url:
        raise Misused(
            f"No webhook is configured for {place.stack}. Next: `pulumi config set --secret "
            f"notifyWebhook`, or set ${WEBHOOK}"
        )
    return url


def _planned(release: ReleaseRecord, found: Limits, to: str, at: str, text: str) -> Announcement:
    """For the next window, or from the time that was given as long as that window is."""
    window = found.window
    night = window.next(now())
    length = night.ends - night.begins
    begins = moment(at, "--at").astimezone(UTC) if at else night.begins
    ends = night.ends if not at or begins in night else begins + length
    there = begins.astimezone(window.zone)
    words = text or (
        f"YTEMPIRE {release.version} is deployed on {there:%Y-%m-%d} from {there:%H:%M} "
        f"({window.zone.key}) on. It goes on serving meanwhile."
    )
    return Announcement(
        id=f"{there:%Y-%m-%d}-release-{release.version}-{to}",
        kind="deploy",
        audience="users" if to == "users" else "team",
        channels=(found.operations.slack_channel,),
        begins=begins,
        ends=ends,
        text=words,
        change=release.change,
        release=release.version,
    )


def _free(place: Place, planned: Announcement) -> Path:
    """A second one for the same evening has a name of its own."""
    names = [planned.id, *(f"{planned.id}-{n}" for n in range(2, 100))]
    paths = (announcement_path(name) for name in names)
    return next(path for path in paths if not (place.root / path).exists())


def _sent(planned: Announcement, url: str) -> Announcement:
    """As the chat took it; with its own name for the message, if it has one."""
    body = {
        "text": planned.text,
        "event": "announcement",
        "id": planned.id,
        "channel": planned.channels[0],
        "version": planned.release,
        "begins": planned.begins.isoformat(),
        "ends": planned.ends.isoformat(),
    }
    answer = _post(url, json.dumps(body).encode())
    at = now()
    delivered = Evidence(status=Status.PASS, source="the webhook's answer", at=at)
    message = _message(answer) or planned.id
    return planned.model_copy(update={"sent": at, "message_id": message, "delivered": delivered})


def _post(url: str, body: bytes) -> str:
    """The webhook's answer. Its path is a secret and is not shown."""
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return str(answer.read(4096).decode(errors="replace"))
    except urllib.error.HTTPError as error:
        why = f"answered {error.code}"
    except TimeoutError:
        why = f"did not answer in {SECONDS} s"
    except urllib.error.URLError as error:
        why = f"can't be reached ({error.reason})"
    except (OSError, ValueError, HTTPException) as error:
        why = f"can't be reached ({type(error).__name__})"
    raise Failed(f"Nobody was told, and nothing is recorded: the webhook {why}. Next: try again")


def _message(answer: str) -> str:
    try:
        found = json.loads(answer)
    except ValueError:
        return ""
    if not isinstance(found, dict):
        return ""
    return next((str(found[key]) for key in ("ts", "message_id", "id") if found.get(key)), "")
