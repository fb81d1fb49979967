//! A fixed piece of work, for `.ci/speed`: what compilers and tests do most (hashing, sorting,
//! text, memory in no order), about two seconds of it. Prints the milliseconds that it took.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Instant;

fn main() {
    let begun = Instant::now();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut sum = 0_u64;
    for _ in 0..ROUNDS {
        let mut numbers: Vec<u64> = (0..400_000).map(|_| next()).collect();
        let mut texts = HashMap::new();
        for number in numbers.iter().take(100_000) {
            let mut text = String::new();
            write!(text, "/sample.li/{number:x}.jpg?w={}", number % 4096).expect("text can be written");
            *texts.entry(text).or_insert(0_u64) += number;
        }
        numbers.sort_unstable();
        for _ in 0..1_000_000 {
            let place = usize::try_from(next() % 400_000).expect("small");
            sum = sum.wrapping_add(numbers[place].rotate_left(7));
        }
        sum = texts.values().fold(sum, |sum, value| sum.wrapping_add(*value));
    }
    let millis = begun.elapsed().as_millis();
    assert_ne!(sum, 0, "so that the work is done");
    println!("{millis}");
}

const ROUNDS: usize = 40;
