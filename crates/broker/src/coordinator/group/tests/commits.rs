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
        expect![[]],
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
        expect![[]],
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
        expect![[]],
    );
}

#[test]
fn a_group_that_does_not_exist_has_no_generation() {
    check("commit - t:0=1 generation=3", expect![[]]);
}

#[test]
fn metadata_has_a_size() {
    check_with(
        |settings| settings.offset_metadata_max_bytes = 3,
        "commit - t:0=1/long t:1=2/abc
         fetch all",
        expect![[]],
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
        expect![[]],
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
        expect![[]],
    );
}

#[test]
fn another_kind_of_group_must_be_empty_for_that() {
    check(
        "commit - t:0=1
         enter a kind=connect
         forget t:0",
        expect![[]],
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
        expect![[]],
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
        expect![[]],
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
        expect![[]],
    );
}
