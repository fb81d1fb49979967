//! The C library of `cache-index`; see `include/cache_index.h`, which is written from this source.
//!
//! Invariants:
//! - No panic leaves a function: `boundary::guard` turns it into `CI_ERR_PANIC`.
//! - A function checks all its arguments before it changes anything.
//! - Each unsafe block relies on the promises of the function's own documentation, and on nothing
//!   else.
//!
//! Not here: any rule of the index. Each function converts its arguments and calls one operation.

mod backing;
mod boundary;
mod claim;
#[cfg(feature = "durable")]
mod durable;
mod entries;
mod error;
#[cfg(feature = "fleet")]
mod fleet;
#[cfg(feature = "fleet")]
mod fleet_purge;
mod ids;
mod index;
mod lease;
mod lookup;
#[cfg(feature = "fleet")]
mod member;
mod names;
mod prepared;
mod purge;
mod rules;
mod stats;
mod text;
#[cfg(feature = "fleet")]
mod tier;

#[cfg(test)]
mod header;
#[cfg(test)]
mod tests;

pub use claim::*;
#[cfg(feature = "durable")]
pub use durable::*;
pub use entries::*;
pub use error::*;
#[cfg(feature = "fleet")]
pub use fleet::*;
#[cfg(feature = "fleet")]
pub use fleet_purge::*;
pub use ids::*;
pub use index::*;
pub use lease::*;
pub use lookup::*;
pub use names::*;
pub use prepared::*;
pub use purge::*;
pub use rules::*;
pub use stats::*;
pub use text::*;
#[cfg(feature = "fleet")]
pub use tier::*;
