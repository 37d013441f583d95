"""Stands in for the `docker` command: notes each call, answers from `rules`, and speaks the switch
agent's protocol from `agent`. It is run as a program of its own, as the real one is, and hundreds
of times in these tests: so it imports little, and its files are Python's own literals."""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOME = os.environ["STUB_HOME"]


def main(argv: list[str]) -> int:
    named = [argv[i + 1] for i, word in enumerate(argv) if word == "--env"]
    if any(word.startswith("lock=") for word in argv):
        return lock(argv)
    asks = argv[-1:] == ["ops/switch/client.py"]
    stdin = "" if asks or "--interactive" not in argv else sys.stdin.read()
    note("calls", {"argv": argv, "env": {n: os.environ.get(n) for n in named}, "stdin": stdin})
    return agent() if asks else answer(argv)


def lock(argv: list[str]) -> int:
    """A session that holds a lock until its stdin is closed; a rule may say what it answers."""
    for line in sys.stdin:
        if "advisory" in line:
            sys.stdout.write(rule_for(["lock"]).get("out", "held\n"))
            sys.stdout.flush()
    return 0


def answer(argv: list[str]) -> int:
    several = argv[:2] == ["container", "inspect"] and len(argv) > 3
    if several and not any(rule["words"] == argv[:2] for rule in load("rules")):
        return inspect(argv[2:])
    reply = rule_for(argv)
    sys.stdout.write(reply.get("first", ""))
    sys.stdout.flush()
    time.sleep(reply.get("sleep", 0))
    sys.stdout.write(reply.get("out", ""))
    sys.stderr.write(reply.get("error", ""))
    return int(reply.get("code", 0))


def inspect(names: list[str]) -> int:
    """Several at once: one list of those that are there, a complaint for each of the others."""
    replies = [rule_for(["container", "inspect", name]) for name in names]
    found = [reply["out"][1:-1] for reply in replies if reply.get("out")]
    sys.stdout.write(f"[{','.join(found)}]")
    sys.stderr.write("\n".join(reply.get("error", "") for reply in replies))
    return max(int(reply.get("code", 0)) for reply in replies)


def rule_for(argv: list[str]) -> dict[str, Any]:
    """The newest rule whose words begin the call; its answers in turn, the last for ever."""
    for number, rule in reversed(list(enumerate(load("rules")))):
        if argv[: len(rule["words"])] == rule["words"]:
            return turn(f"rule{number}", rule["answers"])
    return {}


def agent() -> int:
    import json

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), flush=True)

    verbs = dict(load("agent"))
    for line in sys.stdin:
        request = json.loads(line)
        number, verb = request.pop("id"), request.pop("verb")
        note("asked", {"verb": verb, **request})
        reply = turn(f"verb-{verb}", verbs.get(verb, [{"result": {}}]))
        if "die" in reply:
            sys.stderr.write(reply["die"])
            return 1
        for words in reply.get("events", []):
            say({"id": number, "event": words})
        if "error" in reply:
            say({"id": number, "ok": False, "error": reply["error"]})
        elif not reply.get("silent"):
            say({"id": number, "ok": True, "result": reply.get("result", {})})
    return 0


def load(name: str) -> list[Any]:
    path = os.path.join(HOME, name)
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return list(eval(file.read()))


def turn(name: str, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Each call takes the next one."""
    with open(os.path.join(HOME, f"{name}.turn"), "a") as file:
        file.write(".")
        file.flush()
        return answers[min(file.tell(), len(answers)) - 1]


def note(name: str, entry: dict[str, Any]) -> None:
    with open(os.path.join(HOME, f"{name}.log"), "a") as file:
        file.write(repr(entry) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
