//! `up.json`: what `penstock up` leaves for other programs. Its fields are a contract; it is written last, when
//! everything in it works, and removed when `up` stops what it describes.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::command::credentials::write_private;
use crate::failure::{Exit, Failure};

/// Its name in the directory of `up`.
pub(crate) const NAME: &str = "up.json";

/// Where everything is. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UpFile {
    pub(crate) api_url: String,
    pub(crate) api_ca_file: PathBuf,
    pub(crate) console_url: String,
    pub(crate) token: String,
    pub(crate) app: String,
    pub(crate) resource: String,
    pub(crate) kafka_url: String,
    pub(crate) kafka_ca_file: PathBuf,
    pub(crate) kafka_cert_file: PathBuf,
    pub(crate) kafka_key_file: PathBuf,
}

impl UpFile {
    /// Reads the file of a directory.
    pub(crate) fn read(dir: &Path) -> Result<UpFile, Failure> {
        let path = dir.join(NAME);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::new(Exit::Unreachable, "not-up", format!("no Penstock runs in {}", dir.display()))
                .why(format!("{} cannot be read: {error}", path.display()))
                .advice(
                    "run `penstock up`, name its directory with --dir, or name another server with --api-url",
                )
        })?;
        serde_json::from_str(&text).map_err(|error| {
            Failure::new(
                Exit::Failed,
                "not-understood",
                format!("{} is not what `penstock up` writes", path.display()),
            )
            .why(error.to_string())
            .advice("stop `penstock up` and start it again")
        })
    }

    /// Writes it as a whole, for its owner only: it holds a token.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("up.json has no JSON form")?;
        write_private(&dir.join(NAME), format!("{text}\n").as_bytes())
    }
}

/// Removes the file, if it is there.
pub(crate) fn remove(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
