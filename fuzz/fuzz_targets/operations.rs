//! Sequences of operations, on the index and on the reference model: every outcome is the model's, and at the end every invariant
//! of the index holds inside.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use cache_index::DeadValues;
use common::pair::{Op, Pair};

/// Longer sequences are slower, and what they find is found by shorter ones.
const MOST_OPERATIONS: usize = 64;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let dead_values = if choice & 1 == 0 { DeadValues::Queue } else { DeadValues::Drop };
    let shards = [1, 1, 2, 16][usize::from(choice >> 1 & 3)];
    let mut pair = Pair::new(shards, dead_values);
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
