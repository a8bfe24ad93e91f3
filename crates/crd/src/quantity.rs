//! Kubernetes' way to write amounts of storage, as far as a storage size may use it: whole numbers with an optional
//! binary or decimal unit.

use model::Bytes;

const UNITS: [(&str, u64); 11] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("", 1),
];

/// Reads a size such as `10Gi`.
#[must_use]
pub fn parse(text: &str) -> Option<Bytes> {
    let (unit, factor) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(*factor).map(Bytes)
}

/// Writes a size with the largest binary unit that divides it.
#[must_use]
pub fn print(size: Bytes) -> String {
    let unit =
        UNITS[..5].iter().rev().find(|(_, factor)| size.0 >= *factor && size.0.is_multiple_of(*factor));
    match unit {
        Some((unit, factor)) => format!("{}{unit}", size.0 / factor),
        None => size.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_again_as_the_same() {
        for (size, text) in [
            (Bytes::gib(10), "10Gi"),
            (Bytes(1), "1"),
            (Bytes(1_536 << 20), "1536Mi"),
            (Bytes(1_000_000), "1000000"),
            (Bytes(0), "0"),
        ] {
            assert_eq!(print(size), text);
            assert_eq!(parse(text), Some(size));
        }
    }

    #[test]
    fn decimal_units_are_read_and_nonsense_is_not() {
        assert_eq!(parse("2G"), Some(Bytes(2_000_000_000)));
        assert_eq!(parse("5k"), Some(Bytes(5_000)));
        for nonsense in ["", "Gi", "1.5Gi", "-1", "1e3", "1 Gi", "99999999999Pi", "1Xi"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }
}
