//! Client keys, which authorize invalidations.
//!
//! Invariant: only the digest of a key is kept, and digests are compared in constant time. So
//! neither a log line nor the duration of a refusal reveals anything about the key.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// The digest of a key.
#[derive(Clone)]
pub(crate) struct ClientKey([u8; 32]);

impl ClientKey {
    /// # Errors
    /// If the key is empty or can't stand in an HTTP header; the text doesn't repeat it.
    pub(crate) fn new(key: &str) -> Result<Self, String> {
        let printable = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > 256 || !printable {
            return Err("the client key must be 1 to 256 visible ASCII characters".to_owned());
        }
        Ok(Self::offered(key.as_bytes()))
    }

    /// Wraps the bytes that a client has sent, for a comparison.
    pub(crate) fn offered(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// In constant time.
impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A new key, with 122 random bits from the operating system.
pub(crate) fn generate() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_opens() {
        let key = ClientKey::new("correct-horse").unwrap();
        assert!(ClientKey::offered(b"correct-horse") == key);
        for wrong in ["", "correct-hors", "correct-horse ", "Correct-horse"] {
            assert!(ClientKey::offered(wrong.as_bytes()) != key, "{wrong}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_sent_is_refused() {
        for bad in ["", "with space", "with\nnewline", "ключ"] {
            let reason = ClientKey::new(bad).err().unwrap();
            assert_eq!(reason, "the client key must be 1 to 256 visible ASCII characters");
        }
    }

    #[test]
    fn generated_keys_differ() {
        assert_ne!(generate(), generate());
    }
}
