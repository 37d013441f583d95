"""Celery's remote control: what workers consume, what they do, and telling them otherwise.

The agent needs nothing of the backend's code for this; every worker listens.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

# Celery imports its transport at the first question and hides why that failed: fail at start.
import kombu.transport.redis  # noqa: F401
from celery import Celery
from celery.app.control import DuplicateNodenameWarning

CONNECT_SECONDS = 2.0
SOCKET_SECONDS = 5.0
JOBS = ("active", "reserved", "scheduled")


class BrokerDown(Exception):
    """Redis does not answer. Carries the error's kind only: its text may name the broker."""


class Control(Protocol):
    """What the agent asks of workers. `nodes` None means everyone."""

    def queues(self, nodes: Sequence[str] | None, timeout: float) -> dict[str, set[str]]: ...

    def jobs(self, nodes: Sequence[str], timeout: float) -> dict[str, int | None]: ...

    def add(self, node: str, queue: str) -> None: ...

    def cancel(self, node: str, queue: str) -> None: ...


class CeleryControl:
    """The real one. Waits for `timeout` only if someone named does not answer."""

    def __init__(self, broker: str) -> None:
        self._app = Celery("ytempire-switch", broker=broker, set_as_current=False)
        self._app.conf.update(
            broker_connection_retry=False,
            broker_connection_timeout=CONNECT_SECONDS,
            broker_transport_options={
                "socket_connect_timeout": CONNECT_SECONDS,
                "socket_timeout": SOCKET_SECONDS,
                "max_retries": 1,
                "interval_start": 0.2,
            },
        )
        warnings.simplefilter("ignore", DuplicateNodenameWarning)

    def queues(self, nodes: Sequence[str] | None, timeout: float) -> dict[str, set[str]]:
        answers = self._ask("active_queues", nodes, timeout)
        return {node: {queue["name"] for queue in found} for node, found in answers.items()}

    def jobs(self, nodes: Sequence[str], timeout: float) -> dict[str, int | None]:
        """Taken from the broker and not done: running, waiting for a process, or for their time.
        None for a worker that did not answer all three questions."""
        answers = [self._ask(command, nodes, timeout) for command in JOBS]
        return {
            node: sum(len(answer[node]) for answer in answers)
            if all(node in answer for answer in answers)
            else None
            for node in nodes
        }

    def add(self, node: str, queue: str) -> None:
        self._try(lambda: self._app.control.add_consumer(queue, destination=[node], reply=False))

    def cancel(self, node: str, queue: str) -> None:
        self._try(lambda: self._app.control.cancel_consumer(queue, destination=[node], reply=False))

    def _ask(self, command: str, nodes: Sequence[str] | None, timeout: float) -> dict[str, Any]:
        if nodes is not None and not nodes:
            return {}
        destination = list(nodes) if nodes is not None else None
        replies = self._try(
            lambda: self._app.control.broadcast(
                command, destination=destination, reply=True, timeout=timeout
            )
        )
        answers = {node: found for reply in replies or () for node, found in reply.items()}
        # A worker that is just starting or stopping may answer {"error": ...}: it counts as silent.
        return {node: found for node, found in answers.items() if isinstance(found, list)}

    def _try(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:  # kombu, redis and the socket each have their own tree
            raise BrokerDown(type(error).__name__) from None
