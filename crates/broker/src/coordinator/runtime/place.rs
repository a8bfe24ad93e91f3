//! Which partition of the internal topic keeps what.

/// Kafka's choice: Java's hash of the string, made positive, modulo the number of partitions. Tools compute it too.
pub(super) fn partition_of(key: &str, partitions: usize) -> usize {
    let hash =
        key.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    usize::try_from(positive).unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    #[test]
    fn partitions_are_those_that_kafka_chooses() {
        // Java: Math.abs("…".hashCode()) % 50. "polygenelubricants" hashes to Integer.MIN_VALUE, which has no abs.
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("a", 50), 97 % 50);
        assert_eq!(partition_of("hello", 50), 99_162_322 % 50);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
    }
}
