"""`ytops verify`: the manual's post-deployment check, on the live release, at any time."""

from __future__ import annotations

import time

from ops.agent import Session
from ops.errors import OpsError
from ops.observe import observe
from ops.verbs._exit import DONE, FAILED
from ops.verbs._look import ask
from ops.verbs._paper import BAD, OK, paint, say
from ops.verbs._place import Place
from ops.verify import Check, check
from rollout.names import Colour
from rollout.state import Release
from rollout.steps import Services, services_of


def verify(place: Place) -> int:
    view = observe(place.docker, place.names).view
    release = view.state.releases.get(view.edge.identity) if view.edge else None
    if view.edge is None or release is None:
        raise OpsError("No release serves, so there is nothing to verify. Next: `ytops up VERSION`")
    begun = time.monotonic()
    with Session(place.docker, place.names.switch, lambda _: None) as session:
        checks = check(services(place, view.edge.colour, release), session)
    checks += [through_edge(place, path, release) for path in release.endpoints]
    for line in table(checks):
        say(line)
    failed = [found for found in checks if not found.ok]
    verdict = f"{len(failed)} of {len(checks)} checks failed" if failed else "all checks passed"
    say(f"{release.identity} on {view.edge.colour}: {verdict} in {time.monotonic() - begun:.1f} s")
    if failed:
        say("Next: `ytops status`; back to the release before: `ytops rollback`")
    return FAILED if failed else DONE


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
