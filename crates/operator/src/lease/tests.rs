use serde_json::json;
use tokio::task::JoinHandle;

use super::*;
use crate::tests::fixture::NOW;
use crate::tests::server::ApiServer;

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/penstock-operator";

fn contender(server: &ApiServer, identity: &str) -> Contender {
    Contender::new(server.client(), "default", "penstock-operator", identity)
}

/// Who holds the lease by what the server has.
fn holder_in(server: &ApiServer) -> String {
    server.get(LEASE).expect("a lease")["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

fn version(server: &ApiServer) -> serde_json::Value {
    server.get(LEASE).expect("a lease")["metadata"]["resourceVersion"].clone()
}

/// Takes the lease and keeps it, in a task of its own.
async fn keeping(server: &ApiServer, identity: &str) -> JoinHandle<Lost> {
    let contender = contender(server, identity);
    let held = contender.acquire(|| NOW).await;
    tokio::spawn(async move { contender.keep(held, || NOW).await })
}

/// Waits until the lease is lost. Returns how, and after how long.
async fn lost(keeping: JoinHandle<Lost>, since: Instant) -> (Lost, Duration) {
    let lost = tokio::time::timeout(2 * LASTS, keeping).await.expect("it is noticed").expect("no panic");
    (lost, since.elapsed())
}

fn lease(holder: &str, version: &str) -> Lease {
    Lease {
        metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }),
    }
}

#[test]
fn a_lease_is_taken_when_it_was_seen_unchanged_for_as_long_as_it_lasts() {
    let start = Instant::now();
    let later = |milliseconds| start + Duration::from_millis(milliseconds);
    let wait = judge(&lease("other", "1"), "me", None, start);
    let Verdict::Wait(look) = wait else { panic!("{wait:?}") };
    assert!(matches!(judge(&lease("other", "1"), "me", Some(&look), later(14_999)), Verdict::Wait(_)));
    assert_eq!(judge(&lease("other", "1"), "me", Some(&look), later(15_000)), Verdict::Take);
    let renewed = judge(&lease("other", "2"), "me", Some(&look), later(15_000));
    assert_eq!(renewed, Verdict::Wait(Look { resource_version: Some("2".to_owned()), since: later(15_000) }));
}

#[test]
fn ones_own_and_a_free_one_are_taken_at_once() {
    for holder in ["me", ""] {
        assert_eq!(judge(&lease(holder, "1"), "me", None, Instant::now()), Verdict::Take);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_also_after_somebody_wrote_into_it_or_deleted_it() {
    let server = ApiServer::default();
    let keeping = keeping(&server, "me").await;
    for round in 0..10 {
        let before = version(&server);
        tokio::time::sleep(RENEWED_EVERY + Duration::from_millis(1)).await;
        assert_ne!(version(&server), before, "round {round}");
        match round {
            3 => {
                let mut labelled = server.get(LEASE).unwrap();
                labelled["metadata"]["labels"] = json!({ "team": "streaming" });
                labelled["metadata"]["resourceVersion"] = serde_json::Value::Null;
                server.put(LEASE, &labelled);
            }
            6 => {
                server.take_away(LEASE);
                tokio::time::sleep(RENEWED_EVERY + Duration::from_millis(1)).await;
            }
            _ => {}
        }
    }
    assert!(!keeping.is_finished());
    assert_eq!(holder_in(&server), "me");
    keeping.abort();
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_is_shorter_than_the_lease_is_outlived() {
    let server = ApiServer::default();
    let keeping = keeping(&server, "me").await;
    for _ in 0..3 {
        server.refuse(&format!("PUT {LEASE}"), 500, "etcd is on fire");
        server.refuse(&format!("GET {LEASE}"), 500, "etcd is on fire");
        // A renewal may have been due right at the beginning.
        tokio::time::sleep(LASTS - MARGIN - RENEWED_EVERY - RETRY_AFTER).await;
        server.relent();
        tokio::time::sleep(RENEWED_EVERY).await;
    }
    assert!(!keeping.is_finished());
    keeping.abort();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_is_given_up_before_anybody_can_take_it() {
    for (what, code) in [("refused", Some(500)), ("overloaded", Some(429)), ("silent", None)] {
        let server = ApiServer::default();
        let since = Instant::now();
        let keeping = keeping(&server, "me").await;
        for request in ["PUT", "GET"].map(|verb| format!("{verb} {LEASE}")) {
            match code {
                Some(code) => server.refuse(&request, code, "not now"),
                None => server.hang(&request),
            }
        }
        let (how, after) = lost(keeping, since).await;
        assert!(matches!(how, Lost::Expired { .. }), "{what}: {how}");
        assert!(after <= LASTS - MARGIN + Duration::from_millis(10), "{what}: after {after:?}");
        assert!(how.to_string().contains(if code.is_some() { "not now" } else { "did not answer" }), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_else_holds_is_lost_with_the_next_renewal() {
    let server = ApiServer::default();
    let since = Instant::now();
    let keeping = keeping(&server, "me").await;
    let mut taken = server.get(LEASE).unwrap();
    taken["spec"]["holderIdentity"] = json!("another");
    taken["metadata"]["resourceVersion"] = serde_json::Value::Null;
    server.put(LEASE, &taken);
    let (how, after) = lost(keeping, since).await;
    assert_eq!(how.to_string(), "the lease penstock-operator is held by another now");
    assert!(after <= RENEWED_EVERY + Duration::from_millis(10), "after {after:?}");
}

#[tokio::test(start_paused = true)]
async fn the_next_one_waits_as_long_as_the_lease_lasts_and_not_at_all_when_it_is_released() {
    let server = ApiServer::default();
    let first = keeping(&server, "first").await;
    tokio::time::sleep(2 * RENEWED_EVERY + Duration::from_millis(1)).await;
    first.abort();
    let died = Instant::now();
    let second = contender(&server, "second");
    let held = second.acquire(|| NOW).await;
    let waited = died.elapsed();
    assert!((LASTS..=LASTS + LOOK_EVERY).contains(&waited), "{waited:?}");
    assert_eq!(holder_in(&server), "second");

    second.release().await;
    drop(held);
    let released = Instant::now();
    contender(&server, "third").acquire(|| NOW).await;
    assert!(released.elapsed() < LOOK_EVERY);
    assert_eq!(holder_in(&server), "third");
}

#[tokio::test(start_paused = true)]
async fn of_several_that_try_at_once_one_gets_it_and_an_outage_is_waited_out() {
    let server = ApiServer::default();
    server.refuse(&format!("GET {LEASE}"), 500, "etcd is on fire");
    let tries: Vec<_> = ["a", "b", "c"]
        .map(|identity| {
            let contender = contender(&server, identity);
            tokio::spawn(async move { contender.acquire(|| NOW).await })
        })
        .into();
    tokio::time::sleep(3 * LOOK_EVERY).await;
    assert!(tries.iter().all(|it| !it.is_finished()));
    server.relent();
    tokio::time::sleep(2 * LOOK_EVERY).await;
    assert_eq!(tries.iter().filter(|it| it.is_finished()).count(), 1);
    assert_eq!(server.transcript().lines().filter(|line| *line == format!("POST {LEASES}")).count(), 3);
    for each in tries {
        each.abort();
    }
}
