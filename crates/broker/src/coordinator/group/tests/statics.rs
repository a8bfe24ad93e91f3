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
        expect![[r#"
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a does "1"
            6000   b does "2"
            6000   b2 joined generation 1 (range), follows a
            6000   a beats: NONE
            6000   b2 does "2"
            6000   b beats: FENCED_INSTANCE_ID
            6000   group: NONE Stable "range" a="1" b2="2"
        "#]],
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
        expect![[r#"
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a does "1"
            6000   a2 joined generation 1 (range), leads a2 b, skips the assignment
            6000   a3 joined generation 1 (range), follows a2
        "#]],
    );
}

#[test]
fn the_old_process_is_fenced_even_while_it_waits() {
    check(
        "join a instance=one
         join a2 instance=one
         wait 3000
         sync a2 a2=all",
        expect![[r#"
            0      a did not join: FENCED_INSTANCE_ID
            3000   a2 joined generation 1 (range), leads a2
            3000   a2 does "all"
        "#]],
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
        expect![[r#"
            0      b did not join: MEMBER_ID_REQUIRED
            5000   b joined generation 1 (range), follows a
            5000   a joined generation 1 (range), leads b a
            5000   a does "1"
            5000   b does "2"
            5000   c did not join: MEMBER_ID_REQUIRED
            10000  b joined generation 2 (range), leads b c a
            10000  c joined generation 2 (range), follows b
            10000  group: NONE CompletingRebalance "" b="" c="" a=""
        "#]],
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
        expect![[r#"
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a did not sync: REBALANCE_IN_PROGRESS
            6000   a joined generation 2 (range), leads a b2
            6000   b2 joined generation 2 (range), follows a
            6000   a does "1"
        "#]],
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
        expect![[r#"
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a does "1"
            6000   b2 did not join: COORDINATOR_NOT_AVAILABLE
            6000   b beats: NONE
            6000   b2 joined generation 1 (range), follows a
            6000   b beats: FENCED_INSTANCE_ID
        "#]],
    );
}

#[test]
fn another_protocol_starts_a_rebalance() {
    check(
        "join a instance=one speaks=range,sticky
         wait 3000
         sync a a=1
         join a2 instance=one speaks=sticky,range",
        expect![[r#"
            3000   a joined generation 1 (range), leads a
            3000   a does "1"
            3000   a2 joined generation 2 (sticky), leads a2
        "#]],
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
        expect![[r#"
            0      b did not join: MEMBER_ID_REQUIRED
            5000   b joined generation 1 (range), follows a
            5000   a joined generation 1 (range), leads b a
            5000   a does "1"
            5000   b does "2"
            5000   leavers left: NONE
            5000   group: NONE PreparingRebalance "" a=""
            17000  group: NONE PreparingRebalance "" a=""
            37000  group: NONE Empty ""
        "#]],
    );
}
