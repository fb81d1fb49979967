//! Faults: requests that can't be answered as they were meant, each with a status and a reason that
//! a person can read.
//!
//! Invariant: a fault is never cached, here (it is no picture, so no lease is committed for it) or
//! further down (`no-store`).

use axum::body::Bytes;
use axum::http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// One clause, no full stop.
    pub(crate) reason: String,
    /// When to come again, where that makes sense.
    pub(crate) retry_after: Option<HeaderValue>,
    /// Which entry of a list is meant, from 0.
    pub(crate) position: Option<usize>,
    /// The entry that was most likely meant.
    pub(crate) suggestion: Option<Box<str>>,
    /// A hint in words on the correct request.
    pub(crate) hint: Option<&'static str>,
    /// The status of the origin's answer, if that is the reason.
    pub(crate) origin_status: Option<u16>,
}

#[derive(Serialize)]
struct Reply<'a> {
    status: &'static str,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            status,
            reason,
            retry_after: None,
            position: None,
            suggestion: None,
            hint: None,
            origin_status: None,
        }
    }

    pub(crate) fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) fn unprocessable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason)
    }

    /// As JSON, in the shape of the other replies of the invalidation API.
    pub(crate) fn to_json(&self) -> Response<Full<Bytes>> {
        let reply = Reply {
            status: "error",
            msg: &self.reason,
            position: self.position,
            suggestion: self.suggestion.as_deref(),
            hint: self.hint,
        };
        // Texts and a number can always be written.
        let body = serde_json::to_string_pretty(&reply).unwrap_or_default();
        self.respond("application/json", body + "\n")
    }

    pub(crate) fn to_text(&self) -> Response<Full<Bytes>> {
        self.respond("text/plain; charset=utf-8", format!("{}\n", self.reason))
    }

    fn respond(&self, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(wait) = &self.retry_after {
            headers.insert(header::RETRY_AFTER, wait.clone());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("X-Client-Key"));
        }
        // A client that has not sent the whole request yet must not go on sending it.
        if matches!(self.status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
