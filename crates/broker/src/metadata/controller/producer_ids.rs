//! Producer ids: a block at a time is made safe on the disk, then given out from memory.

use std::sync::Arc;

use protocol::ErrorCode;

use super::Controller;
use crate::durable::Durable;
use crate::flush::Target;
use crate::metadata::record::Record;

/// Producer ids reserved with one record. A restart loses what is left of a block: of 2^63 nobody misses a thousand.
pub(super) const PRODUCER_ID_BLOCK: i64 = 1_000;

impl Controller {
    /// A producer id that was never given out before and never will be again, not even after a crash.
    ///
    /// # Errors
    /// If the next block of ids cannot be made safe.
    pub async fn next_producer_id(&self) -> Result<i64, ErrorCode> {
        loop {
            let (below, durable) = match self.take_or_reserve_producer_id()? {
                Ok(id) => return Ok(id),
                Err(reserved) => reserved,
            };
            durable.wait().await?;
            let mut state = self.lock();
            state.ids_safe_below = state.ids_safe_below.max(below);
        }
    }

    /// An id if a safe one is left; otherwise writes down the next block and says what to wait for.
    fn take_or_reserve_producer_id(&self) -> Result<Result<i64, (i64, Durable)>, ErrorCode> {
        let mut state = self.lock();
        if state.next_producer_id < state.ids_safe_below {
            state.next_producer_id += 1;
            return Ok(Ok(state.next_producer_id - 1));
        }
        let below = state.ids_safe_below + PRODUCER_ID_BLOCK;
        if state.image.producer_ids_below < below {
            self.write(&mut state, Record::ProducerIds { below }).map_err(|error| {
                tracing::error!(%error, "no more producer ids");
                error.code()
            })?;
        }
        let file: Arc<dyn Target> = state.journal.file();
        Ok(Err((below, self.flusher.flush(file))))
    }
}
