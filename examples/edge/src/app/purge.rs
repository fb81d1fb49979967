//! `PURGE /<origin>` on the control listener, for tools that were written for Varnish or nginx.
//!
//! Invariant: it needs the same key, and is carried out, logged, counted and remembered as a
//! request to `/invalidate` is. Without operations it is the scope `original`: the picture, in all
//! sizes and spellings. With operations it is the scope `urls`: this rendition, in all
//! representations. The reply is the receipt, with the status 200 that those tools expect.
//!
//! Not here: soft invalidations. No standard header asks for one, so they are left to
//! `/invalidate`.

use super::accounts::Account;
use super::control::{authorize, head_of, reply, unknown};
use super::edge::Edge;
use super::fault::Fault;
use super::invalidate::{apply, log};
use super::level::Level;
use super::metrics::seconds;
use super::receipt::Record;
use super::request_id::RequestId;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use cache_index::invalidation::{InvalidationError, InvalidationRequest};
use http_body_util::Full;
use std::sync::Arc;
use std::time::Instant;
use tokio::task;
use tracing::Span;

/// Answers all requests that are not for a page of the control listener.
pub(crate) async fn purge_or_unknown(
    State(edge): State<Arc<Edge>>,
    request: Request,
) -> Response<Full<Bytes>> {
    if request.method().as_str() != "PURGE" {
        return unknown().await;
    }
    let begun = Instant::now();
    let id = request.extensions().get::<RequestId>().copied();
    match purge(&edge, request).await {
        Ok((account, record)) => {
            log(id, &account, &record);
            edge.metrics.invalidation_seconds.observe(seconds(begun.elapsed()));
            reply(StatusCode::OK, &record.created())
        }
        Err(fault) => fault.to_json(),
    }
}

async fn purge(edge: &Arc<Edge>, request: Request) -> Result<(Arc<Account>, Arc<Record>), Fault> {
    let parts = head_of(request);
    let account = authorize(edge, &parts)?;
    // Without the host, which names the tenant.
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let request = read(&account, target).map_err(|error| refusal(&error))?;
    if !edge.index.is_durable() {
        let record = apply(edge, &account, &request, Level::default());
        return Ok((account, record));
    }
    // It waits for a sync.
    let (edge, span) = (Arc::clone(edge), Span::current());
    let work = move || {
        let record = span.in_scope(|| apply(&edge, &account, &request, Level::default()));
        (account, record)
    };
    let crashed = |_| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed");
    task::spawn_blocking(work).await.map_err(crashed)
}

fn read(account: &Account, target: &str) -> Result<InvalidationRequest, InvalidationError> {
    let builder = || InvalidationRequest::builder(&account.filing);
    // A query that belongs to the name of the picture is accepted here, operations are not.
    match builder().original([target]) {
        Err(_) if target.contains('?') => builder().urls([target]),
        read => read,
    }
}

/// Refuses a target as delivery would.
fn refusal(error: &InvalidationError) -> Fault {
    let Some(cause) = error.path_error() else {
        return Fault::bad_request(error.to_string());
    };
    let suggestion = cause.suggestions().next().map(Box::from);
    Fault { suggestion, ..Fault::bad_request(format!("malformed URL: {cause}")) }
}
