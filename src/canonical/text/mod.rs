//! Bytes: which there are, how they are found, spelled and written.
//!
//! Invariant: nothing here knows what a text means.
//! Not here: paths and queries.

pub(super) mod bytes;
pub(super) mod scan;
pub(super) mod spelling;
pub(super) mod writer;
