//! What must hold of the log at any time.

use bytes::Bytes;
use protocol::batch::{Builder, Compression, Header, split};

use super::super::fixture::read;
use super::{Kept, World};

impl World {
    pub(super) fn check(&mut self) {
        self.rig.heal();
        let start = self.rig.log.start_offset();
        self.latest_start = self.latest_start.max(start);
        assert_eq!(self.rig.log.end_offset(), self.end());
        let mut offset = start;
        let mut model = self.kept.iter().filter(|kept| kept.header.last_offset() >= start);
        while let Some((bytes, next)) = read(&mut self.rig.log, offset, 700).unwrap() {
            for batch in split(bytes) {
                let batch = batch.unwrap();
                batch.check_crc().unwrap();
                let kept = model.next().expect("the log holds more than was appended");
                assert_eq!(*batch.header(), kept.header);
                assert_eq!(batch.bytes().slice(Header::BYTES..), kept.records);
            }
            assert!(next > offset);
            offset = next;
        }
        assert_eq!(model.next(), None, "the log holds less than was appended");
        self.check_one_offset(start);
        self.check_epochs(self.latest_start);
        self.check_time(start);
    }

    fn check_one_offset(&mut self, start: i64) {
        if self.rig.log.end_offset() == start {
            return;
        }
        let offset = start + self.random.below((self.rig.log.end_offset() - start) as u64) as i64;
        let kept = self.kept.iter().find(|kept| kept.header.last_offset() >= offset).unwrap();
        let (bytes, _) = read(&mut self.rig.log, offset, 1).unwrap().unwrap();
        assert_eq!(Header::parse(&bytes).unwrap(), kept.header);
    }

    fn check_epochs(&self, from: i64) {
        let visible = || self.kept.iter().filter(|kept| kept.header.base_offset >= from);
        for epoch in visible().map(|kept| kept.header.leader_epoch) {
            let next = visible().find(|kept| kept.header.leader_epoch > epoch);
            let end = next.map_or(self.rig.log.end_offset(), |kept| kept.header.base_offset);
            let found = self.rig.log.epoch_end_offset(epoch);
            assert_eq!((found.leader_epoch, found.end_offset), (epoch, end));
        }
    }

    fn check_time(&mut self, start: i64) {
        let wanted = self.now_ms - self.random.below(500) as i64;
        let expected =
            self.kept.iter().flat_map(records).find(|(offset, time)| *offset >= start && *time >= wanted);
        let found = self.rig.log.offset_for_time(wanted).unwrap();
        assert_eq!(found.map(|found| (found.offset, found.timestamp_ms)), expected);
    }
}

fn records(kept: &Kept) -> Vec<(i64, i64)> {
    let bytes = [&kept_header_bytes(&kept.header)[..], &kept.records].concat();
    let batch = protocol::batch::Batch::parse(&Bytes::from(bytes)).unwrap();
    batch
        .records(1 << 20)
        .unwrap()
        .map(|record| record.map(|r| (r.offset, r.timestamp_ms)).unwrap())
        .collect()
}

/// A batch of the same header; its records are put behind it by the caller.
fn kept_header_bytes(header: &Header) -> Vec<u8> {
    let empty = Builder::replacing(header, Compression::None).build().unwrap();
    let mut bytes = empty[..Header::BYTES].to_vec();
    bytes[8..12].copy_from_slice(&header.batch_length.to_be_bytes());
    bytes[57..61].copy_from_slice(&header.record_count.to_be_bytes());
    bytes
}
