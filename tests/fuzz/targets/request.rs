#![no_main]

#[path = "../protocol.rs"]
mod protocol_targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| protocol_targets::request(data));
