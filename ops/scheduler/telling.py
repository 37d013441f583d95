"""Whom the scheduler tells: the webhook of failures and of what is missing, of each success only
where that is asked for; and a watchdog outside, which misses a scheduler that is dead."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import timedelta
from http.client import HTTPException

from ops import notify
from rollout.schedule import Known, Task
from rollout.scheduler import SchedulerConfig

TIMEOUT_SECONDS = 10


def ended(
    config: SchedulerConfig, task: Task, ok: bool, words: str, pause: float, *, recovered: bool
) -> None:
    if ok and task == "dump":
        _ping(config.scheduler.heartbeat_url)
    if not ok:
        _tell(config, "failed", task, f"failed: {words}; tried again in {pause / 60:.0f} min")
    elif recovered:
        _tell(config, "recovered", task, "works again")
    elif config.scheduler.notify_success and task != "wal":
        _tell(config, "done", task, "is done")


def missing(config: SchedulerConfig, task: Task, since: timedelta, what: Known) -> None:
    newest = max(what.newest(task).good, default=None)
    had = f"the newest is of {newest:%Y-%m-%d %H:%M} UTC" if newest else "there is none"
    _tell(config, "missing", task, f"has been due for {_hours(since)}; {had}")


def _hours(since: timedelta) -> str:
    hours, minutes = divmod(int(since.total_seconds()) // 60, 60)
    return f"{hours}:{minutes:02} h"


def _tell(config: SchedulerConfig, event: str, task: Task, words: str) -> None:
    text = f"YTEMPIRE {config.stack}: backup ({task}) {words}"
    print(text, flush=True)
    if config.webhook:
        fields = {"event": f"backup-{event}", "stack": config.stack, "task": task}
        notify.send(config.webhook, text, fields, print)


def _ping(url: str) -> None:
    """The address is a secret, so nothing of it is said."""
    if not url:
        return
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS):
            return
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        print(f"the watchdog outside did not hear of it: {type(error).__name__}", flush=True)
