//! A promise that what was written is, or will be, as safe as its topic asks.

use std::fmt;

use protocol::ErrorCode;
use tokio::sync::oneshot;

/// What an append hands back: wait on it before you acknowledge.
///
/// Most topics only ask for the page cache; then this is kept already and waiting costs nothing.
#[must_use = "an append is acknowledged only after its promise was kept"]
pub struct Durable(Option<oneshot::Receiver<Result<(), ErrorCode>>>);

impl Durable {
    /// A promise that is kept already.
    pub const fn already() -> Durable {
        Durable(None)
    }

    /// A promise that the flush thread keeps or breaks.
    pub(crate) fn pending(outcome: oneshot::Receiver<Result<(), ErrorCode>>) -> Durable {
        Durable(Some(outcome))
    }

    /// Whether there is anything to wait for.
    pub fn is_kept(&self) -> bool {
        self.0.is_none()
    }

    /// Waits until the write is on the disk, if its topic asks for that.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR if the disk refused or the broker stops; the write may or may not survive then.
    pub async fn wait(self) -> Result<(), ErrorCode> {
        match self.0 {
            None => Ok(()),
            Some(outcome) => outcome.await.unwrap_or(Err(ErrorCode::KafkaStorageError)),
        }
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_kept() { "Durable(kept)" } else { "Durable(pending)" })
    }
}
