//! What is known of a process's end: its status, and its own last words.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use model::observed::Exit;

/// The broker's exit codes.
const BAD_CONFIGURATION: i32 = 2;
const LOST_DISK: i32 = 3;

/// How much of the end of a log is read for the last words: far more than one sentence, far less than a page of a
/// report can bear.
const LAST_WORDS_BYTES: u64 = 4_096;

/// How long a sentence may be that is taken from a log.
const LONGEST_SENTENCE: usize = 400;

/// The signal by which a process is asked to stop. One that is not up yet simply ends by it.
const SIGTERM: i32 = 15;

/// Classifies the end of a child.
pub(crate) fn of_child(status: ExitStatus, asked_to_stop: bool, last_words: Option<String>) -> Exit {
    let said = || last_words.clone().unwrap_or_else(|| "it did not say why; see its broker.log".to_owned());
    match (status.code(), status.signal()) {
        (Some(0), _) => Exit::Clean,
        (None, Some(SIGTERM)) if asked_to_stop => Exit::Clean,
        (Some(BAD_CONFIGURATION), _) => Exit::BadConfiguration { said: said() },
        (Some(LOST_DISK), _) => Exit::LostDisk { said: said() },
        (Some(code), _) => Exit::Crashed { said: with_words(format!("exit status {code}"), last_words) },
        (None, Some(signal)) => {
            Exit::Crashed { said: with_words(format!("killed by signal {signal}"), last_words) }
        }
        (None, None) => Exit::Crashed { said: with_words("no exit status".to_owned(), last_words) },
    }
}

/// Classifies the end of a process that was not our child, so that nobody told us its status.
pub(crate) fn of_stranger(asked_to_stop: bool, last_words: Option<String>) -> Exit {
    if asked_to_stop {
        return Exit::Clean;
    }
    let what = "its exit status is unknown, since it was started by an earlier server";
    Exit::Crashed { said: with_words(what.to_owned(), last_words) }
}

fn with_words(what: String, last_words: Option<String>) -> String {
    match last_words {
        Some(words) => format!("{what}, after \"{words}\""),
        None => what,
    }
}

/// The last error that a broker printed since a place in its log. The broker prints one line that begins with `error:`
/// when it gives up by itself.
pub(crate) fn last_words(log: &Path, since: u64) -> Option<String> {
    let tail = tail(log, since).ok()?;
    let line = tail.lines().rev().find_map(|line| line.trim().strip_prefix("error:"))?;
    let line = line.trim();
    let end = line.char_indices().nth(LONGEST_SENTENCE).map_or(line.len(), |(at, _)| at);
    Some(line[..end].to_owned())
}

fn tail(log: &Path, since: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    // A log that is shorter than it was has been cut: then everything in it is new.
    let since = if since > length { 0 } else { since };
    file.seek(SeekFrom::Start(since.max(length.saturating_sub(LAST_WORDS_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(raw: i32) -> ExitStatus {
        ExitStatus::from_raw(raw)
    }

    #[test]
    fn the_exit_code_says_whether_trying_again_helps() {
        let words = || Some("cannot listen on 127.0.0.1:19096".to_owned());
        assert_eq!(of_child(status(0), false, None), Exit::Clean);
        let said = "cannot listen on 127.0.0.1:19096".to_owned();
        assert_eq!(of_child(status(2 << 8), false, words()), Exit::BadConfiguration { said: said.clone() });
        assert_eq!(of_child(status(3 << 8), false, words()), Exit::LostDisk { said });
        assert_eq!(of_child(status(9), false, None), Exit::Crashed { said: "killed by signal 9".to_owned() });
        assert_eq!(
            of_child(status(101 << 8), false, None),
            Exit::Crashed { said: "exit status 101".to_owned() }
        );
        assert_eq!(of_child(status(SIGTERM), true, None), Exit::Clean);
        assert!(matches!(of_child(status(SIGTERM), false, None), Exit::Crashed { .. }));
    }

    #[test]
    fn last_words_are_those_of_this_start() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("broker.log");
        let earlier = "error: something of yesterday\n";
        std::fs::write(&log, format!("{earlier}INFO starting\nerror: port taken\n")).unwrap();
        assert_eq!(last_words(&log, earlier.len() as u64).as_deref(), Some("port taken"));
        std::fs::write(&log, earlier).unwrap();
        assert_eq!(last_words(&log, earlier.len() as u64), None);
    }

    #[test]
    fn endless_last_words_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("broker.log");
        std::fs::write(&log, format!("error: {}\n", "ä".repeat(1_000))).unwrap();
        assert_eq!(last_words(&log, 0).unwrap().chars().count(), LONGEST_SENTENCE);
    }
}
