//! The edge as a node of a fleet: `--fleet`. Only with the feature `fleet`.
//!
//! Each invalidation of the control listener goes to a log that all edges follow, and holds here at
//! once. An edge that cannot prove that it has followed serves nothing as fresh.

mod engine;
mod member;
mod report;

pub(crate) use cache_index_fleet::WhenShut;
#[cfg(test)]
#[allow(unused_imports, reason = "the command is compiled with tests too, and has none")]
pub(crate) use engine::Wire;
#[cfg_attr(test, allow(unused_imports, reason = "the tests do not read the command line"))]
pub(crate) use member::Words;
pub(crate) use member::{Member, Membership};
pub(crate) use report::{register, report};
