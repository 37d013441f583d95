"""The stack's files: `Pulumi.yaml` with its defaults, and `Pulumi.{stack}.yaml`, which is edited
line by line, so that its comments and its order stay.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.errors import OpsError

PROJECT = "ytempire"
PROJECT_FILE = "Pulumi.yaml"
VERSION = "version"
REINSTATE = "reinstate"
MAINTENANCE = "maintenance"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class StackFileError(OpsError):
    """A stack file is missing or is not what it should be."""


def find_root(start: Path) -> Path:
    """The checkout: the nearest folder upwards that has a Pulumi.yaml."""
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise StackFileError(
        f"There is no {PROJECT_FILE} in {start} or above it. Next: `cd` into the checkout."
    )


def stacks(root: Path) -> list[str]:
    """The stacks that have a file here."""
    return sorted(path.name.split(".")[1] for path in root.glob("Pulumi.?*.yaml"))


class StackFile:
    """`Pulumi.{stack}.yaml`: read anew at each call, because people edit it too."""

    def __init__(self, root: Path, stack: str) -> None:
        self.path = root / f"Pulumi.{stack}.yaml"
        if not self.path.is_file():
            known = ", ".join(stacks(root)) or "none"
            raise StackFileError(
                f"There is no {self.path.name} in {root}; the stacks here: {known}. "
                "Next: name one with `--stack`."
            )

    @property
    def name(self) -> str:
        return self.path.name

    def values(self) -> dict[str, Any]:
        return _config(self._read(), self.name)

    def get(self, key: str) -> str | None:
        value = self.values().get(key)
        return None if value is None else _plain(value)

    def set(self, key: str, value: str | None) -> None:
        """Write one value; None takes the key away. Nothing else changes, or nothing at all."""
        text = self._read()
        before = _config(text, self.name)
        if (None if before.get(key) is None else _plain(before[key])) == value:
            return
        edited = edit(text, f"{PROJECT}:{key}", value)
        wanted = {name: entry for name, entry in before.items() if name != key}
        wanted |= {} if value is None else {key: value}
        if _config(edited, self.name) != wanted:
            how = "rm " + key if value is None else f"set {key} {value}"
            raise StackFileError(
                f"{self.name}: `{key}` can't be edited safely. Next: `pulumi config {how}`."
            )
        self._write(edited)

    def _read(self) -> str:
        with self.path.open(encoding="utf-8", newline="") as file:
            return file.read()

    def _write(self, text: str) -> None:
        """Whole or not at all, with the permissions it had."""
        path = self.path.resolve()
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        with aside.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        aside.chmod(path.stat().st_mode & 0o7777)
        aside.replace(path)


class Configuration:
    """A stack's plain values with the project's defaults. Secrets are not readable here."""

    def __init__(self, root: Path, file: StackFile) -> None:
        project = _load((root / PROJECT_FILE).read_text(encoding="utf-8"), PROJECT_FILE)
        declared: Mapping[str, Any] = project.get("config") or {}
        self._values = {
            key: entry.get("default") for key, entry in declared.items() if isinstance(entry, dict)
        } | file.values()

    def get(self, key: str) -> str:
        return _plain(self._values.get(key))

    @property
    def protected(self) -> bool:
        return self.get("protect").lower() == "true"

    @property
    def backs_up(self) -> bool:
        """Whether a deploy is followed by a backup of what it was declared by."""
        return self.get("backupOnDeploy").lower() == "true"

    @property
    def address(self) -> str:
        """Where users reach the edge."""
        domain = self.get("edgeDomain")
        scheme, port, usual = (
            ("http", self.get("edgeHttpPort"), "80")
            if self.get("edgeTls") == "off"
            else ("https", self.get("edgeHttpsPort"), "443")
        )
        return f"{scheme}://{domain}" + (f":{port}" if port != usual else "")


def edit(text: str, key: str, value: str | None) -> str:
    """The text with one key of `config` set, inserted at the front, or taken away."""
    lines = text.splitlines(keepends=True)
    begin = next((i for i, line in enumerate(lines) if re.match(r"config\s*:\s*(#|$)", line)), None)
    if begin is None:
        inline = any(line.startswith("config") for line in lines)
        return text if value is None or inline else _with_config(text, key, value)
    end = next((i for i in range(begin + 1, len(lines)) if lines[i][:1].isalnum()), len(lines))
    entry = re.compile(
        rf"(?P<head>[ ]+(?P<quote>['\"]?){re.escape(key)}(?P=quote)\s*:[ \t]*)"
        r"(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|[^#\r\n]*?)"
        r"(?P<tail>(?:[ \t]+#[^\r\n]*)?[ \t]*(?:\r?\n)?)"
    )
    for index in range(begin + 1, end):
        found = entry.fullmatch(lines[index])
        if found:
            written = "" if value is None else found["head"] + _scalar(value) + found["tail"]
            return "".join([*lines[:index], written, *lines[index + 1 :]])
    if value is None:
        return text
    return "".join([*lines[: begin + 1], _entry(lines, begin, key, value), *lines[begin + 1 :]])


def _entry(lines: list[str], begin: int, key: str, value: str) -> str:
    following = next((line for line in lines[begin + 1 :] if line.strip()), "")
    indent = re.match(r"[ ]*", following)
    ending = "\r\n" if lines[begin].endswith("\r\n") else "\n"
    return f"{(indent[0] if indent else '') or '  '}{key}: {_scalar(value)}{ending}"


def _with_config(text: str, key: str, value: str) -> str:
    separator = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{separator}config:\n  {key}: {_scalar(value)}\n"


def _scalar(value: str) -> str:
    """Plain where YAML reads it back as the same text, else quoted: `1.10` would be 1.1."""
    if re.fullmatch(r"[\w.+@-]+", value) and yaml.load(value, _Loader) == value:
        return value
    return json.dumps(value)


def _config(text: str, name: str) -> dict[str, Any]:
    config = _load(text, name).get("config") or {}
    if not isinstance(config, dict):
        raise StackFileError(f"{name}: expected `config` to be a mapping of keys.")
    prefix = f"{PROJECT}:"
    return {str(key).removeprefix(prefix): value for key, value in config.items()}


def _load(text: str, name: str) -> dict[str, Any]:
    try:
        loaded = yaml.load(text, _Loader) or {}
    except yaml.YAMLError as error:
        raise StackFileError(f"{name} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, dict):
        raise StackFileError(f"{name}: expected a mapping of keys.")
    return loaded


def _plain(value: Any) -> str:
    if value is None or (isinstance(value, dict) and "secure" in value):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)
