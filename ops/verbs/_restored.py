"""Once another database is live: the host remembers it, the cache forgets, the application is
asked, people are told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ops import notify
from ops.restore.migrate import Migration
from ops.restore.server import Server
from ops.steps import cache
from ops.verbs._exit import DONE, FAILED
from ops.verbs._hold import remember
from ops.verbs._paper import BAD, paint, plural, say, when
from ops.verbs._place import Place
from ops.verbs._transfer import Transfer
from ops.verbs.rehearse import line
from ops.verbs.verify import all_checks, table
from rollout.names import CACHE_DATABASE
from rollout.records import Restored
from rollout.restores import remembered
from rollout.settings import Settings
from rollout.shapes import Pointer, Release

# The application's connections were ended: each finds out at its next question.
VERIFY_SECONDS = 30
AGAIN_SECONDS = 1.0


@dataclass
class Work:
    """What a restore is made with."""

    place: Place
    settings: Settings
    server: Server
    live: tuple[Pointer, Release] | None
    transfer: Transfer = field(default_factory=Transfer)

    @property
    def release(self) -> str:
        return self.live[1].identity if self.live else ""

    def migrate(self, database: str) -> None:
        if self.live:
            place = self.place
            Migration(place.docker, place.names, self.settings, self.live[1]).run(
                database, lambda _: None
            )

    def tell(self, name: str, ok: bool, seconds: float, words: str) -> None:
        self.transfer.close()
        say(line(name, ok, seconds, words))


def afterwards(work: Work, note: Restored) -> int:
    """What the application has of the database before is let go; then it is asked."""
    place = work.place
    remember(place, remembered(note.at), note.model_dump_json())
    _flush(work)
    well = _verified(work)
    _notify(work, note, well)
    what = "is live again" if note.what == "undo" else "is live"
    say(f"The data of {when(note.data_of.isoformat())} {what}; before it: {note.kept}")
    if not well:
        say("Next: `ytops verify`; the database before comes back by `ytops restore --undo`")
        return FAILED
    say(
        "A job that ran at that moment lost its session, and is tried again. Next: `ytops status`; "
        "back: `ytops restore --undo`; when all is well: `ytops restore --dismiss`"
    )
    return DONE


def _flush(work: Work) -> None:
    """Pages of data that are gone. Nothing to flush where no stack runs around the database."""
    place = work.place
    if place.docker.inspect(place.names.redis) is None:
        return
    login = work.settings.redis.logins.current
    answer = cache.flush(
        place.docker, place.names.redis, login.user, CACHE_DATABASE, login.password
    )
    if not cache.is_flushed(answer):
        say(f"{paint(BAD, 'red')} the cache was not flushed, and may show old data: {answer.words}")


def _verified(work: Work) -> bool:
    """By the same checks as after a deploy, until all pass or time is up."""
    if work.live is None:
        return True
    begun = time.monotonic()
    while True:
        checks = all_checks(work.place, *work.live)
        failed = [one for one in checks if not one.ok]
        if not failed or time.monotonic() - begun > VERIFY_SECONDS:
            break
        time.sleep(AGAIN_SECONDS)
    for text in table(failed):
        say(text)
    words = f"{len(checks) - len(failed)} of {plural(len(checks), 'check')} pass, as {work.release}"
    work.tell("application", not failed, time.monotonic() - begun, words)
    return not failed


def _notify(work: Work, note: Restored, well: bool) -> None:
    url = work.settings.operations.notify_webhook
    if not url:
        return
    text = (
        f"YTEMPIRE {work.place.stack}: the database is now that of {note.data_of:%Y-%m-%d %H:%M} "
        f"UTC ({note.source}), by {note.by}" + ("" if well else "; the application's checks fail")
    )
    fields = {"event": "restored", "stack": work.place.stack, "source": note.source, "who": note.by}
    notify.send(url, text, fields, say)


def cut_off(note: Restored) -> str:
    return (
        f"Stopped after the databases had changed places: the data of {note.data_of:%Y-%m-%d %H:%M}"
        f" UTC is live, what was before is {note.kept}.\n"
        "Next: `ytops verify`; back: `ytops restore --undo`"
    )
