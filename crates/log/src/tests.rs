//! Tests of the log as a whole, through its public face. Fixtures are in [`fixture`].

mod basics;
mod committed;
mod compaction;
mod ends;
mod fixture;
mod model;
mod power;
mod rig;
mod runs;
