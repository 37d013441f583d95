"""What playing a fault has shown: one JSON file each, in build/faults/; all that is known of each,
whoever played it where, in docs/faults.json; and docs/faults.md, which is made of that."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import groupby

from tests.e2e.faults.catalogue import Fault, catalogue
from tests.e2e.load import Answer
from tests.e2e.world import ROOT, Outcome

FOLDER = ROOT / "build" / "faults"
RECORD = ROOT / "docs" / "faults.json"
PAGE = ROOT / "docs" / "faults.md"
WIDTH = 140  # of a line that is quoted


@dataclass
class Result:
    """`rate`: requests a second. `held_back`: not sent, because too many were under way, on a
    machine that could not keep up. `failed`: requests by cause. `outage`: seconds from the first
    failure to the last. `restart`: what that may last. `wrong`: empty, or why the fault is not
    mastered."""

    fault: str
    at: str
    machine: str
    rate: float = 0.0
    requests: int = 0
    held_back: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    outage: float = 0.0
    restart: float = 0.0
    state: str = ""
    printed: str = ""
    recovery: str = ""
    ended: str = ""
    seconds: float = 0.0
    wrong: str = ""

    @classmethod
    def of(cls, fault: Fault) -> Result:
        return cls(fault.id, datetime.now(UTC).isoformat(timespec="seconds"), machine())

    def count(self, answers: Iterable[Answer]) -> None:
        found = list(answers)
        failures = [answer for answer in found if answer.failed]
        self.requests = len(found)
        self.failed = dict(Counter(a.error or str(a.status) for a in failures))
        ends = [answer.at + answer.seconds for answer in failures]
        self.outage = round(max(ends) - min(ends), 1) if ends else 0.0

    def keep(self, what: str, text: str) -> None:
        """The whole output, for whoever wants to see it."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{self.fault}.{what}.log").write_text(text)

    def write(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{self.fault}.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def played() -> dict[str, Result]:
    """The newest of each, by fault; those that are not in the catalogue any more don't count."""
    known = {fault.id for fault in catalogue()}
    here = [json.loads(path.read_text()) for path in FOLDER.glob("*.json")]
    before = json.loads(RECORD.read_text()) if RECORD.exists() else []
    every = sorted((Result(**fields) for fields in [*before, *here]), key=lambda each: each.at)
    newest = {result.fault: result for result in every if result.fault in known}
    return dict(sorted(newest.items()))


def machine() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{os.cpu_count()} cores, {round(pages * size / 2**30)} GB of memory"


def printed(outcome: Outcome) -> str:
    """The one line that says what went wrong; empty for a command that could say nothing."""
    lines = [line.strip() for line in outcome.text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    telling = [line for line in errors if line != "error: update failed"] or errors
    telling += [line for line in lines if re.match(r"Interrupted|.*\bfailed\b", line)]
    if outcome.ok or not telling:
        return ""
    return _brief(telling[0])


def _brief(text: str) -> str:
    """Short, and without the folders of the machine that it ran on."""
    text = re.sub(r"(?<![\w:/])/(?:[\w.@+-]+/)+", "…/", text)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


# ---- the page -----------------------------------------------------------------------------

INTRODUCTION = """\
# Faults

This page is written by `make faults`, from what happened. Each row is one run: two releases stand,
{rate} requests a second go through nginx (two of a hundred take five seconds), a deploy or a
rollback is begun, and something breaks. Then one command brings the system back. A fault counts as
mastered only if that command ended well, the release that was asked for serves, `pulumi up
--expect-no-changes` finds nothing to do, `ytops status` is content, and neither a lock nor a
cut-off operation is left.

The machine: {machine}, shared with other work. {count} faults were played, and {requests} requests
sent. {verdict}
"""
LIMITS = """\
## What this suite can't reach

- The loss of the machine, of its power, or of its disk: there is one host.
- A fault between two given instructions. A boundary is where the engine says that a step begins; a
  middle is where the step has a command under way. A fast step is held there (SIGSTOP) until the
  blow has fallen.
- Two faults at once, and a fault during the recovery.
- Pulumi's S3 backend: these runs keep their state in files, as the sandbox does.
- The moment between a state file's write and its reaching the disk: that takes a loss of power.
"""
HEAD = "| fault | what users saw | what the state said | what brought it back |\n|---|---|---|---|"


def write_page() -> None:
    results = played()
    RECORD.write_text(json.dumps([asdict(each) for each in results.values()], indent=1) + "\n")
    PAGE.write_text(page(catalogue(), results))


def page(faults: list[Fault], results: dict[str, Result]) -> str:
    shown = [fault for fault in faults if fault.id in results]
    tables = [
        f"## {group}\n\n{HEAD}\n" + "\n".join(_row(f, results[f.id]) for f in members)
        for group, members in groupby(shown, key=lambda fault: fault.group)
    ]
    return "\n".join([_introduction(faults, list(results.values())), *_spaced(tables), LIMITS])


def _spaced(tables: list[str]) -> list[str]:
    return [f"{table}\n" for table in tables]


def _introduction(faults: list[Fault], results: list[Result]) -> str:
    wrong = [result for result in results if result.wrong]
    missing = len(faults) - len(results)
    verdict = "All of them were mastered." if not wrong else f"{len(wrong)} were not mastered."
    if missing:
        verdict = verdict.replace("All of them", "All that were played")
        verdict += f" {missing} of the catalogue were not played."
    machines = sorted({result.machine for result in results})
    return INTRODUCTION.format(
        rate=" or ".join(f"{rate:g}" for rate in sorted({r.rate for r in results})),
        machine=" and ".join(machines) or "not known",
        count=len(results),
        requests=f"{sum(result.requests for result in results):,}",
        verdict=verdict,
    )


def _row(fault: Fault, result: Result) -> str:
    back = (
        f"**not mastered**: {result.wrong}"
        if result.wrong
        else f"{result.recovery} {_ended(result)}"
    )
    said = result.state + (f". Printed: `{result.printed}`" if result.printed else "")
    cells = (fault.title, _users(result), said, back)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _ended(result: Result) -> str:
    return result.ended.split(":")[0]


def _users(result: Result) -> str:
    if not result.failed:
        held = f" ({result.held_back:,} not sent)" if result.held_back else ""
        return f"nothing: 0 of {result.requests:,} failed{held}"
    causes = ", ".join(f"{count} times {cause}" for cause, count in sorted(result.failed.items()))
    return (
        f"{sum(result.failed.values())} of {result.requests:,} failed within {result.outage} s "
        f"({causes}); what was hit was away for {result.restart} s"
    )
