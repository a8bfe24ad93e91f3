//! The substrate and the dispatch with real processes: a stand-in for the broker that misbehaves on request.

mod fake;
mod fixture;
mod lifecycle;
mod refusals;
mod restarts;
mod scenarios;
