//! Offsets.

use expect_test::expect;

use super::{check, check_with};

#[test]
fn a_consumer_without_a_group_commits_as_long_as_there_are_no_members() {
    check(
        "fetch t:0
         commit - t:0=5/note t:1=6
         fetch t:0
         fetch t:2
         fetch all
         list
         enter a
         commit - t:0=7
         fetch t:0",
        expect![[r#"
            0      fetched t:0: no such group
            0      - about offsets: NONE NONE
            0      fetched t:0: 5 "note"
            0      fetched t:2: -1 ""
            0      fetched all: t:0=5 t:1=6
            0      groups: g Empty 
            0      a did not join: MEMBER_ID_REQUIRED
            0      - about all offsets: UNKNOWN_MEMBER_ID
            0      fetched t:0: 5 "note"
            0      a still waits
        "#]],
    );
}

#[test]
fn members_commit_in_their_generation_and_not_before_they_have_work() {
    check(
        "enter a
         enter b
         wait 6000
         commit a t:0=1
         sync a a=1 b=2
         commit a t:0=1
         commit a t:0=2 generation=0
         commit a t:0=3 generation=-1
         commit nobody t:0=4 generation=1
         leave b
         commit a t:0=5
         fetch t:0",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            0      b did not join: MEMBER_ID_REQUIRED
            6000   a joined generation 1 (range), leads a b
            6000   b joined generation 1 (range), follows a
            6000   a about all offsets: REBALANCE_IN_PROGRESS
            6000   a does "1"
            6000   a about offsets: NONE
            6000   a about all offsets: ILLEGAL_GENERATION
            6000   a about all offsets: ILLEGAL_GENERATION
            6000   nobody about all offsets: UNKNOWN_MEMBER_ID
            6000   leavers left: NONE
            6000   a about offsets: NONE
            6000   fetched t:0: 5 ""
        "#]],
    );
}

#[test]
fn a_commit_keeps_the_session() {
    check(
        "enter a
         wait 3000
         sync a a=1
         wait 9000
         commit a t:0=1
         wait 9000
         beat a
         wait 10001
         beat a",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   a does "1"
            12000  a about offsets: NONE
            21000  a beats: NONE
            31001  a beats: UNKNOWN_MEMBER_ID
        "#]],
    );
}

#[test]
fn a_group_that_does_not_exist_has_no_generation() {
    check(
        "commit - t:0=1 generation=3",
        expect![[r#"
            0      - about all offsets: GROUP_ID_NOT_FOUND
        "#]],
    );
}

#[test]
fn metadata_has_a_size() {
    check_with(
        |settings| settings.offset_metadata_max_bytes = 3,
        "commit - t:0=1/long t:1=2/abc
         fetch all",
        expect![[r#"
            0      - about offsets: OFFSET_METADATA_TOO_LARGE NONE
            0      fetched all: t:1=2
        "#]],
    );
}

#[test]
fn what_is_not_stored_is_not_committed() {
    check(
        "commit - t:0=1
         disk fails
         commit - t:0=2
         fetch t:0
         disk works
         restart
         fetch t:0",
        expect![[r#"
            0      - about offsets: NONE
            0      - about offsets: COORDINATOR_NOT_AVAILABLE
            0      fetched t:0: 1 ""
            0      fetched t:0: 1 ""
        "#]],
    );
}

#[test]
fn offsets_are_deleted_unless_somebody_reads_the_topic() {
    check(
        "forget t:0
         commit - t:0=1 u:0=2
         enter a topics=u
         wait 3000
         forget t:0 u:0
         sync a a=1
         forget t:0 u:0 v:0
         fetch all
         leave a
         forget u:0
         fetch all",
        expect![[r#"
            0      tool about all offsets: GROUP_ID_NOT_FOUND
            0      - about offsets: NONE NONE
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   tool about offsets: NONE GROUP_SUBSCRIBED_TO_TOPIC
            3000   a does "1"
            3000   tool about offsets: NONE GROUP_SUBSCRIBED_TO_TOPIC NONE
            3000   fetched all: u:0=2
            3000   leavers left: NONE
            3000   tool about offsets: NONE
            3000   fetched all: 
        "#]],
    );
}

#[test]
fn another_kind_of_group_must_be_empty_for_that() {
    check(
        "commit - t:0=1
         enter a kind=connect
         forget t:0",
        expect![[r#"
            0      - about offsets: NONE
            0      a did not join: MEMBER_ID_REQUIRED
            0      tool about all offsets: NON_EMPTY_GROUP
            0      a still waits
        "#]],
    );
}

#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    check(
        "commit - t:0=1 t:1=2 u:0=3
         drop t
         fetch all
         restart
         fetch all",
        expect![[r#"
            0      - about offsets: NONE NONE NONE
            0      fetched all: u:0=3
            0      fetched all: u:0=3
        "#]],
    );
}

#[test]
fn offsets_expire_when_the_group_has_been_empty_for_the_retention_time() {
    check_with(
        |settings| settings.offsets_retention_minutes = 1,
        "enter a session=1800000
         wait 3000
         sync a a=1
         commit a t:0=1 u:0=2
         wait 60000
         upkeep
         fetch all
         leave a
         wait 59999
         upkeep
         fetch all
         wait 1
         upkeep
         list
         restart
         list",
        expect![[r#"
            0      a did not join: MEMBER_ID_REQUIRED
            3000   a joined generation 1 (range), leads a
            3000   a does "1"
            3000   a about offsets: NONE NONE
            63000  fetched all: t:0=1
            63000  leavers left: NONE
            122999 fetched all: t:0=1
            123000 groups: 
            123000 groups: 
        "#]],
    );
}

#[test]
fn offsets_of_a_consumer_without_a_group_expire_by_their_commit() {
    check_with(
        |settings| settings.offsets_retention_minutes = 1,
        "commit - t:0=1
         wait 30000
         commit - t:1=2
         commit - t:2=3 retention=1000
         wait 30000
         upkeep
         fetch all
         wait 30000
         upkeep
         list",
        expect![[r#"
            0      - about offsets: NONE
            30000  - about offsets: NONE
            30000  - about offsets: NONE
            60000  fetched all: t:1=2
            90000  groups: 
        "#]],
    );
}
