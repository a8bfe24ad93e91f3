//! Integers of variable length: seven bits a byte, the lowest first; signed ones zigzag.

use bytes::{BufMut, BytesMut};

/// The zigzag form of `value`: small numbers of either sign become small unsigned ones.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(super) fn put_unsigned(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Appends `value` as the signed varint that records use.
pub(crate) fn put_varint(out: &mut BytesMut, value: i64) {
    put_unsigned(out, zigzag(value));
}

/// How many bytes [`put_varint`] appends.
pub(crate) fn varint_len(value: i64) -> usize {
    let bits = 64 - zigzag(value).leading_zeros() as usize;
    bits.div_ceil(7).max(1)
}
