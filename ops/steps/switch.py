"""Switch: traffic, workers and beat move to the target together, or everything moves back.

The agent moves; this step asks for it, checks, has it watched, and confirms. A failure, a signal
or this process's death leaves the release before serving.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict

from ops import verify
from ops.agent import Lost, Result, Session, who
from ops.docker import Container, Docker, Say, elapsed
from ops.errors import NOT_BLAMED, OpsError, StepFailed, SwitchRefused
from ops.steps._boot import STARTING, await_healthy, ensure_running
from ops.steps._idle import is_idle
from ops.steps._signals import Stopped
from rollout.names import Names, node
from rollout.shapes import Pointer
from rollout.steps import STACK, Switch

# The agent takes up to its worker, reload and worker time-outs, 5 s each, to move back.
UNDO_SECONDS = 18
POLL_SECONDS = 0.25
ANSWER_SECONDS = 2


def run(parameters: Switch, say: Say) -> None:
    docker = Docker()
    with ExitStack() as line:
        session = line.enter_context(Session(docker, parameters.switch, say))
        answer = session.ask("state")
        if _is_confirmed(parameters, answer):
            say(f"switch {parameters.serial} is done already: {_where(parameters.target)} serves")
            _sign(answer, say)
            return
        pending = answer["state"]["pending"]
        _wake(session, parameters, say)
        try:
            _Attempt(session, parameters, say, pending["token"] if pending else "").go()
        except Stopped as stopped:
            line.close()  # the agent moves back what its caller has left
            stopped.outcome = _outcome(docker, parameters, "")
            raise
        except OpsError as error:
            line.close()
            raise StepFailed(
                f"The switch to {_where(parameters.target)} failed: {_reason(error)}\n"
                f"{_outcome(docker, parameters, 'see to the cause, then ')}"
            ) from None


class _Attempt:
    """One switch, from begin to confirm or abort, on one connection: it belongs to that.
    `fences`: the pending one that it overtakes."""

    def __init__(self, session: Session, parameters: Switch, say: Say, fences: str) -> None:
        self._session, self._parameters, self._say = session, parameters, say
        self._docker = session.docker
        self._fences = fences
        self._begun = time.monotonic()

    def go(self) -> None:
        session = self._session
        begun = self._begin(session)
        if begun.get("already"):
            return
        token = str(begun["token"])
        try:
            self._check(session)
            note = self._watch(session, token)
            self._confirm(session, token, note)
        except Stopped as stopped:
            self._abort(token, f"stopped by {stopped}")
            raise
        except _ChecksFailed as failure:
            self._abort(token, str(failure), withdraw=failure.to_blame)
            raise
        except OpsError as error:
            self._abort(token, str(error))
            raise

    def _begin(self, session: Session) -> Result:
        wanted = self._parameters.only("serial", "target", "claim", "source", "asked", "kind")
        why = os.environ.get("YTOPS_WHY", "")
        return session.begin(**wanted, who=who(), why=why, fences=self._fences)

    def _check(self, session: Session) -> None:
        checks = verify.check(self._parameters.services, session)
        failed = [check for check in checks if not check.ok]
        if failed:
            raise _ChecksFailed(failed, self._is_to_blame(failed, session))
        longest = max(check.seconds for check in checks)
        self._say(f"verified in {longest:.1f} s: {', '.join(check.name for check in checks)}")

    def _is_to_blame(self, failed: list[verify.Check], session: Session) -> bool:
        """The release alone: the one before it, asked directly, still answers as it must. Without
        one, nobody speaks for this one."""
        if not all(check.of_release for check in failed):
            return False
        source = self._parameters.source
        if source is None:
            return True
        try:
            session.ask("probe", colour=source.colour, timeout=verify.ENDPOINT_SECONDS)
        except OpsError:
            return False
        return True

    def _watch(self, session: Session, token: str) -> str:
        """Have it judged by what it serves; the figures in words."""
        if not self._parameters.watch.seconds:
            return "not watched"
        seen = session.ask("watch", token=token, **self._parameters.watch.only())
        note = (
            f"watched for {seen['seconds']:.0f} s: {seen['requests']} requests, "
            f"{seen['errors']} errors, p95 {seen['p95_ms']:.0f} ms"
        )
        self._say(note)
        return note

    def _confirm(self, session: Session, token: str, note: str) -> None:
        took = round(time.monotonic() - self._begun, 1)
        try:
            session.ask("confirm", token=token, note=note, seconds=took)
        except Lost:
            if not self._was_confirmed():
                raise
        self._say(f"{_where(self._parameters.target)} serves, after {elapsed(self._begun)}")
        with suppress(OpsError):
            _sign(session.ask("state"), self._say)

    def _was_confirmed(self) -> bool:
        """The answer was lost, perhaps not the request."""
        with Session(self._docker, self._parameters.switch, self._say) as session:
            return _is_confirmed(self._parameters, session.ask("state"))

    def _abort(self, token: str, why: str, withdraw: bool = False) -> None:
        """On a line of its own: the first may be busy watching. What has ended is not undone."""
        first = why.splitlines()[0] if why else ""
        with (
            suppress(OpsError),
            Session(self._docker, self._parameters.switch, self._say) as session,
        ):
            session.ask("abort", token=token, why=first, withdraw=withdraw)


class _ChecksFailed(OpsError):
    """The post-deployment check found something."""

    def __init__(self, failed: list[verify.Check], to_blame: bool) -> None:
        words = [str(check) for check in failed]
        if not to_blame and all(check.of_release for check in failed):
            words.append(NOT_BLAMED)
        super().__init__("; ".join(words))
        self.to_blame = to_blame


def _wake(session: Session, parameters: Switch, say: Say) -> None:
    """An idle slot may have been stopped, or the host started anew: all of it runs before."""
    docker, app, workers = session.docker, parameters.services.app, parameters.services.celery
    beat = Names(os.environ.get(STACK, "")).beat(parameters.target.identity)
    found = docker.inspect_all(app, *workers, beat)
    standing = [name for name in workers if name not in found or not found[name].running]
    if app not in found or not (found[app].is_up or _answers(session, parameters, found[app])):
        await_healthy(docker, app, parameters.boot_timeout, say, may_stop=is_idle)
    for container in standing:
        ensure_running(docker, container, say)
    if beat in found and not found[beat].running:
        ensure_running(docker, beat, say)
    if standing:
        nodes = [node(container) for container in standing]
        session.ask("ping", nodes=nodes, timeout=parameters.boot_timeout)


def _answers(session: Session, parameters: Switch, app: Container) -> bool:
    """Of one that Docker has not looked at yet: its first look comes after a whole interval."""
    if not app.running or app.health != STARTING:
        return False
    with suppress(SwitchRefused):
        session.ask("probe", colour=parameters.target.colour, timeout=ANSWER_SECONDS)
        return True
    return False


def _is_confirmed(parameters: Switch, answer: Result) -> bool:
    state = answer["state"]
    target = asdict(parameters.target)
    return (
        state["pending"] is None
        and state["confirmed"] == parameters.serial
        and state["live"] == target == answer["edge"]
    )


def _reason(error: OpsError) -> str:
    """Without its next command: what serves now decides which one it is."""
    return "\n".join(line for line in str(error).splitlines() if not line.startswith("Next:"))


def _sign(answer: Result, say: Say) -> None:
    """The host's own words about its last switch; the stack output `lastDeploy` is read off it."""
    last = answer["state"].get("last_switch")
    if last:
        say(f"{last['kind']} {last['serial']} to {last['target']} by {last['who']} at {last['at']}")


def _outcome(docker: Docker, parameters: Switch, first: str) -> str:
    """What serves now, once nothing is pending any more, and what to do next."""
    version = parameters.target.identity.split("+", 1)[0]
    answer = _settled(docker, parameters)
    if answer is None:
        return (
            "The switch undoes itself when nobody confirms it; whether it has is not known, "
            f"because {docker.host} does not answer.\nNext: `ytops status`"
        )
    if _is_confirmed(parameters, answer):
        return f"It was confirmed: {_where(parameters.target)} serves.\nNext: `ytops up {version}`"
    live = answer["edge"]
    serves = f"{_where(Pointer(**live))} serves" if live else "No release serves (503)"
    if answer["state"]["pending"]:
        serves += " for now: the switch agent can't move back, and goes on trying"
    return f"{serves}.\nNext: {first}`ytops up {version}`; what is where: `ytops status`"


def _settled(docker: Docker, parameters: Switch) -> Result | None:
    deadline = time.monotonic() + UNDO_SECONDS
    answer: Result | None = None
    with suppress(OpsError), Session(docker, parameters.switch, lambda _: None) as session:
        while time.monotonic() < deadline:
            answer = session.ask("state")
            if answer["state"]["pending"] is None:
                break
            time.sleep(POLL_SECONDS)
    return answer


def _where(pointer: Pointer) -> str:
    return f"{pointer.identity} in {pointer.colour}"
