//! Frames of lz4, read block by block into memory that the thread keeps.
//!
//! A general reader of frames makes two buffers of a block's size for every frame, and that costs more than a small
//! batch does. Here blocks are taken from the input where they lie. Frames that have what Kafka's clients do not use
//! (checksums of blocks or of the content) go through the general reader.

use std::cell::Cell;
use std::io;

use lz4_flex::block::decompress_into_with_dict;
use lz4_flex::frame::FrameDecoder;

use crate::batch::{BatchError, Compression};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// Bits of a frame's first flags.
const VERSION: u8 = 0b0100_0000;
const VERSION_MASK: u8 = 0b1100_0000;
const INDEPENDENT_BLOCKS: u8 = 0b0010_0000;
const CONTENT_SIZE: u8 = 0b0000_1000;
const CHECKSUMS_OR_DICTIONARY: u8 = 0b0001_0101;

/// In a block's length: the block is stored as it is.
const STORED: u32 = 1 << 31;

/// How far back a block may refer to those before it.
const WINDOW_BYTES: usize = 64 << 10;

/// No block gets larger than this many times its packed size.
const MAX_RATIO: usize = 255;

/// The longest block that is kept; Kafka's clients make them of 64 KiB, some of 256.
const KEPT_BYTES: usize = 256 << 10;

thread_local! {
    /// Memory for one block.
    static BLOCK: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What the head of a frame says.
struct Frame {
    is_linked: bool,
    max_block_bytes: usize,
}

/// What a frame holds. Whatever stands behind it is nobody's, as for Kafka's clients.
pub(super) fn decompress(input: &[u8], max_bytes: usize) -> Result<Vec<u8>, BatchError> {
    let mut output = Vec::with_capacity(input.len().saturating_mul(4).min(max_bytes));
    if input.is_empty() {
        return Ok(output);
    }
    let mut rest = input;
    let Some(frame) = Frame::take(&mut rest)? else {
        return Compression::Lz4.read_capped(FrameDecoder::new(input), input.len(), max_bytes);
    };
    let mut block = BLOCK.take();
    loop {
        let length = u32::from_le_bytes(*take_array(&mut rest)?);
        if length == 0 {
            break;
        }
        let packed_bytes = (length & !STORED) as usize;
        if packed_bytes > frame.max_block_bytes {
            return Err(damaged("a block above the size that its frame announces"));
        }
        let packed = take(&mut rest, packed_bytes)?;
        let unpacked = if length & STORED != 0 {
            packed
        } else {
            let limit = frame.max_block_bytes.min(packed_bytes.saturating_mul(MAX_RATIO));
            if block.len() < limit {
                block.resize(limit, 0);
            }
            let window_bytes = if frame.is_linked { WINDOW_BYTES.min(output.len()) } else { 0 };
            let window = &output[output.len() - window_bytes..];
            let bytes = decompress_into_with_dict(packed, &mut block[..limit], window).map_err(damaged)?;
            &block[..bytes]
        };
        if unpacked.len() > max_bytes - output.len() {
            return Err(BatchError::TooLarge { limit: max_bytes });
        }
        output.extend_from_slice(unpacked);
    }
    if block.len() <= KEPT_BYTES {
        BLOCK.set(block);
    }
    Ok(output)
}

impl Frame {
    /// Takes the head of a frame off the input; `None` if it has what only the general reader knows.
    fn take(rest: &mut &[u8]) -> Result<Option<Self>, BatchError> {
        if *take_array(rest)? != MAGIC {
            return Ok(None);
        }
        let described = *rest;
        let [flags, sizes] = *take_array(rest)?;
        if flags & VERSION_MASK != VERSION || flags & CHECKSUMS_OR_DICTIONARY != 0 {
            return Ok(None);
        }
        if flags & CONTENT_SIZE != 0 {
            take_array::<8>(rest)?;
        }
        let described = &described[..described.len() - rest.len()];
        let [checksum] = *take_array(rest)?;
        if checksum != (xxh32_of_few(described) >> 8) as u8 {
            return Err(damaged("the checksum of the frame's head is wrong"));
        }
        let max_block_bytes = match sizes >> 4 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return Err(damaged("a frame of no known block size")),
        };
        Ok(Some(Self { is_linked: flags & INDEPENDENT_BLOCKS == 0, max_block_bytes }))
    }
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], BatchError> {
    let (taken, behind) = rest.split_at_checked(bytes).ok_or_else(|| damaged("the frame ends early"))?;
    *rest = behind;
    Ok(taken)
}

fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], BatchError> {
    let (taken, behind) = rest.split_first_chunk().ok_or_else(|| damaged("the frame ends early"))?;
    *rest = behind;
    Ok(taken)
}

/// XXH32 without seed of less than 16 bytes, which the head of a frame always is.
fn xxh32_of_few(bytes: &[u8]) -> u32 {
    const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    let mut hash = PRIMES[4].wrapping_add(bytes.len() as u32);
    let (words, few) = bytes.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIMES[2]));
        hash = hash.rotate_left(17).wrapping_mul(PRIMES[3]);
    }
    for byte in few {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIMES[4]));
        hash = hash.rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 16)
}

fn damaged(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BatchError {
    BatchError::Decompress {
        codec: Compression::Lz4,
        source: io::Error::new(io::ErrorKind::InvalidData, problem),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use super::*;

    /// Compresses well and refers far back.
    fn plain(bytes: usize) -> Vec<u8> {
        (0..bytes as u32).map(|n| (n / 7 % 251) as u8 ^ (n / 50_000) as u8).collect()
    }

    fn packed(info: FrameInfo, plain: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_kind_of_frame_is_read_one_after_the_other() {
        let plain = plain(700_000);
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for mode in [BlockMode::Independent, BlockMode::Linked] {
                let shape = FrameInfo::new().block_size(size).block_mode(mode);
                let shapes = [
                    shape.clone(),
                    shape.clone().content_size(Some(plain.len() as u64)),
                    shape.clone().content_checksum(true),
                    shape.block_checksums(true),
                ];
                for shape in shapes {
                    let one = packed(shape, &plain);
                    assert_eq!(decompress(&one, plain.len()).unwrap(), plain, "{size:?} {mode:?}");
                    assert_eq!(decompress(&[&one[..], b"behind"].concat(), 1 << 30).unwrap(), plain);
                    let too_small = decompress(&one, plain.len() - 1);
                    assert!(matches!(too_small, Err(BatchError::TooLarge { .. })), "{size:?} {mode:?}");
                }
            }
        }
    }

    #[test]
    fn damage_is_refused_and_leaves_no_trace_for_the_next_batch() {
        let plain = plain(100_000);
        let good = packed(FrameInfo::new().block_mode(BlockMode::Independent), &plain);
        for cut in [1, 5, 10, 100, good.len() - 1] {
            assert!(matches!(decompress(&good[..cut], 1 << 20), Err(BatchError::Decompress { .. })), "{cut}");
            assert_eq!(decompress(&good, 1 << 20).unwrap(), plain);
        }
        for position in 0..7 {
            let mut bad = good.clone();
            bad[position] ^= 0x08;
            assert!(decompress(&bad, 1 << 20).is_err(), "{position}");
        }
    }

    #[test]
    fn stored_blocks_and_nothing_are_read() {
        let mut random = 1_u32;
        let noise: Vec<u8> = (0..100_000)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            })
            .collect();
        let info = FrameInfo::new().block_mode(BlockMode::Independent);
        assert_eq!(decompress(&packed(info.clone(), &noise), 1 << 20).unwrap(), noise);
        assert_eq!(decompress(&packed(info, &[]), 1 << 20).unwrap(), []);
    }
}
