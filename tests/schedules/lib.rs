//! Nothing: see `tests/shuttle.rs` and `tests/loom.rs`.
