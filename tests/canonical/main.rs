//! The rules of canonicalization, from outside: cases, laws, and comparisons with other implementations.

mod checks;
mod errors;
mod laws;
mod naive;
mod notation;
mod texts;
mod vectors;
