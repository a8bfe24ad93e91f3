//! API tokens: `pen_` and 256 random bits. Only a hash is ever stored.
//!
//! A plain SHA-256 is enough here, unlike for passwords: nobody can try 2^256 inputs, so there is nothing for a slow
//! hash to slow down, and a lookup by hash costs one index probe on each request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rand::CryptoRng;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every token starts with, so that a leaked one is recognised by people and by secret scanners.
pub const PREFIX: &str = "pen_";

/// How much of a token may be shown again later, [`PREFIX`] included: enough to tell two tokens apart in a list. It
/// reveals 36 of 256 bits.
const HINT_CHARS: usize = PREFIX.len() + 6;

/// A new token. The secret is shown once and not kept.
#[derive(Debug)]
pub struct Token {
    /// The token itself.
    pub secret: SecretString,
    /// Its beginning, for lists.
    pub hint: String,
    /// What is stored.
    pub hash: [u8; 32],
}

/// Makes a token.
#[must_use]
pub fn generate(rng: &mut impl CryptoRng) -> Token {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    let text = format!("{PREFIX}{}", BASE64.encode(bytes));
    Token { hint: text[..HINT_CHARS].to_owned(), hash: hash(&text), secret: text.into() }
}

/// The hash by which a token is looked up.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether a token has this hash, in a time that does not depend on where they differ.
#[must_use]
pub fn verify(token: &str, expected: &[u8; 32]) -> bool {
    hash(token).ct_eq(expected).into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_is_recognised_by_its_hash_only() {
        let token = generate(&mut rand::rng());
        let other = generate(&mut rand::rng());
        let text = token.secret.expose_secret();
        assert!(text.starts_with(&token.hint) && token.hint.len() < text.len() / 2);
        assert_eq!(text.len(), 47);
        assert!(verify(text, &token.hash));
        assert!(!verify(text, &other.hash));
        assert!(!verify(&text[..46], &token.hash));
    }
}
