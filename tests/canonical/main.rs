//! The rules of canonicalization, from outside: cases, laws, and comparisons with other implementations.

mod errors;
mod notation;
mod vectors;
