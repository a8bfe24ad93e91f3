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
        expect![[]],
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
        expect![[]],
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
        expect![[]],
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
        expect![[]],
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
        expect![[]],
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
        expect![[]],
    );
}

#[test]
fn a_group_that_was_never_stored_leaves_nothing() {
    check(
        "enter a
         leave a
         wait 3000
         list
         delete",
        expect![[]],
    );
}
