//! Who may join, and how.

use expect_test::expect;

use super::{check, check_with};

#[test]
fn a_client_without_an_id_is_given_one_and_comes_back_with_it() {
    check(
        "join a
         join a
         wait 3000
         sync a a=work
         describe",
        expect![[]],
    );
}

#[test]
fn an_old_client_joins_at_once() {
    check(
        "join a v3
         wait 3000
         sync a a=work",
        expect![[]],
    );
}

#[test]
fn an_id_that_nobody_comes_back_with_is_forgotten() {
    check(
        "join a
         list
         wait 10001
         list
         join a",
        expect![[]],
    );
}

#[test]
fn ids_are_not_invented() {
    check(
        "join a id=made-up
         enter b
         join a id=made-up",
        expect![[]],
    );
}

#[test]
fn the_first_rebalance_waits_for_others_as_long_as_they_keep_coming() {
    check(
        "enter a rebalance=7000
         wait 2000
         enter b rebalance=7000
         wait 2000
         enter c rebalance=7000
         wait 2500
         enter d rebalance=7000
         wait 600",
        expect![[]],
    );
}

#[test]
fn without_a_delay_the_first_member_starts_alone() {
    check_with(
        |settings| settings.initial_rebalance_delay_ms = 0,
        "enter a
         sync a a=all
         enter b
         beat a
         join a",
        expect![[]],
    );
}

#[test]
fn session_timeouts_have_bounds() {
    check(
        "join a session=5999
         join a session=1800001
         join a session=6000",
        expect![[]],
    );
}

#[test]
fn protocols_must_have_one_in_common_and_the_most_wanted_is_elected() {
    check(
        "enter a speaks=range,sticky
         enter b speaks=sticky,range
         enter c speaks=sticky,other,range
         enter d speaks=other
         enter e kind=connect
         wait 6000",
        expect![[]],
    );
}

#[test]
fn an_empty_group_needs_a_kind_and_a_protocol() {
    check(
        "join a speaks=
         join a kind=
         list",
        expect![[]],
    );
}

#[test]
fn the_group_has_a_size() {
    check_with(
        |settings| settings.max_size = 2,
        "enter a
         enter b
         enter c
         wait 6000
         enter c
         sync a a=1 b=2
         join b
         join a
         join c",
        expect![[]],
    );
}

#[test]
fn groups_are_counted() {
    check_with(
        |settings| settings.max_groups = 0,
        "join a
         commit - t:0=1",
        expect![[]],
    );
}
