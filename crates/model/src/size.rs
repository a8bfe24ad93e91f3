//! Amounts of storage.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// 2^30 bytes.
    pub const GIB: u64 = 1 << 30;

    /// So many GiB.
    #[must_use]
    pub const fn gib(count: u64) -> Bytes {
        Bytes(count * Self::GIB)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] =
            [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match UNITS.iter().find(|(_, size)| self.0 >= *size) {
            // One decimal, in integers: 1536 KiB is "1.5 MiB".
            Some((unit, size)) if !self.0.is_multiple_of(*size) => {
                let tenths = u128::from(self.0) * 10 / u128::from(*size);
                write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
            Some((unit, size)) => write!(f, "{} {unit}", self.0 / size),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_largest_unit_that_fits() {
        let shown: Vec<String> =
            [0, 1_023, 1_024, 1_572_864, 150 * Bytes::GIB].map(|n| Bytes(n).to_string()).into();
        assert_eq!(shown, ["0 bytes", "1023 bytes", "1 KiB", "1.5 MiB", "150 GiB"]);
    }
}
