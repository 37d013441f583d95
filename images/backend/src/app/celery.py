"""The workers' and beat's Celery application: `celery -A app.celery worker`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps
from celery.signals import before_task_publish

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")

from app import environment, flaws, release

# The healthcheck looks at their age.
WORKER_ALIVE = Path("/tmp/celery-worker-alive")
BEAT_ALIVE = Path("/tmp/celery-beat-alive")

HEARTBEAT_SECONDS = 5
# Redis gives an unacknowledged task to another worker after this long, whether or not the first
# still works on it: it must exceed the longest job (15 min). The shortest one among all workers
# of a broker wins, so releases that run side by side have to agree.
VISIBILITY_SECONDS = int(environment.value("VISIBILITY_TIMEOUT_SECONDS", "3600"))

app = Celery("ytempire")
app.conf.update(
    broker_url=environment.required("REDIS_URL"),
    broker_transport_options={
        "visibility_timeout": VISIBILITY_SECONDS,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
    },
    # A broker that is away is waited for, at start and later, without end.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_channel_error_retry=True,
    include=["app.tasks"],
    task_default_queue="celery",
    task_create_missing_queues=True,
    task_ignore_result=True,
    # A task is done when it is finished, not when it is fetched; tasks are idempotent.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_concurrency=int(environment.value("WORKER_CONCURRENCY", "2")),
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # SIGQUIT: running tasks get this long before they go back to the queue. Retries wait in the
    # worker's memory, so an idle one has to return them as well. SIGTERM waits without limit.
    worker_soft_shutdown_timeout=float(environment.value("WORKER_SOFT_SHUTDOWN_SECONDS", "30")),
    worker_enable_soft_shutdown_on_idle=True,
    # Two cores shared with everything else: forking may take longer than the default 4 s.
    worker_proc_alive_timeout=30,
    beat_schedule_filename="/tmp/celerybeat-schedule",
    beat_schedule={
        "heartbeat": {
            "task": "app.tasks.heartbeat",
            "schedule": HEARTBEAT_SECONDS,
            # Beat's own identity: the task itself runs in a worker, maybe another release's.
            "kwargs": {"beat": release.INSTANCE, "release_identity": release.IDENTITY},
            # Paused workers needn't catch up on old ticks.
            "options": {"expires": 60},
        }
    },
    timezone="UTC",
)


if flaws.has(flaws.BREAKS_CONTRACT):  # Celery's own defaults, and a timeout below a long job's time
    app.conf.update(
        broker_transport_options={"visibility_timeout": 60},
        task_acks_late=False,
        task_reject_on_worker_lost=None,
        worker_prefetch_multiplier=4,
        worker_soft_shutdown_timeout=0,
    )


class AliveFile(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Touches a file from the worker's main loop: a stuck worker is found out."""

    requires = frozenset({"celery.worker.components:Timer"})

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self.timer: Any = None

    def start(self, worker: Any) -> None:
        WORKER_ALIVE.touch()
        self.timer = worker.timer.call_repeatedly(HEARTBEAT_SECONDS, WORKER_ALIVE.touch)

    def stop(self, worker: Any) -> None:
        if self.timer is not None:
            self.timer.cancel()
        WORKER_ALIVE.unlink(missing_ok=True)


app.steps["worker"].add(AliveFile)


@before_task_publish.connect(sender="app.tasks.heartbeat")
def note_beat(headers: dict[str, Any], **_: Any) -> None:
    """Runs in beat: the message says when it was sent, and beat shows that it lives."""
    from django.utils import timezone

    headers["sent_at"] = timezone.now().isoformat()
    BEAT_ALIVE.touch()
