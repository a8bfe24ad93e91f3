//! Bytes that mean harm: cut short, with lengths that lie, or simply random. Each must end in an error or in a
//! message, never in a panic or in memory that the input does not justify.

use bytes::Bytes;

use super::round_trip::{for_each_version, recode};
use super::wire::{self, Rng};
use crate::messages::metadata::MetadataRequest;
use crate::{DecodeError, Decoder};

#[test]
fn every_message_cut_at_every_byte_is_refused() {
    for_each_version(2, |message, version, seed| {
        let sample = wire::sample(message, version, seed, seed % 2 == 1);
        let bytes = Bytes::from(sample.bytes);
        for end in 0..bytes.len() {
            let cut = recode(message, version, bytes.slice(..end));
            assert!(cut.is_err(), "{} version {version} seed {seed} cut at {end}", message.name);
        }
    });
}

#[test]
fn every_length_that_lies_is_refused() {
    for_each_version(2, |message, version, seed| {
        let sample = wire::sample(message, version, seed, false);
        for &(at, wide) in &sample.lengths {
            let what = format!("{} version {version} seed {seed} length at {at}", message.name);
            let mut lying = sample.bytes.clone();
            // As large as its encoding allows: 4 GiB for compact lengths, which may have any width.
            let huge: &[u8] = match wide {
                4 => &[0x7f, 0xff, 0xff, 0xff],
                _ => &[0xff, 0xff, 0xff, 0xff, 0x0f],
            };
            lying.splice(at..at + wide, huge.iter().copied());
            let lie = recode(message, version, lying.into());
            // A compact length of two bytes looks like an old one; then the lie may decode as something else.
            assert!(lie.is_err() || wide == 2 || wide == 4, "{what}");
        }
    });
}

#[test]
fn random_damage_never_panics() {
    for_each_version(6, |message, version, seed| {
        let mut rng = Rng(seed ^ 0xdead_beef);
        let mut bytes = wire::sample(message, version, seed, false).bytes;
        for _ in 0..=rng.below(4) {
            if !bytes.is_empty() {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] = if rng.one_in(3) { 0xff } else { rng.next() as u8 };
            }
        }
        // Whatever it decodes to must be small enough to be encoded and decoded again.
        if let Ok((again, _)) = recode(message, version, bytes.into()) {
            let result = recode(message, version, again.clone().into());
            assert_eq!(
                result.map(|(bytes, _)| bytes),
                Ok(again),
                "{} version {version} seed {seed}",
                message.name
            );
        }
    });
}

#[test]
fn random_bytes_never_panic() {
    for_each_version(6, |message, version, seed| {
        let mut rng = Rng(seed.wrapping_mul(0x1234_5678_9abc) ^ version as u64);
        let length = rng.below(200) as usize;
        let _ = recode(message, version, rng.bytes(length).into());
    });
}

#[test]
fn a_count_of_two_billion_in_four_bytes_allocates_nothing() {
    // This very body aborts a broker that reserves what the count asks for.
    let old = Decoder::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]));
    let compact = Decoder::new(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]));
    for (mut input, version) in [(old, 1), (compact, 12)] {
        let error = MetadataRequest::decode(&mut input, version).expect_err("must be refused");
        assert!(matches!(error, DecodeError::CountTooLarge { remaining: 0, .. }), "{error}");
    }
}

#[test]
fn elements_of_one_byte_cannot_fill_memory() {
    // A million empty strings: DescribeGroups version 5 asks for that many groups.
    let count = 1_000_000u32;
    let mut bytes = vec![];
    let mut value = count + 1;
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes.resize(bytes.len() + count as usize, 1);
    bytes.extend([0, 0]);
    let mut input = Decoder::new(bytes.into());
    let error = crate::messages::DescribeGroupsRequest::decode(&mut input, 5).expect_err("must be refused");
    assert!(matches!(error, DecodeError::TooMuchMemory { count: 1_000_000, .. }), "{error}");
}

#[test]
fn text_must_be_utf8_and_not_too_long() {
    let mut input = Decoder::new(Bytes::from_static(&[0, 0, 0, 1, 0, 2, 0xc3, 0x28]));
    let error = MetadataRequest::decode(&mut input, 1).expect_err("must be refused");
    assert_eq!(error, DecodeError::NotUtf8 { at: 6 });
    // A compact string could be longer than Kafka allows.
    let mut long = vec![2, 0x81, 0x80, 0x02];
    long.resize(long.len() + 0x8000, b'a');
    long.extend([0, 1, 0, 0]);
    let mut input = Decoder::new(long.into());
    let error = MetadataRequest::decode(&mut input, 9).expect_err("must be refused");
    assert_eq!(error, DecodeError::StringTooLong { at: 4, length: 0x8000 });
}

#[test]
fn a_message_may_not_use_more_memory_than_the_largest_honest_one() {
    // A Metadata request with more topics of honest names than anybody has: no denser than others, only far too many.
    let count = 1_500_000_i32;
    let mut bytes = count.to_be_bytes().to_vec();
    for _ in 0..count {
        bytes.extend(10_i16.to_be_bytes());
        bytes.extend(b"0123456789");
    }
    bytes.push(0);
    let error = MetadataRequest::decode(&mut Decoder::new(bytes.into()), 4).expect_err("must be refused");
    assert!(matches!(error, DecodeError::TooMuchMemory { count: 1_500_000, .. }), "{error}");
}
