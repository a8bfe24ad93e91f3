//! The directory of one managed Postgres, and how it comes to be.
//!
//! ```text
//! DIR/data            the data directory, owned by the account that runs the server; or a link to it
//! DIR/password        the server's password, mode 0600, owned by the caller
//! DIR/port            the port it had last
//! DIR/postgres.log    what the server says; DIR/postgres.log.old is the one before
//! DIR/lock            held while somebody starts the server
//! ```
//!
//! When the account cannot enter DIR (root's own home is closed to others), the data lies in
//! `/var/lib/penstock/postgres-<hash of DIR>` and DIR/data is a link to it: the link is the only record.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use secrecy::{ExposeSecret as _, SecretString};

use crate::account::Account;
use crate::find::Installation;
use crate::{Durability, Error, io_error};

/// The superuser of the private server, and the name of the database in it.
pub(crate) const USER: &str = "penstock";
pub(crate) const DATABASE: &str = "penstock";

/// Where the data goes when the account cannot enter the wanted directory.
const OUTSIDE: &str = "/var/lib/penstock";
const OUTSIDE_PREFIX: &str = "postgres-";

/// A larger log than this is set aside at the next start. 8 MiB are some 50 000 lines: enough to look into
/// the past, too little to fill a disk.
const LOG_KEEP_BYTES: u64 = 8 << 20;

/// How much of a log's end goes into an error: enough for Postgres's FATAL line with its hint.
const SAID_BYTES: usize = 2_000;

#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
    /// Absolute and without links: the server reports its place in this form.
    pub(crate) data: PathBuf,
    pub(crate) account: Account,
}

impl Home {
    /// Makes the directory if needed and finds out where the data is or will be.
    pub(crate) fn prepare(dir: &Path) -> Result<Home, Error> {
        let account = Account::choose()?;
        // Another account must get through to the data; everything secret has its own mode.
        let mode = if account == Account::Caller { 0o700 } else { 0o755 };
        make_dir(dir, mode)?;
        let dir = dir.canonicalize().map_err(io_error("resolve", dir))?;
        let data = dir.join("data");
        if let Ok(data) = data.canonicalize() {
            let account = account.or_owner_of(&data)?;
            return Ok(Home { dir, data, account });
        }
        if account.can_enter(&dir) {
            return Ok(Home { dir, data, account });
        }
        let outside = Path::new(OUTSIDE).join(format!("{OUTSIDE_PREFIX}{:016x}", hash_of(&dir)));
        make_dir(Path::new(OUTSIDE), 0o755)?;
        make_dir(&outside, 0o755)?;
        if !account.can_enter(&outside) {
            return Err(Error::Unreachable { account: account.name().to_owned(), dir });
        }
        // A link that dangles is left over from data that somebody removed by hand.
        let _ = std::fs::remove_file(&data);
        let outside_data = outside.join("data");
        std::os::unix::fs::symlink(&outside_data, &data).map_err(io_error("link", &data))?;
        Ok(Home { dir, data: outside_data, account })
    }

    /// The directory as it is, without making anything: for stopping and removing. `None` if nothing is there.
    pub(crate) fn existing(dir: &Path) -> Option<Home> {
        let dir = dir.canonicalize().ok()?;
        let data = dir.join("data");
        let data = data.canonicalize().or_else(|_| std::fs::read_link(&data)).unwrap_or(data);
        Some(Home { dir, data, account: Account::Caller })
    }

    /// The directory that [`Home::prepare`] made for data outside of DIR. A link that somebody else made, to
    /// another disk say, does not count: what lies there is not ours to remove.
    pub(crate) fn outside(&self) -> Option<&Path> {
        let parent = self.data.parent()?;
        let ours = parent.parent()? == Path::new(OUTSIDE)
            && parent.file_name()?.to_string_lossy().starts_with(OUTSIDE_PREFIX);
        ours.then_some(parent)
    }

    pub(crate) fn initialised(&self) -> bool {
        self.data.join("PG_VERSION").is_file()
    }

    /// The major version that made the data.
    pub(crate) fn major(&self) -> Option<String> {
        let said = std::fs::read_to_string(self.data.join("PG_VERSION")).ok()?;
        Some(said.trim().to_owned())
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// Opens the log for appending and tells how long it is already.
    pub(crate) fn open_log(&self) -> Result<(File, u64), Error> {
        let path = self.log();
        if path.metadata().is_ok_and(|log| log.len() > LOG_KEEP_BYTES) {
            std::fs::rename(&path, self.dir.join("postgres.log.old"))
                .map_err(io_error("set aside", &path))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        let length = file.metadata().map_err(io_error("read", &path))?.len();
        Ok((file, length))
    }

    /// What the log says since it had `from` bytes, the end of it.
    pub(crate) fn log_since(&self, from: u64) -> String {
        let said = std::fs::read(self.log()).unwrap_or_default();
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(said.len());
        tail(&said[from..])
    }

    pub(crate) fn remembered_port(&self) -> Option<u16> {
        std::fs::read_to_string(self.dir.join("port")).ok()?.trim().parse().ok()
    }

    pub(crate) fn remember_port(&self, port: u16) -> Result<(), Error> {
        let path = self.dir.join("port");
        std::fs::write(&path, format!("{port}\n")).map_err(io_error("write", &path))
    }

    pub(crate) fn password(&self) -> Result<SecretString, Error> {
        let path = self.dir.join("password");
        let said = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
        Ok(SecretString::from(said.trim().to_owned()))
    }

    /// Builds the data directory beside its place and renames it when it is whole.
    pub(crate) fn initialise(&self, with: &Installation, durability: Durability) -> Result<(), Error> {
        let password = self.make_password()?;
        let new = self.data.with_extension("new");
        if new.exists() {
            std::fs::remove_dir_all(&new).map_err(io_error("remove the unfinished", &new))?;
        }
        make_dir(&new, 0o700)?;
        self.account.own(&new).map_err(io_error("give away", &new))?;
        // initdb wants an empty directory, so the password waits beside it, readable by the account only.
        let password_file = self.data.with_extension("password");
        write_secret(&password_file, password.expose_secret()).map_err(io_error("write", &password_file))?;
        self.account.own(&password_file).map_err(io_error("give away", &password_file))?;

        let made = self.run_initdb(with, &new, &password_file, durability);
        std::fs::remove_file(&password_file).map_err(io_error("remove", &password_file))?;
        made?;
        self.make_database(with, &new, durability)?;
        std::fs::rename(&new, &self.data).map_err(io_error("put in place", &self.data))
    }

    fn run_initdb(
        &self,
        with: &Installation,
        new: &Path,
        password_file: &Path,
        durability: Durability,
    ) -> Result<(), Error> {
        let program = with.initdb();
        let mut command = self.account.command(&program);
        command.current_dir("/").stdin(Stdio::null());
        command.arg("--pgdata").arg(new).arg("--pwfile").arg(password_file);
        command.args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]);
        command.arg("--no-instructions");
        if durability == Durability::Disposable {
            command.arg("--no-sync");
        }
        let output = command.output().map_err(io_error("start", &program))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Initialise { data: self.data.clone(), said: tail(&output.stderr) })
    }

    /// Makes the database with a server that listens nowhere.
    fn make_database(&self, with: &Installation, new: &Path, durability: Durability) -> Result<(), Error> {
        let program = with.postgres();
        let mut command = self.account.command(&program);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.arg("--single").arg("-D").arg(new);
        if durability == Durability::Disposable {
            command.args(["-c", "fsync=off"]);
        }
        command.arg("postgres");
        let mut child = command.spawn().map_err(io_error("start", &program))?;
        if let Some(mut statements) = child.stdin.take() {
            // A server that ended early shows in its output below, not as a broken pipe here.
            let _ = writeln!(statements, "CREATE DATABASE {DATABASE}");
        }
        let output = child.wait_with_output().map_err(io_error("wait for", &program))?;
        let said = tail(&output.stderr);
        // In this mode a failed statement does not show in the exit code.
        if output.status.success() && !said.contains("ERROR:") {
            return Ok(());
        }
        Err(Error::Initialise { data: self.data.clone(), said })
    }

    /// The password of an earlier attempt that did not get as far as a data directory, or a new one.
    fn make_password(&self) -> Result<SecretString, Error> {
        let path = self.dir.join("password");
        if path.exists() {
            return self.password();
        }
        let password = format!("{:032x}", rand::random::<u128>());
        write_secret(&path, &password).map_err(io_error("write", &path))?;
        Ok(SecretString::from(password))
    }
}

/// The last lines of an output, for an error.
fn tail(said: &[u8]) -> String {
    let from = said.len().saturating_sub(SAID_BYTES);
    String::from_utf8_lossy(&said[from..]).trim().to_owned()
}

fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")
}

/// Makes the directory and its parents. The mode is set for a directory that is new only: an existing one may
/// have been opened or closed on purpose.
fn make_dir(path: &Path, mode: u32) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(io_error("create", path))?;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io_error("set the mode of", path))
}

fn hash_of(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

impl Account {
    /// Root runs a server whose data exists already under the account that owns it.
    fn or_owner_of(self, data: &Path) -> Result<Account, Error> {
        let Account::Other { name, .. } = &self else { return Ok(self) };
        let owner = data.metadata().map_err(io_error("read", data))?;
        if owner.uid() == 0 {
            return Ok(self);
        }
        Ok(Account::Other { name: name.clone(), uid: owner.uid(), gid: owner.gid() })
    }
}
