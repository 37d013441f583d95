"""The gate: says what the run is about to do. Everything that changes production depends on it.

It refuses what the policies refuse, because their levels can be configured and this can't.
"""

from __future__ import annotations

from ops.docker import Say
from ops.errors import OpsError
from rollout.items import blocking, refusal, waived
from rollout.steps import MOVES_TRAFFIC, Gate


def run(parameters: Gate, say: Say) -> None:
    say(f"{parameters.action}: {parameters.reason or 'no release serves, none is asked for'}")
    if parameters.maintenance:
        say(f"maintenance: {parameters.maintenance.word}; datastores and edge may be replaced")
    stops = blocking(parameters.checklist)
    if stops:
        lines = "".join(f"\n  {refusal(item)}" for item in stops)
        raise OpsError(f"The checklist stops this deploy, and nothing was changed:{lines}")
    passed = waived(parameters.checklist)
    if passed:
        whose = {item.waived_by for item in parameters.checklist if item.waived_by}
        say(f"{', '.join(sorted(whose))} passes by {', '.join(passed)}")
    target = parameters.target
    if target and parameters.action in MOVES_TRAFFIC:
        say(f"switch {parameters.serial} will move traffic to {target.identity} in {target.colour}")
