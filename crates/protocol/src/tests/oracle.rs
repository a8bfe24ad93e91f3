//! The same bytes through the `kafka-protocol` crate, which others generated from Kafka's own definitions.
//!
//! It must never parse what comes from a network (a count that lies makes it reserve gigabytes); here it parses
//! what the test wrote.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as TheirKey, RequestKind, ResponseKind};

use super::round_trip::for_each_version;
use super::wire;

/// Whether it knows the version: it stops at Kafka 4.1, and lists some that its code then refuses.
fn is_known(key: TheirKey, version: i16) -> bool {
    let range = key.valid_versions();
    let is_refused = matches!(
        (key, version),
        (TheirKey::OffsetCommit | TheirKey::OffsetFetch, 10) | (TheirKey::InitProducerId, 6)
    );
    range.min <= version && version <= range.max && !is_refused
}

#[test]
fn kafka_protocol_reads_and_writes_the_same_bytes() {
    let mut compared = 0;
    for_each_version(10, |message, version, seed| {
        let Some(key) = message.key.and_then(|key| TheirKey::try_from(key).ok()) else { return };
        if !is_known(key, version) {
            return;
        }
        let what = format!("{} version {version} seed {seed}", message.name);
        let sample = wire::sample(message, version, seed, false).bytes;
        let mut input = Bytes::from(sample.clone());
        let mut again = BytesMut::new();
        if message.kind == "request" {
            let request = RequestKind::decode(key, &mut input, version).expect(&what);
            request.encode(&mut again, version).expect(&what);
        } else {
            let response = ResponseKind::decode(key, &mut input, version).expect(&what);
            response.encode(&mut again, version).expect(&what);
        }
        assert!(input.is_empty(), "{what}: bytes left over");
        assert_eq!(again.to_vec(), sample, "{what}");
        compared += 1;
    });
    assert!(compared > 4_000, "only {compared} samples were compared");
}
