//! Who waits, who is served, who is displaced.

use std::future::Future;
use std::pin::pin;

use super::*;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn client(number: u8) -> Client {
    Client::At([127, 0, 0, number].into())
}

fn budget(shared: usize, largest: usize) -> (Arc<RequestBytes>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    (RequestBytes::new((shared + largest) as u64, largest, Arc::clone(&metrics)), metrics)
}

async fn raised(budget: &Arc<RequestBytes>, number: u8, bytes: usize) -> Share {
    let mut share = None;
    budget.raise(&mut share, || client(number), bytes).await.expect("room");
    share.expect("raised")
}

async fn is_waiting(future: &mut (impl Future + Unpin)) -> bool {
    timeout(Duration::from_millis(1), future).await.is_err()
}

#[test]
fn who_is_named_is_one_client_everywhere_and_others_are_where_they_come_from() {
    let named = Principal::certificate("CN=a".to_owned());
    let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    assert_eq!(Client::of(&named, here), Client::of(&named, there));
    let anonymous = Principal::anonymous();
    assert_ne!(Client::of(&anonymous, here), Client::of(&anonymous, there));
    let six = |text: &str| Client::of(&anonymous, text.parse().expect("an address"));
    assert_eq!(six("2001:db8:0:1::7"), six("2001:db8:0:1:ffff::8"));
    assert_ne!(six("2001:db8:0:1::7"), six("2001:db8:0:2::7"));
}

#[tokio::test(start_paused = true)]
async fn frames_wait_for_room_and_one_at_a_time_has_its_turn() {
    let (budget, metrics) = budget(10 * KIB, 20 * KIB);
    // Two frames with half of what they need, and nothing left.
    let mut first = Some(raised(&budget, 1, 6 * KIB).await);
    let mut second = Some(raised(&budget, 1, 4 * KIB).await);
    assert_eq!((metrics.request_bytes.get(), metrics.request_bytes_waits.get()), (10 * 1024, 0));
    budget.raise(&mut first, || client(1), 20 * KIB).await.expect("its turn");
    {
        let mut waiting = pin!(budget.raise(&mut second, || client(1), 8 * KIB));
        assert!(is_waiting(&mut waiting).await, "one at a time");
        assert!(budget.is_short());
        drop(first);
        waiting.await.expect("room");
    }
    assert_eq!(second.as_ref().map(Share::bytes), Some(8 * KIB));
    assert!(!budget.is_short());
    let held = second.map(Share::complete);
    assert_eq!(metrics.request_bytes.get(), 8 * 1024, "it counts until it is answered");
    drop(held);
    assert_eq!(metrics.request_bytes.get(), 0);
    assert!(budget.hold_now(10 * KIB).is_some(), "everything was given back");
}

#[tokio::test(start_paused = true)]
async fn the_client_that_holds_least_is_served_first() {
    let (budget, _) = budget(10 * KIB, KIB);
    let mut first = Some(raised(&budget, 1, 8 * KIB).await);
    let second = raised(&budget, 1, 2 * KIB).await;
    let turn = raised(&budget, 1, KIB).await;
    let (mut early, mut late) = (None, None);
    let mut more = pin!(budget.raise(&mut first, || client(1), 10 * KIB));
    let mut early = pin!(budget.raise(&mut early, || client(1), 2 * KIB));
    let mut late = pin!(budget.raise(&mut late, || client(2), 2 * KIB));
    assert!(is_waiting(&mut more).await && is_waiting(&mut early).await && is_waiting(&mut late).await);
    drop(second);
    assert!(is_waiting(&mut more).await && is_waiting(&mut early).await);
    late.await.expect("the client that has nothing comes first");
    drop(turn);
    assert!(is_waiting(&mut more).await);
    early.await.expect("then the frame that has nothing");
}

#[tokio::test(start_paused = true)]
async fn who_waits_long_takes_the_slowest_frames_of_the_client_that_holds_most() {
    let (budget, metrics) = budget(8 * MIB, MIB);
    let mut frames = Vec::new();
    for _ in 0..8 {
        frames.push(raised(&budget, 1, MIB).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    frames.push(raised(&budget, 1, MIB).await);
    let mut share = None;
    let mut other = pin!(budget.raise(&mut share, || client(2), 900 * KIB));
    assert!(timeout(PATIENCE - Duration::from_millis(1), &mut other).await.is_err());
    assert!(!frames.iter().any(Share::is_displaced), "not before its time");
    assert!(timeout(Duration::from_millis(2), &mut other).await.is_err());
    let displaced: Vec<bool> = frames.iter().map(Share::is_displaced).collect();
    assert_eq!(displaced.iter().filter(|it| **it).count(), 1, "no more than are needed");
    assert!(displaced[0], "the slowest");
    assert_eq!(metrics.request_bytes_displaced.get(), 1);
    assert!(timeout(2 * PATIENCE, &mut other).await.is_err(), "until that one is gone");
    assert_eq!(metrics.request_bytes_displaced.get(), 1, "and no other is displaced meanwhile");
    frames.remove(0);
    other.await.expect("room");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_displaced_for_a_client_that_would_hold_more_or_for_its_own() {
    let (budget, metrics) = budget(8 * MIB, MIB);
    let _turn = raised(&budget, 3, 8 * MIB + 1).await;
    let mine = raised(&budget, 1, 5 * MIB).await;
    let theirs = raised(&budget, 2, 3 * MIB).await;
    tokio::time::sleep(PATIENCE).await;
    let (mut own, mut larger) = (None, None);
    let mut own = pin!(budget.raise(&mut own, || client(1), MIB));
    let mut larger = pin!(budget.raise(&mut larger, || client(2), 8 * MIB));
    assert!(timeout(4 * PATIENCE, &mut own).await.is_err());
    assert!(timeout(4 * PATIENCE, &mut larger).await.is_err());
    assert!(!mine.is_displaced() && !theirs.is_displaced());
    assert_eq!(metrics.request_bytes_displaced.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_displaced_frame_that_waits_is_told_at_once() {
    let (budget, _) = budget(4 * MIB, MIB);
    let _turn = raised(&budget, 1, 4 * MIB + 1).await;
    let mut greedy = Some(raised(&budget, 1, 4 * MIB).await);
    tokio::time::sleep(PATIENCE).await;
    let mut share = None;
    let other = budget.raise(&mut share, || client(2), MIB);
    let greedy = async {
        let outcome = budget.raise(&mut greedy, || client(1), 5 * MIB).await;
        drop(greedy);
        outcome
    };
    let (other, greedy) = tokio::join!(other, greedy);
    assert_eq!((other, greedy), (Ok(()), Err(Displaced)));
    drop(share);
}
