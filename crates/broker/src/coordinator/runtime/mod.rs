//! Drives the machines of one coordinator: a lock and a machine for each partition of its internal topic.
//!
//! A request takes its partition's lock, lets the machine act, appends what it asks for and tells it the outcome, all
//! on the thread that read the request; whoever is answered by that gets the answer then. Nobody waits with a lock
//! held. One task ([`Runtime::run`]) sleeps until the earliest deadline of all machines; a partition without deadlines
//! costs nothing.
//!
//! Answers leave only when the append they rest on is as durable as the topic asks for.

mod load;
mod place;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use prometheus::IntGauge;
use protocol::ErrorCode;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batches;
use super::machine::{Effects, Machine, Now, Waiter};
use crate::durable::Durable;
use crate::internal_topic::InternalTopic;
use place::partition_of;

/// After a partition could not be read. Long enough not to hammer a sick disk, short enough for clients to see only a
/// few retries.
const RELOAD_AFTER: Duration = Duration::from_secs(1);

/// Longest sleep when nothing is due: only so that the arithmetic stays small.
const IDLE_SLEEP: Duration = Duration::from_secs(3600);

type Effect<M> = Effects<<M as Machine>::Reply, <M as Machine>::Ticket>;
type Replies<M> = Vec<(Waiter, <M as Machine>::Reply)>;

/// A partition's machine and those who wait for it.
struct Slot<M: Machine> {
    /// `None` until it is loaded, and again if a bug in it left it in doubt.
    machine: Option<M>,
    waiting: HashMap<Waiter, oneshot::Sender<M::Reply>>,
}

/// What a step needs to know of time and waiting: see [`Runtime::new`].
pub struct Environment {
    /// Reads the wall clock.
    pub wall_ms: fn() -> i64,
    /// Counts those who wait.
    pub waiting: IntGauge,
    /// Says how long loading took.
    pub load_ms: IntGauge,
    /// How often machines do their upkeep.
    pub upkeep_every: Duration,
}

/// The machines of one internal topic.
pub struct Runtime<M: Machine> {
    log: Arc<dyn InternalTopic>,
    make: Box<dyn Fn() -> M + Send + Sync>,
    environment: Environment,
    started: Instant,
    /// Made when the topic exists; it never changes its number of partitions.
    slots: OnceLock<Box<[Mutex<Slot<M>>]>>,
    loading: Mutex<()>,
    next_waiter: AtomicU64,
    /// When the task in [`Runtime::run`] will look again by itself.
    sleeps_until_ms: AtomicU64,
    earlier: Notify,
}

impl<M: Machine> Runtime<M> {
    /// A runtime that has loaded nothing yet. `make` makes the machine of an empty partition.
    pub fn new(
        log: Arc<dyn InternalTopic>,
        environment: Environment,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Runtime<M> {
        Runtime {
            log,
            make: Box::new(make),
            environment,
            started: Instant::now(),
            slots: OnceLock::new(),
            loading: Mutex::new(()),
            next_waiter: AtomicU64::new(0),
            sleeps_until_ms: AtomicU64::new(0),
            earlier: Notify::new(),
        }
    }

    /// Makes the topic if it does not exist.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE if it cannot be made.
    pub fn ensure(&self) -> Result<(), ErrorCode> {
        if self.log.partition_count().is_none() {
            let unavailable = |_| ErrorCode::CoordinatorNotAvailable;
            // Losing an empty topic loses nothing: it is made again.
            let _durable = self.log.ensure().map_err(unavailable)?;
            self.load();
        }
        Ok(())
    }

    /// Lets the machine of a partition act. What it replies goes to those who wait.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS until the partition is loaded, COORDINATOR_NOT_AVAILABLE if there is none.
    pub fn step<T>(
        self: &Arc<Self>,
        key: &str,
        act: impl FnOnce(&mut M, Now, &mut Effect<M>) -> T,
    ) -> Result<T, ErrorCode> {
        let (partition, slot) = self.slot(key)?;
        self.step_in(partition, slot, act)
    }

    fn step_in<T>(
        self: &Arc<Self>,
        partition: usize,
        slot: &Mutex<Slot<M>>,
        act: impl FnOnce(&mut M, Now, &mut Effect<M>) -> T,
    ) -> Result<T, ErrorCode> {
        let mut slot = self.lock(slot);
        let Slot { machine, waiting } = &mut *slot;
        let machine = machine.as_mut().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
        let mut effects = Effects::default();
        let result = act(machine, self.now(), &mut effects);
        let (replies, pending) = self.carry_out(partition, machine, effects);
        self.deliver(replies, pending, waiting);
        Ok(result)
    }

    /// Lets the machine of a partition act and waits for its reply to this request.
    ///
    /// # Errors
    /// As [`Runtime::step`]; COORDINATOR_NOT_AVAILABLE also if the broker stops before there is a reply.
    pub async fn ask(
        self: &Arc<Self>,
        key: &str,
        stop: &CancellationToken,
        act: impl FnOnce(&mut M, Waiter, Now, &mut Effect<M>),
    ) -> Result<M::Reply, ErrorCode> {
        let receiver = match self.begin(key, act)? {
            Asked::Answered(reply) => return Ok(reply),
            Asked::Waiting(receiver) => receiver,
        };
        let _counted = Counted::new(&self.environment.waiting);
        tokio::select! {
            reply = receiver => reply.map_err(|_| ErrorCode::CoordinatorNotAvailable),
            () = stop.cancelled() => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }

    fn begin(
        self: &Arc<Self>,
        key: &str,
        act: impl FnOnce(&mut M, Waiter, Now, &mut Effect<M>),
    ) -> Result<Asked<M::Reply>, ErrorCode> {
        let (partition, slot) = self.slot(key)?;
        let mut slot = self.lock(slot);
        let Slot { machine, waiting } = &mut *slot;
        let machine = machine.as_mut().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
        let waiter = Waiter(self.next_waiter.fetch_add(1, Ordering::Relaxed));
        let mut effects = Effects::default();
        act(machine, waiter, self.now(), &mut effects);
        let (mut replies, pending) = self.carry_out(partition, machine, effects);
        if pending.is_empty()
            && let Some(at) = replies.iter().position(|(who, _)| *who == waiter)
        {
            let (_, reply) = replies.swap_remove(at);
            self.deliver(replies, pending, waiting);
            return Ok(Asked::Answered(reply));
        }
        let (sender, receiver) = oneshot::channel();
        waiting.insert(waiter, sender);
        self.deliver(replies, pending, waiting);
        Ok(Asked::Waiting(receiver))
    }

    /// Looks at every machine; those of a topic that does not exist yet are none.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS if one of them is not loaded.
    pub fn each(&self, mut look: impl FnMut(&M)) -> Result<(), ErrorCode> {
        for slot in self.slots().unwrap_or_default() {
            let slot = self.lock(slot);
            look(slot.machine.as_ref().ok_or(ErrorCode::CoordinatorLoadInProgress)?);
        }
        Ok(())
    }

    /// Lets every machine act that is loaded.
    pub fn step_each(self: &Arc<Self>, mut act: impl FnMut(&mut M, Now, &mut Effect<M>)) {
        for partition in 0..self.slots().map_or(0, <[_]>::len) {
            self.step_at(partition, &mut act);
        }
    }

    fn step_at(self: &Arc<Self>, partition: usize, act: &mut impl FnMut(&mut M, Now, &mut Effect<M>)) {
        if let Some(slot) = self.slots().and_then(|slots| slots.get(partition)) {
            // What is not loaded does nothing.
            let _ = self.step_in(partition, slot, act);
        }
    }

    /// Loads what is in the log, then does what is due until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut next_upkeep = Instant::now() + self.environment.upkeep_every;
        let mut next_load = Some(Instant::now());
        loop {
            let due = self.next_due(next_upkeep, next_load);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
                () = self.earlier.notified() => {}
            }
            let now = Instant::now();
            if next_load.is_some_and(|at| at <= now) {
                let this = Arc::clone(&self);
                // The join error is a panic in a machine's replay; it was logged, and is tried again like an I/O error.
                let _ = tokio::task::spawn_blocking(move || this.load()).await;
            }
            next_load = self.has_unloaded().then(|| Instant::now() + RELOAD_AFTER);
            self.step_each(|machine, now, out| {
                if machine.next_deadline_ms().is_some_and(|at_ms| at_ms <= now.steady_ms) {
                    machine.tick(now, out);
                }
            });
            if next_upkeep <= now {
                next_upkeep = now + self.environment.upkeep_every;
                for partition in 0..self.slots().map_or(0, <[_]>::len) {
                    self.step_at(partition, &mut |machine, now, out| machine.upkeep(now, out));
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// When the task must look again. From here on whoever sets an earlier deadline wakes it.
    fn next_due(&self, next_upkeep: Instant, next_load: Option<Instant>) -> Instant {
        self.sleeps_until_ms.store(u64::MAX, Ordering::SeqCst);
        let mut due = next_upkeep.min(Instant::now() + IDLE_SLEEP);
        if let Some(at) = next_load {
            due = due.min(at);
        }
        for slot in self.slots().unwrap_or_default() {
            let deadline_ms = self.lock(slot).machine.as_ref().and_then(Machine::next_deadline_ms);
            if let Some(at_ms) = deadline_ms {
                due = due.min(self.started + Duration::from_millis(at_ms));
            }
        }
        let due_ms = due.saturating_duration_since(self.started).as_millis();
        self.sleeps_until_ms.fetch_min(u64::try_from(due_ms).unwrap_or(u64::MAX), Ordering::SeqCst);
        due
    }

    fn slots(&self) -> Option<&[Mutex<Slot<M>>]> {
        if let Some(slots) = self.slots.get() {
            return Some(slots);
        }
        let count = self.log.partition_count()?;
        let empty = || Mutex::new(Slot { machine: None, waiting: HashMap::new() });
        Some(self.slots.get_or_init(|| (0..count).map(|_| empty()).collect()))
    }

    fn slot(&self, key: &str) -> Result<(usize, &Mutex<Slot<M>>), ErrorCode> {
        self.ensure()?;
        let slots = self.slots().ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let partition = partition_of(key, slots.len());
        let slot = slots.get(partition).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        Ok((partition, slot))
    }

    /// A panic of a machine leaves it in doubt: it is dropped, those who wait are sent away, and it is loaded again.
    fn lock<'a>(&self, slot: &'a Mutex<Slot<M>>) -> MutexGuard<'a, Slot<M>> {
        match slot.lock() {
            Ok(guard) => guard,
            Err(poisoned) => {
                let mut guard = poisoned.into_inner();
                guard.machine = None;
                guard.waiting.clear();
                slot.clear_poison();
                self.earlier.notify_one();
                tracing::error!("a coordinator's machine panicked and is loaded again from its log");
                guard
            }
        }
    }

    fn now(&self) -> Now {
        let steady_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { wall_ms: (self.environment.wall_ms)(), steady_ms }
    }

    /// Appends what the machine asks for, tells it the outcome, and goes on until it asks for nothing more.
    fn carry_out(
        &self,
        partition: usize,
        machine: &mut M,
        mut effects: Effect<M>,
    ) -> (Replies<M>, Vec<Durable>) {
        let mut replies = Vec::new();
        let mut pending = Vec::new();
        loop {
            replies.append(&mut effects.replies);
            if effects.appends.is_empty() {
                break;
            }
            for append in std::mem::take(&mut effects.appends) {
                let now = self.now();
                let stored = append.records.and_then(|records| self.append(partition, &records, now.wall_ms));
                let outcome =
                    stored.map(|durable| pending.extend(durable.filter(|durable| !durable.is_kept())));
                machine.stored(append.ticket, outcome, now, &mut effects);
            }
        }
        self.wake_before(machine.next_deadline_ms());
        (replies, pending)
    }

    fn append(
        &self,
        partition: usize,
        records: &[super::machine::Record],
        now_ms: i64,
    ) -> Result<Option<Durable>, ErrorCode> {
        if records.is_empty() {
            return Ok(None);
        }
        let index = i32::try_from(partition).map_err(|_| ErrorCode::NotCoordinator)?;
        let batches = batches::build(records, now_ms)?;
        match self.log.append(index, batches, now_ms) {
            Ok(appended) => Ok(Some(appended.durable)),
            Err(code) => {
                tracing::warn!(partition, %code, "coordinator state was not stored; the client is told to retry");
                Err(code)
            }
        }
    }

    fn wake_before(&self, deadline_ms: Option<u64>) {
        if let Some(at_ms) = deadline_ms
            && at_ms < self.sleeps_until_ms.fetch_min(at_ms, Ordering::SeqCst)
        {
            self.earlier.notify_one();
        }
    }

    /// Hands replies to those who wait, once what they rest on is durable.
    fn deliver(
        self: &Arc<Self>,
        replies: Replies<M>,
        pending: Vec<Durable>,
        waiting: &mut HashMap<Waiter, oneshot::Sender<M::Reply>>,
    ) {
        let addressed: Vec<_> = replies
            .into_iter()
            .filter_map(|(waiter, reply)| Some((waiting.remove(&waiter)?, reply)))
            .collect();
        // A receiver that is gone belongs to a client that has hung up.
        let send = |addressed: Vec<(oneshot::Sender<M::Reply>, M::Reply)>| {
            for (sender, reply) in addressed {
                let _ = sender.send(reply);
            }
        };
        if pending.is_empty() || addressed.is_empty() {
            return send(addressed);
        }
        tokio::spawn(async move {
            for durable in pending {
                if durable.wait().await.is_err() {
                    // Dropping the senders tells them that the coordinator is not available.
                    return;
                }
            }
            send(addressed);
        });
    }
}

enum Asked<R> {
    Answered(R),
    Waiting(oneshot::Receiver<R>),
}

/// Counts somebody as waiting for as long as it lives.
struct Counted<'a>(&'a IntGauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a IntGauge) -> Counted<'a> {
        gauge.inc();
        Counted(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
