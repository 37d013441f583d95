"""Who may deploy: one run at a time, nobody while a person holds the lock, and after a death again.

The load goes on all the while; none of it may fail.
"""

from __future__ import annotations

from tests.e2e.world import World


def test_of_two_deploys_at_once_the_second_is_refused_and_the_first_succeeds(shared: World) -> None:
    turn = shared.change()
    with shared.load() as load:
        first = shared.begin_up()
        first.wait_for("-claim creat")
        second, plain = shared.ytops("up"), shared.up(None)
        done = first.end()
    assert second.code == 3, second.text
    assert f"(process {first.process.pid})" in second.text
    assert not plain.ok
    assert "the stack is currently locked" in plain.text
    assert done.ok, done.text
    assert not load.failures, load.summary()
    _serves(shared, turn)


def test_a_persons_lock_refuses_every_deploy_with_who_why_and_how_to_end_it(shared: World) -> None:
    locked = shared.ytops("lock", "--why", "the auditors are here")
    with shared.setting("version", "1.2.0"):
        refused = shared.ytops("up"), shared.up(None)
    unlocked = shared.ytops("unlock")
    assert locked.ok, locked.text
    assert refused[0].code == 3, refused[0].text
    for outcome in refused:
        assert not outcome.ok
        for words in ("deploys are locked by", "the auditors are here", "ytops unlock"):
            assert words in outcome.text
    assert unlocked.ok, unlocked.text
    assert "Unlocked. It had been locked by" in unlocked.text


def test_a_second_persons_lock_is_refused_and_names_the_first(shared: World) -> None:
    shared.ytops("lock", "--why", "the first")
    second = shared.ytops("lock", "--why", "the second")
    told = shared.ytops("lock")
    shared.ytops("unlock")
    assert second.code == 3, second.text
    assert "the first" in second.text
    assert "the first" in told.text
    assert shared.ytops("lock").text.startswith("Deploys are not locked by anybody.")


def test_the_lock_of_a_killed_process_is_named_and_one_ytops_up_converges(shared: World) -> None:
    turn = shared.change()
    with shared.load() as load:
        killed = shared.begin_up()
        killed.wait_for("-claim created")
        killed.kill()
        plain, told = shared.up(None), shared.ytops("lock")
        outcome = shared.ytops("up")
    assert "the stack is currently locked" in plain.text
    assert f"(process {killed.process.pid})" in told.text
    assert "its process is gone: stranded" in told.text
    assert outcome.ok, outcome.text
    assert "Pulumi's lock was stranded by" in outcome.text
    assert not load.failures, load.summary()
    _serves(shared, turn)
    assert shared.up(None, "--expect-no-changes").ok


def _serves(world: World, turn: str) -> None:
    key, _, value = turn.partition("=")
    assert world.live_release()["environment"][key] == value
