"""One run of the engine with its story told: preview, question, update, and why it failed."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ops.agent import who
from ops.engine import Ended, Engine, NotReady, Recorded, Verb
from ops.errors import OpsError
from ops.stackfile import PROJECT
from ops.verbs import _recover as recover
from ops.verbs._events import parse
from ops.verbs._exit import Failed, Misused
from ops.verbs._failure import Failure
from ops.verbs._paper import complain, indented, plural, say
from ops.verbs._place import Place
from ops.verbs._progress import Progress
from ops.verbs._state_file import restore
from ops.verbs._view import view

WAITING: dict[Verb, str] = {
    "preview": "planning",
    "up": "planning",
    "refresh": "looking",
    "destroy": "removing",
}
FIRST_STOP = (
    "Stopping: the engine is asked to cancel, and a switch under way moves back. "
    "Ctrl-C again kills at once."
)
SECOND_STOP = "Killing the engine. The switch moves back by itself; then `ytops up` converges."


@dataclass
class Run:
    """What one call of `ytops up` or `rollback` does with the engine."""

    place: Place
    title: str
    why: str = ""
    yes: bool = False
    straight: bool = False
    """Without a preview, where seconds count."""
    extra: dict[str, str] = field(default_factory=dict)
    """Variables of the engine's, beside this process's."""
    quiet: bool = False
    """Resources are not told, one by one."""
    engine: Engine = field(init=False)
    changed: int = 0

    def __post_init__(self) -> None:
        self.engine = Engine(
            self.place.root, self.place.stack, on_stop=_told_to_stop, hurries=self.straight
        )
        self.engine.extra = {
            "YTOPS_WHO": who(),
            **({"YTOPS_WHY": self.why} if self.why else {}),
            **self.extra,
        }

    def ready(self) -> None:
        """Raise before anything is touched: the environment, another run's lock."""
        self.engine.check()
        recover.unlock(self.engine, say)

    def preview(self) -> list[str]:
        """The plan, printed; what would change."""
        begun, progress = time.monotonic(), self._go("preview")
        if progress.planned:
            say(indented("\n".join(progress.planned)))
        count = plural(len(progress.planned), "change") if progress.planned else "nothing to change"
        say(f"{count}, planned in {time.monotonic() - begun:.1f} s")
        return progress.planned

    def update(self) -> None:
        """Converge: recover, update; a protected stack has a preview before it, and is asked about.
        Raises Failed."""
        flags = self._recover()
        protected = self.place.configuration.protected
        asks = protected and not self.yes
        if asks:
            if not self.straight and not self.preview() and not flags:
                # Nobody needs asking. But a run records what it protects now, and no preview does.
                self._go("up", "--yes", "--skip-preview", "--expect-no-changes")
                return
            self._ask()
        if asks or self.straight or not protected:
            flags.append("--skip-preview")
        message = f"{self.title} by {who()}" + (f": {self.why}" if self.why else "")
        self.changed = self._go("up", "--yes", "--message", message, *flags).done

    def destroy(self) -> None:
        """Take away all that the stack has. Raises Failed."""
        self._go("destroy", "--yes", "--skip-preview")

    def _recover(self) -> list[str]:
        recorded = self._recorded()
        found = recover.rename_back(self.place, recorded, say)
        taken = recover.take_over(found, recorded, self.engine, say)
        pending, drift = recorded.pending, recover.drift(recorded, found)
        for what in drift:
            say(f"{what}: the engine looks at the host first ({recover.REFRESH}).")
        if not pending:
            return [recover.REFRESH] if drift or taken else []
        say(f"An earlier run was cut off in {', '.join(pending)}: looking at the host first")
        self._go("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
        return []

    def _recorded(self) -> Recorded:
        try:
            return self.engine.recorded()
        except NotReady:
            raise
        except OpsError:
            if not restore(self.engine.backend, PROJECT, self.place.stack, say):
                raise
            return self.engine.recorded()

    def _ask(self) -> None:
        if not sys.stdin.isatty():
            raise Misused(
                f"{self.place.stack} is protected: it wants a yes, and nobody can answer here. "
                "Next: the same command with `--yes`."
            )
        try:
            answer = input(f"{self.title} on {self.place.stack}? [y/N] ")
        except (EOFError, KeyboardInterrupt):
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            raise Failed("Nothing was changed.")

    def _go(self, verb: Verb, *flags: str, again: bool = True) -> Progress:
        progress, failure = Progress(), Failure()
        screen = view(progress, WAITING[verb])

        def hear(line: str) -> None:
            event = parse(line)
            if event:
                failure.hear(event)
                for text in progress.hear(event):
                    if not self.quiet:
                        _unheard(screen.line, text)

        try:
            ended = self.engine.run(verb, *flags, hear=hear, tick=screen.tick)
        finally:
            screen.close()
        if ended.code == 0:
            return progress
        if again and recover.unlock_as_told(ended.errors, self.engine, say):
            return self._go(verb, *flags, again=False)
        if again and recover.forget_endpoints(self.place, failure.message(ended), say):
            return self._go(verb, *flags, recover.REFRESH, again=False)
        raise _failed(failure, ended)


def _failed(failure: Failure, ended: Ended) -> Failed:
    trace = failure.trace()
    where = f"\nThe whole trace is in {_kept(trace)}." if trace else ""
    return Failed(failure.message(ended) + where, failure.code(ended))


def _kept(trace: str) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="ytops-", suffix=".log", delete=False) as file:
        file.write(trace)
    return os.path.abspath(file.name)


def _told_to_stop(count: int) -> None:
    _unheard(complain, f"\n{FIRST_STOP if count == 1 else SECOND_STOP}")


def _unheard(tell: Callable[[str], None], line: str) -> None:
    """A reader that has left (a closed terminal, `| head`) does not stop a deploy."""
    with suppress(OSError):
        tell(line)
