//! Decisions as they read: a cluster, what was seen of it, and what is done and said. Courses of events over time are
//! played in `sim`.

mod fixture;

use std::time::Duration;

use expect_test::expect;
use model::observed::{Exit, Readiness};
use model::{Lifecycle, Reason};

use fixture::{check, cluster, crashed};

#[test]
fn a_new_cluster_is_created_whole() {
    check(
        cluster(2),
        expect![[r#"
            start broker 0
            start broker 1
            Ready False Creating: 0 of 2 brokers are ready: broker 0 is being created
            Progressing True Creating: broker 0 is being created
            Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn a_cluster_that_is_as_it_is_wanted_is_left_alone() {
    check(
        cluster(3).ready(0).ready(1).ready(2),
        expect![[r#"
            Ready True AllBrokersReady: all 3 brokers are ready
            Progressing False AllBrokersReady: all 3 brokers are ready
            Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn a_crashed_broker_is_started_at_once_and_named() {
    check(
        cluster(3).ready(0).ended(1, crashed()).ready(2),
        expect![[r#"
            start broker 1
            Ready True BrokerDown: 2 of 3 brokers are ready: broker 1 ended (killed by signal 9); it is being started
            Progressing True BrokerDown: broker 1 ended (killed by signal 9); it is being started
            Degraded True BrokerDown: broker 1 ended (killed by signal 9); it is being started"#]],
    );
}

#[test]
fn a_third_quick_end_is_a_crash_loop_that_waits() {
    check(
        cluster(1).ended(0, crashed()).quick_ends(0, 3),
        expect![[r#"
            Ready False CrashLoop: broker 0 ended 3 times soon after its start (last: killed by signal 9); see its log; the next start is at 1970-01-01T00:16:41.000Z
            Progressing True CrashLoop: broker 0 ended 3 times soon after its start (last: killed by signal 9); see its log; the next start is at 1970-01-01T00:16:41.000Z
            Degraded True CrashLoop: broker 0 ended 3 times soon after its start (last: killed by signal 9); see its log; the next start is at 1970-01-01T00:16:41.000Z"#]],
    );
}

#[test]
fn a_refused_configuration_waits_for_a_person() {
    let refused = Exit::BadConfiguration { said: "line 7: unknown setting `num.partition`".to_owned() };
    check(
        cluster(1).ended(0, refused).quick_ends(0, 1),
        expect![[r#"
            Ready False BadConfiguration: broker 0 refused to start (line 7: unknown setting `num.partition`); correct that, then it starts by itself; the next start is at 1970-01-01T00:16:50.000Z
            Progressing False BadConfiguration: broker 0 refused to start (line 7: unknown setting `num.partition`); correct that, then it starts by itself; the next start is at 1970-01-01T00:16:50.000Z
            Degraded True BadConfiguration: broker 0 refused to start (line 7: unknown setting `num.partition`); correct that, then it starts by itself; the next start is at 1970-01-01T00:16:50.000Z"#]],
    );
}

#[test]
fn what_is_held_up_from_outside_is_named_and_left_alone() {
    check(
        cluster(1).held(0, Reason::ReleaseMissing, "its image penstock/broker:9 cannot be had"),
        expect![[r#"
            Ready False ReleaseMissing: broker 0 cannot start: its image penstock/broker:9 cannot be had
            Progressing False ReleaseMissing: broker 0 cannot start: its image penstock/broker:9 cannot be had
            Degraded True ReleaseMissing: broker 0 cannot start: its image penstock/broker:9 cannot be had"#]],
    );
    check(
        cluster(1).held(0, Reason::Unschedulable, "0 of 3 nodes have room"),
        expect![[r#"
            Ready False Unschedulable: broker 0 cannot start: 0 of 3 nodes have room
            Progressing True Unschedulable: broker 0 cannot start: 0 of 3 nodes have room
            Degraded True Unschedulable: broker 0 cannot start: 0 of 3 nodes have room"#]],
    );
}

#[test]
fn ready_means_that_the_address_led_to_the_broker() {
    check(
        cluster(1).unreached(0, true, Duration::from_secs(14)),
        expect![[r#"
            Ready False BrokerStarting: broker 0 serves, and 10.0.0.1:31092, to which clients are sent, still refuses connections; that is waited for until 1970-01-01T00:16:41.000Z
            Progressing True BrokerStarting: broker 0 serves, and 10.0.0.1:31092, to which clients are sent, still refuses connections; that is waited for until 1970-01-01T00:16:41.000Z
            Degraded False AllBrokersReady: no broker has failed"#]],
    );
    check(
        cluster(1).unreached(0, false, Duration::from_secs(14)),
        expect![[r#"
            Ready False BrokerStarting: broker 0 serves, and 10.0.0.1:31092, to which clients are sent, still does not answer; that is waited for until 1970-01-01T00:16:41.000Z
            Progressing True BrokerStarting: broker 0 serves, and 10.0.0.1:31092, to which clients are sent, still does not answer; that is waited for until 1970-01-01T00:16:41.000Z
            Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn an_address_that_stays_closed_is_waited_for_no_longer_and_named() {
    check(
        cluster(1).unreached(0, true, Duration::from_secs(15)),
        expect![[r#"
            Ready True AllBrokersReady: the broker is ready
            Progressing False AllBrokersReady: the broker is ready
            Degraded True AddressRefused: broker 0 serves, but 10.0.0.1:31092, to which clients are sent, refuses connections from here; see whether clients get through, and what keeps others from it"#]],
    );
    // Silence may be a firewall that keeps only us out.
    check(
        cluster(1).unreached(0, false, Duration::from_secs(15)),
        expect![[r#"
            Ready True AllBrokersReady: the broker is ready
            Progressing False AllBrokersReady: the broker is ready
            Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn a_change_waits_for_an_address_and_goes_on_when_that_took_too_long() {
    check(
        cluster(2).outdated(0, Readiness::Ready).unreached(1, true, Duration::from_secs(14)),
        expect![[r#"
            Ready False BrokerStarting: 1 of 2 brokers are ready: broker 1 serves, and 10.0.0.1:31092, to which clients are sent, still refuses connections; that is waited for until 1970-01-01T00:16:41.000Z
            Progressing True Restarting: broker 0 waits to be restarted until broker 1 is ready
            Degraded False AllBrokersReady: no broker has failed"#]],
    );
    check(
        cluster(2).outdated(0, Readiness::Ready).unreached(1, true, Duration::from_secs(15)),
        expect![[r#"
            restart broker 0 (0#1)
            Ready True AllBrokersReady: all 2 brokers are ready
            Progressing True Restarting: broker 0 is being restarted to take up a change
            Degraded True AddressRefused: broker 1 serves, but 10.0.0.1:31092, to which clients are sent, refuses connections from here; see whether clients get through, and what keeps others from it"#]],
    );
}

#[test]
fn a_change_is_tried_at_once_on_what_is_held_up() {
    let held = Readiness::Held { reason: Reason::ReleaseMissing, why: "no such image".to_owned() };
    check(
        cluster(2).outdated(0, held).ready(1),
        expect![[r#"
        restart broker 0 (0#1)
        Ready False Restarting: 1 of 2 brokers are ready: broker 0 is being restarted to take up a change
        Progressing True Restarting: broker 0 is being restarted to take up a change
        Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn what_cannot_be_seen_is_neither_started_nor_called_down() {
    check(
        cluster(3).ready(0).hidden(1).ready(2),
        expect![[r#"
            Ready True Unreachable: 2 of 3 brokers are ready: broker 1 could not be seen (its directory cannot be read); nothing is done to it until it can
            Progressing Unknown Unreachable: broker 1 could not be seen (its directory cannot be read); nothing is done to it until it can
            Degraded True Unreachable: broker 1 could not be seen (its directory cannot be read); nothing is done to it until it can"#]],
    );
}

#[test]
fn a_change_restarts_the_first_broker_when_all_serve() {
    check(
        cluster(3).outdated(0, Readiness::Ready).outdated(1, Readiness::Ready).ready(2),
        expect![[r#"
            restart broker 0 (0#1)
            Ready True AllBrokersReady: all 3 brokers are ready
            Progressing True Restarting: broker 0 is being restarted to take up a change
            Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn a_certificate_in_its_last_third_is_renewed_by_a_restart_in_turn() {
    let cluster = || cluster(2).ready(0).ready(1);
    check(
        cluster().certificate_left(0, 121).certificate_left(1, 121),
        expect![[r#"
        Ready True AllBrokersReady: all 2 brokers are ready
        Progressing False AllBrokersReady: all 2 brokers are ready
        Degraded False AllBrokersReady: no broker has failed"#]],
    );
    check(
        cluster().certificate_left(0, 120).certificate_left(1, 120),
        expect![[r#"
        restart broker 0 (0#1)
        Ready True AllBrokersReady: all 2 brokers are ready
        Progressing True Restarting: broker 0 is being restarted to renew its certificate, which ends at 1970-05-01T00:16:40.000Z
        Degraded False AllBrokersReady: no broker has failed"#]],
    );
    // One that has ended is no other case: its broker still serves those who are connected.
    check(
        cluster().certificate_left(0, 200).certificate_left(1, -5),
        expect![[r#"
        restart broker 1 (1#1)
        Ready True AllBrokersReady: all 2 brokers are ready
        Progressing True Restarting: broker 1 is being restarted to renew its certificate, which ends at 1969-12-27T00:16:40.000Z
        Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn a_certificate_is_not_renewed_while_another_broker_is_down_or_the_cluster_is_paused() {
    check(
        cluster(2).ready(0).certificate_left(0, 30).ended(1, crashed()),
        expect![[r#"
        start broker 1
        Ready False BrokerDown: 1 of 2 brokers are ready: broker 1 ended (killed by signal 9); it is being started
        Progressing True Restarting: broker 0 waits to be restarted until broker 1 is ready
        Degraded True BrokerDown: broker 1 ended (killed by signal 9); it is being started"#]],
    );
    check(
        cluster(1).lifecycle(Lifecycle::Pause).ready(0).certificate_left(0, 30),
        expect![[r#"
        Ready True AllBrokersReady: the broker is ready
        Progressing False Paused: cluster orders is paused: nothing is done to it until it is resumed
        Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn a_change_waits_for_a_broker_that_checks_its_logs() {
    let recovering = Readiness::Recovering { done: 12, total: 40 };
    check(
        cluster(2).outdated(0, Readiness::Ready).outdated(1, recovering),
        expect![[r#"
            Ready False BrokerRecovering: 1 of 2 brokers are ready: broker 1 checks its logs after an unclean stop, 12 of 40 done; it is left alone until then
            Progressing True Restarting: broker 0 waits to be restarted until broker 1 is ready
            Degraded True BrokerRecovering: broker 1 checks its logs after an unclean stop, 12 of 40 done; it is left alone until then"#]],
    );
}

#[test]
fn a_change_goes_first_to_a_broker_that_never_got_ready() {
    let stuck = || Readiness::NotReady { why: "it says that it is starting".to_owned() };
    check(
        cluster(3).outdated(0, Readiness::Ready).outdated(1, stuck()).outdated(2, stuck()),
        expect![[r#"
            restart broker 1 (1#1)
            Ready False Restarting: 1 of 3 brokers are ready: broker 1 is being restarted to take up a change
            Progressing True Restarting: broker 0 waits for its turn: broker 1 goes first
            Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn a_silent_broker_is_not_restarted_for_a_change() {
    check(
        cluster(1).outdated(0, Readiness::Unknown),
        expect![[r#"
            Ready Unknown Unreachable: broker 0 runs but has not said what it does since 1970-01-01T00:16:40.000Z; it is left alone, since it may be at work
            Progressing Unknown Unreachable: broker 0 runs but has not said what it does since 1970-01-01T00:16:40.000Z; it is left alone, since it may be at work
            Degraded True Unreachable: broker 0 runs but has not said what it does since 1970-01-01T00:16:40.000Z; it is left alone, since it may be at work"#]],
    );
}

#[test]
fn a_broker_that_is_not_wanted_any_more_is_left_with_its_data() {
    check(
        cluster(1).ready(0).ready(7),
        expect![[r#"
            Ready True AllBrokersReady: the broker is ready
            Progressing False AllBrokersReady: the broker is ready
            Degraded False AllBrokersReady: no broker has failed"#]],
    );
}

#[test]
fn a_pause_leaves_everything_as_it_is() {
    check(
        cluster(2).lifecycle(Lifecycle::Pause).ready(0).ended(1, crashed()),
        expect![[r#"
            Ready False BrokerDown: 1 of 2 brokers are ready: broker 1 does not run, and the cluster is paused
            Progressing False Paused: cluster orders is paused: nothing is done to it until it is resumed
            Degraded True BrokerDown: broker 1 does not run, and the cluster is paused"#]],
    );
}

#[test]
fn stopping_spares_who_checks_logs_or_is_silent() {
    let recovering = Readiness::Recovering { done: 12, total: 40 };
    check(
        cluster(3)
            .lifecycle(Lifecycle::Stop)
            .ready(0)
            .outdated(1, recovering)
            .outdated(2, Readiness::Unknown),
        expect![[r#"
            stop broker 0 (0#1)
            Ready False Stopped: cluster orders is being stopped
            Progressing True Stopped: broker 0 is being stopped
            Degraded False Stopped: cluster orders is being stopped"#]],
    );
}

#[test]
fn removing_deletes_what_has_ended_and_stops_the_others() {
    check(
        cluster(3).lifecycle(Lifecycle::Remove).ready(0).ended(1, crashed()).hidden(2),
        expect![[r#"
            stop broker 0 (0#1)
            remove broker 1
            Ready False Removing: cluster orders is being removed
            Progressing True Removing: broker 0 is being stopped
            Degraded False Removing: cluster orders is being removed"#]],
    );
}

#[test]
fn removing_ends_with_the_rest() {
    check(
        cluster(3).lifecycle(Lifecycle::Remove),
        expect![[r#"
            remove the rest
            Ready False Removing: cluster orders is being removed
            Progressing True Removing: what is left of cluster orders is being deleted
            Degraded False Removing: cluster orders is being removed"#]],
    );
    check(
        cluster(3).lifecycle(Lifecycle::Remove).nothing_left(),
        expect![[r#"
            Ready False Removed: cluster orders is removed, with its data
            Progressing False Removed: cluster orders is removed, with its data
            Degraded False Removed: cluster orders is removed, with its data
            removed"#]],
    );
}

#[test]
fn an_old_view_decides_nothing() {
    check(
        cluster(1).lifecycle(Lifecycle::Remove).nothing_left().seen_before(),
        expect![[r#"
            Ready False Removing: cluster orders is being removed
            Progressing True Removing: cluster orders was only seen as it was before
            Degraded False Removing: cluster orders is being removed"#]],
    );
}
