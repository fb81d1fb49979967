//! The proxy between an origin that waits and its clients.

#[path = "../../rig/mod.rs"]
mod rig;

mod collapsing;
mod command;
mod control;
mod eviction;
mod mem_cache;
mod race;
mod soft;
mod storage;
mod vary;
