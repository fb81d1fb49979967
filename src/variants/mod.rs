//! Variants: their keys, and the sets of them that are too large for a record.
//!
//! ```text
//!   small   up to 32     in the path's record, see `table`: a number of the dictionary for each
//!   large   any number   a separate table with keys and values, `LargeSet`; also for sets
//!                        without a number for a key
//! ```
//!
//! Invariant: no key occurs twice in a set; what was stored earlier comes first in a small set. A
//! set is small if it can be, but stays large once it is. The dictionary counts one use for each
//! variant of a small set.
//!
//! Not here: liveness across scopes. A variant knows only whether it was marked stale; what broad
//! scopes say is the record's.

mod dictionary;
mod index_table;
mod key;
mod key_state;
mod large;
mod recent_keys;
mod shared_table;
mod taken;

pub(crate) use dictionary::{Dictionary, KeyId};
pub(crate) use key::{Entry, NewVariant, SoftenCounts, VariantIndex, Wanted};
pub(crate) use large::LargeSet;
pub(crate) use recent_keys::RecentKeys;
pub(crate) use taken::{Slot, Taken};
