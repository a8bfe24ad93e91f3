//! Loading machines from their log.

use std::sync::PoisonError;

use bytes::Bytes;
use protocol::{ErrorCode, batch};
use tokio::time::Instant;

use super::Runtime;
use crate::coordinator::batches;
use crate::coordinator::machine::Machine;

impl<M: Machine> Runtime<M> {
    /// Loads every partition that is not loaded. Blocks on reads: call it where that is allowed, or when the topic is
    /// new and empty.
    pub fn load(&self) {
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        let mut loaded = 0;
        for (partition, slot) in self.slots().unwrap_or_default().iter().enumerate() {
            if self.lock(slot).machine.is_some() {
                continue;
            }
            match self.read(partition) {
                Ok(mut machine) => {
                    machine.loaded(self.now());
                    self.lock(slot).machine = Some(machine);
                    loaded += 1;
                }
                Err(code) => {
                    tracing::error!(partition, %code, "coordinator state cannot be read from its log; trying again");
                }
            }
        }
        if loaded > 0 {
            let took_ms = begun.elapsed().as_millis();
            self.environment.load_ms.set(i64::try_from(took_ms).unwrap_or(i64::MAX));
            self.earlier.notify_one();
            tracing::debug!(partitions = loaded, took_ms, "coordinator state is loaded");
        }
    }

    fn read(&self, partition: usize) -> Result<M, ErrorCode> {
        let mut machine = (self.make)();
        let mut damage = None;
        let index = i32::try_from(partition).map_err(|_| ErrorCode::NotCoordinator)?;
        self.log.replay(index, &mut |bytes: Bytes| {
            for batch in batch::split(bytes) {
                let replayed = batch.and_then(|batch| batches::replay(&batch, &mut machine));
                damage = damage.take().or(replayed.err());
            }
        })?;
        match damage {
            None => Ok(machine),
            Some(error) => {
                tracing::error!(partition, %error, "a batch of coordinator state is damaged");
                Err(ErrorCode::CorruptMessage)
            }
        }
    }

    pub(super) fn has_unloaded(&self) -> bool {
        self.slots().unwrap_or_default().iter().any(|slot| self.lock(slot).machine.is_none())
    }
}
