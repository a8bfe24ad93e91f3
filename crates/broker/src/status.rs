//! How far the broker is: starting, recovering, ready, stopping. What `/readyz` and `/v1/status` say.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// What the broker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Reading what exists; ends with recovering or ready.
    Starting,
    /// Checking logs after a stop that was not orderly; ends with ready.
    Recovering,
    /// Serving clients; ends with stopping.
    Ready,
    /// Finishing what is in progress; ends with the process.
    Stopping,
}

impl State {
    /// The word in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Recovering => "recovering",
            State::Ready => "ready",
            State::Stopping => "stopping",
        }
    }
}

/// Shared between whoever starts and stops the broker and whoever asks.
#[derive(Debug, Default)]
pub struct Status {
    state: AtomicU8,
    recovered: AtomicUsize,
    to_recover: AtomicUsize,
}

impl Status {
    /// What the broker is doing.
    #[must_use]
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Starting,
            1 => State::Recovering,
            2 => State::Ready,
            _ => State::Stopping,
        }
    }

    /// Enters a state.
    pub fn enter(&self, state: State) {
        let number = match state {
            State::Starting => 0,
            State::Recovering => 1,
            State::Ready => 2,
            State::Stopping => 3,
        };
        self.state.store(number, Ordering::Release);
    }

    /// Says how many logs there are to recover.
    pub fn to_recover(&self, logs: usize) {
        self.to_recover.store(logs, Ordering::Release);
        self.enter(State::Recovering);
    }

    /// One more is recovered.
    pub fn recovered_one(&self) {
        self.recovered.fetch_add(1, Ordering::AcqRel);
    }

    /// How many logs are recovered, of how many.
    #[must_use]
    pub fn recovery(&self) -> (usize, usize) {
        (self.recovered.load(Ordering::Acquire), self.to_recover.load(Ordering::Acquire))
    }
}
