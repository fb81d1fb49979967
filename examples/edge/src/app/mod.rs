//! The edge itself: everything except the command's own `main`, so that the tests can run the same
//! server in their process.
//!
//! Each file has one idea. [`edge`] has everything that a request needs; [`server`] passes
//! connections to [`delivery`] and to [`control`]. Read [`delivery`], [`fill`] and [`edge`] first
//! if you want to link the index into a server of yours. The unit tests in here are run as a part
//! of `tests/edge` beside this folder.

pub(crate) mod accept;
pub(crate) mod accounts;
pub(crate) mod args;
pub(crate) mod cache_status;
pub(crate) mod client;
pub(crate) mod client_key;
pub(crate) mod control;
pub(crate) mod delivery;
pub(crate) mod edge;
pub(crate) mod fault;
pub(crate) mod fields;
pub(crate) mod files;
pub(crate) mod fill;
#[cfg(feature = "fleet")]
pub(crate) mod fleet;
pub(crate) mod flights;
pub(crate) mod freshness;
pub(crate) mod geometry;
pub(crate) mod hints;
pub(crate) mod history;
pub(crate) mod index;
pub(crate) mod inspect;
pub(crate) mod invalidate;
pub(crate) mod level;
pub(crate) mod metrics;
pub(crate) mod operations;
pub(crate) mod origin;
pub(crate) mod orphans;
pub(crate) mod page;
pub(crate) mod purge;
pub(crate) mod query;
pub(crate) mod receipt;
pub(crate) mod render;
pub(crate) mod request_id;
pub(crate) mod restart;
pub(crate) mod server;
#[cfg_attr(not(feature = "fleet"), allow(dead_code, reason = "only a fleet has a shield"))]
pub(crate) mod shield;
#[cfg(test)]
#[allow(dead_code, reason = "the command is compiled with tests too, and has none")]
pub(crate) mod stall;
pub(crate) mod store;
pub(crate) mod tenants_file;
pub(crate) mod tier;
pub(crate) mod tour;
