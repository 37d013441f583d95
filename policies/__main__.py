"""The policy pack: what must be true before anything is changed. Rules are in the files beside."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pulumi_policy import EnforcementLevel, PolicyPack

from ops.parent import end_with_parent
from policies import checklist, configuration, containers, once, plan, steps, storage, told

# A killed engine or language host would leave it behind: it serves until somebody tells it to end.
end_with_parent()
told.listen()
once.remember()
PolicyPack(
    name="ytempire",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        *checklist.POLICIES,
        *configuration.POLICIES,
        *containers.POLICIES,
        *plan.POLICIES,
        *steps.POLICIES,
        *storage.POLICIES,
    ],
)
