//! Saying goodbye, and deleting what is left.

use expect_test::expect;

use super::check;

#[test]
fn the_last_to_leave_empties_the_group() {
    check(
        "enter a
         wait 3000
         sync a a=1
         leave a
         describe
         beat a
         leave a
         delete
         describe
         delete",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   a does "1"
            3000   leavers left: NONE
            3000   group: NONE Empty ""
            3000   a beats: UNKNOWN_MEMBER_ID
            3000   leavers left: UNKNOWN_MEMBER_ID
            3000   group deleted: NONE
            3000   group: GROUP_ID_NOT_FOUND Dead ""
            3000   group deleted: GROUP_ID_NOT_FOUND
        "#]],
    );
}

#[test]
fn a_leaver_makes_the_others_rebalance() {
    check(
        "enter a
         enter b
         wait 6000
         sync a a=1 b=2
         sync b
         leave a
         beat b
         join b
         delete",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a does "1"
            6000   b does "2"
            6000   leavers left: NONE
            6000   b beats: REBALANCE_IN_PROGRESS
            6000   b joined generation 2 (range), leads b
            6000   group deleted: NON_EMPTY_GROUP
        "#]],
    );
}

#[test]
fn several_leave_at_once_each_with_its_answer() {
    check(
        "join a instance=one
         join b instance=two
         enter c
         wait 9000
         sync a a=1 b=2 c=3
         leave c instance=one instance=nobody
         beat b",
        expect![[r#"
            0      c did not join: MEMBER_ID_REQUIRED
            6000   c joined generation 1 (range), follows a
            6000   a joined generation 1 (range), leads c a b
            6000   b joined generation 1 (range), follows a
            9000   a does "1"
            9000   leavers left: NONE NONE UNKNOWN_MEMBER_ID
            9000   b beats: REBALANCE_IN_PROGRESS
        "#]],
    );
}

#[test]
fn who_leaves_while_waiting_is_answered() {
    check(
        "enter a
         enter b
         wait 6000
         sync b
         leave b
         enter c
         leave c
         join a",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   b did not sync: UNKNOWN_MEMBER_ID
            6000   leavers left: NONE
            6000   c did not join: MEMBER_ID_REQUIRED
            6000   c did not join: UNKNOWN_MEMBER_ID
            6000   leavers left: NONE
            6000   a joined generation 2 (range), leads a
        "#]],
    );
}

#[test]
fn an_id_that_was_handed_out_can_be_given_back() {
    check(
        "enter a
         wait 3000
         sync a a=1
         join b
         beat a
         leave b
         list",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   a does "1"
            3000   b did not join: MEMBER_ID_REQUIRED
            3000   a beats: NONE
            3000   leavers left: NONE
            3000   groups: g Stable consumer
        "#]],
    );
}

#[test]
fn leaving_is_only_confirmed_when_the_log_knows() {
    check(
        "enter a
         wait 3000
         sync a a=1
         disk fails
         leave a
         disk works
         upkeep
         restart
         describe",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   a does "1"
            3000   leavers did not leave: COORDINATOR_NOT_AVAILABLE
            3000   group: NONE Empty ""
        "#]],
    );
}

#[test]
fn leaving_before_the_first_generation_leaves_an_empty_group() {
    check(
        "enter a
         leave a
         wait 3000
         list
         delete",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      a did not join: UNKNOWN_MEMBER_ID
            0      leavers left: NONE
            3000   groups: g Empty consumer
            3000   group deleted: NONE
        "#]],
    );
}
