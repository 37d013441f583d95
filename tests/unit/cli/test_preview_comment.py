"""`ytops preview VERSION --markdown`: the comment of a pull request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ops.engine import Ended, Engine
from ops.sqlplan import SqlPlan
from ops.verbs import preview as verb
from ops.verbs._comment import Policies, Preview, comment
from rollout.records import Rehearsal, Status
from tests.unit.checkout import NOWHERE, Checkout
from tests.unit.cli.test_run_progress import line, said
from tests.unit.rollout.night import VERSION, items, rehearsal

PREVIEW = Preview(
    version=VERSION,
    stack="production",
    plan="deploy: 1.2.0+ab goes into blue beside 1.1.0+cd",
    live="1.1.0+cd on green",
    expected="about 33 s: the last 3 deploys took 30 to 50 s",
    changes=["run                gate", "create container   blue-app"],
    sql=SqlPlan({"app.0003_x": "ALTER TABLE a;"}),
    policies=Policies(),
)


def shown(**changes: Any) -> str:
    return comment(replace(PREVIEW, **changes))


def section(text: str, title: str) -> str:
    return text.split(f"### {title}\n\n", 1)[1].split("\n###", 1)[0].split("\n<details>")[0].strip()


def test_it_says_what_changes_for_users() -> None:
    text = shown()
    assert text.startswith("## 1.2.0 on production\n")
    assert section(text, "What changes for users") == (
        "- plan: deploy: 1.2.0+ab goes into blue beside 1.1.0+cd\n"
        "- live now: 1.1.0+cd on green\n"
        "- expected to take: about 33 s: the last 3 deploys took 30 to 50 s"
    )
    assert text.endswith(
        "<details><summary>2 changes</summary>\n\n```\nrun                gate\n"
        "create container   blue-app\n```\n\n</details>\n"
    )


def test_a_host_that_was_not_asked_is_named() -> None:
    text = shown(unseen="The Docker host x does not answer: no route")
    assert (
        "> The host was not asked (The Docker host x does not answer: no route): this plans from "
        "the record of the last run.\n"
    ) in text


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (SqlPlan({"app.0003_x": "A;"}), "`app.0003_x`\n\n```sql\nA;\n```"),
        (SqlPlan({"app.0003_x": "A;"}, 2), "```\nAnd 2 more."),
        (SqlPlan({}), "None is to be applied."),
        ("the image is not there", "The SQL plan is not known: the image is not there."),
    ],
)
def test_migrations_come_with_their_sql(sql: SqlPlan | str, expected: str) -> None:
    found = section(shown(sql=sql), "Migrations")
    assert expected in found
    assert "Not rehearsed on a copy of the data. Next: `ytops rehearse 1.2.0`" in found


def test_a_rehearsal_tells_how_long_and_what_was_locked() -> None:
    record = rehearsal(
        applied=["app.0003_x"],
        statements=[
            {"sql": "ALTER TABLE a|b", "seconds": 0.2, "lock": "ACCESS EXCLUSIVE", "relation": "a"}
        ],
        locks=[
            {"relation": "a", "mode": "ACCESS EXCLUSIVE", "seconds": 0.25,
             "blocks": "readers and writers"}
        ],
    )  # fmt: skip
    found = section(shown(rehearsal=record), "Migrations")
    assert "Rehearsed on a copy of the data: pass; app.0003_x, in " in found
    assert "a was closed to readers and writers for 0.250 s." in found
    assert "| 0.200 | ACCESS EXCLUSIVE on a | `ALTER TABLE a\\|b` |" in found


def test_the_checklist_is_a_table() -> None:
    found = tuple(items("preview").values())
    table = section(shown(checklist=found), "Checklist").splitlines()
    assert table[0] == "Nothing stops it before the night."
    assert table[2:4] == ["|  | item | measured | next |", "| --- | --- | --- | --- |"]
    assert len(table) == 4 + len(found)
    assert table[4].startswith("| ✓ | tests | ")
    assert any(row.startswith("| ✓ | window | ") and "(tonight)" in row for row in table)


def test_what_stops_the_merge_is_counted() -> None:
    first, *others = tuple(items("preview").values())
    broken = replace(first, status=Status.FAIL, next="`ytops release new`")
    found = section(shown(checklist=(broken, *others)), "Checklist")
    assert found.startswith("1 item to be settled before the merge.")
    assert f"| ✗ | {first.id} | " in found


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (Policies(), "✓ All are kept."),
        (
            Policies(["a-rule: x must y"], ["another: z"]),
            "- ✗ a-rule: x must y\n- ? another: z (advisory)",
        ),
    ],
)
def test_policies_are_listed(policies: Policies, expected: str) -> None:
    assert section(shown(policies=policies), "Policies") == expected


def test_a_failed_preview_says_why_and_no_text_ends_its_fence() -> None:
    text = shown(failure="it said\n```\nno", policies=Policies())
    assert "There is no plan:\n\n````\nit said\n```\nno\n````\n" in text
    assert section(text, "Policies") == ""


# From the engine and the checkout


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What it says in a preview; its history has one deploy."""
    says: list[str] = []

    def run(self: Engine, verb: str, *flags: str, hear: Any) -> Ended:
        assert verb == "preview"
        for text in says:
            hear(text)
        return Ended(255 if any('"mandatory"' in text for text in says) else 0, "")

    history = [
        {
            "kind": "update",
            "result": "succeeded",
            "startTime": "2026-11-20T06:00:00.000Z",
            "endTime": "2026-11-20T06:00:31.000Z",
            "resourceChanges": {"create": 4},
        },
        {"kind": "refresh", "result": "succeeded"},
    ]
    monkeypatch.setattr(Engine, "check", lambda self: None)
    monkeypatch.setattr(Engine, "run", run)
    monkeypatch.setattr(Engine, "history", lambda self, count: history)
    return says


def refused() -> str:
    return (
        '{"sequence": 1, "policyEvent": {"policyName": "a-rule", "message": "x must y", '
        '"enforcementLevel": "mandatory"}}'
    )


def advised() -> str:
    return refused().replace("a-rule", "another").replace("mandatory", "advisory")


def test_without_the_host_it_plans_from_the_record_and_says_so(
    checkout: Checkout, engine: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    engine += [
        said("", "plan: deploy: 1.2.0 goes into blue"),
        line("resourcePreEvent", "gate", planning=True),
    ]
    before = (checkout.root / "Pulumi.sandbox.yaml").read_text()
    assert verb.markdown(checkout.place, VERSION) == 0
    text = capsys.readouterr().out
    assert f"> The host was not asked (The Docker host {NOWHERE} does not answer" in text
    assert "- plan: deploy: 1.2.0 goes into blue" in text
    assert "- expected to take: about 31 s, as the one before" in text
    assert "The SQL plan is not known: the host was not asked." in text
    assert "| ? | server-resources | " in text
    assert "✓ All are kept." in text
    assert (checkout.root / "Pulumi.sandbox.yaml").read_text() == before


def test_a_refusal_is_told_in_full_and_is_the_exit_code(
    checkout: Checkout, engine: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    engine += [advised(), refused(), refused()]
    assert verb.markdown(checkout.place, VERSION) == 3
    text = capsys.readouterr().out
    assert section(text, "Policies") == "- ✗ a-rule: x must y\n- ? another: x must y (advisory)"
    assert "There is no plan" not in text


def test_a_rehearsal_in_the_checkout_is_told(
    checkout: Checkout, engine: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    record: Rehearsal = rehearsal(applied=["app.0003_x"])
    checkout.record(f"rehearsals/{VERSION}.json", record)
    verb.markdown(checkout.place, VERSION)
    assert "Rehearsed on a copy of the data: pass; app.0003_x" in capsys.readouterr().out
