"""Open critical bugs: the forge's word where a token is configured, else a person's signed one."""

from __future__ import annotations

from ops.probes.forge import Forge
from rollout.evidence import Bugs, Unknown
from rollout.records import ReleaseRecord, Status


def bugs(forge: Forge | None, label: str, release: ReleaseRecord) -> Bugs | Unknown:
    if forge:
        return forge.bugs(label)
    where, said = f"releases/{release.version}.yaml", release.critical_bugs
    if said.open and said.at:
        return Bugs(by=where, at=said.at, open=said.open, signed_by=said.by)
    if said.status is not Status.PASS or not said.by or said.at is None:
        return Unknown(
            why=f"{where}: `critical_bugs` is not signed (it needs `status: pass`, `by` and `at`)"
        )
    source = f"{where} ({said.source})" if said.source else where
    return Bugs(by=source, at=said.at, open=said.open, signed_by=said.by)
