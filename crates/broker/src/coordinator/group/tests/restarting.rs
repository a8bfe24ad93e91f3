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
        expect![[]],
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
        expect![[]],
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
        expect![[]],
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
        expect![[]],
    );
}
