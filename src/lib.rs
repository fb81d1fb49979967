//! Knows, for every picture, which resized renditions of it a cache holds, so that purging a picture, a tenant or everything is
//! exact, immediate, and cannot be undone by a fetch that was already under way.
#![forbid(unsafe_code)]

pub mod canonical;
mod config;
mod generation;
mod graves;
mod hash;
mod index;
mod lease;
mod mode;
mod open_fills;
mod origin;
mod outcome;
mod scopes;
mod shard;
mod stats;
mod sync;
mod tally;
mod tenant;
mod text;
mod variant;
mod variants;

pub use config::{Config, ConfigBuilder, ConfigError, DeadValues};
pub use generation::Generation;
pub use index::CacheIndex;
pub use lease::FillLease;
pub use mode::{Hard, Mode, Soft};
pub use origin::{OriginPath, PathPrefix};
pub use outcome::{
    Dead, Flushed, Freshness, Insertion, Lookup, Purged, PurgedEntries, Reclaimed,
    ReclaimedEntries, Refusal, Refused, Softened, Stored,
};
pub use stats::Stats;
pub use tenant::Tenant;
pub use variant::VariantKey;
