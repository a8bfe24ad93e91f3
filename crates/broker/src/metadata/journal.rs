//! The file that records are kept in: `metadata.journal`, one record a line, each with its checksum.
//!
//! A line is eight hexadecimal digits of CRC-32C over the JSON, a space, the JSON. A torn last line is what a crash
//! leaves and is cut off; a bad line with good ones behind it is damage, and the broker refuses to start on it rather
//! than forget a topic. When the file has grown to many times what the image needs it is written anew next to itself
//! and renamed over.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::image::Image;
use super::record::Record;

const FILE_NAME: &str = "metadata.journal";

/// Below this size rewriting is not worth a rename.
const REWRITE_MIN_BYTES: u64 = 1024 * 1024;

/// How many times larger than its last snapshot the file may grow: start-up reads the whole of it.
const REWRITE_GROWTH: u64 = 4;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("{doing} {path} failed")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its reason.
        #[source]
        source: io::Error,
    },
    /// A line in the middle is not what was written.
    #[error(
        "{path} is damaged in line {line} ({problem}) and has good lines behind it; restore it from a copy"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Arc<File>,
    size_bytes: u64,
    snapshot_bytes: u64,
    appended: i64,
}

impl Journal {
    /// Opens or makes the journal in `dir` and sums up what it holds.
    ///
    /// # Errors
    /// If the file system refuses or the middle of the file is damaged.
    pub fn open(dir: &Path) -> Result<(Journal, Image), JournalError> {
        let path = dir.join(FILE_NAME);
        let io = |doing, source| JournalError::Io { doing, path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| io("opening", e))?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(|e| io("reading", e))?;
        let (image, good_bytes) = replay(&content, &path)?;
        if good_bytes < content.len() as u64 {
            tracing::warn!(path = %path.display(), cut_bytes = content.len() as u64 - good_bytes,
                "cut a torn last line off the metadata journal");
            file.set_len(good_bytes).map_err(|e| io("cutting", e))?;
        }
        file.seek(SeekFrom::Start(good_bytes)).map_err(|e| io("seeking in", e))?;
        let file = Arc::new(file);
        let journal = Journal { path, file, size_bytes: good_bytes, snapshot_bytes: good_bytes, appended: 0 };
        Ok((journal, image))
    }

    /// Appends records with one write. They are durable once [`Journal::file`] was synced.
    ///
    /// # Errors
    /// If the disk refuses; what was written in part is cut off again.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let lines = encode(records)?;
        let mut file = &*self.file;
        if let Err(error) = file.write_all(&lines) {
            // Without this the next append would stand behind half a line and be taken for damage.
            file.set_len(self.size_bytes)?;
            file.seek(SeekFrom::Start(self.size_bytes))?;
            return Err(error);
        }
        self.size_bytes += lines.len() as u64;
        self.appended += i64::try_from(records.len()).unwrap_or(0);
        Ok(())
    }

    /// Records appended since it was opened.
    #[must_use]
    pub fn appended(&self) -> i64 {
        self.appended
    }

    /// The file to sync.
    #[must_use]
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Whether it has grown so much that [`Journal::rewrite`] pays.
    #[must_use]
    pub fn wants_rewrite(&self) -> bool {
        self.size_bytes > REWRITE_MIN_BYTES.max(self.snapshot_bytes.saturating_mul(REWRITE_GROWTH))
    }

    /// Replaces the content by the fewest records that make `image`; after a crash either file is whole.
    ///
    /// # Errors
    /// If the disk refuses; the old file stays in use then.
    pub fn rewrite(&mut self, image: &Image) -> io::Result<()> {
        let lines = encode(&image.records())?;
        let beside = self.path.with_extension("journal.new");
        let mut file = File::create(&beside)?;
        file.write_all(&lines)?;
        file.sync_data()?;
        std::fs::rename(&beside, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.file = Arc::new(file);
        self.size_bytes = lines.len() as u64;
        self.snapshot_bytes = self.size_bytes;
        Ok(())
    }
}

fn checksum(json: &[u8]) -> u32 {
    // CRC-32C is 32 bits wide; the crate returns every width in 64.
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, json) as u32
}

fn encode(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for record in records {
        let json = serde_json::to_vec(record).map_err(io::Error::other)?;
        write!(lines, "{:08x} ", checksum(&json))?;
        lines.extend_from_slice(&json);
        lines.push(b'\n');
    }
    Ok(lines)
}

fn decode(line: &[u8]) -> Result<Record, String> {
    let (digits, json) = match (line.get(..8), line.get(8), line.get(9..)) {
        (Some(digits), Some(b' '), Some(json)) => (digits, json),
        _ => return Err("it is too short".to_owned()),
    };
    let expected = std::str::from_utf8(digits).ok().and_then(|text| u32::from_str_radix(text, 16).ok());
    if expected != Some(checksum(json)) {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| format!("this version does not understand it: {error}"))
}

/// Sums up the good lines and says how many bytes they take.
fn replay(content: &[u8], path: &Path) -> Result<(Image, u64), JournalError> {
    let mut image = Image::default();
    let mut good_bytes = 0;
    let mut bad: Option<(usize, String)> = None;
    for (at, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let whole = line.strip_suffix(b"\n");
        match whole.map(decode) {
            Some(Ok(record)) => {
                if let Some((line, problem)) = bad {
                    return Err(JournalError::Damaged { path: path.to_owned(), line, problem });
                }
                image.apply(record);
                good_bytes += line.len() as u64;
            }
            Some(Err(problem)) => {
                // A checksum that matches and content that we do not know is no torn write.
                if problem.starts_with("this version") {
                    return Err(JournalError::Damaged { path: path.to_owned(), line: at + 1, problem });
                }
                bad.get_or_insert((at + 1, problem));
            }
            None => {
                bad.get_or_insert((at + 1, "it has no end".to_owned()));
            }
        }
    }
    Ok((image, good_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(name: &str) -> Record {
        Record::TopicGone { name: name.into() }
    }

    fn reopen(dir: &Path) -> Result<Image, JournalError> {
        Journal::open(dir).map(|(_, image)| image)
    }

    #[test]
    fn a_torn_last_line_is_cut_and_writing_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut journal, _) = Journal::open(dir.path()).expect("new");
        journal.append(&[Record::Cluster { id: "c".into() }, gone("a")]).expect("room");
        let path = dir.path().join(FILE_NAME);
        let mut content = std::fs::read(&path).expect("readable");
        content.truncate(content.len() - 5);
        std::fs::write(&path, &content).expect("writable");
        let (mut journal, image) = Journal::open(dir.path()).expect("torn tails are normal");
        assert_eq!((image.cluster_id.as_str(), image.gone.len()), ("c", 0));
        journal.append(&[gone("b")]).expect("room");
        assert!(reopen(dir.path()).expect("whole").gone.contains("b"));
    }

    #[test]
    fn damage_in_the_middle_is_named_and_nothing_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut journal, _) = Journal::open(dir.path()).expect("new");
        journal.append(&[gone("a"), gone("b"), gone("c")]).expect("room");
        let path = dir.path().join(FILE_NAME);
        let mut content = std::fs::read(&path).expect("readable");
        let second = content.iter().position(|byte| *byte == b'\n').expect("lines") + 12;
        content[second] ^= 1;
        std::fs::write(&path, &content).expect("writable");
        let error = reopen(dir.path()).expect_err("damaged");
        assert!(error.to_string().contains("damaged in line 2"), "{error}");
    }

    #[test]
    fn a_rewritten_journal_holds_the_image_and_takes_appends() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut journal, mut image) = Journal::open(dir.path()).expect("new");
        image.apply(Record::Cluster { id: "c".into() });
        journal.rewrite(&image).expect("room");
        journal.append(&[Record::ProducerIds { below: 9 }]).expect("room");
        let image = reopen(dir.path()).expect("whole");
        assert_eq!((image.cluster_id.as_str(), image.producer_ids_below), ("c", 9));
    }
}
