"""The steps of a deploy, each a small module: `ytops-step NAME` runs one.

A step's parameters are JSON in the variable STEP, its secrets variables of their own. It says a few
facts on stdout; a failure is one message on stderr and exit code 1; a signal stops it in order,
exit code 130. Nothing runs after either: the step itself tells the webhook.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Literal, Protocol, cast

import msgspec

from ops.docker import Say
from ops.errors import OpsError
from ops.parent import end_with_parent
from ops.steps._signals import Stopped, listening
from ops.steps._voice import Voice
from rollout import steps
from rollout.names import PARAMETERS
from rollout.steps import Parameters

STOPPED_CODE = 130

STEPS: dict[str, type[Parameters]] = {
    "gate": steps.Gate,
    "claim": steps.Claim,
    "backup": steps.Backup,
    "image": steps.Image,
    "migrate": steps.Migrate,
    "healthy": steps.Healthy,
    "awake": steps.Awake,
    "workers-answer": steps.WorkersAnswer,
    "verify": steps.Verify,
    "switch": steps.Switch,
    "cache": steps.Cache,
    "notify": steps.Notify,
    "files": steps.Files,
    "drives": steps.Drives,
    "edge-files": steps.EdgeFiles,
    "roles": steps.Roles,
}


class _Step(Protocol):
    def run(self, parameters: Parameters, say: Say) -> None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """`ytops-step NAME`: the exit code."""
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments), ""]
    if name not in STEPS or rest not in ([], [""]):
        print(f"usage: ytops-step {'|'.join(STEPS)}", file=sys.stderr)
        return 2
    voice = Voice()
    try:
        with listening():
            if arguments is None:  # the program itself, not a call from another
                end_with_parent()
            _run(name, voice)
    except Stopped as stopped:
        message = f"{name} was stopped by {stopped}. {stopped.outcome or _AGAIN}"
        return _ended(name, voice, message, "stopped")
    except OpsError as error:
        return _ended(name, voice, str(error), "failed")
    except Exception as error:
        return _ended(name, voice, _unexpected(name, error), "failed")
    return 0


_AGAIN = "Next: `ytops up`, which goes on from here."


def _run(name: str, voice: Voice) -> None:
    parameters = _parameters(STEPS[name])
    step = cast(_Step, import_module(f"ops.steps.{name.replace('-', '_')}"))
    step.run(parameters, voice.say)


def _parameters(model: type[Parameters]) -> Parameters:
    try:
        return msgspec.json.decode(os.environ.get(PARAMETERS, ""), type=model)
    except msgspec.DecodeError as error:
        raise OpsError(
            f"The variable {PARAMETERS} does not hold what {model.__name__} takes: {error}"
        ) from None


def _ended(name: str, voice: Voice, message: str, how: Literal["failed", "stopped"]) -> int:
    voice.fail(message)
    url = os.environ.get(steps.WEBHOOK, "")
    if url:
        from ops import notify

        stack = os.environ.get(steps.STACK, "")
        notify.ended(url, stack, name, voice.clean(message), how, voice.say)
    return STOPPED_CODE if how == "stopped" else 1


def _unexpected(name: str, error: Exception) -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix=f"ytops-step-{name}-", suffix=".log", delete=False
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    return (
        f"{name}: unexpected {type(error).__name__}: {error} (a mistake in this program; "
        f"the whole trace is in {file.name})"
    )
