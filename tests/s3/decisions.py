"""How AWS would decide a request: moto ignores conditions, so a kept evaluator of policies does.

`@cloud-copilot/iam-simulate` knows every condition operator, and which condition keys and resources
an action takes. It is written in JavaScript (docs/decisions/0022).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollout.bucket_policies import Policy, arn

ACCOUNT = "123456789012"
SOURCE = Path(__file__).parent / "evaluator"
LOCK = "package-lock.json"


@dataclass(frozen=True)
class Request:
    """key: of an object; without one the bucket itself is meant. told: the request's headers and
    circumstances, as condition keys."""

    action: str
    key: str = ""
    told: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluator:
    """Installed, as the lock file says, in a folder of its own."""

    folder: Path

    @classmethod
    def installed(cls, folder: Path) -> Evaluator:
        lock = folder / "node_modules" / ".lock"
        if not lock.exists() or lock.read_bytes() != (SOURCE / LOCK).read_bytes():
            shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
            quiet = ("--ignore-scripts", "--no-audit", "--no-fund")
            subprocess.run(["npm", "ci", *quiet], cwd=folder, check=True, timeout=300)
            lock.write_bytes((SOURCE / LOCK).read_bytes())
        return cls(folder)

    def decide(
        self, requests: list[Request], bucket: str, identity: Policy, of_bucket: Policy | None
    ) -> list[str]:
        """Allowed, ImplicitlyDenied or ExplicitlyDenied, for each."""
        asked = [_simulation(r, bucket, identity, of_bucket) for r in requests]
        done = subprocess.run(
            ["node", "evaluate.mjs"],
            cwd=self.folder,
            input=json.dumps(asked),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=60,
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        for request, answer in zip(requests, answers, strict=True):
            assert "error" not in answer, (request, answer)
            # With a condition key that S3 doesn't give for this action, a test would mean nothing.
            assert not answer["ignored"], (request, answer)
        return [answer["result"] for answer in answers]


def _simulation(
    request: Request, bucket: str, identity: Policy, of_bucket: Policy | None
) -> dict[str, Any]:
    return {
        "request": {
            "principal": f"arn:aws:iam::{ACCOUNT}:user/somebody",
            "action": request.action,
            "resource": {"resource": arn(bucket, request.key), "accountId": ACCOUNT},
            "contextVariables": request.told,
        },
        "identityPolicies": [{"name": "identity", "policy": identity}],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        **({"resourcePolicy": of_bucket} if of_bucket else {}),
    }
