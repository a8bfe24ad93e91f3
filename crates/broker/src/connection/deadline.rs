//! One timer for each connection, moved only when it fires.
//!
//! A connection that is busy changes what it waits for thousands of times a second; arming a timer each time would
//! cost more than the request. So the timer is left where it is while the deadline only moves away from it, and when it
//! fires too early it is armed again for the real one.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::{Instant, Sleep, sleep_until};

pub(super) struct Deadline {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(super) fn new() -> Deadline {
        Deadline { timer: None }
    }

    /// The output of `future`, or `None` once `at` has passed.
    pub(super) async fn wait<F: Future>(&mut self, at: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if timer.deadline() > at {
                timer.as_mut().reset(at);
            }
            loop {
                match timer.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if timer.deadline() >= at => return Poll::Ready(None),
                    Poll::Ready(()) => timer.as_mut().reset(at),
                }
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_timer_that_fires_early_is_armed_again_and_a_nearer_deadline_moves_it() {
        let mut deadline = Deadline::new();
        let start = Instant::now();
        let ms = Duration::from_millis;
        assert!(deadline.wait(start + ms(5), std::future::pending::<()>()).await.is_none());
        // The timer is in the past now; a later deadline must still be waited for.
        assert!(deadline.wait(start + ms(30), std::future::pending::<()>()).await.is_none());
        assert!(start.elapsed() >= ms(30));
        let start = Instant::now();
        assert_eq!(deadline.wait(start + Duration::from_secs(60), async { 7 }).await, Some(7));
        assert!(deadline.wait(start + ms(5), std::future::pending::<()>()).await.is_none());
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
