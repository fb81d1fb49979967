//! Compares `cache-index` with the structures that would be used instead. Not published: it keeps
//! heavy peers out of the library's own dependencies.
//!
//! [`race`] shows which structures serve an old picture after a purge that met an in-flight fetch:
//! `cargo run --release -p peers --bin race`.

pub mod access;
pub mod adapters;
pub mod agreement;
pub mod arrivals;
pub mod chart;
pub mod detached;
pub mod growth;
pub mod heap;
pub mod invalidation;
pub mod machine;
pub mod mixed;
pub mod race;
pub mod scale;
pub mod single;
pub mod site;
pub mod storing;
pub mod table;
