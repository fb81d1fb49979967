//! Text that claims to be canonical: it is accepted exactly if canonicalization writes it.
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
