"""The steps of a deploy, each a small module: `ytops-step NAME` runs one.

A step's parameters are JSON in the variable STEP, its secrets variables of their own. It says a few
facts on stdout; a failure is one message on stderr and exit code 1; a signal stops it in order,
exit code 130.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from ops.docker import Say
from ops.errors import OpsError
from ops.steps._signals import Stopped, listening
from ops.steps._voice import Voice
from rollout import steps
from rollout.state import Record

STOPPED_CODE = 130

STEPS: dict[str, type[Record]] = {
    "gate": steps.Gate,
    "claim": steps.Claim,
    "backup": steps.Backup,
    "image": steps.Image,
    "migrate": steps.Migrate,
    "healthy": steps.Healthy,
    "workers-answer": steps.WorkersAnswer,
    "verify": steps.Verify,
    "switch": steps.Switch,
    "cache": steps.Cache,
    "notify": steps.Notify,
    "files": steps.Files,
    "edge-files": steps.EdgeFiles,
    "roles": steps.Roles,
}


class _Step(Protocol):
    def run(self, parameters: Record, say: Say) -> None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """`ytops-step NAME`: the exit code."""
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments), ""]
    if name not in STEPS or rest not in ([], [""]):
        print(f"usage: ytops-step {'|'.join(STEPS)}", file=sys.stderr)
        return 2
    voice = Voice()
    try:
        with listening():
            _run(name, voice)
    except Stopped as stopped:
        voice.fail(f"{name} was stopped by {stopped}. {stopped.outcome or _AGAIN}")
        return STOPPED_CODE
    except OpsError as error:
        return _failed(name, voice, str(error))
    except Exception as error:
        return _failed(name, voice, _unexpected(name, error))
    return 0


_AGAIN = "Next: `ytops up`, which goes on from here."


def _run(name: str, voice: Voice) -> None:
    parameters = _parameters(STEPS[name])
    voice.keep_secret(getattr(parameters, "variables", ()))
    step = cast(_Step, import_module(f"ops.steps.{name.replace('-', '_')}"))
    step.run(parameters, voice.say)


def _parameters(model: type[Record]) -> Record:
    from pydantic import ValidationError

    try:
        return model.model_validate_json(_text())
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(str(key) for key in mistake['loc']) or steps.PARAMETERS}: {mistake['msg']}"
            for mistake in error.errors(include_input=False, include_url=False)
        )
        raise OpsError(
            f"The variable {steps.PARAMETERS} does not hold what {model.__name__} takes: {mistakes}"
        ) from None


def _failed(name: str, voice: Voice, message: str) -> int:
    """Nothing runs after a failed resource: whoever failed tells the webhook."""
    voice.fail(message)
    url = os.environ.get("WEBHOOK", "")
    if url:
        from ops import notify

        notify.failed(url, _stack(), name, voice.clean(message), voice.say)
    return 1


def _stack() -> str:
    """The stack, by its name in any container of ours that the step was given."""
    found = re.search(r'"ytempire-([^"]+)-(?:switch|postgres|redis|nginx)"', _text())
    return found[1] if found else ""


def _text() -> str:
    return os.environ.get(steps.PARAMETERS, "")


def _unexpected(name: str, error: Exception) -> str:
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix=f"ytops-step-{name}-", suffix=".log", delete=False
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    return (
        f"{name}: unexpected {type(error).__name__}: {error} (a mistake in this program; "
        f"the whole trace is in {file.name})"
    )
