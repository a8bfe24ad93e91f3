//! A disk that is full: writes are refused in words, reads go on, and it gets better by itself.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use protocol::ErrorCode;

use super::client::{Client, batch, code, values};
use super::process::Broker;

/// A file system of a few megabytes, if this machine lets us have one.
pub(crate) struct Small(PathBuf);

impl Small {
    pub(crate) fn mount(at: &Path, size: &str) -> Option<Small> {
        std::fs::create_dir_all(at).expect("a directory");
        let size = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output().ok()?;
        mounted.status.success().then(|| Small(at.to_owned()))
    }

    /// Takes all the room that is left with a file, whose path it gives.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).expect("room for an empty file");
        let block = vec![0; 64 << 10];
        while file.write_all(&block).is_ok() {}
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily, because the broker may still be ending.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers_by_itself() {
    let dir = Arc::new(tempfile::tempdir().expect("a directory"));
    let Some(small) = Small::mount(&dir.path().join("data"), "6m") else {
        // Only root may mount; the rest of the suite does not depend on it.
        return;
    };
    let mut broker =
        Broker::start_in(Arc::clone(&dir), vec!["log.flush.offset.checkpoint.interval.ms=50".into()]);
    broker.expect("the disk is full");
    broker.expect("checkpoints could not be written");
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let filler = small.0.join("filler");
    let large = "x".repeat(500_000);
    assert_eq!(client.produce("t", 0, batch(&["first"])).error_code, 0);
    std::fs::write(&filler, vec![0; 3 << 20]).expect("room for the filler");
    let refused = (0..20).map(|_| client.produce("t", 0, batch(&[&large]))).find(|it| it.error_code != 0);
    let refused = refused.expect("6 MiB hold no 20 batches of half a megabyte");
    assert_eq!(refused.error_code, code(ErrorCode::KafkaStorageError));
    let message = refused.error_message.expect("a reason");
    assert!(message.contains("No space left"), "{message}");
    assert!(broker.metric("penstock_broker_disk_full") >= 1.0);
    assert_eq!(values(&client.fetch("t", 0, 0, 0))[0], "first");
    let end = client.offset("t", 0, -1);
    std::fs::remove_file(&filler).expect("there");
    let again = client.produce("t", 0, batch(&["last"]));
    assert_eq!((again.error_code, again.base_offset), (0, end), "nothing half-written stays");
    assert!(super::process::eventually(|| broker.metric("penstock_broker_disk_full") < 1.0));
    assert_eq!(values(&client.fetch("t", 0, end, 0)), ["last"]);
    drop(broker);
    drop(small);
}
