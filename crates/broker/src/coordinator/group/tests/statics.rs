//! Static members: names that outlive restarts (KIP-345, KIP-814).

use expect_test::expect;

use super::check;

#[test]
fn a_static_member_needs_no_id_first_and_its_return_disturbs_nobody() {
    check(
        "join a instance=one
         join b instance=two
         wait 6000
         sync a a=1 b=2
         sync b
         join b2 instance=two
         beat a
         sync b2
         beat b
         describe",
        expect![[]],
    );
}

#[test]
fn a_leader_that_returns_has_nothing_to_assign() {
    check(
        "join a instance=one
         join b instance=two
         wait 6000
         sync a a=1 b=2
         join a2 instance=one
         join a3 instance=one v8",
        expect![[]],
    );
}

#[test]
fn the_old_process_is_fenced_even_while_it_waits() {
    check(
        "join a instance=one
         join a2 instance=one
         wait 3000
         sync a2 a2=all
         join a",
        expect![[]],
    );
}

#[test]
fn a_static_member_may_be_absent_until_its_session_ends() {
    check(
        "join a instance=one session=20000 rebalance=5000
         enter b session=20000 rebalance=5000
         wait 5000
         sync a a=1 b=2
         sync b
         enter c session=20000 rebalance=5000
         join b session=20000 rebalance=5000
         wait 5000
         describe",
        expect![[]],
    );
}

#[test]
fn returning_in_the_middle_of_a_sync_starts_again() {
    check(
        "join a instance=one
         join b instance=two
         wait 6000
         join b2 instance=two
         sync a a=1 b=2
         join a
         sync a a=1 b2=2",
        expect![[]],
    );
}

#[test]
fn a_return_that_cannot_be_stored_did_not_happen() {
    check(
        "join a instance=one
         join b instance=two
         wait 6000
         sync a a=1 b=2
         disk fails
         join b2 instance=two
         disk works
         beat b
         join b2 instance=two
         beat b",
        expect![[]],
    );
}

#[test]
fn another_protocol_starts_a_rebalance() {
    check(
        "join a instance=one speaks=range,sticky
         wait 3000
         sync a a=1
         join a2 instance=one speaks=sticky,range",
        expect![[]],
    );
}

#[test]
fn only_silent_static_members_are_waited_for() {
    check(
        "join a instance=one session=30000 rebalance=5000
         enter b session=6000 rebalance=5000
         wait 5000
         sync a a=1 b=2
         sync b
         leave b
         describe
         wait 12000
         describe
         wait 20000
         describe",
        expect![[]],
    );
}
