//! ListOffsets, key 2: where a partition begins, ends, or was at a time.
//!
//! Versions: 0 asks for a number of offsets before a time; later ones for the first record not older than it. Times
//! below zero stand for places: -1 end, -2 begin, -3 newest record, -4 begin of what is local, -5 end of what is
//! tiered, -6 begin of what is not tiered. Nothing is tiered here, so -4 and -6 are the begin and -5 is nothing. Each
//! of them came with a version; an older one cannot ask for it.

use protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use super::repeated::Named;
use crate::context::Context;
use crate::partition::Partition;

pub(super) const API: Api = Api::new(ApiKey::ListOffsets, 1, 11);

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Places that not every version can ask for, with the first that can.
const SINCE: [(i64, i16); 6] = [
    (LATEST, 0),
    (EARLIEST, 0),
    (MAX_TIMESTAMP, 7),
    (EARLIEST_LOCAL, 8),
    (LATEST_TIERED, 9),
    (EARLIEST_PENDING_UPLOAD, 11),
];

/// The first version that tells leader epochs.
const FIRST_WITH_EPOCHS: i16 = 4;

/// `isolation_level` of consumers that read committed records only.
const READ_COMMITTED: i8 = 1;

pub(super) async fn handle(ctx: &Context, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let committed = request.isolation_level == READ_COMMITTED;
    let topics = request.topics.into_iter().map(|wanted| {
        let topic = ctx.broker.topics.by_name(&wanted.name);
        let named: Named<i32> = wanted.partitions.iter().map(|asked| asked.partition_index).collect();
        let partitions = wanted.partitions.iter().map(|asked| {
            let partition = topic.as_ref().and_then(|topic| topic.partition(asked.partition_index));
            let found = partition.ok_or(ErrorCode::UnknownTopicOrPartition).and_then(|partition| {
                if named.is_repeated(&asked.partition_index) {
                    return Err(ErrorCode::InvalidRequest);
                }
                check_time(asked.timestamp, ctx.version)?;
                partition.check_epoch(asked.current_leader_epoch)?;
                find(ctx, &partition, asked, committed)
            });
            let partition_index = asked.partition_index;
            found.unwrap_or_else(|code| ListOffsetsPartitionResponse {
                partition_index,
                error_code: code.code(),
                timestamp: -1,
                offset: -1,
                leader_epoch: -1,
                ..ListOffsetsPartitionResponse::default()
            })
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse { name: wanted.name, partitions }
    });
    ListOffsetsResponse { topics: topics.collect(), ..ListOffsetsResponse::default() }
}

/// Whether this version can ask for that time.
fn check_time(time: i64, version: i16) -> Result<(), ErrorCode> {
    let is_known = time >= 0 || SINCE.iter().any(|(place, since)| *place == time && version >= *since);
    if is_known { Ok(()) } else { Err(ErrorCode::UnsupportedVersion) }
}

fn find(
    ctx: &Context,
    partition: &Partition,
    asked: &ListOffsetsPartition,
    committed: bool,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let offsets = partition.offsets()?;
    let end = if committed { offsets.last_stable } else { offsets.high_watermark };
    let answer = |timestamp: i64, offset: i64, leader_epoch: i32| ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        timestamp,
        offset,
        // Older clients do not know epochs, and their versions cannot carry one.
        leader_epoch: if ctx.version >= FIRST_WITH_EPOCHS { leader_epoch } else { -1 },
        ..ListOffsetsPartitionResponse::default()
    };
    if ctx.version == 0 {
        return before(partition, asked, offsets.start, end);
    }
    let epoch = partition.leader_epoch();
    Ok(match asked.timestamp {
        LATEST => answer(-1, end, epoch),
        EARLIEST | EARLIEST_LOCAL | EARLIEST_PENDING_UPLOAD => {
            answer(-1, offsets.start, partition.epoch_at(offsets.start)?.unwrap_or(epoch))
        }
        LATEST_TIERED => answer(-1, -1, -1),
        MAX_TIMESTAMP => match partition.newest_record()? {
            Some(found) if found.offset < end => answer(found.timestamp_ms, found.offset, found.leader_epoch),
            _ => answer(-1, -1, -1),
        },
        time if time >= 0 => match partition.first_since(time)? {
            Some(found) if found.offset < end => answer(found.timestamp_ms, found.offset, found.leader_epoch),
            _ => answer(-1, -1, -1),
        },
        _ => return Err(ErrorCode::UnsupportedVersion),
    })
}

/// Version 0: up to so many offsets not after a time, newest first.
fn before(
    partition: &Partition,
    asked: &ListOffsetsPartition,
    start: i64,
    end: i64,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let mut offsets = match asked.timestamp {
        LATEST => vec![end, start],
        EARLIEST => vec![start],
        time if time >= 0 => match partition.first_since(time)? {
            Some(found) if found.offset < end => vec![found.offset, start],
            _ => vec![end, start],
        },
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    offsets.dedup();
    offsets.truncate(usize::try_from(asked.max_num_offsets).unwrap_or(0));
    Ok(ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        old_style_offsets: offsets,
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
        ..ListOffsetsPartitionResponse::default()
    })
}
