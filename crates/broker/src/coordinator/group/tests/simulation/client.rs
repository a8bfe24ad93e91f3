//! A consumer as the simulation sees it: what it does when it hears something or when time passes.

use bytes::Bytes;
use protocol::{ErrorCode, Str};
use uuid::Uuid;

use super::super::super::{
    Client as Program, Commit, CommitEntry, Join, Leaver, NO_GENERATION, Offer, Reply, Sync,
};
use super::{GROUP, Random};

const HEARTBEAT_MS: u64 = 2_000;
const SESSION_MS: i32 = 9_000;
const REBALANCE_MS: i32 = 15_000;
/// After this a client takes a request for lost.
const PATIENCE_MS: u64 = 25_000;
/// Before a client tries again what the broker could not do.
const RETRY_MS: u64 = 150;

pub(super) enum Request {
    Join(Join),
    Sync(Sync),
    Heartbeat { member_id: Str, instance_id: Option<Str>, generation: i32 },
    Leave(Leaver),
    Commit(Commit),
}

pub(super) enum Heard {
    Reply(Reply),
    Heartbeat(ErrorCode),
    Disconnected,
}

/// What a client does next.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) requests: Vec<Request>,
    pub(super) nap_ms: Option<u64>,
}

/// What it is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Nothing,
    Joining,
    Syncing,
    Working,
    Leaving,
}

pub(super) struct Client {
    pub(super) index: usize,
    pub(super) member_id: Str,
    instance_id: Option<Str>,
    pub(super) generation: i32,
    protocol: Option<Str>,
    pub(super) has_work: bool,
    /// What it commits next.
    pub(super) position: i64,
    /// Counts its crashes: answers to an earlier life reach nobody.
    pub(super) life: u32,
    /// Counts its naps: only the last one ends in waking up.
    pub(super) nap: u32,
    commits: bool,
    doing: Doing,
    joins: u128,
}

impl Client {
    pub(super) fn new(index: usize, is_static: bool) -> Client {
        Client {
            index,
            member_id: Str::default(),
            instance_id: is_static.then(|| Str::from(format!("static-{index}"))),
            generation: NO_GENERATION,
            protocol: None,
            has_work: false,
            position: 0,
            life: 0,
            nap: 0,
            commits: false,
            doing: Doing::Nothing,
            joins: 0,
        }
    }

    pub(super) fn crash(&mut self) {
        self.life += 1;
        self.nap = 0;
        self.forget();
        self.doing = Doing::Nothing;
    }

    fn forget(&mut self) {
        self.member_id = Str::default();
        self.generation = NO_GENERATION;
        self.has_work = false;
        self.commits = false;
    }

    pub(super) fn is_waiting_for(&self, life: u32, nap: u32) -> bool {
        self.life == life && self.nap == nap
    }

    pub(super) fn wake(&mut self, is_calm: bool, random: &mut Random) -> Orders {
        if self.doing != Doing::Working {
            return self.join();
        }
        if !is_calm && self.instance_id.is_none() && random.one_in(40) {
            self.doing = Doing::Leaving;
            let leaver = Leaver { member_id: self.member_id.clone(), instance_id: None };
            return self.order(vec![Request::Leave(leaver)], PATIENCE_MS);
        }
        let mut requests = vec![Request::Heartbeat {
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
            generation: self.generation,
        }];
        if !self.commits && random.one_in(3) {
            self.commits = true;
            self.position += 1;
            requests.push(Request::Commit(self.commit()));
        }
        self.order(requests, HEARTBEAT_MS)
    }

    fn order(&mut self, requests: Vec<Request>, nap_ms: u64) -> Orders {
        self.nap += 1;
        Orders { requests, nap_ms: Some(nap_ms) }
    }

    fn retry(&mut self) -> Orders {
        self.doing = Doing::Nothing;
        self.order(Vec::new(), RETRY_MS)
    }

    pub(super) fn hear(&mut self, heard: Heard, random: &mut Random) -> Orders {
        match heard {
            Heard::Disconnected => self.retry(),
            Heard::Heartbeat(code) if self.doing == Doing::Working => self.heed(code),
            Heard::Reply(Reply::Join(joined)) if self.doing == Doing::Joining => {
                let code = ErrorCode::from(joined.error_code);
                if code == ErrorCode::None {
                    self.member_id = joined.member_id.clone();
                    self.generation = joined.generation_id;
                    self.protocol = joined.protocol_name.clone();
                    let leads = !joined.members.is_empty() && !joined.skip_assignment;
                    let work = Bytes::from(joined.generation_id.to_string());
                    let members = joined.members.into_iter().filter(|_| leads);
                    let assignments = members.map(|member| (member.member_id, work.clone())).collect();
                    return self.sync(assignments);
                }
                if code == ErrorCode::MemberIdRequired {
                    self.member_id = joined.member_id;
                    return self.join();
                }
                self.heed(code)
            }
            Heard::Reply(Reply::Sync(synced)) if self.doing == Doing::Syncing => {
                let code = ErrorCode::from(synced.error_code);
                if code != ErrorCode::None {
                    return self.heed(code);
                }
                self.doing = Doing::Working;
                self.has_work = !synced.assignment.is_empty();
                self.order(Vec::new(), random.below(HEARTBEAT_MS))
            }
            Heard::Reply(Reply::Leave(_)) if self.doing == Doing::Leaving => {
                self.forget();
                self.doing = Doing::Nothing;
                self.order(Vec::new(), 1_000 + random.below(10_000))
            }
            Heard::Reply(Reply::Offsets(outcome)) => {
                self.commits = false;
                match outcome {
                    Err(code) if self.doing == Doing::Working => self.heed(code),
                    _ => Orders::default(),
                }
            }
            // An answer to something that it has given up on.
            _ => Orders::default(),
        }
    }

    /// What consumers do about an error.
    fn heed(&mut self, code: ErrorCode) -> Orders {
        match code {
            ErrorCode::None => Orders::default(),
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId | ErrorCode::IllegalGeneration => {
                self.forget();
                self.join()
            }
            ErrorCode::RebalanceInProgress => self.join(),
            _ => self.retry(),
        }
    }

    fn join(&mut self) -> Orders {
        self.doing = Doing::Joining;
        self.has_work = false;
        self.joins += 1;
        let join = Join {
            group: Str::from_static(GROUP),
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
            protocol_type: Str::from_static("consumer"),
            offers: vec![Offer {
                name: Str::from_static("range"),
                metadata: Bytes::from_static(b"\0\0\0\0\0\0"),
            }],
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            client: Program::default(),
            takes_id_first: self.index != 0,
            may_skip_assignment: self.index != 2,
            fresh: Uuid::from_u128((self.index as u128) << 64 | u128::from(self.life) << 32 | self.joins),
        };
        self.order(vec![Request::Join(join)], PATIENCE_MS)
    }

    fn sync(&mut self, assignments: Vec<(Str, Bytes)>) -> Orders {
        self.doing = Doing::Syncing;
        let sync = Sync {
            group: Str::from_static(GROUP),
            generation: self.generation,
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
            protocol_type: Some(Str::from_static("consumer")),
            protocol: self.protocol.clone(),
            assignments,
        };
        self.order(vec![Request::Sync(sync)], PATIENCE_MS)
    }

    fn commit(&self) -> Commit {
        Commit {
            group: Str::from_static(GROUP),
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
            generation: self.generation,
            retention_ms: None,
            names_missing_group: true,
            entries: vec![CommitEntry {
                topic: Str::from_static("t"),
                topic_id: Uuid::nil(),
                partition: self.index as i32,
                offset: self.position,
                leader_epoch: -1,
                metadata: Str::default(),
            }],
        }
    }
}
