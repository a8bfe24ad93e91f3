//! Who waits for the next append to a partition.
//!
//! A waiting fetch is one [`Waiter`] in the lists of all partitions it asks for; the first append to any of them wakes
//! it. Lists hold weak references: a fetch that ended is skipped, and swept out when the list would grow, so that an
//! idle partition never collects more than twice the fetches that really wait.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;

use futures_util::task::AtomicWaker;

/// A fetch that waits for records.
#[derive(Debug, Default)]
pub struct Waiter {
    woken: AtomicBool,
    waker: AtomicWaker,
}

impl Waiter {
    /// One that was not woken yet.
    #[must_use]
    pub fn new() -> Arc<Waiter> {
        Arc::default()
    }

    fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Returns once an append happened to any partition that this waiter is registered with.
    pub fn woken(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.woken.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

/// The list of one partition; belongs under the partition's lock.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    list: Vec<Weak<Waiter>>,
}

/// From this many entries on a full list is swept before it grows.
const SWEEP_FROM: usize = 4;

impl Waiters {
    pub(super) fn add(&mut self, waiter: &Arc<Waiter>) {
        if self.list.len() >= SWEEP_FROM && self.list.len() == self.list.capacity() {
            self.list.retain(|other| other.strong_count() > 0);
        }
        self.list.push(Arc::downgrade(waiter));
    }

    /// Wakes everybody and forgets them; who wants more registers again.
    pub(super) fn wake(&mut self) {
        for waiter in self.list.drain(..) {
            if let Some(waiter) = waiter.upgrade() {
                waiter.wake();
            }
        }
    }

    /// Gives memory back when nobody waits.
    pub(super) fn shrink(&mut self) {
        self.list.retain(|other| other.strong_count() > 0);
        self.list.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_swept_and_does_not_grow_with_fetches_that_ended() {
        let mut waiters = Waiters::default();
        let stays = Waiter::new();
        waiters.add(&stays);
        for _ in 0..1_000 {
            waiters.add(&Waiter::new());
        }
        assert!(waiters.list.len() <= 8, "{}", waiters.list.len());
        waiters.wake();
        assert!(stays.woken.load(Ordering::Acquire));
    }

    #[tokio::test]
    async fn a_wake_between_registering_and_waiting_is_not_lost() {
        let mut waiters = Waiters::default();
        let waiter = Waiter::new();
        waiters.add(&waiter);
        waiters.wake();
        waiter.woken().await;
    }
}
