"""`ytops verify`: the manual's post-deployment check, on the live release, at any time; with
`--contract`, whether that release keeps to what the system assumes of the backend."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from ops import contract
from ops.agent import Session
from ops.errors import OpsError
from ops.observe import observe
from ops.verbs._exit import DONE, FAILED
from ops.verbs._look import ask
from ops.verbs._paper import BAD, MAYBE, OK, paint, say
from ops.verbs._place import Place
from ops.verify import Check, check
from rollout.contract import PAGE, Finding
from rollout.names import Colour
from rollout.shapes import Pointer, Release
from rollout.steps import Services, services_of


def verify(place: Place, *, as_json: bool = False) -> int:
    edge, release = _serving(place)
    begun = time.monotonic()
    checks = all_checks(place, edge, release)
    failed = [found for found in checks if not found.ok]
    if as_json:
        _say_json(release, edge, not failed, checks=[asdict(found) for found in checks])
        return FAILED if failed else DONE
    for line in table(checks):
        say(line)
    verdict = f"{len(failed)} of {len(checks)} checks failed" if failed else "all checks passed"
    say(f"{release.identity} on {edge.colour}: {verdict} in {time.monotonic() - begun:.1f} s")
    if failed:
        say("Next: `ytops status`; back to the release before: `ytops rollback`")
    return FAILED if failed else DONE


def verify_contract(place: Place, *, as_json: bool = False) -> int:
    """Nothing of the live release is stopped or changed."""
    edge, release = _serving(place)
    if not as_json:
        say(f"{release.identity} on {edge.colour} is asked; a connection is left idle for a minute")
    found = contract.findings(_backend(place, edge.colour, release))
    broken = [finding for finding in found if finding.ok is False]
    if as_json:
        _say_json(release, edge, not broken, findings=[_finding(finding) for finding in found])
        return FAILED if broken else DONE
    for line in page(found):
        say(line)
    untried = sum(finding.ok is None for finding in found)
    verdict = f"breaks {len(broken)} of {len(found)} items" if broken else "keeps to the contract"
    say(f"{release.identity} {verdict}" + (f"; not found out: {untried}" if untried else ""))
    if broken:
        say(f"Next: correct the backend by {PAGE}, then deploy it: `ytops up VERSION`")
    return FAILED if broken else DONE


def all_checks(place: Place, edge: Pointer, release: Release) -> list[Check]:
    with Session(place.docker, place.names.switch, lambda _: None) as session:
        checks = check(services(place, edge.colour, release), session)
    return checks + [through_edge(place, path, release) for path in release.endpoints]


def _serving(place: Place) -> tuple[Pointer, Release]:
    view = observe(place.docker, place.names).view
    release = view.state.releases.get(view.edge.identity) if view.edge else None
    if view.edge is None or release is None:
        raise OpsError("No release serves, so there is nothing to verify. Next: `ytops up VERSION`")
    return view.edge, release


def _backend(place: Place, colour: Colour, release: Release) -> contract.Backend:
    get = place.configuration.get
    return contract.Backend(
        docker=place.docker,
        names=place.names,
        colour=colour,
        release=release,
        domain=get("edgeDomain"),
        https=get("edgeTls") != "off",
        slow_path=get("backendSlowPath"),
        boot_seconds=float(get("bootTimeout")),
    )


def page(found: list[Finding]) -> Iterator[str]:
    """By section of the contract: expected and found, and for what is not good, why it matters."""
    marks = {True: paint(OK, "green"), False: paint(BAD, "red"), None: paint(MAYBE, "yellow")}
    for section, findings in groupby(found, key=lambda finding: finding.item.section):
        yield paint(f"{section} ({_place(section)})", "bold")
        for finding in findings:
            item, mark = finding.item, marks[finding.ok]
            yield f"{mark} {item.name}: expected {item.expected}; found {finding.found}"
            if not finding.ok:
                yield f"    why: {item.why}"


def _place(section: str) -> str:
    """Where it is written."""
    return f"{PAGE}#{section.lower().replace(' ', '-')}"


def _finding(finding: Finding) -> dict[str, Any]:
    item = finding.item
    return {
        "name": item.name,
        "ok": finding.ok,
        "expected": item.expected,
        "found": finding.found,
        "why": item.why,
        "where": _place(item.section),
    }


def _say_json(release: Release, edge: Pointer, ok: bool, **lists: list[dict[str, Any]]) -> None:
    head = {"release": release.identity, "colour": edge.colour, "ok": ok}
    say(json.dumps({**head, **lists}, indent=2))


def services(place: Place, colour: Colour, release: Release) -> Services:
    get = place.configuration.get
    user = get("postgresUser")
    return services_of(release, colour, place.names, get("postgresDatabase"), user)


def through_edge(place: Place, path: str, release: Release) -> Check:
    """As a user: the public address, its certificate, and the release that answers."""
    trusted = place.configuration.get("edgeTls") == "provided"
    begun = time.monotonic()
    try:
        answer = ask(place.configuration.address, path, trusted=trusted)
        ok = answer.status == 200 and answer.release == release.identity
        detail = f"answers {answer.status} as {answer.release or 'no release'}"
    except OpsError as error:
        ok, detail = False, str(error)
    return Check(f"edge {path}", ok, detail, round(time.monotonic() - begun, 3), of_release=True)


def table(checks: list[Check]) -> list[str]:
    width = max((len(found.name) for found in checks), default=0)
    return [
        f"{paint(OK, 'green') if found.ok else paint(BAD, 'red')} {found.name:<{width}} "
        f"{found.seconds:6.2f} s  {found.detail}"
        for found in checks
    ]
