//! Origins: where the pictures come from.
//!
//! Invariant: an origin answers with the bytes of a picture as it is now, or with an error; it
//! keeps no answer for later.

pub(crate) mod folder;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod samples;

use super::freshness::Policy;
use axum::body::Bytes;
use axum::http::HeaderValue;
use cache_index::OriginPath;
use cache_index::canonical::Root;
use std::future::Future;
use std::pin::Pin;

/// A fetch under way.
pub(crate) type Fetch<'a> = Pin<Box<dyn Future<Output = Result<Fetched, OriginError>> + Send + 'a>>;

/// Which picture is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Its exact name.
    pub(crate) path: &'a OriginPath<'a>,
    /// The URL that relative names of this customer are below of.
    pub(crate) prefix: Option<&'a str>,
    /// The origin's validator of the version that is already known.
    pub(crate) known: Option<&'a HeaderValue>,
}

/// The answer of an origin.
#[derive(Clone, Debug)]
pub(crate) enum Fetched {
    Picture {
        bytes: Bytes,
        /// The origin's validator of this version, if there is one.
        validator: Option<HeaderValue>,
        /// The limits that the origin sets.
        policy: Policy,
    },
    /// The version that is known already is the newest.
    Unchanged {
        /// The new limits, if the origin has sent some.
        policy: Option<Policy>,
    },
}

impl From<Bytes> for Fetched {
    fn from(bytes: Bytes) -> Self {
        Self::Picture { bytes, validator: None, policy: Policy::default() }
    }
}

/// Where pictures come from.
pub(crate) trait Origin: Send + Sync {
    /// Reads a picture.
    fn fetch<'a>(&'a self, wanted: Wanted<'a>) -> Fetch<'a>;

    /// The meaning of a first segment such as `sample.li`: a host, which is compared without case,
    /// or a folder.
    fn root(&self) -> Root;

    /// Some pictures that there are, as request targets, for the page that shows them. May block.
    fn examples(&self) -> Vec<String>;
}

/// Why there are no bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OriginError {
    /// There is no such picture.
    NotFound,
    /// It answered with this status, which is neither a picture nor the lack of one.
    Answered(u16),
    /// There may be a picture, but the fetch failed; the text has the reason.
    Failed(String),
}
