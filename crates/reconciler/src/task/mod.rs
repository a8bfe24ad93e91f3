//! The tasks of a leader, one file each. [`settle`] is what several of them end with.

mod advance_operations;
mod collect_status;
mod deliver_outbox;
mod hold_up;
mod prune;
mod publish_intents;
mod run_jobs;
mod settle;
mod take_stock;
