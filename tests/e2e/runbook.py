"""A runbook as a person follows it at night: its marked blocks are typed in, one after the other,
and what it says one should see is looked for.

In docs/runbooks/ a block marked `sh run` is played; one marked `sh` alone is for a place that no
test has (a registrar, a chat, a production host). After a block, "You see: `WORDS`" names what its
output has, and "exit code N" how it ends, where that is not 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.world import ROOT, World

RUNBOOKS = ROOT / "docs" / "runbooks"
_STEP = re.compile(r"^## (?P<number>\d+)\. (?P<title>.+)$", re.MULTILINE)
_BLOCK = re.compile(
    r"^```sh(?P<played> run)?\n(?P<commands>.*?)^```\n(?P<after>(?:(?!```|#)[^\n]*\n)*)",
    re.MULTILINE | re.DOTALL,
)
_SEEN = re.compile(
    r"^You see(?: \(exit code (?P<code>\d+)\))?: (?P<words>`[^`]+`(?:, `[^`]+`)*)", re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """Commands, and what they shall show. `played`: by a test."""

    step: int
    commands: str
    played: bool
    words: tuple[str, ...]
    code: int


def blocks(path: Path) -> list[Block]:
    """All of a runbook's, in order."""
    text = path.read_text(encoding="utf-8")
    found = []
    heads = list(_STEP.finditer(text))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        step = text[head.end() : following.start() if following else len(text)]
        found += [_block(int(head["number"]), match) for match in _BLOCK.finditer(step)]
    return found


def _block(step: int, match: re.Match[str]) -> Block:
    seen = _SEEN.search(match["after"])
    words = tuple(re.findall(r"`([^`]+)`", seen["words"])) if seen else ()
    code = int(seen["code"] or 0) if seen else 0
    return Block(step, match["commands"].strip(), bool(match["played"]), words, code)


def play(
    world: World,
    name: str,
    variables: Mapping[str, str],
    *steps: int,
    inside: tuple[str, ...] = (),
) -> None:
    """The marked blocks of these steps, of all without any. One that does not do what the runbook
    says fails the test. `inside`: what leads to where users are."""
    chosen = [b for b in blocks(RUNBOOKS / name) if b.played and (not steps or b.step in steps)]
    assert chosen, f"{name} has nothing to play in {steps or 'any step'}"
    for block in chosen:
        done = world.run(*inside, "bash", "-euc", block.commands, environment=variables)
        said = f"{name}, step {block.step}:\n{block.commands}\n{done.text}"
        assert done.code == block.code, said
        assert not [words for words in block.words if words not in done.text], said
