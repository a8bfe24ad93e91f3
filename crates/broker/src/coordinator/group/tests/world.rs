//! A shard, a log, a clock and some clients, played from a script.
//!
//! A line of a script is a command; what follows from it is a line of the transcript. Clients are called by one word;
//! what they have learned (member id, generation, protocol) they use in their next command.
//!
//! - `join NAME [instance=I] [speaks=range,sticky] [kind=consumer] [topics=t,u] [session=MS] [rebalance=MS]
//!   [v3|v8] [anew] [id=X]`: `v3` takes no id first, `v8` cannot skip an assignment, `anew` forgets its member id
//! - `enter NAME …`: the same, and once more when it is given an id
//! - `sync NAME [OTHER=ASSIGNMENT …] [generation=N] [speaks=P]`
//! - `beat NAME [generation=N]`, `leave NAME|instance=I …`
//! - `commit NAME|- TOPIC:PARTITION=OFFSET[/METADATA] … [generation=N] [retention=MS]`, `fetch TOPIC:PARTITION`,
//!   `fetch all`, `forget TOPIC:PARTITION …` (OffsetDelete), `drop TOPIC` (the topic is deleted)
//! - `describe`, `list`, `delete`
//! - `wait MS`, `upkeep`, `disk fails`, `disk works`, `restart`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use protocol::codec::Message;
use protocol::messages::ConsumerProtocolSubscription;
use protocol::{ErrorCode, Str};
use uuid::Uuid;

use crate::coordinator::group::{
    Client, Commit, CommitEntry, Effects, Fetched, Join, Leaver, Offer, Reply, Settings, Shard, Sync,
};
use crate::coordinator::machine::{Machine, Now, Record, Waiter};
use crate::coordinator::metrics::Metrics;

const GROUP: &str = "g";

#[derive(Clone, Default)]
struct Known {
    member_id: Str,
    instance_id: Option<Str>,
    generation: i32,
    protocol: Option<Str>,
}

pub(super) struct World {
    settings: Settings,
    pub(super) shard: Shard,
    pub(super) log: Vec<Record>,
    pub(super) now: Now,
    clients: BTreeMap<String, Known>,
    names: BTreeMap<Str, String>,
    waiting: BTreeMap<Waiter, String>,
    next: u64,
    disk_fails: bool,
    transcript: String,
}

/// `key=value` words of a command, and the words that are none.
struct Words<'a> {
    plain: Vec<&'a str>,
    named: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn of(words: &[&'a str]) -> Words<'a> {
        let (named, plain) = words.iter().partition::<Vec<&str>, _>(|word| word.contains('='));
        Words { plain, named: named.into_iter().map(|word| word.split_once('=').unwrap()).collect() }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.named.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn number(&self, name: &str, default: i32) -> i32 {
        self.get(name).map_or(default, |text| text.parse().unwrap())
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }
}

impl World {
    pub(super) fn new(settings: Settings) -> World {
        World {
            shard: Shard::new(settings.clone(), Metrics::new(&telemetry::Registry::new())),
            settings,
            log: Vec::new(),
            now: Now { wall_ms: 1_000_000_000_000, steady_ms: 0 },
            clients: BTreeMap::new(),
            names: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next: 0,
            disk_fails: false,
            transcript: String::new(),
        }
    }

    pub(super) fn run(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            self.command(words[0], &words[1..]);
        }
    }

    pub(super) fn transcript(mut self) -> String {
        for name in std::mem::take(&mut self.waiting).into_values() {
            self.say(&format!("{name} still waits"));
        }
        // Member ids are noise: names stand for them, also where an id appears before its client has learned it.
        self.names.iter().fold(self.transcript, |text, (id, name)| text.replace(id.as_str(), name))
    }

    fn say(&mut self, line: &str) {
        writeln!(self.transcript, "{:<6} {line}", self.now.steady_ms).unwrap();
    }

    fn command(&mut self, verb: &str, rest: &[&str]) {
        let words = Words::of(rest);
        match verb {
            "join" => self.join(&words),
            "enter" => {
                self.join(&words);
                self.join(&words);
            }
            "sync" => self.sync(&words),
            "beat" => self.beat(&words),
            "leave" => self.leave(&words),
            "commit" => self.commit(&words),
            "fetch" => self.fetch(rest[0]),
            "forget" => self.forget(rest),
            "drop" => self.step(|shard, _, _, out| shard.drop_topic(rest[0], out), "drop"),
            "delete" => self.step(|shard, waiter, _, out| shard.delete(&GROUP.into(), waiter, out), "group"),
            "describe" => self.describe(),
            "list" => {
                let listed = self.shard.list();
                let one = |group: &protocol::messages::list_groups::ListedGroup| {
                    format!("{} {} {}", group.group_id, group.group_state, group.protocol_type)
                };
                let listed: Vec<String> = listed.iter().map(one).collect();
                self.say(&format!("groups: {}", listed.join(", ")));
            }
            "wait" => self.wait(rest[0].parse().unwrap()),
            "upkeep" => self.step(|shard, _, now, out| shard.upkeep(now, out), "upkeep"),
            "disk" => self.disk_fails = rest[0] == "fails",
            "restart" => self.restart(),
            other => panic!("no such command: {other}"),
        }
    }

    /// Lets the shard act, as the runtime does.
    pub(super) fn step(&mut self, act: impl FnOnce(&mut Shard, Waiter, Now, &mut Effects), who: &str) {
        let waiter = Waiter(self.next);
        self.next += 1;
        let mut effects = Effects::default();
        self.waiting.insert(waiter, who.to_owned());
        act(&mut self.shard, waiter, self.now, &mut effects);
        if matches!(who, "drop" | "upkeep" | "tick" | "beat") {
            self.waiting.remove(&waiter);
        }
        loop {
            for (waiter, reply) in std::mem::take(&mut effects.replies) {
                let who = self.waiting.remove(&waiter).expect("everybody is answered once");
                self.hear(&who, reply);
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

    fn join(&mut self, words: &Words<'_>) {
        let name = words.plain[0];
        let known = self.clients.entry(name.to_owned()).or_default();
        if words.has("anew") {
            known.member_id = Str::default();
        }
        known.instance_id = words.get("instance").map(Str::from);
        let topics = words.get("topics").unwrap_or("t").split(',').map(Str::from).collect();
        let subscription = ConsumerProtocolSubscription { topics, ..Default::default() };
        let metadata = subscription.encode_prefixed(1).unwrap();
        let session = words.number("session", 10_000);
        let join = Join {
            group: GROUP.into(),
            member_id: words.get("id").map_or_else(|| known.member_id.clone(), Str::from),
            instance_id: known.instance_id.clone(),
            protocol_type: words.get("kind").unwrap_or("consumer").into(),
            offers: words
                .get("speaks")
                .unwrap_or("range")
                .split(',')
                .filter(|offer| !offer.is_empty())
                .map(|offer| Offer { name: offer.into(), metadata: metadata.clone() })
                .collect(),
            session_timeout_ms: session,
            rebalance_timeout_ms: words.number("rebalance", 60_000),
            client: Client { id: name.into(), host: "/127.0.0.1".into() },
            takes_id_first: !words.has("v3"),
            may_skip_assignment: !words.has("v3") && !words.has("v8"),
            fresh: Uuid::from_u128(u128::from(self.next)),
        };
        self.step(|shard, waiter, now, out| shard.join(&join, waiter, now, out), name);
    }

    fn sync(&mut self, words: &Words<'_>) {
        let name = words.plain[0];
        let known = self.clients.get(name).cloned().unwrap_or_default();
        let id_of = |other: &str| self.clients.get(other).map(|known| known.member_id.clone());
        let assignments = words
            .named
            .iter()
            .filter_map(|(other, work)| Some((id_of(other)?, Bytes::copy_from_slice(work.as_bytes()))))
            .collect();
        let sync = Sync {
            group: GROUP.into(),
            generation: words.number("generation", known.generation),
            member_id: known.member_id,
            instance_id: known.instance_id,
            protocol_type: Some("consumer".into()),
            protocol: words.get("speaks").map(Str::from).or(known.protocol),
            assignments,
        };
        self.step(|shard, waiter, now, out| shard.sync(sync, waiter, now, out), name);
    }

    fn beat(&mut self, words: &Words<'_>) {
        let name = words.plain[0];
        let known = self.clients.get(name).cloned().unwrap_or_default();
        let generation = words.number("generation", known.generation);
        let mut code = ErrorCode::None;
        self.step(
            |shard, _, now, out| {
                let instance = known.instance_id.as_ref();
                code = shard.heartbeat(&GROUP.into(), &known.member_id, instance, generation, now, out);
            },
            "beat",
        );
        self.say(&format!("{name} beats: {code}"));
    }

    fn leave(&mut self, words: &Words<'_>) {
        let mut leavers: Vec<Leaver> = words
            .plain
            .iter()
            .map(|name| {
                let known = self.clients.get(*name).cloned().unwrap_or_default();
                Leaver { member_id: known.member_id, instance_id: known.instance_id }
            })
            .collect();
        leavers.extend(words.named.iter().map(|(_, instance)| Leaver {
            member_id: Str::default(),
            instance_id: Some((*instance).into()),
        }));
        let act = |shard: &mut Shard, waiter, now, out: &mut Effects| {
            shard.leave(&GROUP.into(), &leavers, waiter, now, out);
        };
        self.step(act, "leavers");
    }

    fn commit(&mut self, words: &Words<'_>) {
        let name = words.plain[0];
        let known = self.clients.get(name).cloned().unwrap_or(Known { generation: -1, ..Known::default() });
        let entries = words
            .named
            .iter()
            .filter_map(|(place, offset)| {
                let (topic, partition) = place.split_once(':')?;
                let (offset, metadata) = offset.split_once('/').unwrap_or((offset, ""));
                Some(CommitEntry {
                    topic: topic.into(),
                    topic_id: Uuid::from_u128(7),
                    partition: partition.parse().unwrap(),
                    offset: offset.parse().unwrap(),
                    leader_epoch: 0,
                    metadata: metadata.into(),
                })
            })
            .collect();
        let commit = Commit {
            group: GROUP.into(),
            member_id: known.member_id,
            instance_id: known.instance_id,
            generation: words.number("generation", known.generation),
            retention_ms: words.get("retention").map(|ms| ms.parse().unwrap()),
            names_missing_group: true,
            entries,
        };
        self.step(|shard, waiter, now, out| shard.commit(commit, waiter, now, out), name);
    }

    fn fetch(&mut self, what: &str) {
        let show = |fetched: &Fetched| format!("{} {:?}", fetched.offset, fetched.metadata.as_str());
        let line = match what.split_once(':') {
            Some((topic, partition)) => {
                let fetched = self.shard.fetch(GROUP, topic, Uuid::nil(), partition.parse().unwrap());
                fetched.map_or("no such group".to_owned(), |fetched| show(&fetched))
            }
            None => {
                let all = self.shard.fetch_all(GROUP).unwrap_or_default();
                let lines = all.iter().flat_map(|(topic, partitions)| {
                    partitions.iter().map(move |(partition, it)| format!("{topic}:{partition}={}", it.offset))
                });
                lines.collect::<Vec<_>>().join(" ")
            }
        };
        self.say(&format!("fetched {what}: {line}"));
    }

    fn forget(&mut self, places: &[&str]) {
        let place = |place: &&str| {
            let (topic, partition) = place.split_once(':').unwrap();
            (Str::from(topic), partition.parse().unwrap())
        };
        let places: Vec<(Str, i32)> = places.iter().map(place).collect();
        let act = |shard: &mut Shard, waiter, now, out: &mut Effects| {
            shard.delete_offsets(&GROUP.into(), places, waiter, now, out);
        };
        self.step(act, "tool");
    }

    fn describe(&mut self) {
        let described = self.shard.describe(&GROUP.into(), true);
        let code = ErrorCode::from(described.error_code);
        let members = described.members.iter().map(|member| {
            let assignment = String::from_utf8_lossy(&member.member_assignment).into_owned();
            format!(" {}={assignment:?}", member.member_id)
        });
        let members: String = members.collect();
        let (state, protocol) = (&described.group_state, &described.protocol_data);
        self.say(&format!("group: {code} {state} {protocol:?}{members}"));
    }

    /// Time passes, deadline by deadline.
    pub(super) fn wait(&mut self, ms: u64) {
        let until_ms = self.now.steady_ms + ms;
        while let Some(at_ms) = self.shard.next_deadline_ms().filter(|at_ms| *at_ms <= until_ms) {
            self.pass(at_ms.saturating_sub(self.now.steady_ms));
            self.step(|shard, _, now, out| shard.tick(now, out), "tick");
            if self.shard.next_deadline_ms() == Some(at_ms) {
                self.pass(1);
            }
        }
        self.pass(until_ms.saturating_sub(self.now.steady_ms));
    }

    fn pass(&mut self, ms: u64) {
        self.now.steady_ms += ms;
        self.now.wall_ms += i64::try_from(ms).unwrap();
    }

    /// The broker dies, and what it knows afterwards is what the log holds.
    pub(super) fn restart(&mut self) {
        self.waiting.clear();
        self.shard = Shard::new(self.settings.clone(), Metrics::new(&telemetry::Registry::new()));
        for record in self.log.clone() {
            self.shard.replay(record);
        }
        self.shard.loaded(self.now);
    }

    fn hear(&mut self, name: &str, reply: Reply) {
        let line = match reply {
            Reply::Join(joined) if joined.error_code == 0 => {
                let members: Vec<&str> =
                    joined.members.iter().map(|member| member.member_id.as_str()).collect();
                let role = if members.is_empty() {
                    format!("follows {}", joined.leader)
                } else {
                    format!("leads {}", members.join(" "))
                };
                let protocol = joined.protocol_name.clone().unwrap_or_default();
                let skips = if joined.skip_assignment { ", skips the assignment" } else { "" };
                let line =
                    format!("{name} joined generation {} ({protocol}), {role}{skips}", joined.generation_id);
                self.learn(name, &joined.member_id, joined.generation_id, joined.protocol_name);
                line
            }
            Reply::Join(refused) => {
                let code = ErrorCode::from(refused.error_code);
                if code == ErrorCode::MemberIdRequired {
                    self.learn(name, &refused.member_id, -1, None);
                }
                format!("{name} did not join: {code}")
            }
            Reply::Sync(synced) if synced.error_code == 0 => {
                format!("{name} does {:?}", String::from_utf8_lossy(&synced.assignment))
            }
            Reply::Sync(refused) => format!("{name} did not sync: {}", ErrorCode::from(refused.error_code)),
            Reply::Leave(Ok(answers)) => {
                let codes = answers.iter().map(|answer| ErrorCode::from(answer.error_code).to_string());
                format!("{name} left: {}", codes.collect::<Vec<_>>().join(" "))
            }
            Reply::Leave(Err(code)) => format!("{name} did not leave: {code}"),
            Reply::Offsets(Ok(codes)) => {
                let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
                format!("{name} about offsets: {}", codes.join(" "))
            }
            Reply::Offsets(Err(code)) => format!("{name} about all offsets: {code}"),
            Reply::Deleted(code) => format!("{name} deleted: {code}"),
        };
        self.say(&line);
    }

    fn learn(&mut self, name: &str, member_id: &Str, generation: i32, protocol: Option<Str>) {
        self.names.insert(member_id.clone(), name.to_owned());
        let known = self.clients.entry(name.to_owned()).or_default();
        known.member_id = member_id.clone();
        known.generation = generation;
        known.protocol = protocol;
    }
}
