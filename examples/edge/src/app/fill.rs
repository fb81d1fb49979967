//! Fills: from a miss, or a stale hit, to a rendition that is kept.
//!
//! Invariant: a kept rendition was made under a lease that was taken *before* the source was read.
//! Only a picture is ever kept; an error is answered and forgotten. There is one fill of a
//! rendition at a time, however many clients wait for it.

use super::accounts::Account;
use super::edge::{Edge, Kept, Leftover};
use super::fault::Fault;
use super::flights::{Boarded, Flights, Place};
use super::freshness::State;
use super::operations::Operations;
use super::origin::{Fetched, OriginError, Wanted};
use super::render::RenderError;
use super::shield::{self, Answer};
use super::store::{Filed, Object, ObjectId};
use axum::http::StatusCode;
use cache_index::{FillLease, Lookup, OriginPath, VariantKey};
use cache_index_watermark::Watermark;
use std::sync::Arc;
use std::time::Duration;
use tokio::task;
use tokio::time::timeout;
use tracing::{debug, warn};

/// How long a stale rendition is served as it is after a refresh of it has failed.
const REFRESH_AGAIN: Duration = Duration::from_secs(2);

/// Which rendition a flight is for.
pub(crate) type FlightKey = (usize, OriginPath<'static>, VariantKey<'static>);

/// All fills under way.
pub(crate) type Fills = Flights<FlightKey, Outcome>;

/// The result of a fill.
pub(crate) type Outcome = Result<Filled, Fault>;

/// A rendition that was made.
#[derive(Clone)]
pub(crate) struct Filled {
    pub(crate) object: Arc<Object>,
    pub(crate) kept: Kept,
    /// The status of the origin's answer: 304 if it has confirmed a stale rendition.
    pub(crate) origin_status: StatusCode,
}

/// A rendition that is to be made.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) account: Arc<Account>,
    /// The picture that is fetched: its exact name.
    pub(crate) origin: OriginPath<'static>,
    /// The names under which it is stored.
    pub(crate) filed: Filed,
    pub(crate) operations: Operations,
}

/// A stale rendition, until its refresh has taken its place.
#[derive(Clone)]
pub(crate) struct Stale {
    pub(crate) id: ObjectId,
    pub(crate) object: Arc<Object>,
}

/// How a request that missed got its rendition.
pub(crate) enum Filling {
    /// By a fill that it began.
    Own(Filled),
    /// By a fill that another request began, after this one came.
    Shared(Filled),
    /// By a fill that had begun before, and that was stored after the request came.
    Joined(Filled),
}

/// Makes a rendition, or waits for the fill that is under way. With a rendition that is too old,
/// asks the origin whether there is a newer one.
pub(crate) async fn fill(
    edge: &Arc<Edge>,
    job: &Job,
    stale: Option<Stale>,
) -> Result<Filling, Fault> {
    match board(edge, job, stale.clone()) {
        Boarded::Began(flight) => flight.await.map(Filling::Own),
        Boarded::Landed(found) => found.map(Filling::Joined),
        Boarded::Joined(flight) => {
            edge.metrics.joined.inc();
            match flight.await {
                Ok(filled) if filled.kept.is_stored() => Ok(Filling::Joined(filled)),
                // An invalidation has overtaken the flight, or it failed. It may have begun before
                // this request arrived. One retry is enough: the next flight begins after this
                // moment, whichever request starts it.
                _ => match board(edge, job, stale) {
                    Boarded::Began(flight) => flight.await.map(Filling::Own),
                    Boarded::Joined(flight) => flight.await.map(Filling::Shared),
                    Boarded::Landed(found) => found.map(Filling::Shared),
                },
            }
        }
    }
}

/// Fetches a stale rendition again in the background, unless this is in progress, or has just
/// failed.
pub(crate) fn refresh(edge: &Arc<Edge>, stale: Stale, job: impl FnOnce() -> Option<Job>) {
    if !stale.object.may_refresh() {
        return;
    }
    let Some(job) = job() else { return };
    if let Boarded::Began(flight) = board(edge, &job, Some(stale)) {
        edge.metrics.refreshes.inc();
        let edge = Arc::clone(edge);
        tokio::spawn(async move {
            if let Err(fault) = flight.await {
                edge.metrics.refreshes_failed.inc();
                warn!(
                    tenant = job.account.token(),
                    path = job.origin.as_str(),
                    reason = fault.reason,
                    "refresh failed"
                );
            }
        });
    }
}

fn board(edge: &Arc<Edge>, job: &Job, stale: Option<Stale>) -> Boarded<Outcome> {
    let Filed { path, variant, .. } = &job.filed;
    let key = (job.account.number, path.clone(), variant.clone());
    let look = || match edge.look_up(&job.filed.tenant, path, variant) {
        Lookup::Live((_, object)) if object.state() == State::Fresh => {
            Some(Ok(Filled { object, kept: Kept::Live, origin_status: StatusCode::OK }))
        }
        _ => None,
    };
    let (flown, job) = (Arc::clone(edge), job.clone());
    edge.fills.board(&key, look, move |place| make(flown, job, stale, place))
}

/// One flight.
async fn make(
    edge: Arc<Edge>,
    job: Job,
    stale: Option<Stale>,
    place: Place<FlightKey, Outcome>,
) -> Outcome {
    let made = attempt(&edge, &job, stale.as_ref(), place).await;
    match (&made, stale) {
        // The picture is gone; an old copy of it isn't to be served for ever.
        (Err(fault), Some(stale)) if fault.status == StatusCode::NOT_FOUND => {
            edge.forget(stale.id, &stale.object.filed);
        }
        // The origin has changed its mind.
        (Ok(Filled { kept: Kept::Forbidden, .. }), Some(stale)) => {
            edge.forget(stale.id, &stale.object.filed);
        }
        (Err(_) | Ok(Filled { kept: Kept::NotWritten | Kept::Unproven, .. }), Some(stale)) => {
            stale.object.put_off_refresh(REFRESH_AGAIN);
        }
        _ => {}
    }
    made
}

async fn attempt(
    edge: &Arc<Edge>,
    job: &Job,
    stale: Option<&Stale>,
    place: Place<FlightKey, Outcome>,
) -> Outcome {
    let busy =
        || Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many pictures are being fetched");
    let permit = timeout(edge.limits.fetch_time, edge.fetches.acquire()).await;
    let _permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;

    // Taken before the source is read: from here on, the commit detects an invalidation of this
    // picture. If the fill fails, or no client waits any more, the lease is dropped and nothing is
    // kept.
    let lease = edge.index.lease(&job.filed.tenant, &job.filed.path);
    let known = stale.and_then(|stale| stale.object.validator.as_ref());
    #[cfg(test)]
    edge.stall.passed().await;
    // After the lease, see `shield`.
    let number = shield::number(edge).await;
    let Answer { fetched, is_proven } = ask(edge, job, known, number).await?;
    let (object, origin_status) = match fetched {
        Fetched::Unchanged { policy } => {
            edge.metrics.confirmed.inc();
            // Only asked for with a validator, so there is an object.
            let stale = stale.ok_or_else(|| {
                Fault::new(StatusCode::BAD_GATEWAY, "the origin failed: 304 for nothing")
            })?;
            (stale.object.confirmed(policy), StatusCode::NOT_MODIFIED)
        }
        Fetched::Picture { bytes, validator, policy } => {
            let rendition = edge.render(bytes, job.operations).await.map_err(render_fault)?;
            let object = Object::new(job.filed.clone(), rendition, validator);
            (object.with_policy(policy), StatusCode::OK)
        }
    };
    let object = Arc::new(object);
    edge.metrics.fills.inc();
    if object.policy.is_forbidden {
        // The requests that wait get it all the same: the origin was told nothing about any client.
        return Ok(Filled { object, kept: Kept::Forbidden, origin_status });
    }
    if !is_proven {
        return Ok(Filled { object, kept: Kept::Unproven, origin_status });
    }
    let kept = keep(edge, lease, &object, place).await?;
    debug!(tenant = job.account.token(), path = job.origin.as_str(), ?kept, "filled");
    Ok(Filled { object, kept, origin_status })
}

/// Fetches the source from the shield, or from the origin if there is no number for the shield.
async fn ask(
    edge: &Edge,
    job: &Job,
    known: Option<&axum::http::HeaderValue>,
    number: Option<Watermark>,
) -> Result<Answer, Fault> {
    if let (Some(shield), Some(number)) = (&edge.shield, number) {
        let asking = timeout(edge.limits.fetch_time, shield.ask(job, &number));
        if let Ok(Some(answer)) = asking.await {
            return Ok(answer);
        }
    }
    let fetched = fetch(edge, job, known).await?;
    Ok(Answer { fetched, is_proven: true })
}

/// Makes a rendition from the origin, past the cache, the shield and all fills under way. It is not
/// kept.
pub(crate) async fn fill_past(edge: &Arc<Edge>, job: &Job) -> Outcome {
    let Fetched::Picture { bytes, validator, policy } = fetch(edge, job, None).await? else {
        return Err(Fault::new(StatusCode::BAD_GATEWAY, "the origin failed: 304 for nothing"));
    };
    let rendition = edge.render(bytes, job.operations).await.map_err(render_fault)?;
    let object = Object::new(job.filed.clone(), rendition, validator).with_policy(policy);
    let (object, origin_status) = (Arc::new(object), StatusCode::OK);
    Ok(Filled { object, kept: Kept::Past, origin_status })
}

/// Stores a rendition where that is allowed to block.
async fn keep(
    edge: &Arc<Edge>,
    lease: FillLease<ObjectId>,
    object: &Arc<Object>,
    place: Place<FlightKey, Outcome>,
) -> Result<Kept, Fault> {
    if !edge.store.is_on_disk() {
        return Ok(store(edge, lease, object, place));
    }
    let (edge, object) = (Arc::clone(edge), Arc::clone(object));
    // If all clients go away meanwhile, this still goes on to its end.
    let storing = task::spawn_blocking(move || store(&edge, lease, &object, place));
    let crashed = |_| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "storing the picture failed");
    storing.await.map_err(crashed)
}

/// Stores a rendition, and ends its flight.
fn store(
    edge: &Edge,
    lease: FillLease<ObjectId>,
    object: &Arc<Object>,
    place: Place<FlightKey, Outcome>,
) -> Kept {
    // Before the landing, during which other requests wait.
    let id = match edge.store.write(object) {
        Ok(id) => id,
        Err(error) => {
            edge.metrics.files.not_written.inc();
            warn!(path = object.filed.path.as_str(), %error, "a file could not be written");
            return Kept::NotWritten;
        }
    };
    let (kept, leftover) = place.land(|| {
        let (kept, leftover) = edge.keep(lease, id, object);
        if edge.store.is_on_disk() {
            return (kept, leftover);
        }
        edge.discard(leftover);
        (kept, Leftover::default())
    });
    // Files are deleted after the landing, for the same reason.
    edge.discard(leftover);
    kept
}

async fn fetch(
    edge: &Edge,
    job: &Job,
    known: Option<&axum::http::HeaderValue>,
) -> Result<Fetched, Fault> {
    let wanted = Wanted { path: &job.origin, prefix: job.account.prefix.as_deref(), known };
    match timeout(edge.limits.fetch_time, edge.origin.fetch(wanted)).await {
        Ok(Ok(fetched)) => Ok(fetched),
        Ok(Err(OriginError::NotFound)) => {
            Err(Fault::new(StatusCode::NOT_FOUND, "the origin has no such picture"))
        }
        Ok(Err(OriginError::Answered(status))) => Err(Fault {
            origin_status: Some(status),
            ..Fault::new(StatusCode::BAD_GATEWAY, format!("the origin failed: it answers {status}"))
        }),
        Ok(Err(OriginError::Failed(reason))) => {
            Err(Fault::new(StatusCode::BAD_GATEWAY, format!("the origin failed: {reason}")))
        }
        Err(_) => Err(Fault::new(StatusCode::GATEWAY_TIMEOUT, "the origin took too long")),
    }
}

fn render_fault(error: RenderError) -> Fault {
    match error {
        RenderError::Source(reason) => Fault::new(StatusCode::BAD_GATEWAY, reason),
        RenderError::Operations(reason) => Fault::bad_request(reason),
    }
}
