//! Which names topics may have.

use super::ChangeError;

/// Longest topic name, because it is also the name of a directory.
const NAME_MAX_CHARS: usize = 249;

/// Kafka's rules for topic names.
///
/// # Errors
/// Names the rule that is broken.
pub fn check_name(name: &str) -> Result<(), ChangeError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "`.` and `..` are directories"
    } else if name.len() > NAME_MAX_CHARS {
        "it is longer than 249 characters"
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        "only ASCII letters, digits, `.`, `_` and `-` are allowed"
    } else {
        return Ok(());
    };
    Err(ChangeError::Name { name: name.chars().take(NAME_MAX_CHARS).collect(), reason })
}
