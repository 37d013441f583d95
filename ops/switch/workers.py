"""Who may consume: the live release's workers, and nobody else's.

A worker starts on a private, empty queue: paused. The agent adds the real queues where they
belong and takes them away everywhere else, at a switch and every few seconds, so a restarted
worker begins only if its release is live.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from ops.switch import files
from ops.switch.celery_control import BrokerDown, Control
from ops.switch.config import Clock, SwitchConfig, seconds_since
from rollout.names import node
from rollout.shapes import Release
from rollout.state import WORKERS_FILE, HostState, Workers, WorkerState

log = logging.getLogger(__name__)

HOLD_QUEUE = "ytempire.hold."
ROUND_SECONDS = 1.0  # how long one question waits for workers that may not be there
RETRY_SECONDS = 0.1
# A worker that boots hears nothing of a question that was asked before; a busy one is slow to
# answer. So it is asked again while the earlier questions still wait.
AGAIN_SECONDS = 0.25
AT_ONCE = 4
LAST_SECONDS = 2 * ROUND_SECONDS  # for the last question, when the time is up
# Missing one round is a busy worker; missing for this long is no worker.
FORGET_SECONDS = 30.0
REPORT_SECONDS = 10.0


class WorkerPool:
    """All workers of the stack, as far as they answer."""

    def __init__(
        self,
        config: SwitchConfig,
        control: Control,
        clock: Clock,
        state: Callable[[], HostState],
    ) -> None:
        self._config = config
        self._control = control
        self._clock = clock
        self._state = state
        self._lock = threading.RLock()
        self._consumer: str | None = None
        self._turn = 0
        self._heard: dict[str, tuple[float, WorkerState]] = {}
        self._down = ""
        self._report = Workers(at=clock.utc())
        self._looked = False
        self._nudge = threading.Event()
        self.enforcing = False

    def assign(self, identity: str | None) -> None:
        """From now on only `identity` may consume; the next round sees to it."""
        with self._lock:
            self._consumer = identity
            self._turn += 1
            self.enforcing = True

    def pause(self, release: Release, timeout: float) -> list[str]:
        """Nobody may consume; wait for `release`'s workers to stop. Returns those not seen to."""
        self.assign(None)
        queues = set(release.queues)
        return self._until(release, timeout, self._control.cancel, lambda has: not has & queues)

    def consume(self, release: Release, timeout: float) -> list[str]:
        """Only `release` may consume; wait for its workers to begin. Returns those not seen to."""
        self.assign(release.identity)
        queues = set(release.queues)
        try:
            return self._until(release, timeout, self._control.add, lambda has: queues <= has)
        finally:
            self._nudge.set()

    def ping(self, nodes: Iterable[str], timeout: float) -> list[str]:
        """What is wrong with these workers after `timeout`, a sentence each; [] is good."""
        deadline, wanted = self._clock.monotonic() + timeout, sorted(nodes)
        asked: set[Future[list[str]]] = set()
        wrong = [f"{name} does not answer" for name in wanted]
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            while True:
                if len(asked) < AT_ONCE:
                    asked.add(pool.submit(self._wrong, wanted, ROUND_SECONDS))
                is_last = self._clock.monotonic() + RETRY_SECONDS >= deadline
                patience = LAST_SECONDS if is_last else AGAIN_SECONDS
                ended, asked = wait(asked, patience, FIRST_COMPLETED)
                for one in ended:
                    wrong = one.result()
                    if not wrong:
                        return []
                if is_last:
                    return wrong
                if ended:
                    self._clock.sleep(RETRY_SECONDS)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def run(self) -> None:
        """Reconcile every few seconds, and right after a switch; for ever, meant for a thread."""
        while True:
            self._nudge.wait(self._config.reconcile_seconds)
            self._nudge.clear()
            try:
                self.reconcile()
            except Exception as error:  # this loop is what keeps the promise: it never ends
                log.error("looking after workers: %s: %s", type(error).__name__, error)

    def reconcile(self) -> None:
        """Look at all workers, correct them, and report. A broker that is down is only logged."""
        try:
            self._round()
        except BrokerDown as error:
            self._say_once(f"the broker does not answer ({error}): workers stay as they are")
        else:
            self._say_once("")

    def report(self) -> Workers:
        return self._report

    def working(self) -> set[str] | None:
        """The releases that have workers, busy or paused; None before the first whole round."""
        if not self._looked:
            return None
        return {worker.identity for worker in self._report.workers.values()}

    def _round(self) -> None:
        turn = self._turn
        seen = {
            name: queues
            for name, queues in self._control.queues(None, ROUND_SECONDS).items()
            if self._identity(name)
        }
        busy = self._control.jobs(sorted(seen), ROUND_SECONDS)
        with self._lock:
            # A switch in between has seen to its workers; what we saw is older than that.
            if self.enforcing and turn == self._turn:
                for name, queues in seen.items():
                    self._correct(name, queues)
        self._note(seen, busy)
        self._looked = True

    def _correct(self, name: str, has: set[str]) -> None:
        live = self._identity(name) == self._consumer
        release = self._state().releases.get(self._consumer or "")
        if live and release is None:
            return  # live, but we don't know its queues: leave it alone
        wanted = set(release.queues) if live and release else set()
        for queue in sorted(wanted - has):
            log.info("%s begins to consume %s", name, queue)
            self._control.add(name, queue)
        for queue in sorted(_real(has) - wanted):
            log.info("%s stops consuming %s", name, queue)
            self._control.cancel(name, queue)

    def _until(
        self,
        release: Release,
        timeout: float,
        command: Callable[[str, str], None],
        done: Callable[[set[str]], bool],
    ) -> list[str]:
        deadline = self._clock.monotonic() + timeout
        waiting = [node(name) for name in self._names(release)]
        while waiting:
            try:
                for name in waiting:
                    for queue in release.queues:
                        command(name, queue)
                seen = self._control.queues(waiting, ROUND_SECONDS)
                waiting = [name for name in waiting if name not in seen or not done(seen[name])]
            except BrokerDown as error:
                self._say_once(f"the broker does not answer ({error})")
            if self._clock.monotonic() >= deadline:
                break
            if waiting:
                self._clock.sleep(RETRY_SECONDS)
        return waiting

    def _wrong(self, nodes: list[str], patience: float) -> list[str]:
        try:
            seen = self._control.queues(nodes, patience)
        except BrokerDown as error:
            return [f"the broker does not answer ({error})"]
        return [words for name in nodes if (words := self._verdict(name, seen.get(name)))]

    def _verdict(self, name: str, has: set[str] | None) -> str:
        if has is None:
            return f"{name} does not answer"
        if self._identity(name) == self._consumer or not _real(has):
            return ""
        return f"{name} is not live but consumes {', '.join(sorted(_real(has)))}"

    def _note(self, seen: dict[str, set[str]], busy: dict[str, int | None]) -> None:
        now = self._clock.monotonic()
        for name, queues in seen.items():
            worker = WorkerState(
                node=name,
                identity=self._identity(name),
                queues=tuple(sorted(_real(queues))),
                busy=busy.get(name),
            )
            self._heard[name] = (now, worker)
        self._heard = {
            name: (when, worker)
            for name, (when, worker) in self._heard.items()
            if now - when < FORGET_SECONDS
        }
        self._publish({name: worker for name, (_, worker) in sorted(self._heard.items())})

    def _publish(self, workers: dict[str, WorkerState]) -> None:
        path = self._config.control_path / WORKERS_FILE
        stale = abs(seconds_since(self._report.at, self._clock)) >= REPORT_SECONDS
        if workers == self._report.workers and not stale and path.exists():
            return
        self._report = Workers(at=self._clock.utc(), workers=workers)
        files.write(path, self._report.model_dump_json(indent=1) + "\n")

    def _names(self, release: Release) -> list[str]:
        return list(self._config.names.workers(release.identity, release.worker_replicas))

    def _identity(self, name: str) -> str:
        """Whose worker that is: a known release's, else as its name reads; "" if not ours."""
        for release in self._state().releases.values():
            if name in (node(container) for container in self._names(release)):
                return release.identity
        prefix = node(self._config.names.part("worker", ""))
        parts = name.removeprefix(prefix).rsplit("-", 2)
        if not name.startswith(prefix) or len(parts) != 3:
            return ""
        return f"{parts[0]}+{parts[1]}"

    def _say_once(self, words: str) -> None:
        if words != self._down:
            log.warning(words) if words else log.info("the broker answers again")
            self._down = words


def _real(queues: set[str]) -> set[str]:
    """Queues that hold jobs: all but the private one that a paused worker sits on."""
    return {queue for queue in queues if not queue.startswith(HOLD_QUEUE)}
