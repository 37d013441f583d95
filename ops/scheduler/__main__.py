"""`python3 -m ops.scheduler`: the timetable, until it is told to stop. With a task's name, as the
timetable calls it: that task, once, now."""

from __future__ import annotations

import sys
from typing import cast

from ops.errors import OpsError
from ops.parent import end_with_parent
from ops.scheduler.desk import Desk, configured
from ops.scheduler.jobs import TABLE
from ops.scheduler.loop import Loop
from ops.scheduler.metrics import serve
from ops.steps._signals import Stopped, listening
from ops.steps._voice import Voice
from ops.verbs._exit import DONE, FAILED, INTERRUPTED, MISUSED, code_of
from rollout.schedule import Task


def main(arguments: list[str]) -> int:
    try:
        with listening():
            return _task(arguments[0]) if arguments else _timetable()
    except Stopped as signal:
        print(f"stopped by {signal}", flush=True)
        return INTERRUPTED if arguments else DONE


def _timetable() -> int:
    loop = Loop()
    serve(loop.report)
    try:
        loop.run()
    finally:
        loop.close()
    return DONE


def _task(name: str) -> int:
    end_with_parent()
    job = TABLE.get(cast(Task, name))
    if job is None:
        print(f"{name}: expected one of {', '.join(TABLE)}", file=sys.stderr)
        return MISUSED
    voice = Voice(())
    try:
        config = configured()
        voice = Voice(config.secrets)
        job(Desk(config, voice.say))
    except OpsError as error:
        voice.fail(str(error))
        return code_of(error)
    except Exception as error:
        voice.fail(f"unexpected {type(error).__name__}: {error} (a mistake in this program)")
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
