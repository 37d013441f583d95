"""Pydantic's complaints in this house's words: where, what was expected, what was got."""

from __future__ import annotations

from pydantic_core import ErrorDetails

_EXPECTED = {
    "missing": "a value",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "string_type": "text",
    "too_short": "at least one",
    "string_too_short": "some text",
    "datetime_type": "a time with its zone, such as 2025-01-10T06:00:00Z",
    "datetime_from_date_parsing": "a time with its zone, such as 2025-01-10T06:00:00Z",
    "datetime_parsing": "a time with its zone, such as 2025-01-10T06:00:00Z",
    "date_from_datetime_parsing": "a date such as 2025-01-10",
    "date_parsing": "a date such as 2025-01-10",
    "date_type": "a date such as 2025-01-10",
}
_PATTERNS = {
    r"^\d+:\d+$": "numbers as uid:gid",
    r"^sha256:[0-9a-f]{64}$": "a digest, sha256: and 64 of 0-9 and a-f",
    r"^[0-9a-f]{64}$": "64 of 0-9 and a-f",
    r"^[0-9a-f]{7,40}$": "a commit, 7 to 40 of 0-9 and a-f",
    r"^CR-[0-9]+$": "a change such as CR-17",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": "a version such as 1.2.0",
}


def path(error: ErrorDetails) -> str:
    """`shifts[0].begins`."""
    words = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"])
    return words.removeprefix(".")


def expected(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "string_pattern_mismatch":
        pattern = str(error["ctx"]["pattern"])
        return _PATTERNS.get(pattern, f"text like {pattern}")
    if kind == "value_error":
        return str(error["ctx"]["error"])
    words = error["msg"].removeprefix("Value error, ").replace("Input should be ", "").lower()
    return _EXPECTED.get(kind) or words
