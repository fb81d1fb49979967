//! The edge itself: everything except the command's own `main`, so that the tests can run the same server in their process.
//!
//! One idea a file. What a request needs is in [`edge`]; [`routes`] says which handler answers what; [`delivery`] and
//! [`invalidate`] are the two handlers that matter. Read [`delivery`] first if you want to link the index into a server of yours.
//! The unit tests in here are run as a part of `tests/edge`.

pub(crate) mod args;
pub(crate) mod client;
pub(crate) mod client_key;
pub(crate) mod delivery;
pub(crate) mod edge;
pub(crate) mod fault;
pub(crate) mod geometry;
pub(crate) mod home;
pub(crate) mod invalidate;
pub(crate) mod json;
pub(crate) mod operations;
pub(crate) mod origin;
pub(crate) mod receipt;
pub(crate) mod render;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod tour;
