//! What brokers have on their disks.

use protocol::messages::DescribeLogDirsRequest;

use crate::admin::Admin;
use crate::error::{Error, Refusal};

impl Admin {
    /// The bytes of all logs on all brokers: each replica counts, and internal topics too.
    pub async fn stored_bytes(&self) -> Result<u64, Error> {
        let what = "describe the log directories";
        let mut sum = 0_u64;
        // Each broker knows its own directories only.
        for broker in self.describe_cluster().await?.brokers {
            let connection = self.to(&broker.host, broker.port).await?;
            // No list of topics means all of them.
            let request = DescribeLogDirsRequest { topics: None };
            let answer = self.call_over(&connection, &request, i16::MAX).await?;
            Refusal::check(answer.error_code, None).map_err(|refusal| Error::refused(what, refusal))?;
            for directory in &answer.results {
                Refusal::check(directory.error_code, None)
                    .map_err(|refusal| Error::refused(what, refusal))?;
                let partitions = directory.topics.iter().flat_map(|topic| &topic.partitions);
                sum += partitions.filter_map(|log| u64::try_from(log.partition_size).ok()).sum::<u64>();
            }
        }
        Ok(sum)
    }
}
