//! Origins: where the pictures come from.
//!
//! Invariant: an origin answers with the bytes of a picture as it is now, or with an error; it keeps no answer for later.

pub(crate) mod folder;
pub(crate) mod gate;
pub(crate) mod samples;

use axum::body::Bytes;
use cache_index::OriginPath;
use cache_index::canonical::Root;
use std::future::Future;
use std::pin::Pin;

/// A fetch under way.
pub(crate) type Fetch<'a> = Pin<Box<dyn Future<Output = Result<Bytes, OriginError>> + Send + 'a>>;

/// Where pictures come from.
pub(crate) trait Origin: Send + Sync {
    /// Reads a picture.
    fn fetch<'a>(&'a self, path: &'a OriginPath<'_>) -> Fetch<'a>;

    /// What a first segment such as `sample.li` is here: a host, whose case doesn't matter, or a folder.
    fn root(&self) -> Root;

    /// Some pictures that there are, as request targets, for the page that shows them. May block.
    fn examples(&self) -> Vec<String>;
}

/// Why there are no bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OriginError {
    /// There is no such picture.
    NotFound,
    /// There may be one, but it could not be had; the text says why.
    Failed(String),
}
