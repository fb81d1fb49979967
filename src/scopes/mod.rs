//! Scopes: what an invalidation covers, and when each scope was invalidated last.
//!
//! A broad scope (everything, a tenant, a prefix) is only a number, so that invalidating it is
//! O(1). An entry is live if its record was confirmed live at or after the last hard invalidation
//! of every scope that covers it.

mod generation;
mod horizon;
mod over_time;
mod prefix_purges;
mod registry;
mod rule_ages;
mod spreads;
mod tally;
mod tenant;
mod view;

pub(crate) use generation::AtomicGeneration;
pub use generation::Generation;
pub(crate) use horizon::LastInvalidations;
pub use over_time::OverTime;
pub(crate) use registry::Scopes;
pub(crate) use tally::{Counts, Tallies};
pub use tenant::Tenant;
pub(crate) use tenant::Tenants;
pub(crate) use view::{Standing, View};
