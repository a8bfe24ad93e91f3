//! Commands that talk to the API: one file each.

pub(crate) mod create;
pub(crate) mod credentials;
pub(crate) mod demo;
pub(crate) mod destroy;
pub(crate) mod plans;
pub(crate) mod resources;
pub(crate) mod topics;
pub(crate) mod wait;
