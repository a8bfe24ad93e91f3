//! The substrate and the dispatch with real processes: a stand-in for the broker that misbehaves on request.

mod fixture;
mod lifecycle;
mod refusals;
mod restarts;
