//! The promises, one test each for every way in which they could break.

#[path = "../common/mod.rs"]
mod common;

mod autotraits;
mod claim;
mod export;
mod flush;
mod forget;
mod lease;
mod limits;
mod names;
mod outcomes;
mod over_time;
mod panics;
mod prefix;
mod reclaim;
mod restore;
mod selection;
mod values;
