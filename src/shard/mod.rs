//! One shard: the single-threaded core of the index, its table, and the open fills beside it.

#[cfg(fuzzing)]
mod check;
mod claim;
mod core;
mod listing;
mod open_fills;
mod over_time;
mod path_ref;
mod pending;
mod purge;
mod store;
mod table;

pub(crate) use core::{Shard, Shared};
pub(crate) use open_fills::{ClaimAnswer, ClaimStart, FillStart, OpenFills, PathText};
pub(crate) use path_ref::PathRef;
pub(crate) use pending::PendingId;
pub(crate) use purge::Swept;
pub(crate) use store::Committed;
