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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   a does "work"
            3000   group: NONE Stable "range" a="work"
        "#]],
    );
}

#[test]
fn an_old_client_joins_at_once() {
    check(
        "join a v3
         wait 3000
         sync a a=work",
        expect![[r#"
            3000   a joined generation 1 (range), leads a
            3000   a does "work"
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      groups: g Empty 
            10001  groups: 
            10001  a did not join: UNKNOWN_MEMBER_ID
        "#]],
    );
}

#[test]
fn ids_are_not_invented() {
    check(
        "join a id=made-up
         enter b
         join a id=made-up",
        expect![[r#"
            0      a did not join: UNKNOWN_MEMBER_ID
            0      b did not join: MEMBER_ID_REQUIRED
            0      a did not join: UNKNOWN_MEMBER_ID
            0      b still waits
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            2000   b did not join: MEMBER_ID_REQUIRED
            4000   c did not join: MEMBER_ID_REQUIRED
            6500   d did not join: MEMBER_ID_REQUIRED
            7000   a joined generation 1 (range), leads a b c d
            7000   b joined generation 1 (range), follows a
            7000   c joined generation 1 (range), follows a
            7000   d joined generation 1 (range), follows a
        "#]],
    );
}

#[test]
fn without_a_delay_only_members_that_start_together_wait_for_each_other() {
    check_with(
        |settings| settings.initial_rebalance_delay_ms = 0,
        "enter a
         wait 100
         sync a a=all
         enter b
         beat a
         join a",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            100    a joined generation 1 (range), leads a
            100    a does "all"
            100    b did not join: MEMBER_ID_REQUIRED
            100    a beats: REBALANCE_IN_PROGRESS
            100    a joined generation 2 (range), leads a b
            100    b joined generation 2 (range), follows a
        "#]],
    );
}

#[test]
fn session_timeouts_have_bounds() {
    check(
        "join a session=5999
         join a session=1800001
         join a session=6000",
        expect![[r#"
            0      a did not join: INVALID_SESSION_TIMEOUT
            0      a did not join: INVALID_SESSION_TIMEOUT
            0      a did not join: MEMBER_ID_REQUIRED
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            0      c did not join: MEMBER_ID_REQUIRED
            0      d did not join: INCONSISTENT_GROUP_PROTOCOL
            0      d did not join: INCONSISTENT_GROUP_PROTOCOL
            0      e did not join: INCONSISTENT_GROUP_PROTOCOL
            0      e did not join: INCONSISTENT_GROUP_PROTOCOL
            6000   a joined generation 1 (sticky), leads a b c
            6000   b joined generation 1 (sticky), follows a
            6000   c joined generation 1 (sticky), follows a
        "#]],
    );
}

#[test]
fn an_empty_group_needs_a_kind_and_a_protocol() {
    check(
        "join a speaks=
         join a kind=
         list",
        expect![[r#"
            0      a did not join: INCONSISTENT_GROUP_PROTOCOL
            0      a did not join: INCONSISTENT_GROUP_PROTOCOL
            0      groups: 
        "#]],
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
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            0      c did not join: GROUP_MAX_SIZE_REACHED
            0      c did not join: GROUP_MAX_SIZE_REACHED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   c did not join: GROUP_MAX_SIZE_REACHED
            6000   c did not join: GROUP_MAX_SIZE_REACHED
            6000   a does "1"
            6000   b joined generation 1 (range), follows a
            6000   c did not join: MEMBER_ID_REQUIRED
            6000   a still waits
        "#]],
    );
}

#[test]
fn groups_are_counted() {
    check_with(
        |settings| settings.max_groups = 0,
        "join a
         commit - t:0=1",
        expect![[r#"
            0      a did not join: POLICY_VIOLATION
            0      - about all offsets: POLICY_VIOLATION
        "#]],
    );
}
