//! The budget of bytes that were read and are not answered (`queued.max.request.bytes`), and who gets how much of it.
//!
//! A frame takes its share as its bytes come, so a length prefix with nothing behind it takes nothing from others. Who
//! finds the budget used up waits: the socket is not read, TCP slows the client down, nobody sees an error. Frames that
//! wait for each other with half of what they need cannot lock each other up: room for the largest frame is kept apart,
//! and one of them at a time has its turn in it.
//!
//! Who waits is served by need and not by arrival: first whose [`Client`] holds least, among frames of one client the
//! one that holds least, and only then who came first. So a client that opens hundreds of connections and sends halves
//! of frames waits behind one that sends a frame now and then. Room that such a client already holds is taken from it:
//! whoever has waited for [`PATIENCE`], and would still hold less than the client that holds most, has that client's
//! slowest frames displaced, which ends their connections.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::metrics::Metrics;
use crate::principal::Principal;

/// How long a frame waits before it takes room from a client that holds more, and how old a frame must be to lose it.
/// A frame of a megabyte takes a tenth of this at a hundred megabits a second; who is through by then displaces nobody
/// and is not displaced. Long beside that, and short beside the seconds after which clients repeat a request.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whose frames share: somebody who has shown who it is, wherever it connects from, or else an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// A name that was proved.
    Named(String),
    /// An address; of IPv6 the network, because whoever has one address there has all of its network.
    At(IpAddr),
}

impl Client {
    /// Who is at the other end.
    #[must_use]
    pub fn of(principal: &Principal, host: IpAddr) -> Client {
        const NETWORK: u128 = !0 << 64;
        match host {
            _ if !principal.is_anonymous() => Client::Named(principal.name().to_owned()),
            IpAddr::V6(ip) => Client::At(Ipv6Addr::from_bits(ip.to_bits() & NETWORK).into()),
            IpAddr::V4(_) => Client::At(host),
        }
    }
}

type Id = u64;

/// A frame that is being read and has a share.
struct Frame {
    client: Client,
    since: Instant,
    /// What it may come to.
    bytes: usize,
    /// How much of that comes out of the room that all share; the rest has its turn in the room that is kept apart.
    shared: usize,
    /// What it waits to be raised to, and who is told.
    waits: Option<(usize, oneshot::Sender<()>)>,
    displaced: Arc<AtomicBool>,
}

impl Frame {
    fn is_displaced(&self) -> bool {
        self.displaced.load(Ordering::Relaxed)
    }

    /// Bytes in a second since it began.
    fn pace(&self, now: Instant) -> f64 {
        self.bytes as f64 / now.saturating_duration_since(self.since).as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

#[derive(Default)]
struct State {
    /// Bytes that nobody holds of the room that all share.
    free: usize,
    /// Whose turn it is in the room that is kept apart.
    turn: Option<Id>,
    frames: BTreeMap<Id, Frame>,
    /// What the frames of each client come to.
    clients: HashMap<Client, usize>,
    /// How many frames wait.
    waiting: usize,
    /// How much must be free before the next in line can be served.
    next_needs: usize,
    next_id: Id,
}

impl State {
    fn of_client(&self, client: &Client) -> usize {
        self.clients.get(client).copied().unwrap_or(0)
    }

    /// Sets what a frame comes to, for its client too.
    fn set(&mut self, id: Id, bytes: usize, from_shared: usize) {
        let Some(frame) = self.frames.get_mut(&id) else { return };
        *self.clients.entry(frame.client.clone()).or_default() += bytes - frame.bytes;
        frame.bytes = bytes;
        frame.shared += from_shared;
        self.free -= from_shared;
    }

    /// Forgets a frame; what it had of the shared room.
    fn remove(&mut self, id: Id) -> usize {
        let Some(frame) = self.frames.remove(&id) else { return 0 };
        if let Some(held) = self.clients.get_mut(&frame.client) {
            *held -= frame.bytes;
            if *held == 0 {
                self.clients.remove(&frame.client);
            }
        }
        self.waiting -= usize::from(frame.waits.is_some());
        if self.turn == Some(id) {
            self.turn = None;
        }
        frame.shared
    }

    /// Gives room back and serves who waits for it.
    fn give_back(&mut self, bytes: usize) {
        self.free += bytes;
        if self.waiting > 0 && (self.turn.is_none() || self.free >= self.next_needs) {
            self.serve();
        }
    }

    /// Serves those who wait, in their order, as far as there is room.
    fn serve(&mut self) {
        while let Some(id) = self.next_in_line() {
            let Some(frame) = self.frames.get_mut(&id) else { return };
            let wanted = frame.waits.as_ref().map_or(0, |(bytes, _)| *bytes);
            let missing = wanted.saturating_sub(frame.bytes);
            let from_shared = if missing <= self.free {
                missing
            } else if self.turn.is_none() {
                self.turn = Some(id);
                0
            } else {
                self.next_needs = missing;
                return;
            };
            let waits = frame.waits.take();
            self.waiting -= 1;
            self.set(id, wanted, from_shared);
            if let Some((_, told)) = waits {
                // Nobody listens any more if the connection ends at this moment.
                let _ = told.send(());
            }
        }
    }

    fn next_in_line(&self) -> Option<Id> {
        let waiting = self.frames.iter().filter(|(_, frame)| frame.waits.is_some() && !frame.is_displaced());
        let next = waiting.min_by_key(|(id, frame)| (self.of_client(&frame.client), frame.bytes, **id));
        next.map(|(id, _)| *id)
    }

    /// Takes room from the client that holds most for a frame that has waited long, if it would still hold less with what
    /// it asks for. How many frames were displaced.
    fn displace_for(&mut self, id: Id, now: Instant) -> usize {
        let Some(waiter) = self.frames.get(&id) else { return 0 };
        let missing = waiter.waits.as_ref().map_or(0, |(bytes, _)| bytes.saturating_sub(waiter.bytes));
        let would_hold = self.of_client(&waiter.client) + missing;
        let Some((most, held)) = self.clients.iter().max_by_key(|(_, held)| **held) else { return 0 };
        if *most == waiter.client || *held <= would_hold {
            return 0;
        }
        let on_its_way: usize =
            self.frames.values().filter(|frame| frame.is_displaced()).map(|frame| frame.shared).sum();
        let mut short = missing.saturating_sub(self.free + on_its_way);
        let mut theirs: Vec<&mut Frame> = self
            .frames
            .values_mut()
            .filter(|frame| frame.client == *most && !frame.is_displaced())
            .filter(|frame| frame.shared > 0 && now.saturating_duration_since(frame.since) >= PATIENCE)
            .collect();
        theirs.sort_by(|a, b| a.pace(now).total_cmp(&b.pace(now)));
        let mut displaced = 0;
        for frame in theirs {
            if short == 0 {
                break;
            }
            short = short.saturating_sub(frame.shared);
            frame.displaced.store(true, Ordering::Relaxed);
            displaced += 1;
            // Whoever waits itself learns of it by this; others look at each step.
            self.waiting -= usize::from(frame.waits.take().is_some());
        }
        displaced
    }
}

/// The budget. See the module.
pub struct RequestBytes {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

/// Bytes of a whole frame that count until this is dropped.
pub struct Held {
    bytes: usize,
    budget: Arc<RequestBytes>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.metrics.request_bytes.sub(signed(self.bytes));
        self.budget.lock().give_back(self.bytes);
    }
}

/// What a frame that is being read has of the budget, given back when dropped.
pub struct Share {
    id: Id,
    bytes: usize,
    displaced: Arc<AtomicBool>,
    budget: Arc<RequestBytes>,
}

impl Share {
    /// How many bytes it stands for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether somebody else is to have this room: the frame must be given up.
    #[must_use]
    pub fn is_displaced(&self) -> bool {
        self.displaced.load(Ordering::Relaxed)
    }

    /// The frame is whole. What it has of the shared room still counts; its turn is over.
    #[must_use]
    pub fn complete(mut self) -> Held {
        let bytes = {
            let mut state = self.budget.lock();
            let bytes = state.remove(self.id);
            state.give_back(0);
            bytes
        };
        self.count(bytes);
        // So that nothing is left to give back.
        self.bytes = 0;
        Held { bytes, budget: Arc::clone(&self.budget) }
    }

    fn count(&mut self, bytes: usize) {
        self.budget.metrics.request_bytes.add(signed(bytes) - signed(self.bytes));
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.count(0);
        let mut state = self.budget.lock();
        let bytes = state.remove(self.id);
        state.give_back(bytes);
    }
}

/// The frame must be given up: its room is for a client that holds less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Displaced;

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl RequestBytes {
    /// A budget of `bytes`, in which the largest frame has `max_frame_bytes`.
    #[must_use]
    pub fn new(bytes: u64, max_frame_bytes: usize, metrics: Arc<Metrics>) -> Arc<RequestBytes> {
        let free = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(max_frame_bytes);
        let state = Mutex::new(State { free, ..State::default() });
        Arc::new(RequestBytes { state, metrics })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Sums of numbers that are changed together; nothing in between can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether frames wait for room. Who holds some of it and does not go on should give it up then.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.lock().waiting > 0
    }

    /// Counts a frame that is in memory already, if there is room; a small frame does not wait.
    pub fn hold_now(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        {
            let mut state = self.lock();
            state.free = state.free.checked_sub(bytes)?;
        }
        self.metrics.request_bytes.add(signed(bytes));
        Some(Held { bytes, budget: Arc::clone(self) })
    }

    /// Raises the share of a frame that is being read to `bytes`, waiting for room. `client` says whose frame it is.
    ///
    /// # Errors
    /// If the frame is displaced, now or while it waits.
    pub async fn raise(
        self: &Arc<Self>,
        share: &mut Option<Share>,
        client: impl FnOnce() -> Client,
        bytes: usize,
    ) -> Result<(), Displaced> {
        let share = share.get_or_insert_with(|| self.enter(client()));
        if share.is_displaced() {
            return Err(Displaced);
        }
        if bytes <= share.bytes {
            return Ok(());
        }
        if let Some(mut served) = self.ask(share.id, bytes) {
            self.metrics.request_bytes_waits.inc();
            loop {
                match timeout(PATIENCE, &mut served).await {
                    Ok(Ok(())) => break,
                    Ok(Err(_)) => return Err(Displaced),
                    Err(_) => {
                        let displaced = self.lock().displace_for(share.id, Instant::now());
                        self.metrics.request_bytes_displaced.inc_by(displaced as u64);
                    }
                }
            }
        }
        share.count(bytes);
        Ok(())
    }

    fn enter(self: &Arc<Self>, client: Client) -> Share {
        let displaced = Arc::new(AtomicBool::new(false));
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let frame = Frame {
            client,
            since: Instant::now(),
            bytes: 0,
            shared: 0,
            waits: None,
            displaced: Arc::clone(&displaced),
        };
        state.frames.insert(id, frame);
        drop(state);
        Share { id, bytes: 0, displaced, budget: Arc::clone(self) }
    }

    /// Takes room for a frame, or puts it in line and serves the line. `None` if that was enough.
    fn ask(&self, id: Id, bytes: usize) -> Option<oneshot::Receiver<()>> {
        let mut state = self.lock();
        if state.turn == Some(id) {
            // There is room for the largest frame.
            state.set(id, bytes, 0);
            return None;
        }
        let missing = bytes.saturating_sub(state.frames.get(&id)?.bytes);
        if state.waiting == 0 && missing <= state.free {
            // Nearly always.
            state.set(id, bytes, missing);
            return None;
        }
        let (told, mut served) = oneshot::channel();
        let frame = state.frames.get_mut(&id)?;
        frame.waits = Some((bytes, told));
        state.waiting += 1;
        state.serve();
        drop(state);
        served.try_recv().is_err().then_some(served)
    }
}
