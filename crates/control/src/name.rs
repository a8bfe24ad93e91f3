//! Names that people choose, and names for those who choose none.

use rand::{Rng, RngExt};

use crate::problem::Problem;

/// The longest name of a resource, app, account or credential. A cluster's name is a resource's with eleven characters
/// more and must fit into 40, the longest that directories and Kubernetes objects built from it leave room for.
const MAX_NAME: usize = 29;

/// Checks a name that a person chose.
pub(crate) fn check(field: &'static str, name: &str) -> Result<(), Problem> {
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && !name.ends_with('-');
    if fits {
        return Ok(());
    }
    Err(Problem::invalid(
        field,
        format!(
            "a name has 1 to {MAX_NAME} characters, starts with a lower-case letter, and has only lower-case \
             letters, digits and '-' after it, the last not being '-'"
        ),
    ))
}

/// A name for a resource whose creator named none: two words and four digits, 23 million in all.
pub(crate) fn invent(rng: &mut impl Rng) -> String {
    const FIRST: [&str; 48] = [
        "amber", "ample", "ancient", "autumn", "brisk", "bright", "calm", "clear", "clever", "cool", "crisp",
        "curved", "deep", "early", "even", "fair", "fast", "fine", "firm", "fresh", "gentle", "golden",
        "grand", "green", "keen", "kind", "light", "lively", "long", "lucid", "mellow", "mild", "neat",
        "noble", "open", "plain", "proud", "quick", "quiet", "rapid", "round", "silver", "smooth", "steady",
        "still", "sunny", "tall", "wide",
    ];
    const SECOND: [&str; 48] = [
        "basin", "bay", "beck", "bight", "bourn", "bridge", "brook", "canal", "cascade", "channel", "coast",
        "cove", "creek", "delta", "dike", "dock", "eddy", "falls", "fen", "fjord", "ford", "harbor", "inlet",
        "island", "lagoon", "lake", "levee", "lock", "marsh", "mill", "mouth", "pond", "pool", "quay",
        "rapids", "reach", "reef", "ridge", "rill", "river", "sound", "spring", "strait", "stream", "tide",
        "wave", "weir", "well",
    ];
    format!(
        "{}-{}-{:04}",
        FIRST[rng.random_range(0..FIRST.len())],
        SECOND[rng.random_range(0..SECOND.len())],
        rng.random_range(0..10_000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_can_be_directories_and_host_labels_pass() {
        for good in ["a", "orders", "orders-2", &"a".repeat(MAX_NAME)] {
            assert!(check("name", good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "2a", "Orders", "a_b", "a.b", "ä", "a/b", &"a".repeat(MAX_NAME + 1)] {
            assert!(check("name", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn invented_names_pass_the_check() {
        for _ in 0..1_000 {
            check("name", &invent(&mut rand::rng())).unwrap();
        }
    }
}
