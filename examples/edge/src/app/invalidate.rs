//! Invalidation: `POST /invalidate`, and `GET /invalidate/<uuid>` to read a receipt again.
//!
//! Invariant: a request is carried out as a whole or not at all. The key is checked before the body
//! is read, and the whole body before anything is invalidated. The reply reports the outcome of
//! each entry, because a typing error otherwise looks like success.

use super::accounts::Account;
use super::control::{authorize, head_of, reply};
use super::edge::Edge;
use super::fault::Fault;
use super::hints;
use super::level::Level;
use super::metrics::seconds;
use super::query::{Run, check_over_time};
use super::receipt::{self, Record, Summary};
use super::request_id::RequestId;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use cache_index::invalidation::{
    InvalidationError, InvalidationErrorKind, InvalidationLimits, InvalidationRequest,
    InvalidationScope,
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use std::sync::Arc;
use std::time::Instant;
use tokio::task;
use tokio::time::timeout;
use tracing::{Span, info};
use uuid::Uuid;

/// The number of bytes of an unwanted body that are read before the connection is closed.
const MOST_DISCARDED: usize = 64 << 20;

/// From this size on, a body is dealt with on a thread where that may take its time: thousands of
/// entries take milliseconds.
const LARGE_BODY: usize = 16 << 10;

/// Answers `POST /invalidate`.
pub(crate) async fn invalidate(
    State(edge): State<Arc<Edge>>,
    request: Request,
) -> Response<Full<Bytes>> {
    let begun = Instant::now();
    let id = request.extensions().get::<RequestId>().copied();
    let answer = match handle(&edge, request).await {
        Ok(Done::Applied(account, record)) => {
            log(id, &account, &record);
            reply(StatusCode::CREATED, &record.created())
        }
        Ok(Done::Tried(summary)) => reply(StatusCode::OK, &receipt::dry_run(&summary)),
        Err(fault) => return fault.to_json(),
    };
    edge.metrics.invalidation_seconds.observe(seconds(begun.elapsed()));
    answer
}

/// Logs an invalidation.
pub(crate) fn log(id: Option<RequestId>, account: &Account, record: &Record) {
    let Summary { scope, mode, variants, overtaken_fills, .. } = record.summary;
    let (tenant, uuid, entries) = (account.token(), record.uuid, record.summary.entries());
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    info!(%id, tenant, %uuid, scope, mode, entries, variants, overtaken_fills, "invalidated");
}

/// Answers `GET /invalidate/<uuid>`.
pub(crate) async fn invalidation(
    State(edge): State<Arc<Edge>>,
    Path(uuid): Path<String>,
    request: Request,
) -> Response<Full<Bytes>> {
    let unknown = || {
        let reason = "no such invalidation: unknown, of another tenant, or too long ago";
        Fault::new(StatusCode::NOT_FOUND, reason)
    };
    let found = authorize(&edge, &head_of(request)).and_then(|account| {
        let uuid = Uuid::try_parse(&uuid).map_err(|_| Fault::bad_request("malformed uuid"))?;
        account.history.find(uuid).ok_or_else(unknown)
    });
    match found {
        Ok(record) => reply(StatusCode::OK, &record.remembered()),
        Err(fault) => fault.to_json(),
    }
}

enum Done {
    Applied(Arc<Account>, Arc<Record>),
    /// A dry run.
    Tried(Summary),
}

async fn handle(edge: &Arc<Edge>, request: Request) -> Result<Done, Fault> {
    let (parts, body) = request.into_parts();
    let checked = authorize(edge, &parts).and_then(|account| {
        let run = Run::from_query(parts.uri.query(), edge.index.is_in_fleet())?;
        Ok((account, run))
    });
    let (account, run) = match checked {
        Ok(checked) => checked,
        Err(fault) => {
            decline(edge, &parts.headers, body).await;
            return Err(fault);
        }
    };
    let bytes = read(edge, &account, &parts.headers, body).await?;
    // A dry run counts the matches of a wildcard, and visits every picture for that.
    // With an index in a directory, it waits for a sync.
    if bytes.len() < LARGE_BODY && matches!(run, Run::Real { .. }) && !edge.index.is_durable() {
        return carry_out(edge, account, run, &bytes);
    }
    let (edge, span) = (Arc::clone(edge), Span::current());
    let work = move || span.in_scope(|| carry_out(&edge, account, run, &bytes));
    let crashed = |_| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed");
    task::spawn_blocking(work).await.map_err(crashed)?
}

/// Reads the request, carries it out, and returns the outcome.
fn carry_out(edge: &Edge, account: Arc<Account>, run: Run, bytes: &[u8]) -> Result<Done, Fault> {
    let limits = InvalidationLimits::builder()
        .entries(account.quota.entries)
        .bytes(account.quota.body_bytes)
        .build()
        .map_err(|error| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let request = InvalidationRequest::from_json(bytes, &account.filing, &limits)
        .map_err(|error| fault(&error, bytes))?;
    let (level, over) = match run {
        Run::Real { level, over } => (level, over),
        Run::Dry => {
            let receipt = edge.index.dry_run(&account.tenant, &request);
            return Ok(Done::Tried(Summary::of(&receipt, &request)));
        }
    };
    let record = match over {
        None => apply(edge, &account, &request, level),
        Some(over) => {
            check_over_time(&request)?;
            remember(edge, &account, None, edge.flush_over(&account, over, level))
        }
    };
    Ok(Done::Applied(account, record))
}

/// Invalidates, and remembers the receipt.
pub(crate) fn apply(
    edge: &Edge,
    account: &Account,
    request: &InvalidationRequest,
    level: Level,
) -> Arc<Record> {
    let summary = edge.apply(account, request, level);
    let received = match request.scope() {
        InvalidationScope::All => None,
        _ => Some(request.texts().map(|text| String::from_utf8_lossy(text).into_owned()).collect()),
    };
    remember(edge, account, received, summary)
}

/// Counts an invalidation, and remembers its receipt. `received` are the entries of the request.
fn remember(
    edge: &Edge,
    account: &Account,
    received: Option<Vec<String>>,
    summary: Summary,
) -> Arc<Record> {
    let labels = [("scope", summary.scope), ("mode", summary.mode)];
    edge.metrics.purges.get_or_create(&labels).inc_by(summary.entries() as u64);
    account.history.remember(Record::new(received, summary))
}

/// Returns the reason why a body is refused, and the suggestion of the entry that was probably
/// meant.
fn fault(error: &InvalidationError, body: &[u8]) -> Fault {
    let status = match error.kind() {
        InvalidationErrorKind::NotJson => StatusCode::BAD_REQUEST,
        InvalidationErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let cause = error.path_error();
    let reason = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    let hint = match (error.kind(), error.member()) {
        (InvalidationErrorKind::NotJson | InvalidationErrorKind::WrongType, None) => {
            hints::of_body(body)
        }
        (InvalidationErrorKind::BadEntry, Some("urls")) => cause.and_then(hints::of_refusal),
        _ => None,
    };
    Fault {
        position: error.entry_index(),
        suggestion: cause.and_then(|cause| cause.suggestions().next()).map(Box::from),
        hint,
        ..Fault::new(status, format!("{error}{reason}"))
    }
}

/// Reads the body, as far as it may go.
async fn read(
    edge: &Edge,
    account: &Account,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Bytes, Fault> {
    let most = account.quota.body_bytes;
    let reason = format!("the body is larger than {most} bytes");
    let too_large = Fault::new(StatusCode::PAYLOAD_TOO_LARGE, reason);
    if announced(headers).is_some_and(|bytes| bytes > most) {
        decline(edge, headers, body).await;
        return Err(too_large);
    }
    match timeout(edge.limits.body_time, Limited::new(&mut body, most).collect()).await {
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

/// Handles a body that has not been read. A client that waits for permission to send it (`Expect`)
/// does not get the permission.
async fn decline(edge: &Edge, headers: &HeaderMap, body: Body) {
    if !headers.contains_key(header::EXPECT) {
        discard(edge, body).await;
    }
}

/// Reads an unwanted body, within bounds, and drops it. A client that still sends when the
/// connection is closed would see a reset connection and never the reply.
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
