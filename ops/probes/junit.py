"""The tests: a JUnit report, counted case by case; what it says of itself is not believed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from rollout.evidence import Suite, Unknown
from rollout.records import ReleaseRecord

COMMIT = "commit"


def suite(root: Path, release: ReleaseRecord) -> Suite | Unknown:
    if not release.tests:
        return Unknown(why=f"releases/{release.version}.yaml names no report as `tests`")
    path = root / release.tests
    try:
        tree = ElementTree.parse(path)
    except OSError as error:
        return Unknown(why=f"{release.tests}: {error.strerror or 'it can not be read'}")
    except ElementTree.ParseError as error:
        return Unknown(why=f"{release.tests} is not whole XML: {error}")
    failed, skipped, passed = 0, 0, 0
    for case in tree.iter("testcase"):
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            failed += 1
        elif "skipped" in outcomes:
            skipped += 1
        else:
            passed += 1
    return Suite(
        by=release.tests,
        at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        commit=_commit(tree),
        passed=passed,
        failed=failed,
        skipped=skipped,
    )


def _commit(tree: ElementTree.ElementTree[ElementTree.Element]) -> str:
    """Of several suites, the commit that all name; empty when they differ, or none says."""
    named = {
        (entry.get("value") or (entry.text or "")).strip()
        for entry in tree.iter("property")
        if entry.get("name") == COMMIT
    }
    return named.pop() if len(named) == 1 else ""
