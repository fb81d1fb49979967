//! Invalidation entries: the laws hold of every text, under settings that its first byte chooses.
#![no_main]
#![allow(dead_code, reason = "the laws are shared with the tests, which use all of them")]

#[path = "../../tests/canonical/checks.rs"]
mod checks;
#[path = "../../tests/canonical/naive.rs"]
mod naive;
#[path = "../../tests/canonical/notation.rs"]
mod notation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    checks::entry(checks::SETTINGS[usize::from(*choice) % checks::SETTINGS.len()], text);
});
