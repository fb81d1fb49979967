//! One shard: the single-threaded core of the index, its table, and the open fills beside it.

#[cfg(fuzzing)]
mod check;
mod claim;
mod core;
mod export;
mod listing;
mod noted_purges;
mod open_fills;
mod over_time;
mod path_ref;
mod pending;
mod purge;
mod restore;
mod store;
mod table;

pub(crate) use core::{Shard, Shared};
pub(crate) use export::{ExportPlace, LargePlace, Running};
pub(crate) use noted_purges::RestoreStart;
pub(crate) use open_fills::{ClaimAnswer, ClaimStart, FillStart, OpenFills, PathText};
pub(crate) use path_ref::PathRef;
pub(crate) use pending::PendingId;
pub(crate) use purge::Swept;
pub(crate) use restore::Candidate;
pub(crate) use store::Leftovers;
