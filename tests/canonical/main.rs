//! The rules of canonicalization, from outside: cases, laws, and comparisons with other
//! implementations.

mod checks;
mod collisions;
mod confusion;
mod errors;
mod laws;
mod naive;
mod notation;
mod texts;
mod url_crate;
mod vectors;
