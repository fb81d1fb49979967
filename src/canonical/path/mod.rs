//! From the path of a request or an entry to the name of its origin.
//!
//! Invariant: the result is canonical. Read again, it stays the same. Not here: the query, and the
//! rules.

pub(super) mod delivery_host;
pub(super) mod escape;
pub(super) mod form;
pub(super) mod grouping;
pub(super) mod host;
pub(super) mod origin;
pub(super) mod segments;
