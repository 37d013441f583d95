"""Records on paper: the YAML and JSON files of the checkout, read with all their mistakes at once,
and written so that editors complete them."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from ops.errors import OpsError
from rollout import mistakes
from rollout.records import RECORDS, SCHEMAS
from rollout.state import Record

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
R = TypeVar("R", bound=Record)


class RecordError(OpsError):
    """A record is not there, is not whole, or says what it can't."""


class Missing(RecordError):
    """There is no such record."""


def read(model: type[R], root: Path, path: Path, next: str = "") -> R:
    """The record. `next` helps where there is none. Raises RecordError with every mistake."""
    try:
        text = (root / path).read_bytes()
    except FileNotFoundError:
        raise Missing(f"There is no {path}." + (f" Next: {next}" if next else "")) from None
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error.strerror}.") from None
    return parse(model, text, path)


def parse(model: type[R], text: bytes, path: Path) -> R:
    """The record that the text holds; `path` is where it lies."""
    found = _loaded(text, path)
    if not isinstance(found, dict):
        got = "nothing" if found is None else type(found).__name__
        raise RecordError(
            f"{path}: expected keys and values, got {got}. Is it half-written? {_described(model)} "
            "Next: write it anew, or bring back what git has"
        )
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise RecordError(_words(model, path, error)) from None


def write(root: Path, path: Path, record: Record, schema: str) -> None:
    """The record's file, whole or not at all; comments at the head of the file stay."""
    target = root / path
    head = _head(target) or schema_line(path, schema)
    body = record.model_dump(mode="json", exclude_defaults=True)
    place(target, head + dumped(body))


def place(target: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(target)


def dumped(values: dict[str, Any]) -> str:
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=96)


def schema_line(path: Path, schema: str) -> str:
    """What tells an editor which keys there are."""
    up = "../" * (len(path.parts) - 1)
    return f"# yaml-language-server: $schema={up}{SCHEMAS}/{schema}.schema.json\n"


class _Dumper(yaml.SafeDumper):
    """Several lines of text stay lines; lists stand in from their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> Any:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _head(target: Path) -> str:
    if not target.is_file():
        return ""
    lines = target.read_text(encoding="utf-8").splitlines(keepends=True)
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[:count])


def _loaded(text: bytes, path: Path) -> Any:
    try:
        if path.suffix == ".json":
            return json.loads(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = " ".join(word for word in (error.context, error.problem) if word)
        raise RecordError(
            f"{path}{where}: it is not whole YAML: {what}. Next: correct that line"
        ) from None
    except json.JSONDecodeError as error:
        raise RecordError(
            f"{path}, line {error.lineno}, column {error.colno}: it is not whole JSON: {error.msg}"
            ". Next: correct that line"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is not text in UTF-8: {' '.join(str(error).split())}") from None


def _words(model: type[Record], path: Path, error: ValidationError) -> str:
    lines = [_line(e) for e in error.errors()]
    count = f"{len(lines)} mistake{'s' * (len(lines) > 1)} in {path}:"
    next = f"Next: correct {'them' if len(lines) > 1 else 'it'} there, then the same command again"
    return "\n".join(
        (count, *(f"  {line}" for line in lines), f"{_described(model)} {next}".lstrip())
    )


def _line(error: Any) -> str:
    where = mistakes.path(error)
    if error["type"] == "extra_forbidden":
        return f"{where}: expected a known key, got {_short(error['input'])}"
    if error["type"] == "missing":
        return f"{where}: expected a value, got none"
    if not where:  # the record's own word, which names the key
        return mistakes.expected(error)
    return f"{where}: expected {mistakes.expected(error)}, got {_short(error['input'])}"


def _short(value: Any) -> str:
    shown = str(value) if isinstance(value, date) else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


def _described(model: type[Record]) -> str:
    name = next((n for n, m in RECORDS.items() if m is model), "")
    return f"{SCHEMAS}/{name}.schema.json describes each key." if name else ""
