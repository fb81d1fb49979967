//! Tests through the functions as C calls them.

mod bad_input;
mod calls;
mod documented;
#[cfg(feature = "durable")]
mod durable;
#[cfg(feature = "fleet")]
pub(crate) mod fleet;
mod sequences;
mod threads;
