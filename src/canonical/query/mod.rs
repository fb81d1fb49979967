//! From the query of a request or an entry to its variant key.
//!
//! Invariant: renditions that may differ in a byte never share a key.
//! Not here: the path.

pub(super) mod key;
pub(super) mod operations;
pub(super) mod parameters;
pub(super) mod sealed_flag;
pub(super) mod split;
