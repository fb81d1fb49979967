//! Text that is said to be canonical: what is accepted is what canonicalization writes.
#![no_main]
#![allow(dead_code, reason = "the laws are shared with the tests, which use all of them")]

#[path = "../../tests/canonical/checks.rs"]
mod checks;
#[path = "../../tests/canonical/naive.rs"]
mod naive;
#[path = "../../tests/canonical/notation.rs"]
mod notation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        checks::known(text);
    }
});
