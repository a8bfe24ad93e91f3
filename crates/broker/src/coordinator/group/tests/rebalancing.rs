//! From one generation to the next.

use expect_test::expect;

use super::{check, check_with};

#[test]
fn members_are_called_by_their_heartbeats_and_the_slow_are_left_behind() {
    check_with(
        |settings| settings.initial_rebalance_delay_ms = 0,
        "enter a rebalance=5000
         sync a a=all
         enter b rebalance=5000
         beat a
         wait 5000
         beat a
         sync b b=all
         describe",
        expect![[]],
    );
}

#[test]
fn a_lost_member_is_replaced_as_leader() {
    check(
        "enter a
         enter b
         wait 6000
         sync a a=1 b=2
         sync b
         wait 5000
         beat b
         wait 5000
         beat b
         join b
         sync b b=all",
        expect![[]],
    );
}

#[test]
fn joining_in_the_middle_of_a_sync_starts_again() {
    check(
        "enter a
         enter b
         wait 6000
         sync b
         enter c
         sync a a=1 b=2
         join a
         join b
         sync a a=1 b=2 c=3",
        expect![[]],
    );
}

#[test]
fn a_repeated_join_is_answered_without_a_rebalance() {
    check(
        "enter a
         enter b
         wait 6000
         join b
         join a
         sync a a=1 b=2
         join b
         beat a
         join a
         beat b",
        expect![[]],
    );
}

#[test]
fn other_metadata_starts_a_rebalance() {
    check(
        "enter a
         enter b
         wait 6000
         sync a a=1 b=2
         join b topics=t,u
         beat a",
        expect![[]],
    );
}

#[test]
fn who_does_not_sync_is_out() {
    check(
        "enter a rebalance=4000
         enter b rebalance=4000
         wait 4000
         sync b
         wait 4000
         beat a
         join b
         sync b b=all",
        expect![[]],
    );
}

#[test]
fn the_generation_must_be_the_present_one() {
    check(
        "enter a
         wait 3000
         sync a generation=7
         sync a speaks=sticky
         beat a generation=0
         sync a
         beat a
         beat nobody",
        expect![[]],
    );
}

#[test]
fn an_assignment_that_cannot_be_stored_is_none() {
    check(
        "enter a
         enter b
         wait 6000
         sync b
         disk fails
         sync a a=1 b=2
         disk works
         beat a
         join a
         join b
         sync a a=1 b=2",
        expect![[]],
    );
}

#[test]
fn a_rebalance_timeout_of_nothing_leaves_nobody_hanging() {
    check(
        "enter a rebalance=0
         wait 3000
         wait 1
         list",
        expect![[]],
    );
}

#[test]
fn a_second_join_takes_the_place_of_the_first() {
    check(
        "enter a
         join a
         wait 3000",
        expect![[]],
    );
}
