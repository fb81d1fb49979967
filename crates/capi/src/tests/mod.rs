//! Tests through the functions as C calls them.

mod bad_input;
mod calls;
mod documented;
#[cfg(feature = "durable")]
mod durable;
mod sequences;
mod threads;
