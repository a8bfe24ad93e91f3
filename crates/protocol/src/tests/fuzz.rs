//! A short run of the fuzz targets (`tests/fuzz`) from fixed seeds: good inputs with a few bytes changed.
//!
//! A failure prints its seed. An input that cargo-fuzz found becomes a test of its own here.

use super::wire::{self, Rng};
use crate::batch::{Builder, Compression};
use crate::frame::{self, RequestHeader};
use crate::legacy::{Magic, from_batches};
use crate::{ApiKey, Decoder, Encoder};

#[path = "../../../../tests/fuzz/protocol.rs"]
mod targets;

/// How often each good input is damaged: as much as fits into a few seconds without optimisation.
const ROUNDS: u64 = 8;

/// Changes, removes, repeats or appends something.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(6) {
            0 => bytes[at] = rng.next() as u8,
            1 => bytes[at] = [0x00, 0x01, 0x7f, 0x80, 0xff][rng.below(5) as usize],
            2 => bytes[at] ^= 1 << rng.below(8),
            3 => bytes.truncate(at),
            4 => bytes.insert(at, rng.next() as u8),
            _ => bytes.extend_from_within(at..),
        }
    }
}

fn run(name: &str, seed: u64, good: &[u8], target: fn(&[u8])) {
    for round in 0..ROUNDS {
        let mut rng = Rng(seed.wrapping_mul(0x1_0000).wrapping_add(round));
        let mut bytes = good.to_vec();
        damage(&mut bytes, &mut rng);
        let outcome = std::panic::catch_unwind(|| target(&bytes));
        assert!(outcome.is_ok(), "target {name}, seed {seed}, round {round}: {bytes:?}");
    }
}

#[test]
fn frames_of_every_key_and_version() {
    for (seed, message) in (0u64..).zip(wire::messages()).filter(|(_, m)| m.kind == "request") {
        let key = ApiKey::try_from(message.key.unwrap()).unwrap();
        for version in message.versions.0..=message.versions.1 {
            let header = RequestHeader { key, version, correlation_id: 7, client_id: Some("fuzz".into()) };
            let head = frame::request(&header).unwrap().finish().into_bytes().unwrap();
            let body = wire::sample(&message, version, seed, true).bytes;
            let good = [&head[frame::LENGTH_BYTES..], &body].concat();
            targets::request(&good);
            run("request", seed * 1_000 + version as u64, &good, targets::request);
        }
    }
}

#[test]
fn responses_of_every_key_and_version() {
    for (seed, message) in (0u64..).zip(wire::messages()).filter(|(_, m)| m.kind == "response") {
        let index = ApiKey::ALL.iter().position(|key| Some(key.code()) == message.key).unwrap();
        for version in message.versions.0..=message.versions.1 {
            let body = wire::sample(&message, version, seed, true).bytes;
            let choice = [index as u8, (version - message.versions.0) as u8];
            let good = [&choice[..], &body].concat();
            targets::response(&good);
            run("response", seed * 1_000 + version as u64, &good, targets::response);
        }
    }
}

#[test]
fn batches_compressed_data_and_message_sets() {
    for seed in 0..150 {
        let mut rng = Rng(seed);
        let codec = Compression::ALL[(seed % 5) as usize];
        let mut builder = Builder::new(codec);
        for _ in 0..=rng.below(5) {
            let length = rng.below(60) as usize;
            let value = rng.bytes(length);
            builder.push(1_000, Some(b"key"), Some(&value), &[("header", Some(b"value"))]);
        }
        let good = builder.build().unwrap().freeze();
        targets::batch(&good);
        run("batch", seed, &good, targets::batch);

        let packed = codec.compress(&good).unwrap();
        let packed = [&[codec.bits()][..], &packed].concat();
        targets::compressed(&packed);
        run("compressed", seed, &packed, targets::compressed);

        let magic = if seed % 2 == 0 { Magic::V0 } else { Magic::V1 };
        let set = from_batches(&good, magic, 0, usize::MAX, 1 << 20).unwrap();
        targets::message_set(&set);
        run("message_set", seed, &set, targets::message_set);
    }
}

#[test]
fn random_bytes_in_every_target() {
    for seed in 0..5_000 {
        let mut rng = Rng(seed);
        let length = rng.below(120) as usize;
        let bytes = rng.bytes(length);
        for target in
            [targets::request, targets::response, targets::batch, targets::compressed, targets::message_set]
        {
            target(&bytes);
        }
        let mut input = Decoder::new(bytes.into());
        let _ = crate::messages::dispatch::data("GroupMetadataValue", 3, &mut input, &mut Encoder::new());
    }
}
