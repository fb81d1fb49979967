//! The table of one shard: all its paths, each with its variants.
//!
//! # Contract
//!
//! Another layout takes the place of this folder if it keeps this; `tests` checks it against a
//! plain map.
//!
//! - **find** returns the record of a path, or that there is none. No path has two records.
//!   **guess** returns a record that is probably the path's, and [`RecordRef::is`] decides. If it
//!   returns none, and the bucket does not **overflow**, the path has no record.
//! - **push** adds a record with a first variant, **push_many** one with up to 32 at once,
//!   **remove** takes one out with its variants. All other changes are of one record, and keep
//!   every other record as it is. A [`RecordId`] holds until a record is added or removed.
//! - Variants are in the order in which they were stored; `replace` makes one the youngest if asked
//!   to. A set that has more than 32 variants, or no number for a key, is a [`LargeSet`]; it is
//!   taken out in O(1).
//! - Every variant of a small set is one use of its key in the dictionary, which ends when the
//!   variant is taken out and resolved.
//! - A **sweep** goes through the buckets from the first on, and through `ids_of` a bucket from the
//!   last record on, and may remove each. Records that move meanwhile move towards the last bucket.
//!   So a sweep in steps meets every record that was there when it began.
//! - Growing is one bucket at a time: an insert moves the records of one bucket, some sixteen.
//!   **shrink** gives memory back after a sweep, and costs no more than that.
//! - A record is *settled* up to a generation, which only a writer moves; readers *confirm* that it
//!   is untouched since.
//! - No value of the caller's is dropped here: it is returned.
//!
//! # Layout
//!
//! ```text
//!   hash of a path -> bucket (linear hashing) -> node -> tag -> record
//! ```
//!
//! Invariant: a record is in the bucket that its hash names, see `Records::bucket_of`. Only the
//! last node of a bucket is not full.

mod bulk;
mod edit;
mod lanes;
mod node;
mod outside;
mod record;
mod records;
#[cfg(test)]
mod tests;
mod vector;

pub(crate) use edit::Removal;
pub(crate) use record::MAX_SLOTS;
pub(crate) use records::{Located, RecordId, RecordRef, Records};
