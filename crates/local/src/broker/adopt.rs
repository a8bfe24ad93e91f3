//! What a broker's record and the process table say about its process: how a server finds what an earlier one started.

use std::io;
use std::path::Path;
use std::sync::Arc;

use agent::clock::System;
use model::observed::Exit;

use super::Life;
use crate::layout::{BrokerDir, Ended, ProcessId, Record};
use crate::watch::Watch;
use crate::{files, procfs};

/// What is known of a broker's process from its record and the process table.
pub(super) fn life(dir: &BrokerDir, found: Option<i32>) -> io::Result<Life> {
    let Some(mut record) = read_json::<Record>(&dir.record())? else {
        return Ok(match found {
            Some(pid) => Life::Unexplained {
                what: format!(
                    "process {pid} runs with its configuration, and {} does not explain it",
                    dir.record().display()
                ),
            },
            None => Life::Never,
        });
    };
    if let Some((process, watch)) = running(dir, &record, found)? {
        record.process = Some(process);
        record.ended = None;
        return Ok(Life::Running { record, watch: Arc::new(watch) });
    }
    if record.ended.is_none() {
        let exit = match record.asked_to_stop {
            true => Exit::Clean,
            false => Exit::Crashed { said: "it ended while no server watched".to_owned() },
        };
        record.ended = Some(Ended { at: System::now(), exit });
    }
    Ok(Life::Ended { record })
}

/// The process of the record, or the one that was found, if it runs and was started with the broker's configuration.
fn running(dir: &BrokerDir, record: &Record, found: Option<i32>) -> io::Result<Option<(ProcessId, Watch)>> {
    let recorded = record.process.as_ref().map(|process| process.pid);
    for pid in recorded.into_iter().chain(found) {
        // First held, then looked at: what we look at cannot be replaced by another process any more.
        let Some(watch) = Watch::open(pid)? else { continue };
        let Some(process) = procfs::process(pid)? else { continue };
        if procfs::config_argument(pid).as_deref() == Some(&*dir.properties()) {
            return Ok(Some((process, watch)));
        }
    }
    Ok(None)
}

/// The value in a file; none if there is no file, or one that a loss of power has emptied.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let Some(text) = files::read_if_there(path)? else { return Ok(None) };
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            tracing::warn!("{} cannot be read and is written anew: {error}", path.display());
            Ok(None)
        }
    }
}
