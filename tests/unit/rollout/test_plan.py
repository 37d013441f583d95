"""Each rule of the plan, on a host that real runs have made."""

from __future__ import annotations

import pytest

from rollout.plan import View, plan, pointer_token
from rollout.shapes import Pointer, Release
from rollout.state import HostState
from tests.unit.rollout.host_model import Host, Stop, release

ONE, TWO, THREE = release("1.0.0"), release("1.1.0"), release("1.2.0")
NEW_CONFIG = "bbbbbbbbbbbb"


def up(host: Host, wanted: Release, stop: Stop | None = None) -> bool:
    return host.run(plan(host.view(), wanted), stop)


@pytest.fixture
def host() -> Host:
    """1.0.0 in blue, then 1.1.0 in green, which is live."""
    host = Host()
    assert up(host, ONE)
    assert up(host, TWO)
    return host


def test_without_a_version_an_empty_host_gets_no_release() -> None:
    decided = plan(View(), None)
    assert (decided.action, decided.slots, decided.serial) == ("nothing", (), 0)


def test_the_first_release_goes_into_blue() -> None:
    decided = plan(View(), ONE)
    assert (decided.action, decided.serial) == ("deploy", 1)
    assert decided.target == Pointer(colour="blue", identity=ONE.identity)
    assert decided.reason == "1.0.0+aaaaaaaaaaaa goes into blue, the first release"


def test_a_new_version_goes_into_the_idle_slot(host: Host) -> None:
    decided = plan(host.view(), THREE)
    assert decided.target == Pointer(colour="blue", identity=THREE.identity)
    assert decided.reason == "1.2.0+aaaaaaaaaaaa goes into blue beside 1.1.0+aaaaaaaaaaaa"


def test_the_live_slot_is_declared_frozen_from_its_record(host: Host) -> None:
    live = next(s for s in plan(host.view(), THREE).slots if s.colour == "green")
    assert (live.frozen, live.release) == (True, TWO)


def test_the_live_release_means_no_change(host: Host) -> None:
    decided = plan(host.view(), TWO)
    assert (decided.action, decided.serial) == ("keep", 2)
    assert decided.reason == "1.1.0+aaaaaaaaaaaa is live"
    assert [s.frozen for s in decided.slots] == [True, True]


def brings(host: Host, wanted: Release, reinstate: str = "") -> bool:
    return plan(host.view(), wanted, reinstate).brings_a_release(host.view().state)


def test_users_get_a_release_by_a_deploy_and_not_by_a_rollback(host: Host) -> None:
    assert plan(View(), ONE).brings_a_release(HostState())
    assert brings(host, THREE)
    assert not brings(host, ONE)
    assert not brings(host, TWO)


def test_what_a_fault_took_away_is_brought_back_and_no_release_comes(host: Host) -> None:
    host.move_by_hand("blue")
    assert not brings(host, TWO)
    host.move_by_hand(None)
    assert not brings(host, TWO)
    assert brings(host, THREE)


def test_a_withdrawn_release_that_returns_is_a_release_that_users_get(host: Host) -> None:
    assert up(host, ONE)
    token = pointer_token(TWO.identity, host.view().state.withdrawn[TWO.identity].serial)
    assert brings(host, TWO, token)


def test_no_version_keeps_what_is_there(host: Host) -> None:
    decided = plan(host.view(), None)
    assert (decided.action, decided.reason) == ("keep", "no version is asked for")
    assert len(decided.slots) == 2


def test_another_configuration_is_another_release(host: Host) -> None:
    decided = plan(host.view(), release("1.1.0", NEW_CONFIG))
    assert (decided.action, decided.kind) == ("deploy", "deploy")
    assert decided.target == Pointer(colour="blue", identity=f"1.1.0+{NEW_CONFIG}")


def test_the_previous_version_is_a_switch_back_only(host: Host) -> None:
    decided = plan(host.view(), ONE)
    assert (decided.action, decided.kind, decided.serial) == ("switch", "rollback", 3)
    assert decided.reason == "1.0.0+aaaaaaaaaaaa is warm in blue: only traffic moves"
    assert all(s.frozen for s in decided.slots)


def test_a_bare_version_means_its_recorded_release(host: Host) -> None:
    decided = plan(host.view(), release("1.0.0", NEW_CONFIG))
    assert decided.target == Pointer(colour="blue", identity=ONE.identity)


def test_after_a_rollback_by_bare_version_nothing_is_left_to_do(host: Host) -> None:
    assert up(host, release("1.0.0", NEW_CONFIG))
    assert plan(host.view(), release("1.0.0", NEW_CONFIG)).action == "keep"


def test_a_release_that_never_served_is_not_reused_under_another_configuration(
    host: Host,
) -> None:
    assert not up(host, THREE, Stop("begin"))
    assert plan(host.view(), release("1.2.0", NEW_CONFIG)).action == "deploy"


def test_a_release_that_stands_ready_is_only_switched_to(host: Host) -> None:
    assert not up(host, THREE, Stop("begin"))
    decided = plan(host.view(), THREE)
    assert (decided.action, decided.kind) == ("switch", "deploy")


def test_a_run_that_failed_half_way_is_gone_on_with(host: Host) -> None:
    first = plan(host.view(), THREE)
    assert not host.run(first, Stop("migrate"))
    again = plan(host.view(), THREE)
    assert (again.action, again.slots) == ("deploy", first.slots)


def test_a_claim_that_was_overtaken_is_made_anew(host: Host) -> None:
    assert not up(host, THREE, Stop("migrate"))
    host.move_by_hand("blue")
    assert not up(host, release("1.3.0"), Stop("migrate"))
    host.move_by_hand("green")
    decided = plan(host.view(), THREE)
    assert next(s.claim for s in decided.slots if s.colour == "blue") == host.state.claim + 1


def test_a_slot_whose_deploy_failed_is_taken_down_when_the_live_release_is_wanted(
    host: Host,
) -> None:
    assert not up(host, THREE, Stop("migrate"))
    decided = plan(host.view(), TWO)
    assert [s.colour for s in decided.slots] == ["green"]


def test_a_release_that_fails_its_watch_is_withdrawn(host: Host) -> None:
    assert not up(host, THREE, Stop("watch", release_at_fault=True))
    assert host.edge == Pointer(colour="green", identity=TWO.identity)
    assert plan(host.view(), THREE).reason == (
        "1.2.0+aaaaaaaaaaaa was withdrawn at 2025-01-10T06:00:00+00:00 (failed its watch) and "
        "does not come back by itself. To bring it back on purpose: `ytops up 1.2.0`, or "
        "`pulumi config set reinstate '1.2.0+aaaaaaaaaaaa@3'` and `pulumi up`."
    )


def test_a_release_that_was_rolled_back_does_not_return_silently(host: Host) -> None:
    assert up(host, ONE)
    assert plan(host.view(), TWO).action == "refuse"


def test_a_withdrawn_release_returns_when_it_is_named(host: Host) -> None:
    assert up(host, ONE)
    decided = plan(host.view(), TWO, pointer_token(TWO.identity, 3))
    assert (decided.action, decided.kind) == ("switch", "deploy")


def test_each_of_several_withdrawn_configurations_can_be_excused(host: Host) -> None:
    twins = (THREE, release("1.2.0", NEW_CONFIG))
    for twin in twins:
        assert not up(host, twin, Stop("watch", release_at_fault=True))
    tokens = [pointer_token(t.identity, host.state.withdrawn[t.identity].serial) for t in twins]
    decided = plan(host.view(), THREE, ",".join(tokens))
    assert decided.action == "deploy"
    assert decided.reason == (
        "1.2.0+aaaaaaaaaaaa goes into blue beside 1.1.0+aaaaaaaaaaaa; withdrawn at "
        "2025-01-10T06:00:00+00:00 (failed its watch), it is brought back on purpose"
    )


def test_a_keep_run_after_a_failed_watch_declares_the_last_confirmed_switch(host: Host) -> None:
    assert not up(host, THREE, Stop("watch", release_at_fault=True))
    assert (host.state.serial, plan(host.view(), TWO).serial) == (3, 2)


def test_a_host_that_forgot_what_was_asked_for_keeps_what_is_live(host: Host) -> None:
    host.move_by_hand("blue")
    assert not up(host, THREE, Stop("watch"))
    assert host.state.asked is None
    kept = plan(host.view(), ONE)
    assert kept.action == "keep"
    assert kept.asked
    assert kept.asked.identity == ONE.identity


# A full identity asks for that recorded release


@pytest.fixture
def twins(host: Host) -> Host:
    """1.1.0 in both slots: today's configuration is live, the one before it is warm."""
    assert up(host, release("1.1.0", NEW_CONFIG))
    return host


def test_a_pinned_release_in_the_other_slot_is_switched_to(twins: Host) -> None:
    decided = plan(twins.view(), None, pinned=TWO.identity)
    assert (decided.action, decided.kind) == ("switch", "rollback")
    assert decided.target == Pointer(colour="green", identity=TWO.identity)


def test_after_a_switch_to_a_pinned_release_nothing_is_left_to_do(twins: Host) -> None:
    assert twins.run(plan(twins.view(), None, pinned=TWO.identity))
    assert plan(twins.view(), None, pinned=TWO.identity).action == "keep"


def test_a_pinned_release_that_was_withdrawn_does_not_come_back_by_itself(twins: Host) -> None:
    assert twins.run(plan(twins.view(), None, pinned=TWO.identity))
    gone = f"1.1.0+{NEW_CONFIG}"
    decided = plan(twins.view(), None, pinned=gone)
    assert decided.action == "refuse"
    assert f"`ytops up {gone}`" in decided.reason
    assert plan(twins.view(), None, pointer_token(gone, 4), gone).action == "switch"


def test_a_pinned_release_that_no_slot_holds_is_refused(twins: Host) -> None:
    assert plan(twins.view(), None, pinned=ONE.identity).reason == (
        "1.0.0+aaaaaaaaaaaa does not stand ready: blue holds 1.1.0+bbbbbbbbbbbb, green holds "
        "1.1.0+aaaaaaaaaaaa. An identity asks for that recorded release only; to deploy its "
        "version as it is configured today: `ytops up 1.0.0`."
    )


def test_a_release_that_fails_again_needs_another_word(host: Host) -> None:
    assert not up(host, THREE, Stop("watch", release_at_fault=True))
    token = pointer_token(THREE.identity, host.state.withdrawn[THREE.identity].serial)
    assert not host.run(plan(host.view(), THREE, token), Stop("watch", release_at_fault=True))
    assert plan(host.view(), THREE, token).action == "refuse"


def test_an_old_reinstatement_does_not_excuse_the_next_withdrawal(host: Host) -> None:
    assert up(host, ONE)
    assert plan(host.view(), TWO, pointer_token(TWO.identity, 2)).action == "refuse"


def test_a_withdrawn_version_returns_in_another_configuration(host: Host) -> None:
    assert up(host, ONE)
    decided = plan(host.view(), release("1.1.0", NEW_CONFIG))
    assert (decided.action, decided.target) == (
        "deploy",
        Pointer(colour="green", identity=f"1.1.0+{NEW_CONFIG}"),
    )


def test_an_edge_that_was_moved_by_hand_is_put_back(host: Host) -> None:
    host.move_by_hand("blue")
    decided = plan(host.view(), TWO)
    assert (decided.action, decided.kind) == ("switch", "deploy")
    assert decided.target == Pointer(colour="green", identity=TWO.identity)


def test_an_edge_that_was_moved_by_hand_wins_over_the_record(host: Host) -> None:
    host.move_by_hand("blue")
    live = next(s for s in plan(host.view(), THREE).slots if s.colour == "blue")
    assert (live.frozen, live.release) == (True, ONE)


def test_an_edge_that_serves_what_is_wanted_is_only_recorded(host: Host) -> None:
    host.move_by_hand("blue")
    decided = plan(host.view(), ONE)
    assert (decided.action, decided.source) == ("switch", decided.target)


def test_what_a_hand_put_there_is_not_taken_for_what_was_asked_for(host: Host) -> None:
    host.move_by_hand("blue")
    assert not up(host, THREE, Stop("watch"))
    assert plan(host.view(), TWO).target == Pointer(colour="green", identity=TWO.identity)


def test_what_a_hand_put_there_does_not_return_for_what_was_asked_for(host: Host) -> None:
    host.move_by_hand("blue")
    assert not up(host, ONE, Stop("watch"))
    host.move_by_hand(None)
    assert plan(host.view(), TWO).target == Pointer(colour="green", identity=TWO.identity)


def test_an_edge_that_serves_nothing_gets_back_what_was_live(host: Host) -> None:
    host.move_by_hand(None)
    assert plan(host.view(), TWO).target == Pointer(colour="green", identity=TWO.identity)


def test_an_edge_that_serves_nothing_gets_a_new_release_beside_what_was_live(host: Host) -> None:
    assert up(host, ONE)
    host.move_by_hand(None)
    target = plan(host.view(), THREE).target
    assert target
    assert target.colour == "green"


def test_an_edge_on_an_unknown_release_is_refused(host: Host) -> None:
    edge = Pointer(colour="green", identity="3.0.0+cccccccccccc")
    assert plan(View(host.state, edge), TWO).reason == (
        "traffic goes to 3.0.0+cccccccccccc in green, but the host has no record of how it was "
        "started, so nothing can be planned around it. Restore the switch's control volume from "
        "a backup, or bring traffic back to a recorded release: `ytops status`."
    )


def test_an_unchecked_release_that_serves_is_not_filled_while_it_does(host: Host) -> None:
    assert not up(host, THREE, Stop("app"))
    host.move_by_hand("blue")
    assert plan(host.view(), THREE).reason == (
        "traffic was moved by hand to 1.2.0+aaaaaaaaaaaa in blue, which never passed its checks. "
        "It can't be checked while it serves: deploy another version, or bring traffic back "
        "first: `ytops up 1.1.0`."
    )


def test_an_unconfirmed_switch_counts_as_undone(host: Host) -> None:
    assert not up(host, THREE, Stop("watch", how="kill"))
    decided = plan(host.view(), THREE)
    assert (decided.action, decided.serial) == ("switch", 3)
    assert decided.source == Pointer(colour="green", identity=TWO.identity)


def test_a_run_that_was_killed_after_its_confirmation_is_done(host: Host) -> None:
    assert not up(host, THREE, Stop("cache", how="kill"))
    assert plan(host.view(), THREE).action == "keep"


def test_a_lock_refuses_a_deploy_and_names_its_owner(host: Host) -> None:
    host.hold(True)
    assert plan(host.view(), THREE).reason == (
        "deploys are locked by lead since 2025-01-10T06:00:00+00:00: an incident. "
        "When that is over: `ytops unlock`."
    )


def test_a_lock_does_not_stop_a_run_without_a_deploy(host: Host) -> None:
    host.hold(True)
    assert plan(host.view(), TWO).action == "keep"


def test_workers_with_jobs_outlive_their_slot(host: Host) -> None:
    host.busy.add(ONE.identity)
    assert plan(host.view(), THREE).draining == (ONE,)


def test_workers_without_jobs_go_with_their_slot(host: Host) -> None:
    assert plan(host.view(), THREE).draining == ()


def test_draining_workers_stay_until_their_last_job_is_done(host: Host) -> None:
    host.busy.add(ONE.identity)
    assert up(host, THREE)
    assert plan(host.view(), THREE).draining == (ONE,)
    host.busy.clear()
    assert plan(host.view(), THREE).draining == ()


def test_busy_workers_in_a_slot_are_not_declared_twice(host: Host) -> None:
    host.busy.add(ONE.identity)
    assert plan(host.view(), TWO).draining == ()


def test_a_slot_is_keyed_by_release_and_occupancy(host: Host) -> None:
    assert [s.key for s in plan(host.view(), TWO).slots] == [
        "1.0.0+aaaaaaaaaaaa#1",
        "1.1.0+aaaaaaaaaaaa#2",
    ]


def test_a_release_that_is_deployed_again_later_has_another_occupancy(host: Host) -> None:
    assert up(host, THREE)
    assert up(host, ONE)
    assert next(s.key for s in plan(host.view(), ONE).slots if s.release == ONE) == (
        "1.0.0+aaaaaaaaaaaa#4"
    )


def test_a_refusal_declares_nothing(host: Host) -> None:
    host.hold(True)
    decided = plan(host.view(), THREE)
    assert (decided.slots, decided.target) == ((), None)


def test_an_empty_record_behaves_like_an_empty_host() -> None:
    assert plan(View(HostState()), ONE) == plan(View(), ONE)
