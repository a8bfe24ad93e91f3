//! What exists: topics, their settings, producer ids, the cluster's name. Small, changed rarely, never lost.
//!
//! Every change is a [`record::Record`] that is first appended to the [`journal`] and then applied, under one lock, to
//! the image that the next snapshot is written from and to the registry that requests read ([`crate::topics`]). The
//! records are what a metadata quorum will agree on when brokers become clusters; then the journal becomes the
//! quorum's log and [`controller::Controller`] its state machine, and no caller changes.

pub mod controller;
pub mod image;
pub mod journal;
pub mod record;

pub use controller::{ChangeError, Controller, NewTopic};
