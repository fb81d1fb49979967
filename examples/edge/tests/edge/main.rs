//! The edge example, end to end: real HTTP to a server in this process, and the built command
//! itself.
//!
//! Not here: the effect of operations on pixels, and canonicalization; those are tested beside the
//! code.

#[path = "../../src/app/mod.rs"]
#[expect(dead_code, reason = "the command uses some parts of the server that no test needs")]
mod app;

mod browser;
mod command;
mod connections;
mod control;
mod delivery;
mod driver;
#[cfg(unix)]
mod durable;
#[cfg(feature = "fleet")]
mod fleet;
mod folder;
mod harness;
mod http_origin;
mod invalidation;
mod over;
mod race;
mod reports;
mod soft;
mod streams;
mod tenants;
mod words;
