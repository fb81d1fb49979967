//! A caching proxy made with Pingora, whose storage is the index.
//!
//! | module | content |
//! |---|---|
//! | [`storage`] | Pingora's `Storage`, with the index as its table |
//! | [`sites`] | from hosts and URLs to tenants and names |
//! | [`proxy`] | the proxy: which requests and answers are cached |
//! | [`control`] | the control port: purge, flush, statistics |
//!
//! To use the index in your own Pingora server, copy `storage`, and build the key of each request
//! with [`storage::cache_key`].

pub mod control;
pub mod proxy;
pub mod sites;
pub mod storage;
