//! Request ids: a name for each request, in its answer and in the log.
//!
//! Invariant: no two requests of one server have the same id. Requests of two servers, or of one
//! after a restart, hardly ever do. An id from the client is not used, so that no client can write
//! into the log.

use axum::http::HeaderValue;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Where the names come from.
pub(crate) struct RequestIds {
    server: u32,
    given_out: AtomicU64,
}

/// The id of a request. It costs only a number until it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId {
    server: u32,
    number: u64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { server: Uuid::new_v4().as_fields().0, given_out: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> RequestId {
        // Relaxed: only that no number comes twice matters.
        RequestId { server: self.server, number: self.given_out.fetch_add(1, Ordering::Relaxed) }
    }
}

impl RequestId {
    pub(crate) fn to_header(self) -> HeaderValue {
        let mut text = String::with_capacity(24);
        // Writing to a string can't fail.
        let _ = write!(text, "{self}");
        HeaderValue::from_maybe_shared(axum::body::Bytes::from(text))
            .unwrap_or(HeaderValue::from_static("-"))
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}-{}", self.server, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_the_same_name() {
        let ids = RequestIds::new();
        let (first, second) = (ids.next(), ids.next());
        assert_ne!(first.to_header(), second.to_header());
        assert!(first.to_string().ends_with("-0"), "{first}");
    }
}
