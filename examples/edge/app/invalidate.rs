//! Invalidation: `POST /invalidate`.
//!
//! Invariant: a request is done as a whole or not at all. The key is checked before the body is read, all of the body before
//! anything is invalidated; and the reply says of each entry what went, because a typing error otherwise looks like success.

use super::edge::Edge;
use super::fault::Fault;
use super::receipt::Reply;
use super::request::Invalidation;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;
use tokio::time::timeout;

/// The largest body, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// How much of an unwanted body is read, in bytes, before the connection is closed on who sends it.
const MOST_DISCARDED: usize = 16 << 20;

/// Answers `POST /invalidate`.
pub(crate) async fn invalidate(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    match handle(&edge, request).await {
        Ok(reply) => created(&reply),
        Err(fault) => fault.into_json(),
    }
}

fn created(reply: &Reply) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    match serde_json::to_string_pretty(reply) {
        Ok(text) => (StatusCode::CREATED, headers, text + "\n").into_response(),
        // Text and numbers can always be written. If not, what was done is still done.
        Err(_) => StatusCode::CREATED.into_response(),
    }
}

async fn handle(edge: &Edge, request: Request) -> Result<Reply, Fault> {
    let (parts, body) = request.into_parts();
    if !is_allowed(edge, &parts.headers) {
        decline(edge, &parts.headers, body).await;
        let reason = "wrong or missing client key: expected one X-Client-Key header";
        return Err(Fault::new(StatusCode::UNAUTHORIZED, reason));
    }
    if parts.uri.query().is_some() {
        decline(edge, &parts.headers, body).await;
        return Err(Fault::bad_request("POST /invalidate takes no query parameters"));
    }
    let bytes = read(edge, &parts.headers, body).await?;
    let invalidation = Invalidation::parse(&bytes, &edge.account.filing)?;
    Ok(apply(edge, &invalidation))
}

fn is_allowed(edge: &Edge, headers: &HeaderMap) -> bool {
    let mut keys = headers.get_all("x-client-key").iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => edge.account.client_key.opens_for(key.as_bytes()),
        _ => false,
    }
}

/// Reads the body, as far as it may go.
async fn read(edge: &Edge, headers: &HeaderMap, mut body: Body) -> Result<Bytes, Fault> {
    let reason = format!("the body is larger than {MOST_BYTES} bytes");
    let too_large = Fault::new(StatusCode::PAYLOAD_TOO_LARGE, reason);
    if announced(headers).is_some_and(|bytes| bytes > MOST_BYTES) {
        decline(edge, headers, body).await;
        return Err(too_large);
    }
    match timeout(edge.limits.body_time, Limited::new(&mut body, MOST_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(edge, body).await;
            Err(too_large)
        }
        Ok(Err(_)) => Err(Fault::bad_request("the body could not be read")),
        Err(_) => Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Deals with a body that nobody has begun to read. A client that waits to be asked for it (`Expect`) just isn't asked.
async fn decline(edge: &Edge, headers: &HeaderMap, body: Body) {
    if !headers.contains_key(header::EXPECT) {
        discard(edge, body).await;
    }
}

/// Reads what nobody wants, within bounds, and forgets it: a client that is still sending when the connection is closed on it
/// would see a reset connection and never the reply.
async fn discard(edge: &Edge, mut body: Body) {
    let drain = async {
        let mut left = MOST_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    let _ = timeout(edge.limits.body_time, drain).await;
}

/// Does what was asked, and says what that did.
fn apply(edge: &Edge, invalidation: &Invalidation) -> Reply {
    match invalidation {
        Invalidation::All => Reply::flushed(edge.flush().generation()),
        Invalidation::Original { entries, duplicates } => {
            let receipts = entries.iter().map(|entry| (entry, edge.purge(&entry.origin))).collect();
            Reply::purged(receipts, *duplicates)
        }
    }
}
