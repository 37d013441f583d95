"""`python3 -m ops.switch`: put the agent together, start it, keep it until told to stop."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from ops.errors import OpsError
from ops.switch.agent import Agent
from ops.switch.celery_control import CeleryControl
from ops.switch.config import SwitchConfig, SystemClock, from_environment
from ops.switch.edge import Edge
from ops.switch.live import LivePointer
from ops.switch.probes import Probes
from ops.switch.server import Server
from ops.switch.state_store import StateStore
from ops.switch.switch import Switch
from ops.switch.watch import AccessLog
from ops.switch.workers import WorkerPool

log = logging.getLogger("ops.switch")

LEASE_TICK_SECONDS = 0.25
GUARD_TICK_SECONDS = 1.0
LOCK_FILE = "agent.lock"


def main() -> int:
    _log_to_stdout()
    try:
        config, broker = from_environment()
    except OpsError as error:
        log.error("%s", error)
        return 2
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    lock = _be_the_only_one(config, stopped)
    if not stopped.is_set():
        _serve(config, broker, stopped)
    os.close(lock)
    return 0


def _serve(config: SwitchConfig, broker: str, stopped: threading.Event) -> None:
    clock = SystemClock()
    store = StateStore(config.control_path, clock)
    probes = Probes(config, clock)
    edge = Edge(config, probes, clock)
    workers = WorkerPool(config, CeleryControl(broker), clock, lambda: store.state)
    beat = LivePointer(config.live_path)
    access_log = AccessLog(config.address("switch"))
    switch = Switch(
        config,
        store,
        clock,
        edge=edge,
        workers=workers,
        beat=beat,
        probes=probes,
        access_log=access_log,
    )
    agent = Agent(
        config,
        clock,
        store=store,
        switch=switch,
        edge=edge,
        workers=workers,
        beat=beat,
        probes=probes,
    )
    agent.start()
    server = Server(config, clock, agent.verbs)
    _thread(access_log.run)
    _thread(server.run)
    _thread(workers.run)
    _every(LEASE_TICK_SECONDS, stopped, switch.revert_if_abandoned)
    _every(GUARD_TICK_SECONDS, stopped, switch.settle_soon)
    _every(GUARD_TICK_SECONDS, stopped, agent.guard_edge)
    live = store.state.live
    log.info("serving; live is %s", live.identity if live else "no release")
    stopped.wait()
    switch.undo("the switch agent was stopped before the switch was confirmed")
    log.info("stopped")


def _every(seconds: float, stopped: threading.Event, action: Callable[[], None]) -> None:
    def loop() -> None:
        while not stopped.wait(seconds):
            try:
                action()
            except Exception as error:  # the loop is what keeps the promise: it never ends
                log.error("%s: %s: %s", action.__name__, type(error).__name__, error)

    _thread(loop)


def _thread(action: Callable[[], None]) -> None:
    threading.Thread(target=action, daemon=True).start()


def _be_the_only_one(config: SwitchConfig, stopped: threading.Event) -> int:
    """Two agents would both write state.json: the second waits until the first is gone."""
    lock = os.open(config.control_path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    said = False
    while not stopped.is_set():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not said:
                log.warning("another switch agent is running; waiting for it to end")
            said = True
            stopped.wait(0.5)
        else:
            return lock
    return lock


def _log_to_stdout() -> None:
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    # Their messages name the broker's address, and say once a second what we say once.
    for name in ("celery", "kombu", "amqp", "redis"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


if __name__ == "__main__":
    sys.exit(main())
