//! Bytes: their classes, and how they are found, spelled and written.
//!
//! Invariant: this module does not know the meaning of a text. Not here: paths and queries.

pub(super) mod bytes;
pub(super) mod scan;
pub(super) mod spelling;
pub(super) mod writer;
