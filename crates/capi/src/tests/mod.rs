//! Tests through the functions as C calls them.

mod bad_input;
mod calls;
mod documented;
mod sequences;
mod threads;
