//! What survives the death of the broker.

use expect_test::expect;

use super::check;

#[test]
fn members_go_on_as_if_nothing_had_happened() {
    check(
        "join a instance=one
         enter b
         wait 6000
         sync a a=1 b=2
         commit b t:0=5
         restart
         describe
         beat a
         beat b
         join b
         sync b
         commit b t:0=6
         fetch t:0
         join a2 instance=one",
        expect![[r#"
            0      b did not join: MEMBER_ID_REQUIRED
            6000   b joined generation 1 (range), follows a
            6000   a joined generation 1 (range), leads b a
            6000   a does "1"
            6000   b about offsets: NONE
            6000   group: NONE Stable "range" b="2" a="1"
            6000   a beats: NONE
            6000   b beats: NONE
            6000   b joined generation 1 (range), follows a
            6000   b does "2"
            6000   b about offsets: NONE
            6000   fetched t:0: 6 ""
            6000   a2 joined generation 1 (range), leads b a2, skips the assignment
        "#]],
    );
}

#[test]
fn members_that_died_with_it_expire() {
    check(
        "enter a
         wait 3000
         sync a a=1
         restart
         wait 9999
         describe
         wait 1
         describe",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   a does "1"
            12999  group: NONE Stable "range" a="1"
            13000  group: NONE Empty ""
        "#]],
    );
}

#[test]
fn a_rebalance_in_progress_starts_again() {
    check(
        "enter a
         enter b
         wait 6000
         sync a a=1 b=2
         enter c
         restart
         beat a
         join c
         join a
         beat b",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a does "1"
            6000   c did not join: MEMBER_ID_REQUIRED
            6000   a beats: NONE
            6000   c did not join: UNKNOWN_MEMBER_ID
            6000   b beats: REBALANCE_IN_PROGRESS
            6000   a still waits
        "#]],
    );
}

#[test]
fn deleted_groups_stay_deleted() {
    check(
        "enter a
         wait 3000
         sync a a=1
         commit a t:0=5
         leave a
         delete
         restart
         list
         fetch t:0",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   a does "1"
            3000   a about offsets: NONE
            3000   leavers left: NONE
            3000   group deleted: NONE
            3000   groups: 
            3000   fetched t:0: no such group
        "#]],
    );
}
