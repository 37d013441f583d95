"""A failed run is shown by the failed step's own words, and ends with the code they mean."""

from __future__ import annotations

import json

import pytest

from ops.docker import Docker
from ops.engine import Ended
from ops.errors import HostUnreachable, OpsError
from ops.steps import gate
from ops.verbs._events import parse
from ops.verbs._exit import FAILED, INTERRUPTED, MISUSED, REFUSED, UNREACHABLE
from ops.verbs._failure import Failure, meaning_of, step_words
from rollout.evidence import Backup
from rollout.plan import View, plan
from rollout.settings import SettingsError
from rollout.state import Hold, HostState
from rollout.steps import Gate
from tests.unit.cli.happy import BLUE, NEW, view, withdrawn
from tests.unit.cli.test_run_progress import CONTAINER, line, said
from tests.unit.rollout.night import FACT, items

ENDED = Ended(1, "")
STEP_WORDS = "The app ytempire-sandbox-green is not healthy.\nIts last lines:\n  boom"
TROUBLE = f'exit status 1: running "ytops-step healthy":\n{STEP_WORDS}\n'


def failure(*lines: str) -> Failure:
    collected = Failure()
    for event in map(parse, lines):
        if event:
            collected.hear(event)
    return collected


def policy(level: str, message: str) -> str:
    body = {"policyName": "window", "message": message, "enforcementLevel": level}
    return json.dumps({"sequence": 1, "policyEvent": body})


def test_a_failed_step_speaks_for_itself_under_its_name() -> None:
    failed = failure(
        said("green-healthy", TROUBLE, "error"),
        line("resOpFailedEvent", "green-healthy"),
        said("", "update failed\n", "error"),
    )
    assert failed.message(ENDED) == (
        "green-healthy:\n  The app ytempire-sandbox-green is not healthy.\n"
        "  Its last lines:\n    boom"
    )
    assert failed.code(ENDED) == FAILED


def test_the_header_of_the_released_plugin_is_taken_off_as_well() -> None:
    text = 'error: exit status 1: running "echo \\"x\\" \\\n  >&2":\nwords'
    assert step_words(text) == "words"


def test_a_step_without_words_says_so() -> None:
    text = 'signal: terminated: running "ytops-step switch":\n'
    assert step_words(text) == "it ended with signal: terminated, without a word"


def test_a_plugin_that_was_killed_is_said_so_and_what_to_do() -> None:
    failed = failure(
        said("green-migrate", "error reading from server: EOF\n", "error"),
        line("resOpFailedEvent", "green-migrate"),
    )
    assert failed.message(ENDED) == (
        "green-migrate:\n"
        "  A process of Pulumi's was killed or has crashed (error reading from server: EOF).\n"
        "  Next: `ytops up`, which goes on from here."
    )
    assert failed.code(ENDED) == FAILED


@pytest.mark.parametrize(
    "words",
    [
        "error reading from server: EOF\n",
        "an unhandled error occurred: Program stopped: signal: killed\n",
    ],
)
def test_a_program_or_a_language_host_that_was_killed_is_said_so(words: str) -> None:
    told = failure(said("", words, "error")).message(ENDED)
    assert told.startswith("A process of Pulumi's was killed or has crashed (")
    assert told.endswith("Next: `ytops up`, which goes on from here.")


@pytest.mark.parametrize(
    "words",
    [
        "Bind for 0.0.0.0:80 failed: port is already allocated",
        "failed to bind host port for 0.0.0.0:80:172.17.0.2:8080/tcp: address already in use",
        "failed to bind host port 0.0.0.0:80/tcp: address already in use",
        "listen tcp4 0.0.0.0:80: bind: address already in use",
    ],
)
def test_a_port_in_use_on_a_host_across_the_network_is_one_sentence(words: str) -> None:
    text = f"Unable to start container: Error response from daemon: driver failed: {words}\n"
    failed = failure(said("nginx", text, "error"), line("resOpFailedEvent", "nginx"))
    told = failed.message(ENDED).splitlines()
    assert told[1] == (
        "  Port 80 of the Docker host is in use by something else, and the edge wants it."
    )
    assert "`pulumi config set edgeHttpPort PORT`" in told[2]


def test_a_policy_violation_is_a_refusal_with_its_text() -> None:
    refused = failure(
        policy("advisory", "only advice"),
        policy("mandatory", "X must be Y.\n"),
        policy("mandatory", "X must be Y.\n"),
        said("", "preview failed\n", "error"),
    )
    assert refused.message(ENDED) == "Refused by policy:\n  window: X must be Y."
    assert refused.code(ENDED) == REFUSED


def test_the_gate_s_own_step_refuses_like_a_policy() -> None:
    stopped = items(backup=Backup(newest=None, **FACT))["backup"]
    with pytest.raises(OpsError) as raised:
        gate.run(
            Gate(action="deploy", reason="", target=None, serial=2, checklist=(stopped,)), print
        )
    refused = failure(
        said("gate", f'exit status 1: running "ytops-step gate":\n{raised.value}', "error"),
        line("resOpFailedEvent", "gate"),
    )
    assert "  The checklist stops this deploy, and nothing was changed:\n    backup: " in (
        refused.message(ENDED)
    )
    assert refused.code(ENDED) == REFUSED


def test_a_gate_that_was_killed_refuses_nothing() -> None:
    killed = failure(
        said("gate", 'signal: killed: running "ytops-step gate":\n', "error"),
        line("resOpFailedEvent", "gate"),
    )
    assert killed.code(ENDED) == FAILED


def test_another_step_that_speaks_of_the_checklist_has_failed() -> None:
    words = "Its last lines:\n  The checklist stops this deploy"
    failed = failure(said("blue-app", words, "error"), line("resOpFailedEvent", "blue-app"))
    assert failed.code(ENDED) == FAILED


def protected(name: str) -> Failure:
    """What the engine says before it replaces what was protected and still is."""
    words = (
        f'unable to replace resource "urn:pulumi:production::ytempire::{CONTAINER}::{name}"\n'
        "as it is currently marked for protection. To unprotect the resource, remove the `protect` "
        "flag from the resource in your Pulumi program and run `pulumi up`"
    )
    return failure(said(name, words, "error"), said("", "preview failed\n", "error"))


@pytest.mark.parametrize("name", ["nginx", "postgres", "redis"])
def test_what_no_deploy_replaces_names_the_maintenance(name: str) -> None:
    refused = protected(name)
    assert refused.message(ENDED) == (
        f"{name} is protected, and no deploy replaces it; a maintenance may.\n"
        "Next: `ytops change new --kind service-upgrade --description TEXT`; once that is approved "
        "and committed, `pulumi config set maintenance CR-N`, then this again."
    )
    assert refused.code(ENDED) == REFUSED


def test_what_a_maintenance_keeps_too_is_told_in_the_engine_s_words() -> None:
    assert "currently marked for protection" in protected("volume-media").message(ENDED)


def refusal(state: HostState) -> str:
    decided = plan(View(state, BLUE), NEW)
    assert decided.action == "refuse"
    return decided.reason


LOCKED = Hold(who="ana", since="now", why="stocktaking")


@pytest.mark.parametrize(
    "text",
    [
        refusal(view(BLUE, hold=LOCKED).state),
        refusal(view(BLUE, withdrawn=withdrawn(NEW)).state),
        refusal(HostState()),
    ],
)
def test_the_refusals_of_the_plan_are_known_as_such_and_shown_as_they_are(text: str) -> None:
    refused = failure(said("", f"{text}\n", "error"))
    assert refused.message(ENDED) == text
    assert refused.code(ENDED) == REFUSED


def test_a_wrong_configuration_is_the_callers_mistake() -> None:
    assert meaning_of(str(SettingsError("sandbox", ["a: wrong"]))) == MISUSED
    assert meaning_of(str(SettingsError("sandbox", ["a: wrong", "b: wrong"]))) == MISUSED


def test_a_host_that_does_not_answer_is_known_in_a_step_too() -> None:
    docker = Docker("ssh://deploy@host")
    error = docker.unreachable("Cannot connect to the Docker daemon")
    assert isinstance(error, HostUnreachable)
    text = f'exit status 1: running "ytops-step claim":\n{error}'
    failed = failure(said("green-claim", text, "error"), line("resOpFailedEvent", "green-claim"))
    assert failed.code(ENDED) == UNREACHABLE


def test_an_interrupted_run_says_so_whatever_else_was_said() -> None:
    assert failure().message(Ended(1, "", asked_to_stop=1)) == "Interrupted."
    assert failure(said("", TROUBLE, "error")).code(Ended(1, "", asked_to_stop=1)) == INTERRUPTED


def test_a_crash_of_the_program_is_one_line_and_keeps_its_trace_aside() -> None:
    text = "Program failed:\nTraceback (most recent call last):\n  File x\nKeyError: 'y'\n"
    crashed = failure(said("", text, "error"))
    assert crashed.message(ENDED) == "The program failed: KeyError: 'y'"
    assert "File x" in crashed.trace()


def test_the_cli_is_heard_when_nobody_else_spoke() -> None:
    ended = Ended(255, "error: no stack named 'nope' found")
    assert failure().message(ended) == "no stack named 'nope' found"
    assert failure().code(ended) == MISUSED


def test_a_killed_engine_leaves_the_next_command() -> None:
    assert failure().message(Ended(-9, "")) == (
        "Pulumi was killed (signal 9), without a word. Next: `ytops up`, which goes on from here."
    )
