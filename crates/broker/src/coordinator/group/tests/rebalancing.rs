//! From one generation to the next.

use expect_test::expect;

use super::{check, check_with};

#[test]
fn members_are_called_by_their_heartbeats_and_the_slow_are_left_behind() {
    check_with(
        |settings| settings.initial_rebalance_delay_ms = 0,
        "enter a rebalance=5000
         wait 100
         sync a a=all
         enter b rebalance=5000
         beat a
         wait 5000
         beat a
         sync b b=all
         describe",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            100    a joined generation 1 (range), leads a
            100    a does "all"
            100    b did not join: MEMBER_ID_REQUIRED
            100    a beats: REBALANCE_IN_PROGRESS
            5100   b joined generation 2 (range), leads b
            5100   a beats: UNKNOWN_MEMBER_ID
            5100   b does "all"
            5100   group: NONE Stable "range" b="all"
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a does "1"
            6000   b does "2"
            11000  b beats: NONE
            16000  b beats: REBALANCE_IN_PROGRESS
            16000  b joined generation 2 (range), leads b
            16000  b does "all"
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   c did not join: MEMBER_ID_REQUIRED
            6000   b did not sync: REBALANCE_IN_PROGRESS
            6000   a did not sync: REBALANCE_IN_PROGRESS
            6000   a joined generation 2 (range), leads a b c
            6000   b joined generation 2 (range), follows a
            6000   c joined generation 2 (range), follows a
            6000   a does "1"
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   b joined generation 1 (range), follows a
            6000   a joined generation 1 (range), leads a b
            6000   a does "1"
            6000   b joined generation 1 (range), follows a
            6000   a beats: NONE
            6000   b beats: REBALANCE_IN_PROGRESS
            6000   a still waits
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a does "1"
            6000   a beats: REBALANCE_IN_PROGRESS
            6000   b still waits
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            4000   a joined generation 1 (range), leads a b
            4000   b joined generation 1 (range), follows a
            8000   b did not sync: REBALANCE_IN_PROGRESS
            8000   a beats: UNKNOWN_MEMBER_ID
            8000   b joined generation 2 (range), leads b
            8000   b does "all"
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   a did not sync: ILLEGAL_GENERATION
            3000   a did not sync: INCONSISTENT_GROUP_PROTOCOL
            3000   a beats: ILLEGAL_GENERATION
            3000   a does ""
            3000   a beats: NONE
            3000   nobody beats: UNKNOWN_MEMBER_ID
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a did not sync: COORDINATOR_NOT_AVAILABLE
            6000   b did not sync: COORDINATOR_NOT_AVAILABLE
            6000   a beats: REBALANCE_IN_PROGRESS
            6000   a joined generation 2 (range), leads a b
            6000   b joined generation 2 (range), follows a
            6000   a does "1"
        "#]],
    );
}

#[test]
fn a_rebalance_timeout_of_nothing_leaves_nobody_hanging() {
    check(
        "enter a rebalance=0
         wait 3000
         wait 1
         list",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3001   groups: g Empty consumer
        "#]],
    );
}

#[test]
fn a_second_join_takes_the_place_of_the_first() {
    check(
        "enter a
         join a
         wait 3000",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      a did not join: REBALANCE_IN_PROGRESS
            3000   a joined generation 1 (range), leads a
        "#]],
    );
}
