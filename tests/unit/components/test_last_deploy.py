"""The output `lastDeploy` is read off what the switch step signed."""

from components.switch import last_deploy


def test_the_last_deploy_is_what_the_switch_signed() -> None:
    said = "moving traffic\nrollback 3 to 1.0.0+aaaaaaaaaaaa by ann at 2026-01-10T06:00:00+00:00"
    assert last_deploy(said) == {
        "kind": "rollback",
        "serial": "3",
        "release": "1.0.0+aaaaaaaaaaaa",
        "who": "ann",
        "at": "2026-01-10T06:00:00+00:00",
    }


def test_a_switch_that_signed_nothing_is_no_last_deploy() -> None:
    assert last_deploy("moving traffic") is None
    assert last_deploy(None) is None
