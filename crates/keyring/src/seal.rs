//! Sealing: a secret becomes bytes that only the holder of the master key can open, and only for the same purpose.
//!
//! An envelope is `version (1) | key id (8) | nonce (24) | XChaCha20-Poly1305 ciphertext and tag`. The `context` (table,
//! column and row, for instance `clusters.clients_ca_key/<id>`) is authenticated with it and not stored: sealed bytes
//! copied into another row do not open there. The key id makes a wrong key file a clear message instead of a riddle,
//! and lets a later rewrap find what the old key sealed.
//!
//! The nonce is 24 random bytes, long enough that a billion envelopes a second for a century do not meet twice.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rand::Rng;
use secrecy::{ExposeSecret, SecretBox, SecretSlice};
use sha2::{Digest, Sha256};
use thiserror::Error;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// The key under which everything secret in Postgres is sealed.
pub struct MasterKey {
    key: SecretBox<[u8; KEY_BYTES]>,
    id: [u8; KEY_ID_BYTES],
}

/// The master key could not be had.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file could not be read or made.
    #[error("the master key file {} could not be {what}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What failed, as a participle.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read the file.
    #[error("the master key file {} has mode {mode:03o}: others can read it; run `chmod 600` on it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold a key.
    #[error("the master key file {} does not hold 32 bytes in base64; restore it from a backup", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
}

/// Sealed bytes did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Too short, or of a version that this build does not know.
    #[error("the sealed bytes are no envelope that this release knows")]
    UnknownFormat,
    /// Sealed by another key.
    #[error("the secret was sealed with another master key than the one in use")]
    OtherKey,
    /// Changed, or moved here from another place.
    #[error("the sealed secret was altered or belongs to another row")]
    Altered,
}

impl MasterKey {
    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> MasterKey {
        let digest = Sha256::new().chain_update(b"penstock master key id").chain_update(bytes).finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        MasterKey { key: SecretBox::new(Box::new(bytes)), id }
    }

    /// Reads the key from a file that somebody else provides, for instance a mounted secret: its group may read it too.
    pub fn load(path: &Path) -> Result<MasterKey, KeyFileError> {
        read(path, 0o027)?.ok_or_else(|| io_error(path, "read", io::ErrorKind::NotFound.into()))
    }

    /// Reads the key from a file, or makes a new key and the file (mode 0600) if there is none. When two processes
    /// find no file at the same moment, one key wins and both use it.
    pub fn load_or_create(path: &Path) -> Result<MasterKey, KeyFileError> {
        match read(path, 0o077)? {
            Some(key) => Ok(key),
            None => {
                create(path)?;
                read(path, 0o077)?.ok_or_else(|| io_error(path, "read back", io::ErrorKind::NotFound.into()))
            }
        }
    }

    /// A key for one purpose. It tells nothing of the master key or of the keys for other purposes (HMAC-SHA-256 of
    /// the purpose, as the expanding step of RFC 5869 does it).
    #[must_use]
    pub fn derive(&self, purpose: &str) -> SecretBox<[u8; KEY_BYTES]> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.key.expose_secret())
            .expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        SecretBox::new(Box::new(mac.finalize().into_bytes().into()))
    }

    /// Seals a secret for one place.
    #[must_use]
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let ciphertext = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: context.as_bytes() })
            .expect("encryption fails only beyond 256 GiB");
        let mut envelope = Vec::with_capacity(HEADER_BYTES + ciphertext.len());
        envelope.push(VERSION);
        envelope.extend_from_slice(&self.id);
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&ciphertext);
        envelope
    }

    /// Opens what [`seal`](Self::seal) made for the same place.
    pub fn open(&self, context: &str, envelope: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
        let (header, ciphertext) = envelope.split_at_checked(HEADER_BYTES).ok_or(OpenError::UnknownFormat)?;
        if header[0] != VERSION {
            return Err(OpenError::UnknownFormat);
        }
        if header[1..=KEY_ID_BYTES] != self.id {
            return Err(OpenError::OtherKey);
        }
        let nonce: [u8; NONCE_BYTES] =
            header[1 + KEY_ID_BYTES..].try_into().map_err(|_| OpenError::UnknownFormat)?;
        self.cipher()
            .decrypt(&XNonce::from(nonce), Payload { msg: ciphertext, aad: context.as_bytes() })
            .map(SecretSlice::from)
            .map_err(|_| OpenError::Altered)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.key.expose_secret()).into())
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

fn io_error(path: &Path, what: &'static str, source: io::Error) -> KeyFileError {
    KeyFileError::Io { path: path.to_owned(), what, source }
}

/// Reads a key, if the file is there and none of these permissions are.
fn read(path: &Path, unwanted: u32) -> Result<Option<MasterKey>, KeyFileError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, "read", error)),
    };
    let mode =
        fs::metadata(path).map_err(|error| io_error(path, "read", error))?.permissions().mode() & 0o777;
    if mode & unwanted != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let bytes = BASE64.decode(text.trim()).ok().and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes).ok());
    match bytes {
        Some(bytes) => Ok(Some(MasterKey::from_bytes(bytes))),
        None => Err(KeyFileError::Malformed { path: path.to_owned() }),
    }
}

/// Makes the file under a name of its own and links it into place: the link fails if another process was first, and
/// nobody ever sees half a key.
fn create(path: &Path) -> Result<(), KeyFileError> {
    let mut bytes = [0; KEY_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    let temporary = path.with_extension(format!("new-{:016x}", rand::rng().next_u64()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            writeln!(file, "{}", BASE64.encode(bytes))?;
            file.sync_all()
        })
        .map_err(|error| io_error(path, "made", error));
    let linked = written.and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io_error(path, "made", error)),
        _ => Ok(()),
    });
    // The temporary name may be missing if it could not even be made; the error above says so.
    let _ = fs::remove_file(&temporary);
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MasterKey {
        MasterKey::from_bytes([7; KEY_BYTES])
    }

    #[test]
    fn what_was_sealed_opens_in_its_own_place_only() {
        let envelope = key().seal("clusters/1", b"secret");
        assert_eq!(key().open("clusters/1", &envelope).unwrap().expose_secret(), b"secret");
        assert_eq!(key().open("clusters/2", &envelope).unwrap_err(), OpenError::Altered);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let envelope = key().seal("c", b"secret");
        for position in 0..envelope.len() {
            let mut changed = envelope.clone();
            changed[position] ^= 1;
            assert!(key().open("c", &changed).is_err(), "byte {position} was changed");
            assert!(key().open("c", &envelope[..position]).is_err(), "cut to {position} bytes");
        }
    }

    #[test]
    fn another_key_is_named_as_the_cause() {
        let envelope = key().seal("c", b"secret");
        let other = MasterKey::from_bytes([8; KEY_BYTES]);
        assert_eq!(other.open("c", &envelope).unwrap_err(), OpenError::OtherKey);
    }

    #[test]
    fn a_key_that_somebody_provides_may_be_read_by_its_group_and_is_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        assert!(matches!(MasterKey::load(&path), Err(KeyFileError::Io { what: "read", .. })));
        assert!(!path.exists());
        let made = MasterKey::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        assert_eq!(MasterKey::load(&path).unwrap().id, made.id);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(MasterKey::load(&path), Err(KeyFileError::Exposed { mode: 0o444, .. })));
    }

    #[test]
    fn the_file_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let first = MasterKey::load_or_create(&path).unwrap();
        let again = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(first.id, again.id);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::load_or_create(&path), Err(KeyFileError::Exposed { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "c2hvcnQ=").unwrap();
        assert!(matches!(MasterKey::load_or_create(&path), Err(KeyFileError::Malformed { .. })));
    }
}
