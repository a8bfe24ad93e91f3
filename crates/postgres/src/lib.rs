//! A private Postgres on this machine: found, initialised, started, adopted, restarted, stopped.
//!
//! For `penstock up` and for tests, which both need a Postgres that nobody had to set up. Start reading at
//! [`Managed`]; [`find`] says where the programs come from and [`account`] under whom they run.
//!
//! What it deliberately does not know: the product's schema. No statement of the product is here, only the
//! one that makes an empty database. It does not decide *whether* to manage a Postgres either: who was
//! given a `--database-url` never calls this crate.
//!
//! Invariants:
//! - One directory is one Postgres. Starting twice on a directory adopts the running one; two callers at
//!   the same time are serialised by a lock file.
//! - A half-made data directory is never used: it is built beside its final name and renamed when whole.
//! - The server listens on 127.0.0.1 only and asks for a generated password, so other accounts of the
//!   machine cannot use it; the port stays the same over restarts as long as nobody else takes it.
//! - Dropping a [`Managed`] leaves the server running: a crash of the caller must not take its database
//!   along. [`Managed::stop_with_this_process`] is the opposite choice, for tests.
//!
//! A downloaded build (the `postgresql_embedded` crate) is not among the sources: it brings a second HTTP
//! middleware stack and archive readers into every build for machines that have no package manager, and the
//! sentence of [`Error::NotInstalled`] names the one package that is missing instead.

pub mod account;
pub mod find;
mod home;
mod managed;
mod postmaster;
#[cfg(test)]
mod tests;

pub use managed::{Durability, Managed, purge, stop};

use std::path::PathBuf;

/// Why there is no Postgres. Every sentence says what was tried, and what to do where something can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable installation on this machine.
    #[error(
        "no Postgres found on PATH or in {}: install it (Debian and Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server) or pass --database-url",
        searched.join(", ")
    )]
    NotInstalled {
        /// The distribution folders that were looked into, after PATH.
        searched: Vec<String>,
    },
    /// The data directory was made by a version that is not installed.
    #[error(
        "{} was made by Postgres {wanted}, but only {} is installed: install postgresql-{wanted}, or remove the directory to begin anew",
        data.display(), installed.join(", ")
    )]
    OtherVersion {
        /// The data directory.
        data: PathBuf,
        /// The major version that wrote it.
        wanted: String,
        /// The major versions found.
        installed: Vec<String>,
    },
    /// Postgres refuses to run as root and no account to run it under exists.
    #[error(
        "Postgres refuses to run as root, and neither of the accounts `postgres` and `nobody` exists: create one of them, or start as an ordinary user"
    )]
    NoAccount,
    /// Root prepared a place, but the account that runs Postgres cannot work there.
    #[error("the account `{account}` cannot reach {}, nor a directory under /var/lib/penstock: let it pass the parent directories (chmod o+x), or choose another --dir", dir.display())]
    Unreachable {
        /// The account that would run Postgres.
        account: String,
        /// The directory.
        dir: PathBuf,
    },
    /// `initdb` or the first start of the new cluster failed.
    #[error("could not initialise a Postgres data directory in {}: {said}", data.display())]
    Initialise {
        /// The data directory that was being made.
        data: PathBuf,
        /// The last lines that the program printed.
        said: String,
    },
    /// The server ended while starting.
    #[error("Postgres ended while starting; {} says: {said}", log.display())]
    Ended {
        /// The server's log file.
        log: PathBuf,
        /// Its last lines.
        said: String,
    },
    /// The server neither became ready nor ended in time.
    #[error("Postgres was not {wanted} after {after_seconds} s; its log is {}", log.display())]
    Slow {
        /// What was waited for.
        wanted: &'static str,
        /// How long.
        after_seconds: u64,
        /// The server's log file.
        log: PathBuf,
    },
    /// Another process holds the lock of the directory for too long.
    #[error("another process has been starting Postgres in {} for {after_seconds} s", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// How long this one waited.
        after_seconds: u64,
    },
    /// A file operation or the start of a program failed.
    #[error("could not {step} {}", path.display())]
    Io {
        /// The failed step, as a verb.
        step: &'static str,
        /// The file or program.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Names the failed step and the file of an I/O error.
pub(crate) fn io_error(step: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { step, path, source }
}
