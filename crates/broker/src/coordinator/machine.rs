//! What a coordinator is to the runtime: a state machine whose state lives in one partition of an internal topic.
//!
//! A machine does no I/O and reads no clock. It is told what happened and answers with [`Effects`]: replies for those
//! who wait, and records to append. It learns of each append's outcome through [`Machine::stored`] and only then
//! changes what the records say, so that memory never claims what the log does not hold. After a restart the records
//! come back through [`Machine::replay`].
//!
//! Groups are the first user. Transactions, share groups and streams groups are meant to be others: each brings its
//! own machine and shares the runtime.

use bytes::Bytes;
use protocol::ErrorCode;

/// One moment by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch: what records say, and how long commits are kept. May jump.
    pub wall_ms: i64,
    /// Milliseconds since some start: what sessions and rebalances are measured by. Never jumps, so that a corrected
    /// wall clock does not expire every member at once.
    pub steady_ms: u64,
}

/// Who waits for a reply. The runtime hands them out; a machine answers each exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

/// A record of an internal topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What compaction keeps the last of.
    pub key: Bytes,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// Records that belong together, and what to do when they are stored.
#[derive(Debug)]
pub struct Append<T> {
    /// The records, or why they could not be made; then the ticket fails without an append.
    pub records: Result<Vec<Record>, ErrorCode>,
    /// Handed back through [`Machine::stored`].
    pub ticket: T,
}

/// What a step of a machine asks for.
#[derive(Debug)]
pub struct Effects<R, T> {
    /// Who is answered, in order.
    pub replies: Vec<(Waiter, R)>,
    /// What is appended, in order.
    pub appends: Vec<Append<T>>,
}

impl<R, T> Default for Effects<R, T> {
    fn default() -> Self {
        Effects { replies: Vec::new(), appends: Vec::new() }
    }
}

impl<R, T> Effects<R, T> {
    /// Answers somebody.
    pub fn reply(&mut self, waiter: Waiter, reply: R) {
        self.replies.push((waiter, reply));
    }

    /// Appends records.
    pub fn append(&mut self, records: Result<Vec<Record>, ErrorCode>, ticket: T) {
        self.appends.push(Append { records, ticket });
    }
}

/// A coordinator's state in one partition.
pub trait Machine: Send + 'static {
    /// What waiters get.
    type Reply: Send + 'static;
    /// What an append is for.
    type Ticket: Send;

    /// Takes over a record that was stored before a restart. Records come in the order in which they were appended.
    fn replay(&mut self, record: Record);

    /// All records were replayed; from now on time counts.
    fn loaded(&mut self, now: Now);

    /// An append succeeded or failed.
    fn stored(
        &mut self,
        ticket: Self::Ticket,
        outcome: Result<(), ErrorCode>,
        now: Now,
        out: &mut Effects<Self::Reply, Self::Ticket>,
    );

    /// Time passed: does whatever is due.
    fn tick(&mut self, now: Now, out: &mut Effects<Self::Reply, Self::Ticket>);

    /// When `tick` is next worth calling, by the steady clock. `None`: nothing here depends on time.
    fn next_deadline_ms(&self) -> Option<u64>;

    /// What need not happen on time: drops what has outlived its retention. Called now and then.
    fn upkeep(&mut self, now: Now, out: &mut Effects<Self::Reply, Self::Ticket>);
}
