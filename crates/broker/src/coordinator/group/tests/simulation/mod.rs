//! Clients that join, crash, leave, commit and come back, a network that delays, a disk that fails, a broker that
//! dies: all from one seed, in virtual time.
//!
//! Checked throughout: every waiter is answered once; a generation has one leader; what a member is assigned belongs
//! to its generation; nobody learns of an older generation than before while the broker lives; a commit that was
//! confirmed is what a fetch shows; what the log holds is what memory holds whenever the group is at rest. In the end,
//! with everything working again, all clients that live must be together in one generation with work to do.

mod client;

use std::collections::{BTreeMap, BTreeSet};

use protocol::{ErrorCode, Str};
use uuid::Uuid;

use super::super::{Effects, Reply, Settings, Shard, State};
use crate::coordinator::machine::{Machine, Now, Record, Waiter};
use crate::coordinator::metrics::Metrics;
use client::{Client, Heard, Request};

const GROUP: &str = "g";
const CLIENTS: usize = 6;
/// How long everything goes wrong.
const CHAOS_MS: u64 = 300_000;
/// How long it takes at most until all is well afterwards: sessions end, two rebalances pass, retries.
const CALM_MS: u64 = 180_000;

/// How rarely the log is compared with memory: reading all of it after every event would be most of the work.
const LOG_CHECK_ONE_IN: u64 = 300;

/// Seeds of one run of the tests; more by `PENSTOCK_SEEDS=first..last`.
const SEEDS: std::ops::Range<u64> = 0..100;

/// SplitMix64: small, and the same everywhere.
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// What is about to happen.
enum Event {
    /// A request reaches the broker.
    Arrive { client: usize, life: u32, request: Request },
    /// An answer reaches its client.
    Answer { client: usize, life: u32, heard: Heard },
    /// A client looks at the clock.
    Wake { client: usize, life: u32, nap: u32 },
    /// Something goes wrong somewhere.
    Trouble,
    /// The disk works again.
    Repair,
}

struct Simulation {
    settings: Settings,
    shard: Shard,
    metrics: Metrics,
    log: Vec<Record>,
    now: Now,
    random: Random,
    queue: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    clients: Vec<Client>,
    waiting: BTreeMap<Waiter, (usize, u32)>,
    disk_fails: bool,
    /// How often the broker has died: generations that were not stored may come again after that.
    deaths: u32,
    leaders: BTreeMap<(u32, i32), Str>,
    newest: (u32, i32),
    committed: BTreeMap<i32, i64>,
    assigned: BTreeSet<(u32, i32)>,
}

impl Simulation {
    fn new(seed: u64) -> Simulation {
        let mut settings = crate::config::Config::default().groups;
        let mut random = Random(seed);
        settings.initial_rebalance_delay_ms = [0, 100, 3_000][random.below(3) as usize];
        let metrics = Metrics::new(&telemetry::Registry::new());
        let shard = Shard::new(settings.clone(), metrics.clone());
        let clients = (0..CLIENTS).map(|index| Client::new(index, index % 3 == 2)).collect();
        let mut simulation = Simulation {
            settings,
            shard,
            metrics,
            log: Vec::new(),
            now: Now { wall_ms: 1_000_000_000_000, steady_ms: 0 },
            random,
            queue: BTreeMap::new(),
            sequence: 0,
            clients,
            waiting: BTreeMap::new(),
            disk_fails: false,
            deaths: 0,
            leaders: BTreeMap::new(),
            newest: (0, 0),
            committed: BTreeMap::new(),
            assigned: BTreeSet::new(),
        };
        for client in 0..CLIENTS {
            let delay = simulation.random.below(5_000);
            simulation.after(delay, Event::Wake { client, life: 0, nap: 0 });
        }
        simulation.after(1_000, Event::Trouble);
        simulation
    }

    fn after(&mut self, delay_ms: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now.steady_ms + delay_ms, self.sequence), event);
    }

    fn run(&mut self) {
        let end_ms = CHAOS_MS + CALM_MS;
        while let Some((&(at_ms, sequence), _)) = self.queue.first_key_value() {
            let due_ms = self.shard.next_deadline_ms().filter(|due_ms| *due_ms < at_ms);
            let next_ms = due_ms.unwrap_or(at_ms).max(self.now.steady_ms);
            if next_ms > end_ms {
                break;
            }
            self.now.wall_ms += (next_ms - self.now.steady_ms) as i64;
            self.now.steady_ms = next_ms;
            if due_ms.is_some() {
                self.step(|shard, now, out| shard.tick(now, out));
                if self.shard.next_deadline_ms() == due_ms {
                    self.now.steady_ms += 1;
                }
            } else if let Some(event) = self.queue.remove(&(at_ms, sequence)) {
                self.happen(event);
            }
            self.check_sums();
            if self.random.one_in(LOG_CHECK_ONE_IN) {
                self.check_log();
            }
        }
        self.check_log();
        self.check_peace();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { client, life, request } => self.serve(client, life, request),
            Event::Answer { client, life, heard } if self.clients[client].life == life => {
                self.check_heard(client, &heard);
                let orders = self.clients[client].hear(heard, &mut self.random);
                self.obey(client, orders);
            }
            Event::Wake { client, life, nap } if self.clients[client].is_waiting_for(life, nap) => {
                let is_calm = self.now.steady_ms >= CHAOS_MS;
                let orders = self.clients[client].wake(is_calm, &mut self.random);
                self.obey(client, orders);
            }
            // The client has died since, or has thought of something else to do.
            Event::Answer { .. } | Event::Wake { .. } => {}
            Event::Trouble if self.now.steady_ms < CHAOS_MS => {
                self.trouble();
                let pause = 500 + self.random.below(15_000);
                self.after(pause, Event::Trouble);
            }
            Event::Trouble => {}
            Event::Repair => self.disk_fails = false,
        }
    }

    fn obey(&mut self, client: usize, orders: client::Orders) {
        let life = self.clients[client].life;
        for request in orders.requests {
            let delay = self.random.below(30);
            self.after(delay, Event::Arrive { client, life, request });
        }
        if let Some(nap_ms) = orders.nap_ms {
            let nap = self.clients[client].nap;
            self.after(nap_ms, Event::Wake { client, life, nap });
        }
    }

    fn trouble(&mut self) {
        match self.random.below(6) {
            0 => {
                self.disk_fails = true;
                let repair = self.random.below(4_000);
                self.after(repair, Event::Repair);
            }
            1 => self.die(),
            _ => {
                let client = self.random.below(CLIENTS as u64) as usize;
                self.clients[client].crash();
                let life = self.clients[client].life;
                let absence = self.random.below(20_000);
                self.after(absence, Event::Wake { client, life, nap: 0 });
            }
        }
    }

    /// The broker dies and comes back: what waits is cut off, what is not in the log is gone.
    fn die(&mut self) {
        self.deaths += 1;
        for (_, (client, life)) in std::mem::take(&mut self.waiting) {
            self.after(10, Event::Answer { client, life, heard: Heard::Disconnected });
        }
        self.metrics = Metrics::new(&telemetry::Registry::new());
        self.shard = self.replayed(&self.metrics);
        self.shard.loaded(self.now);
    }

    fn replayed(&self, metrics: &Metrics) -> Shard {
        let mut shard = Shard::new(self.settings.clone(), metrics.clone());
        self.log.iter().for_each(|record| shard.replay(record.clone()));
        shard
    }

    fn serve(&mut self, client: usize, life: u32, request: Request) {
        let waiter = Waiter(self.sequence);
        self.sequence += 1;
        let group = Str::from_static(GROUP);
        if let Request::Heartbeat { member_id, instance_id, generation } = request {
            let mut code = ErrorCode::None;
            self.step(|shard, now, out| {
                code = shard.heartbeat(&group, &member_id, instance_id.as_ref(), generation, now, out);
            });
            return self.answer(client, life, Heard::Heartbeat(code));
        }
        self.waiting.insert(waiter, (client, life));
        self.step(|shard, now, out| match request {
            Request::Join(join) => shard.join(&join, waiter, now, out),
            Request::Sync(sync) => shard.sync(sync, waiter, now, out),
            Request::Leave(leaver) => shard.leave(&group, &[leaver], waiter, now, out),
            Request::Commit(commit) => shard.commit(commit, waiter, now, out),
            Request::Heartbeat { .. } => {}
        });
    }

    fn answer(&mut self, client: usize, life: u32, heard: Heard) {
        let delay = self.random.below(30);
        self.after(delay, Event::Answer { client, life, heard });
    }

    fn step(&mut self, act: impl FnOnce(&mut Shard, Now, &mut Effects)) {
        let mut effects = Effects::default();
        act(&mut self.shard, self.now, &mut effects);
        loop {
            for (waiter, reply) in std::mem::take(&mut effects.replies) {
                let (client, life) = self.waiting.remove(&waiter).expect("a waiter is answered once");
                self.note(client, life, &reply);
                self.answer(client, life, Heard::Reply(reply));
            }
            if effects.appends.is_empty() {
                break;
            }
            for append in std::mem::take(&mut effects.appends) {
                let records = append.records.expect("these records can be made");
                let outcome = if self.disk_fails {
                    Err(ErrorCode::KafkaStorageError)
                } else {
                    self.log.extend(records);
                    Ok(())
                };
                self.shard.stored(append.ticket, outcome, self.now, &mut effects);
            }
        }
    }

    /// Looks at an answer as it leaves the broker.
    fn note(&mut self, client: usize, life: u32, reply: &Reply) {
        match reply {
            Reply::Join(joined) if joined.error_code == 0 => {
                let generation = (self.deaths, joined.generation_id);
                assert!(generation >= self.newest, "generation {generation:?} after {:?}", self.newest);
                self.newest = generation;
                if !joined.members.is_empty() && !joined.skip_assignment {
                    let leader = self.leaders.entry(generation).or_insert_with(|| joined.leader.clone());
                    assert_eq!(*leader, joined.leader, "two leaders of generation {generation:?}");
                }
            }
            Reply::Sync(synced) if synced.error_code == 0 => {
                self.assigned.insert((self.deaths, self.newest.1));
            }
            Reply::Offsets(Ok(codes)) if codes == &[ErrorCode::None] => {
                // The client commits to its own partition, so that the answer says which commit this was.
                let at = client as i32;
                let shown =
                    self.shard.fetch(GROUP, "t", Uuid::nil(), at).expect("it has just committed").offset;
                if life == self.clients[client].life {
                    assert_eq!(shown, self.clients[client].position, "another offset than was committed");
                }
                self.committed.insert(at, shown);
            }
            _ => {}
        }
    }

    fn check_heard(&self, client: usize, heard: &Heard) {
        if let Heard::Reply(Reply::Sync(synced)) = heard
            && synced.error_code == 0
            && !synced.assignment.is_empty()
        {
            let work = String::from_utf8(synced.assignment.to_vec()).expect("assignments are text here");
            let theirs = self.clients[client].generation.to_string();
            assert_eq!(work, theirs, "{client} is assigned work of another generation");
        }
    }

    /// What the group keeps beside its members agrees with them.
    fn check_sums(&self) {
        let Some(group) = self.shard.groups_for_test().get(GROUP) else { return };
        let members = || group.members.values();
        assert_eq!(group.joined, members().filter(|member| member.join_waiter.is_some()).count());
        assert_eq!(self.metrics.state_bytes.get(), group.bytes() as i64);
        assert_eq!(self.metrics.members.get(), group.members.len() as i64);
        assert_eq!(group.member_bytes, members().map(|member| member.bytes()).sum::<usize>());
        assert_eq!(group.statics.len(), members().filter(|member| member.instance_id.is_some()).count());
        assert!(group.statics.values().chain(&group.unsynced).all(|id| group.members.contains_key(id)));
        let is_due_unseen = |member: &super::super::Member| {
            !member.waits_for_the_group() && member.expires_at_ms < group.wake_at_ms
        };
        assert!(!members().any(is_due_unseen), "a session would end without anybody looking");
    }

    /// Whenever the group is at rest, a broker that starts now would know the same.
    fn check_log(&self) {
        let Some(group) = self.shard.groups_for_test().get(GROUP) else { return };
        let replayed = self.replayed(&Metrics::new(&telemetry::Registry::new()));
        assert_eq!(
            self.shard.fetch_all(GROUP).unwrap_or_default(),
            replayed.fetch_all(GROUP).unwrap_or_default(),
            "offsets in memory and in the log"
        );
        for (partition, offset) in &self.committed {
            assert_eq!(
                group.fetch("t", Uuid::nil(), *partition).offset,
                *offset,
                "a confirmed commit is lost"
            );
        }
        let is_at_rest = matches!(group.state, State::Stable | State::Empty) && group.is_logged;
        if is_at_rest && !group.is_unsaved {
            let name = Str::from_static(GROUP);
            assert_eq!(self.shard.describe(&name, true), replayed.describe(&name, true));
            let logged = replayed.groups_for_test().get(GROUP).expect("it is logged");
            assert_eq!((group.generation, &group.leader), (logged.generation, &logged.leader));
        }
    }

    /// After the calm everybody works together.
    fn check_peace(&self) {
        let group = self.shard.groups_for_test().get(GROUP).expect("somebody is there");
        assert_eq!(group.state, State::Stable, "the group is still busy");
        let members: BTreeSet<&str> = group.members.keys().map(Str::as_str).collect();
        let clients: BTreeSet<&str> = self.clients.iter().map(|client| client.member_id.as_str()).collect();
        assert_eq!(members, clients, "members that do not live, or clients that are no members");
        for client in &self.clients {
            assert!(client.has_work, "client {} has no work", client.index);
            assert_eq!(client.generation, group.generation, "client {} lives in the past", client.index);
        }
        assert!(self.assigned.len() > 3, "too little happened: {} generations", self.assigned.len());
    }
}

fn play(seed: u64) {
    // A failed assertion is followed by this line, which is all that is needed to see it again.
    struct Seed(u64);
    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("this was seed {0}; again: PENSTOCK_SEEDS={0}..{1}", self.0, self.0 + 1);
            }
        }
    }
    let _seed = Seed(seed);
    Simulation::new(seed).run();
}

#[test]
fn groups_recover_from_anything() {
    let seeds = std::env::var("PENSTOCK_SEEDS").ok().map(|text| {
        let (first, last) = text.split_once("..").expect("PENSTOCK_SEEDS is first..last");
        first.parse().expect("a number")..last.parse().expect("a number")
    });
    seeds.unwrap_or(SEEDS).for_each(play);
}
