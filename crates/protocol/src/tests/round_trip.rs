//! Every message in every version: bytes made from the schema, decoded and encoded again, are the same bytes.

use bytes::Bytes;

use super::wire::{self, Message};
use crate::codec::RecodeError;
use crate::messages::dispatch;
use crate::{ApiKey, Decoder, Encoder, ErrorCode};

/// Samples of each message and version. More find nothing new: a sample has every field with many values.
const SEEDS: u64 = 20;

/// Decodes and encodes, and says how many bytes were left over.
pub(super) fn recode(message: &Message, version: i16, bytes: Bytes) -> Result<(Vec<u8>, usize), RecodeError> {
    let mut input = Decoder::new(bytes);
    let mut out = Encoder::new();
    let key = message.key.map(|key| ApiKey::try_from(key).unwrap());
    match (message.kind.as_str(), key) {
        ("request", Some(key)) => dispatch::request(key, version, &mut input, &mut out)?,
        ("response", Some(key)) => dispatch::response(key, version, &mut input, &mut out)?,
        _ => dispatch::data(&message.name, version, &mut input, &mut out).unwrap()?,
    }
    Ok((out.finish().into_bytes().unwrap().to_vec(), input.remaining()))
}

pub(super) fn for_each_version(seeds: u64, mut check: impl FnMut(&Message, i16, u64)) {
    for message in wire::messages() {
        for version in message.versions.0..=message.versions.1 {
            for seed in 0..seeds {
                check(&message, version, seed);
            }
        }
    }
}

#[test]
fn every_message_survives_decoding_and_encoding() {
    let mut checked = 0;
    for_each_version(SEEDS, |message, version, seed| {
        let what = format!("{} version {version} seed {seed}", message.name);
        let sample = wire::sample(message, version, seed, false);
        let (again, left) = recode(message, version, sample.bytes.clone().into()).expect(&what);
        assert_eq!(again, sample.bytes, "{what}");
        assert_eq!(left, 0, "{what}: bytes left over");
        checked += 1;
    });
    // 91 keys, each with a request and a response of on average three versions, and the data messages.
    assert!(checked > 500 * SEEDS, "only {checked} samples");
}

#[test]
fn unknown_tagged_fields_are_passed_over() {
    for_each_version(4, |message, version, seed| {
        let what = format!("{} version {version} seed {seed}", message.name);
        let plain = wire::sample(message, version, seed, false);
        let with_unknown = wire::sample(message, version, seed, true);
        let (again, left) = recode(message, version, with_unknown.bytes.into()).expect(&what);
        assert_eq!(again, plain.bytes, "{what}");
        assert_eq!(left, 0, "{what}: bytes left over");
    });
}

#[test]
fn versions_outside_the_schema_are_refused() {
    for message in wire::messages() {
        for version in [message.versions.0 - 1, message.versions.1 + 1, i16::MIN, i16::MAX] {
            let error = recode(&message, version, Bytes::from_static(&[0; 64])).expect_err(&message.name);
            assert!(error.to_string().ends_with(&format!("has no version {version}")), "{error}");
        }
    }
}

#[test]
fn the_table_of_keys_agrees_with_the_schema() {
    let messages = wire::messages();
    let mut requests = messages.iter().filter(|m| m.kind == "request");
    for key in ApiKey::ALL {
        let request = requests.next().unwrap();
        assert_eq!(request.key, Some(key.code()));
        assert_eq!(request.name, format!("{key}Request"));
        assert_eq!(ApiKey::try_from(key.code()), Ok(*key));
        let known = key.known_versions();
        assert_eq!((known.lowest, known.highest), request.versions);
    }
    assert!(requests.next().is_none());
    for retired in [4, 5, 6, 7, -1, 93, i16::MAX] {
        ApiKey::try_from(retired).expect_err("is no key");
    }
}

#[test]
fn what_is_advertised_is_kafkas_with_its_one_exception() {
    assert_eq!(ApiKey::Produce.request_versions().to_string(), "0-13");
    assert_eq!(ApiKey::Fetch.request_versions().to_string(), "4-18");
    assert_eq!(ApiKey::Fetch.served_versions().to_string(), "0-18");
    assert_eq!(ApiKey::ListOffsets.served_versions().to_string(), "0-11");
    // Version 6 is unstable in Kafka 4.3.
    assert_eq!(ApiKey::InitProducerId.request_versions().to_string(), "0-5");
    assert_eq!(ApiKey::InitProducerId.known_versions().to_string(), "0-6");
    assert_eq!(ApiKey::SaslHandshake.first_flexible(), None);
    assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
    assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
    assert_eq!(ApiKey::Produce.response_header_version(9), 1);
}

#[test]
fn error_codes_have_kafkas_numbers_and_names() {
    assert_eq!(ErrorCode::from(6), ErrorCode::NotLeaderOrFollower);
    assert_eq!(ErrorCode::NotLeaderOrFollower.name(), "NOT_LEADER_OR_FOLLOWER");
    assert!(ErrorCode::NotLeaderOrFollower.is_retriable());
    assert!(!ErrorCode::OffsetOutOfRange.is_retriable());
    assert_eq!(ErrorCode::from(32_000), ErrorCode::UnknownServerError);
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from(code.code()), *code);
    }
}
