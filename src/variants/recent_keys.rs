//! The numbers of the keys that were restored last.
//!
//! Invariant: what is remembered here is a guess. The dictionary compares the text before it uses a
//! number, so a wrong guess costs time and nothing else.
//!
//! A shop uses the same dozen sizes on all of its pictures. A restore that remembers their numbers
//! neither hashes a key nor searches the dictionary for it.

use super::dictionary::{Dictionary, KeyId};
use crate::hash::{Hashing, KeySum};
use crate::sync::{AtomicU64, Ordering};

/// Remembered numbers, at most one for each tag. Model checkers follow every atomic.
const NUMBERS: usize = if cfg!(any(cache_index_loom, cache_index_shuttle)) { 2 } else { 256 };

/// Bits of a number.
const NUMBER_BITS: u32 = 24;

/// The last number of each tag, and above it the part of the key's sum that is not the tag.
// Relaxed throughout: see the invariant above.
#[derive(Debug)]
pub(crate) struct RecentKeys([AtomicU64; NUMBERS]);

impl Default for RecentKeys {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::default()))
    }
}

impl RecentKeys {
    /// Uses a key once more. Returns `None` if that would need a new number and none is left.
    ///
    /// **Locks:** the part of the dictionary, if the key is new.
    #[inline]
    pub(crate) fn take(
        &self,
        text: &str,
        sum: KeySum,
        keys: &Dictionary,
        hashing: &Hashing,
    ) -> Option<KeyId> {
        let place = &self.0[usize::from(sum.tag().get()) % NUMBERS];
        let known = place.load(Ordering::Relaxed);
        if known >> NUMBER_BITS == sum.check() {
            let id = KeyId::from_number(low_bits(known));
            if keys.take_known(id, text) {
                return Some(id);
            }
        }
        let id = keys.take(text, hashing.variant(text))?;
        place.store(sum.check() << NUMBER_BITS | u64::from(id.number()), Ordering::Relaxed);
        Some(id)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the number is in the low bits")]
#[inline]
fn low_bits(known: u64) -> u32 {
    known as u32 & ((1 << NUMBER_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_that_of_the_dictionary_also_after_it_went_to_another_key() {
        let (recent, keys, hashing) =
            (RecentKeys::default(), Dictionary::default(), Hashing::new());
        let take = |text: &str| recent.take(text, hashing.sum(text), &keys, &hashing).unwrap();
        // Far more keys than places.
        let texts: Vec<String> = (0..1000).map(|n| format!("?w={n}")).collect();
        for round in 0..3 {
            let mut ids = Vec::new();
            for text in texts.iter().chain(texts.iter().rev()) {
                let id = take(text);
                assert_eq!(&*keys.text(id), &**text, "round {round}");
                ids.push(id);
            }
            keys.check(ids.iter().copied());
            for id in ids {
                keys.release(id);
            }
        }
        // The number of the only key goes to another one.
        let first = take("?first");
        keys.release(first);
        for n in 0..1000 {
            let text = format!("?h={n}");
            let other = take(&text);
            assert_eq!(&*keys.text(other), text);
            keys.release(other);
        }
        let again = take("?first");
        assert_eq!(&*keys.text(again), "?first");
        keys.check([again].into_iter());
    }

    #[test]
    fn guess_with_the_text_of_another_key_is_not_used() {
        let (recent, keys, hashing) =
            (RecentKeys::default(), Dictionary::default(), Hashing::new());
        let sum = hashing.sum("?w=1");
        let id = recent.take("?w=1", sum, &keys, &hashing).unwrap();
        // As though both keys had one sum.
        let other = recent.take("?w=2", sum, &keys, &hashing).unwrap();
        assert_ne!(id, other);
        assert_eq!(recent.take("?w=2", sum, &keys, &hashing), Some(other));
        keys.check([id, other, other].into_iter());
    }
}
