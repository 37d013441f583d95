"""Records on disk: every mistake at once, and what is half-written says where."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ops.records import Missing, RecordError, parse, read, schema_line, write
from rollout.records import (
    Change,
    Rehearsal,
    ReleaseRecord,
    Rota,
    change_path,
    rehearsal_path,
    release_path,
    rota_path,
)
from tests.unit.rollout.night import change

PATH = release_path("1.2.0")


def complaint(model: type[ReleaseRecord] | type[Change] | type[Rota], text: str, path: Path) -> str:
    with pytest.raises(RecordError) as caught:
        parse(model, text.encode(), path)
    return str(caught.value)


def test_all_mistakes_come_at_once_with_file_key_and_what_was_expected() -> None:
    text = "version: 1.2\ncommit: main\ndigest: abc\nverzion: 1\nrollback: {steps: [], data: x}\n"
    assert complaint(ReleaseRecord, text, PATH) == (
        "5 mistakes in releases/1.2.0.yaml:\n"
        "  version: expected text, got 1.2\n"
        "  digest: expected a digest, sha256: and 64 of 0-9 and a-f, got 'abc'\n"
        "  commit: expected a commit, 7 to 40 of 0-9 and a-f, got 'main'\n"
        "  rollback.steps: expected at least one, got []\n"
        "  verzion: expected a known key, got 1\n"
        "docs/schemas/release.schema.json describes each key. "
        "Next: correct them there, then the same command again"
    )


def test_one_mistake_is_counted_in_the_singular() -> None:
    assert complaint(ReleaseRecord, "{version: x, change: 17}", PATH).startswith(
        "1 mistake in releases/1.2.0.yaml:\n  change: expected text, got 17\n"
    )


def test_a_mistake_inside_a_list_has_its_place() -> None:
    text = "shifts:\n- {person: a, contact: b, begins: 2026-11-22T22:00:00, ends: soon}\n"
    assert complaint(Rota, text, rota_path()) == (
        "2 mistakes in rota.yaml:\n"
        "  shifts[0].begins: expected a time with its zone, such as 2025-01-10T06:00:00Z, got "
        "2026-11-22 22:00:00\n"
        "  shifts[0].ends: expected a time with its zone, such as 2025-01-10T06:00:00Z, got "
        "'soon'\n"
        "docs/schemas/rota.schema.json describes each key. "
        "Next: correct them there, then the same command again"
    )


def test_a_record_that_contradicts_itself_says_how() -> None:
    values = change().model_dump(mode="json") | {"category": "standard"}
    assert complaint(Change, yaml.safe_dump(values), change_path("CR-17")).splitlines()[1] == (
        "  kind: expected one of security-patch, log-rotation, certificate-renewal, "
        "backup-verification, because category is standard, got 'feature-deployment'"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: [1.2.0\n", "releases/1.2.0.yaml, line 2, column 1: it is not whole YAML: "),
        ("version: 'x\n", "releases/1.2.0.yaml, line 2, column 1: it is not whole YAML: "),
        ("a: b: c", "releases/1.2.0.yaml, line 1, column 5: it is not whole YAML: "),
        ("", "releases/1.2.0.yaml: expected keys and values, got nothing. Is it half-written? "),
        ("- a", "releases/1.2.0.yaml: expected keys and values, got list. Is it half-written? "),
    ],
)
def test_what_is_half_written_says_where(text: str, words: str) -> None:
    assert complaint(ReleaseRecord, text, PATH).startswith(words)


def test_what_is_no_text_says_so() -> None:
    with pytest.raises(RecordError, match=r"releases/1\.2\.0\.yaml is not text in UTF-8"):
        parse(ReleaseRecord, b"version: \xff\xfe", PATH)


def test_half_a_json_file_says_where(tmp_path: Path) -> None:
    path = rehearsal_path("1.2.0")
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text('{"version": ')
    with pytest.raises(RecordError) as caught:
        read(Rehearsal, tmp_path, path)
    assert str(caught.value) == (
        "rehearsals/1.2.0.json, line 1, column 13: it is not whole JSON: Expecting value. "
        "Next: correct that line"
    )


def test_a_record_that_is_not_there_names_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(Missing) as caught:
        read(ReleaseRecord, tmp_path, PATH, "`ytops release new 1.2.0`")
    assert str(caught.value) == ("There is no releases/1.2.0.yaml. Next: `ytops release new 1.2.0`")


def test_what_is_written_is_read_again_and_editors_know_its_schema(tmp_path: Path) -> None:
    path = change_path("CR-17")
    write(tmp_path, path, change(description="Two\nlines."), "change")
    text = (tmp_path / path).read_text()
    assert text.startswith(
        "# yaml-language-server: $schema=../docs/schemas/change.schema.json\nid: CR-17\n"
    )
    assert "description: |-\n  Two\n  lines.\n" in text
    assert read(Change, tmp_path, path) == change(description="Two\nlines.")


def test_the_comments_at_its_head_stay(tmp_path: Path) -> None:
    path = change_path("CR-17")
    write(tmp_path, path, change(), "change")
    file = tmp_path / path
    file.write_text("# ours\n" + file.read_text())
    write(tmp_path, path, change(priority="high"), "change")
    assert file.read_text().startswith("# ours\n# yaml-language-server:")


def test_the_schema_is_named_from_where_the_record_lies() -> None:
    assert schema_line(rota_path(), "rota") == (
        "# yaml-language-server: $schema=docs/schemas/rota.schema.json\n"
    )
