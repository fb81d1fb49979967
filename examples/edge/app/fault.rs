//! Faults: requests that can't be answered as they were meant, each with a status and a reason that a person can read.
//!
//! Invariant: a fault is never cached, here (it is no picture, so no lease is committed for it) or further down (`no-store`).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// One clause, no full stop.
    pub(crate) reason: String,
}

#[derive(Serialize)]
struct Reply<'a> {
    status: &'static str,
    msg: &'a str,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    pub(crate) fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) fn unprocessable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason)
    }

    /// As JSON, in the shape of the other replies of the invalidation API.
    pub(crate) fn into_json(self) -> Response {
        let reply = Reply { status: "error", msg: &self.reason };
        // Two texts can always be written.
        let body = serde_json::to_string_pretty(&reply).unwrap_or_default();
        self.respond("application/json", body + "\n")
    }

    fn respond(&self, content_type: &'static str, body: String) -> Response {
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Whoever has not sent the whole request yet is not to send it any more.
        if matches!(self.status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.respond("text/plain; charset=utf-8", format!("{}\n", self.reason))
    }
}
