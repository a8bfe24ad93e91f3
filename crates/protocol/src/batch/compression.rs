//! The codecs of record batches, each under a cap on what comes out.
//!
//! Framing is what Kafka's clients expect: gzip; snappy in the blocks of the Xerial library (plain snappy is read
//! too, some clients send it); lz4 frames of independent blocks, whose header checksum is the correct one (message
//! format 0 had a wrong one); zstd.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read, Write};

use zstd::zstd_safe::{DCtx, ResetDirective};

use crate::batch::{BatchError, lz4};

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// snappy, in Xerial's blocks.
    Snappy,
    /// lz4 frames.
    Lz4,
    /// zstd.
    Zstd,
}

/// The header of Xerial's framing: magic, version 1, readable by version 1.
const XERIAL_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// How much the Xerial library puts into a block.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

/// Kafka's default level for zstd.
const ZSTD_LEVEL: i32 = 3;

impl Compression {
    /// All of them, by their number.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The codec with this number in the attributes of a batch.
    pub fn from_bits(bits: u8) -> Result<Compression, BatchError> {
        Compression::ALL.get(usize::from(bits)).copied().ok_or(BatchError::UnknownCompression(bits))
    }

    /// The number in the attributes of a batch.
    pub fn bits(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// The codec that configuration calls so.
    pub fn from_name(name: &str) -> Option<Compression> {
        Compression::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// What configuration calls it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// Decompresses, never holding more than `max_bytes` of output.
    pub fn decompress(self, input: &[u8], max_bytes: usize) -> Result<Vec<u8>, BatchError> {
        match self {
            Compression::None if input.len() > max_bytes => Err(BatchError::TooLarge { limit: max_bytes }),
            Compression::None => Ok(input.to_vec()),
            Compression::Gzip => {
                self.read_capped(flate2::read::MultiGzDecoder::new(input), input.len(), max_bytes)
            }
            Compression::Snappy => unsnap(input, max_bytes),
            Compression::Lz4 => lz4::decompress(input, max_bytes),
            Compression::Zstd => unzstd(input, max_bytes),
        }
    }

    pub(super) fn read_capped(
        self,
        reader: impl Read,
        input_len: usize,
        max_bytes: usize,
    ) -> Result<Vec<u8>, BatchError> {
        // Text compresses to a quarter or so; a wrong guess costs a few reallocations, a bomb gains nothing.
        let mut output = Vec::with_capacity(input_len.saturating_mul(4).min(max_bytes));
        // One byte more than allowed tells "too large" from "just fits".
        let mut reader = reader.take(u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1));
        reader.read_to_end(&mut output).map_err(|source| BatchError::Decompress { codec: self, source })?;
        if output.len() > max_bytes {
            return Err(BatchError::TooLarge { limit: max_bytes });
        }
        Ok(output)
    }

    /// Compresses at the default level of Kafka's clients.
    pub fn compress(self, input: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Compression::None => Ok(input.to_vec()),
            Compression::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                writer.write_all(input)?;
                writer.finish()
            }
            Compression::Snappy => snap(input),
            Compression::Lz4 => {
                // Java's client reads independent blocks only, and makes them of 64 KiB.
                let shape = lz4_flex::frame::FrameInfo::new()
                    .block_mode(lz4_flex::frame::BlockMode::Independent)
                    .block_size(lz4_flex::frame::BlockSize::Max64KB);
                let mut writer = lz4_flex::frame::FrameEncoder::with_frame_info(shape, Vec::new());
                writer.write_all(input)?;
                writer.finish().map_err(io::Error::other)
            }
            Compression::Zstd => zstd::bulk::compress(input, ZSTD_LEVEL),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

thread_local! {
    /// The state of zstd's decoder, tens of kilobytes and a window: making it anew costs more than a small batch does.
    static ZSTD_STATE: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

/// A decoder that has put out more than this is not kept: its window is as large.
const ZSTD_KEPT_BYTES: usize = 1024 * 1024;

fn unzstd(input: &[u8], max_bytes: usize) -> Result<Vec<u8>, BatchError> {
    let codec = Compression::Zstd;
    let mut state = ZSTD_STATE.take().unwrap_or_default();
    state.reset(ResetDirective::SessionOnly).map_err(|code| {
        let source = io::Error::other(zstd::zstd_safe::get_error_name(code));
        BatchError::Decompress { codec, source }
    })?;
    // The decoder itself refuses windows above 128 MiB, and of a smaller one it only ever touches as much as it has
    // output.
    let reader = zstd::stream::read::Decoder::with_context(input, &mut state);
    let output = codec.read_capped(reader, input.len(), max_bytes)?;
    if output.len() <= ZSTD_KEPT_BYTES {
        ZSTD_STATE.set(Some(state));
    }
    Ok(output)
}

fn snap(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut output = XERIAL_HEADER.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in input.chunks(XERIAL_BLOCK_BYTES) {
        let packed = encoder.compress_vec(block).map_err(io::Error::other)?;
        // A block of 32 KiB grows by a few bytes at most, so its length fits.
        output.extend_from_slice(&(packed.len() as u32).to_be_bytes());
        output.extend_from_slice(&packed);
    }
    Ok(output)
}

fn unsnap(input: &[u8], max_bytes: usize) -> Result<Vec<u8>, BatchError> {
    let mut output = Vec::new();
    let Some(mut rest) = input.strip_prefix(&XERIAL_HEADER[..8]).and_then(|rest| rest.get(8..)) else {
        unsnap_block(input, &mut output, max_bytes)?;
        return Ok(output);
    };
    let short = || damaged("a block ends early");
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, behind) = behind.split_at_checked(length).ok_or_else(short)?;
        unsnap_block(block, &mut output, max_bytes)?;
        rest = behind;
    }
    Ok(output)
}

/// Appends what a block of plain snappy decompresses to.
fn unsnap_block(block: &[u8], output: &mut Vec<u8>, max_bytes: usize) -> Result<(), BatchError> {
    let length = snap::raw::decompress_len(block).map_err(damaged)?;
    // The block says how large it gets, so a bomb is refused before it takes any memory.
    if length > max_bytes - output.len() {
        return Err(BatchError::TooLarge { limit: max_bytes });
    }
    let start = output.len();
    output.resize(start + length, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut output[start..]).map_err(damaged)?;
    output.truncate(start + written);
    Ok(())
}

fn damaged(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BatchError {
    BatchError::Decompress {
        codec: Compression::Snappy,
        source: io::Error::new(io::ErrorKind::InvalidData, problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_met_damage_a_bomb_or_a_large_batch_leaves_no_trace_for_the_next_batch() {
        let plain: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = Compression::Zstd.compress(&plain).expect("in memory");
        let large = vec![7; 4 * ZSTD_KEPT_BYTES];
        let bomb = Compression::Zstd.compress(&large).expect("in memory");
        for _ in 0..3 {
            assert_eq!(Compression::Zstd.decompress(&packed, 1 << 20).expect("sound"), plain);
            assert!(matches!(Compression::Zstd.decompress(&bomb, 1 << 20), Err(BatchError::TooLarge { .. })));
            assert_eq!(Compression::Zstd.decompress(&bomb, 1 << 30).expect("sound"), large);
            let cut = &packed[..packed.len() / 2];
            assert!(matches!(Compression::Zstd.decompress(cut, 1 << 20), Err(BatchError::Decompress { .. })));
        }
    }
}
