//! Under which account Postgres runs.
//!
//! Postgres refuses root. Started by root it runs as `postgres` (which the distribution's package makes) or
//! else as `nobody`; started by anyone else it runs as that user. Root's directories are often closed to
//! others (`/root` is), so whether the account can work in a place is tried out, not computed from mode bits.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;

/// Accounts that root may use, in this order.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// Who runs the server's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// The caller itself, who is not root.
    Caller,
    /// Another account, which root switches to.
    Other {
        /// Its name.
        name: String,
        /// Its user id.
        uid: u32,
        /// Its main group.
        gid: u32,
    },
}

impl Account {
    /// Who runs Postgres when this process starts it.
    pub fn choose() -> Result<Account, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Account::Caller);
        }
        CANDIDATES.iter().find_map(|name| look_up(name)).ok_or(Error::NoAccount)
    }

    /// The account's name for messages.
    pub fn name(&self) -> &str {
        match self {
            Account::Caller => "the calling user",
            Account::Other { name, .. } => name,
        }
    }

    /// A program that will run under this account.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Account::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        // Locale and PG* variables of the caller must not change what a private server does.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
        command
    }

    /// Gives a file or directory to the account.
    pub(crate) fn own(&self, path: &Path) -> std::io::Result<()> {
        match self {
            Account::Caller => Ok(()),
            Account::Other { uid, gid, .. } => std::os::unix::fs::chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// Whether the account can enter the directory: tried with a program that runs under it.
    pub(crate) fn can_enter(&self, dir: &Path) -> bool {
        if *self == Account::Caller {
            return true;
        }
        let mut probe = self.command(Path::new("/bin/sh"));
        probe.args(["-c", "cd -- \"$1\"", "sh"]).arg(dir);
        // The probe's own working directory must not be what fails.
        probe.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    }
}

/// Asks `id`, which also knows accounts that are not in `/etc/passwd`.
fn look_up(name: &str) -> Option<Account> {
    let ask = |flag: &str| -> Option<u32> {
        let said = Command::new("id").args([flag, name]).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(said.stdout).ok()?.trim().parse().ok()
    };
    let (uid, gid) = (ask("-u")?, ask("-g")?);
    (uid != 0).then(|| Account::Other { name: name.to_owned(), uid, gid })
}
