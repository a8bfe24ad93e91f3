//! Integers of variable length: seven bits a byte, the lowest first.

use bytes::{BufMut, BytesMut};

pub(super) fn put_unsigned(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}
