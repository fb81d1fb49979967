//! The crate from outside: on an engine in memory, and on a real nats-server.
//!
//! The server is `nats-server` on the path, or the program that `FLEET_NATS_SERVER` names.

#![allow(clippy::print_stdout, reason = "tests say what they have skipped")]

mod memory;
#[cfg(feature = "jetstream")]
mod nats;
mod node;
#[cfg(feature = "jetstream")]
mod server;
