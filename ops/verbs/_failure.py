"""Why a run did not do what was asked: the failed step's own words, not Pulumi's dump."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ops.engine import Ended
from ops.stackfile import MAINTENANCE
from ops.verbs._events import Event
from ops.verbs._exit import FAILED, INTERRUPTED, MISUSED, REFUSED, UNREACHABLE
from ops.verbs._paper import indented
from rollout.names import DATASTORES, EDGE, GATE

# `exit status 1: running "ytops-step healthy":`, which the command provider puts before the
# command's own words.
_HEADER = re.compile(
    r'^(?:error: )?(?P<how>exit status \d+|signal: [\w ]+): running "(?:[^"\\]|\\.)*":\n?',
    re.DOTALL,
)
_EMPTY = re.compile(r"^(update|preview|refresh) (failed|canceled|cancelled)$")

# What the program and the CLI say, by the exit code that it means. tests/unit/cli holds these
# against the texts' sources.
_MEANING: tuple[tuple[int, str], ...] = (
    (UNREACHABLE, r"The Docker host .* does not answer"),
    (REFUSED, r"deploys are locked by|was withdrawn at|the host has no record of how it was"),
    (REFUSED, r"The checklist stops this deploy|is protected, and no deploy replaces it"),
    (REFUSED, r"the stack is currently locked|[Aa]nother update is currently in progress"),
    (MISUSED, r"mistakes? in the configuration of|is neither on .* nor in its registry"),
    (MISUSED, r"no stack named|passphrase|secrets? (manager|provider)"),
)
# The Docker engine's words for a port that is taken, and the host's port in them:
# `Bind for 0.0.0.0:80 failed: port is already allocated`, `failed to bind host port for
# 0.0.0.0:80:172.17.0.2:8080/tcp: address already in use`, `listen tcp4 0.0.0.0:80: bind: …`.
_PORT_TAKEN = re.compile(r"port is already allocated|address already in use")
_HOST_PORT = re.compile(r"(?:Bind for|host port(?: for)?|listen tcp\d?) \S*?:(?P<port>\d+)\b")
# What the engine says of a resource that was protected and still is, on two lines.
_PROTECTED = re.compile(r'unable to replace resource "\S*::(?P<name>[\w-]+)"\s+as it is currently')
# What the engine says of a plugin or a language host that is not there any more.
_LOST = re.compile(
    r"error reading from server: EOF|transport is closing|transport: Error while dialing|"
    r"code = Unavailable\b|Program stopped: signal"
)
_TRACE = "Traceback (most recent call last):"


@dataclass
class Failure:
    """Collects while a run goes on; speaks when it has failed."""

    failed: dict[str, str] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)

    def hear(self, event: Event) -> None:
        if event.kind == "failed":
            self.failed[event.urn] = event.name
        elif event.kind == "trouble" and not _EMPTY.match(event.text):
            self.words.setdefault(event.urn, []).append(event.text)
        elif event.kind == "refused" and event.text not in self.refusals:
            self.refusals.append(event.text)
        elif event.kind == "noise":
            self.noise.append(event.text)

    def message(self, ended: Ended) -> str:
        """What to show, best first: the steps that failed, the policies that refused, the
        program's words, the CLI's."""
        steps = [f"{name}:\n{indented(self._step(urn))}" for urn, name in self.failed.items()]
        if steps:
            return "\n".join(steps)
        if self.refusals:
            return "\n".join(["Refused by policy:", *(indented(text) for text in self.refusals)])
        if ended.asked_to_stop:
            return "Interrupted."
        texts = [text for found in self.words.values() for text in found]
        said = [_protected(text) or _lost(text) or _brief(text) for text in texts]
        return "\n".join(said) or _cli(ended.errors) or _wordless(ended.code)

    def code(self, ended: Ended) -> int:
        if ended.asked_to_stop:
            return INTERRUPTED
        if self.refusals and not self.failed:
            return REFUSED
        # A step's last log lines may hold any words; the gate says only its own.
        alone = set(self.failed.values()) == {GATE}
        meaning = meaning_of(self.message(ended))
        if self.failed and meaning != UNREACHABLE and not (alone and meaning == REFUSED):
            return FAILED
        return meaning

    def trace(self) -> str:
        """What the short message leaves out, when a program of ours has crashed."""
        texts = [text for texts in self.words.values() for text in texts]
        whole = "\n".join([*texts, *self.noise])
        return whole if _TRACE in whole else ""

    def _step(self, urn: str) -> str:
        words = "\n".join(step_words(text) for text in self.words.get(urn, ()))
        return _port_taken(words) or words or "no reason given"


def meaning_of(text: str) -> int:
    """The exit code that a text of the program's or the CLI's stands for."""
    found = (code for code, pattern in _MEANING if re.search(pattern, text, re.DOTALL))
    return next(found, FAILED)


def step_words(text: str) -> str:
    """The command's own words, without the provider's header."""
    header = _HEADER.match(text)
    if header is None:
        return _lost(text) or _brief(text)
    return text[header.end() :].strip("\n") or f"it ended with {header['how']}, without a word"


def _port_taken(words: str) -> str:
    """One sentence and the remedy, where an engine (of a host across the network) said so."""
    if not _PORT_TAKEN.search(words):
        return ""
    at = _HOST_PORT.search(words)
    port = f"Port {at['port']}" if at else "A port"
    return (
        f"{port} of the Docker host is in use by something else, and the edge wants it.\n"
        "Next: `ss -ltnp` there says by what; end that, or "
        "`pulumi config set edgeHttpPort PORT` (edgeHttpsPort for the other); then this again."
    )


def _protected(text: str) -> str:
    """Who may replace it and how, where the engine said that it may not; else an empty string."""
    found = _PROTECTED.search(text)
    if found is None or found["name"] not in DATASTORES | EDGE:
        return ""
    return (
        f"{found['name']} is protected, and no deploy replaces it; a maintenance may.\n"
        "Next: `ytops change new --kind service-upgrade --description TEXT`; once that is approved "
        f"and committed, `pulumi config set {MAINTENANCE} CR-N`, then this again."
    )


def _lost(text: str) -> str:
    """One sentence and the remedy, where a process of Pulumi's has died; else an empty string."""
    if not _LOST.search(text):
        return ""
    return (
        f"A process of Pulumi's was killed or has crashed ({text.splitlines()[-1].strip()}).\n"
        "Next: `ytops up`, which goes on from here."
    )


def _brief(text: str) -> str:
    """A crash is one line; the rest goes to the trace file."""
    if _TRACE not in text:
        return text
    last = [line for line in text.splitlines() if line.strip()][-1].strip()
    return f"The program failed: {last}"


def _wordless(code: int) -> str:
    how = f"was killed (signal {-code})" if code < 0 else f"ended with code {code}"
    return f"Pulumi {how}, without a word. Next: `ytops up`, which goes on from here."


def _cli(errors: str) -> str:
    return errors.removeprefix("error: ").strip()
