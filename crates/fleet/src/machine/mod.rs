//! The protocol of a node, without I/O and without a clock.
//!
//! Every input carries the moment at which it is handled. Outputs are [`Effect`]s, which the driver
//! executes in order. The same code runs under tokio and in the simulation.

mod follower;
mod members;
mod node;
mod outbox;
mod over_time;
mod position;

pub(crate) use follower::FlushReason;
pub(crate) use node::{Effect, Level, Node, Settings};
pub(crate) use outbox::AppendResult;
