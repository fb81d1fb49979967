//! Sequences of operations, on the index and on the reference model: every outcome is the model's,
//! and at the end every invariant of the index holds inside.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use cache_index::DeadValues;
use common::Names;
use common::pair::{Op, Pair};

/// Longer sequences are slower, and shorter ones find the same bugs.
const MOST_OPERATIONS: usize = 64;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let dead_values = if choice & 1 == 0 { DeadValues::Queue } else { DeadValues::Drop };
    let shards = [1, 1, 2, 16][usize::from(choice >> 1 & 3)];
    // Any byte as the first character of opaque names, and pairs of bytes for other characters.
    let (names, text) = match (choice >> 3 & 3, text) {
        (1, [front, rest @ ..]) => (Names::Opaque(char::from(*front)), rest),
        (2, [high, low, rest @ ..]) => {
            let front = char::from_u32(u32::from(u16::from_be_bytes([*high, *low])));
            (Names::Opaque(front.unwrap_or(char::REPLACEMENT_CHARACTER)), rest)
        }
        _ => (Names::Canonical, text),
    };
    let mut pair = Pair::new(shards, dead_values, names);
    let mut bytes = text.iter().copied();
    let operations = std::iter::from_fn(|| Op::read(&mut bytes)).take(MOST_OPERATIONS);
    for (op, n) in operations.zip(0_u32..) {
        pair.run(&op);
        if n % 8 == 0 {
            pair.check_totals();
        }
    }
    pair.finish();
});
