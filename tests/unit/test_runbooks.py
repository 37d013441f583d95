"""The runbooks: no command in them that does not exist, and nothing to play that shows nothing."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer.main

from ops.cli import app
from tests.e2e.runbook import RUNBOOKS, blocks

NAMES = sorted(path.name for path in RUNBOOKS.glob("*.md"))
every = pytest.mark.parametrize("name", NAMES)
_CALL = re.compile(r"\bytops (?:--stack \S+ )?([a-z][^`|;#\n]*)")


@every
def test_every_command_of_a_runbook_exists_with_its_options(name: str) -> None:
    text = (RUNBOOKS / name).read_text()
    code = "\n".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))
    calls = _CALL.findall(code)
    assert calls
    assert not [wrong for call in calls if (wrong := mistake(call))]


RECOVERIES = ("database-corruption.md", "server-loss.md", "site-outage.md", "security-breach.md")


@pytest.mark.parametrize("name", RECOVERIES)
def test_what_a_recovery_has_tests_play_says_what_one_should_see(name: str) -> None:
    played = [block for block in blocks(RUNBOOKS / name) if block.played]
    assert played
    assert [block.words for block in played if block.words]


@every
def test_a_runbook_links_only_to_what_is_there(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (RUNBOOKS / name).read_text())
    assert not [link for link in links if not (RUNBOOKS / link).exists()]


def test_a_command_that_does_not_exist_is_found() -> None:
    assert mistake("undeploy now") == "ytops undeploy now: there is no `undeploy`"
    assert mistake("status --yaml") == "ytops status --yaml: there is no `--yaml`"
    assert mistake("backup run --full") == ""


def mistake(call: str) -> str:
    """What `ytops` would not take of it."""
    command: Any = typer.main.get_command(app)
    for word in shlex.split(call, comments=True):
        if word.startswith("-"):
            known = {name for parameter in command.params for name in parameter.opts}
            if word.partition("=")[0] not in {*known, "-h", "--help"}:
                return f"ytops {call}: there is no `{word}`"
        elif commands := getattr(command, "commands", None):
            if word not in commands:
                return f"ytops {call}: there is no `{word}`"
            command = commands[word]
    return ""
